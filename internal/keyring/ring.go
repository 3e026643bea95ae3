// Package keyring holds the secret keys of an appliance: files on disk, read when they are asked for.
//
// Data, below the data directory (directories 0700, secret files 0600):
//
//	keys/appliance.key      Ed25519, PKCS#8 PEM: cards, receipts, inventories, checkpoints
//	keys/anchor.key         Ed25519: time anchors
//	keys/root.key           Ed25519: the trust root document; may be taken offline
//	keys/age.key            an age identity file as age-keygen writes it; several identities, newest first
//	keys/tenants/<t>.key    ECDSA P-256: a tenant's manifests and labels
//	keys/dare/<peer>.key    the AES key shared with a peer (`aes1-…`)
//	keys/<name>.next        a key or identity that waits for the change of trust that names it
//	keys/old/<name>-<16 hex of its fingerprint>.key   private keys that were in use before
//	pub/tenants/<t>/export-center.pub   the public half of a tenant's key, PEM
//	pub/roots/<16 hex of root id>.<N>.root.json   every version of our own trust root
//
// Order: each file is written whole (temporary name, sync, rename). Create writes one after another and keeps every key
// it finds, so that a crash is finished by running it again and no key is ever overwritten. An exchange is Prepare, then what
// commits it elsewhere, then Promote, which may be run again: a key is lost at no point. A secret that is locked,
// missing, readable by others or of the wrong kind has code signing, on which a run waits and is retried.
package keyring

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"sallyport/internal/attest"
	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/ident"
	"sallyport/internal/seal"
)

const (
	ed25519 = "ed25519"
	p256    = "ecdsa-p256"
	maxFile = 64 << 10
)

// Ring gives out keys. It keeps none in memory. Safe for concurrent use.
type Ring struct {
	dir string
	fs  durable.FS
}

// Options say what Create makes.
type Options struct {
	Tenant string // name of the first tenant
	Hybrid bool   // a post-quantum hybrid age identity instead of X25519
}

// Create makes all keys of a new appliance below the data directory dir. The age identity takes its randomness from
// the system, all others from random.
func Create(dir string, fsys durable.FS, random io.Reader, o Options) (*Ring, error) {
	r := &Ring{dir, fsys}
	for _, d := range []string{"keys/tenants", "keys/dare", "pub"} {
		if err := fsys.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			return nil, fmt.Errorf("create keys: %w", err)
		}
	}
	for _, name := range []string{"appliance", "anchor", "root"} {
		if _, err := r.make(r.path(name), ed25519, random); err != nil {
			return nil, fmt.Errorf("create keys: %w", err)
		}
	}
	if err := r.makeIdentity(o.Hybrid); err != nil {
		return nil, fmt.Errorf("create keys: %w", err)
	}
	if _, err := r.AddTenant(o.Tenant, random); err != nil {
		return nil, fmt.Errorf("create keys: %w", err)
	}
	return r, nil
}

// Open checks that the key directory is there. Code signing.
func Open(dir string, fsys durable.FS) (*Ring, error) {
	r := &Ring{dir, fsys}
	st, err := os.Stat(filepath.Join(dir, "keys"))
	if err == nil && !st.IsDir() {
		err = fs.ErrInvalid
	}
	if err != nil {
		return nil, code.Wrap(code.SigningKey, err, "open key directory").In(filepath.Join(dir, "keys"), "")
	}
	return r, nil
}

func (r *Ring) path(name string) string {
	return filepath.Join(r.dir, "keys", filepath.FromSlash(name)+".key")
}

// make writes a new key unless there is one, and returns the one that is there afterwards.
func (r *Ring) make(path, alg string, random io.Reader) (*attest.Signer, error) {
	if _, err := os.Lstat(path); err == nil {
		return r.signer(path, alg)
	}
	s, err := attest.NewSigner(alg, random)
	if err != nil {
		return nil, err
	}
	pem, err := s.PEM()
	if err != nil {
		return nil, err
	}
	return s, r.fs.WriteFile(path, pem, 0o600)
}

func (r *Ring) makeIdentity(hybrid bool) error {
	path := r.path("age")
	if _, err := os.Lstat(path); err == nil {
		_, err := r.Identities()
		return err
	}
	id, err := seal.NewIdentity(hybrid)
	if err != nil {
		return err
	}
	return r.fs.WriteFile(path, identityFile(id), 0o600)
}

// AddTenant makes the bundle key of a tenant, unless it has one, and publishes its public half.
func (r *Ring) AddTenant(tenant string, random io.Reader) (*attest.Key, error) {
	if err := ident.Name(tenant); err != nil {
		return nil, fmt.Errorf("add tenant: %w", err)
	}
	s, err := r.make(r.path("tenants/"+tenant), p256, random)
	if err != nil {
		return nil, fmt.Errorf("add tenant %s: %w", tenant, err)
	}
	pub := r.PublicPath(tenant)
	if err := r.fs.Mkdir(filepath.Dir(pub), 0o700); err != nil {
		return nil, fmt.Errorf("add tenant %s: %w", tenant, err)
	}
	if err := r.fs.WriteFile(pub, s.Public().PEM(), 0o644); err != nil {
		return nil, fmt.Errorf("add tenant %s: %w", tenant, err)
	}
	return s.Public(), nil
}

// PublicPath is where the public half of a tenant's bundle key lies: D/pub/tenants/<tenant>/export-center.pub.
func (r *Ring) PublicPath(tenant string) string {
	return filepath.Join(r.dir, "pub", "tenants", tenant, "export-center.pub")
}

// Tenants lists the tenants that have a bundle key, sorted.
func (r *Ring) Tenants() ([]string, error) { return r.names("tenants") }

func (r *Ring) names(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(r.dir, "keys", dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, code.Wrap(code.SigningKey, err, "list keys").In(filepath.Join(r.dir, "keys", dir), "")
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".key"); ok && ident.Name(name) == nil {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names, nil
}

// Appliance is the Ed25519 key for cards, receipts, inventories and checkpoints.
func (r *Ring) Appliance() (*attest.Signer, error) { return r.signer(r.path("appliance"), ed25519) }

// Anchor is the Ed25519 key for time anchors.
func (r *Ring) Anchor() (*attest.Signer, error) { return r.signer(r.path("anchor"), ed25519) }

// Root is the Ed25519 key for the trust root document.
func (r *Ring) Root() (*attest.Signer, error) { return r.signer(r.path("root"), ed25519) }

// Bundle is a tenant's ECDSA P-256 key for manifests and labels.
func (r *Ring) Bundle(tenant string) (*attest.Signer, error) {
	if err := ident.Name(tenant); err != nil {
		return nil, code.Wrap(code.SigningKey, err, "bundle key")
	}
	return r.signer(r.path("tenants/"+tenant), p256)
}

// ApplianceID is the id derived from the appliance key as it is now. The id of an appliance is that of its first key,
// stored elsewhere: use this one at its making only.
func (r *Ring) ApplianceID() (string, error) {
	s, err := r.Appliance()
	if err != nil {
		return "", err
	}
	return ident.ApplianceID(s.Public().Raw()), nil
}

func (r *Ring) signer(path, alg string) (*attest.Signer, error) {
	b, err := secret(path)
	if err != nil {
		return nil, err
	}
	s, err := attest.ParseSigner(b)
	if err != nil {
		return nil, code.Wrap(code.SigningKey, err, "read key").In(path, "")
	}
	if got := s.Public().Alg(); got != alg {
		return nil, code.New(code.SigningKey, "a key of another kind").In(path, "").Want(alg, got)
	}
	return s, nil
}

// secret reads a file that only its owner may read.
func secret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, code.Wrap(code.SigningKey, err, "read key").In(path, "")
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, code.Wrap(code.SigningKey, err, "read key").In(path, "")
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, code.New(code.SigningKey, "others may read this secret").In(path, "mode").
			Want("-rw-------", st.Mode().Perm()).Do("Run chmod 600 on the file, and ask who could have read it.")
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, code.Wrap(code.SigningKey, err, "read key").In(path, "")
	}
	return b, nil
}

// Identities are the age identities of this appliance, newest first.
func (r *Ring) Identities() ([]seal.Identity, error) {
	return r.identities(r.path(AgeKey))
}

// Recipient is that of the newest identity: what others seal to.
func (r *Ring) Recipient() (seal.Recipient, error) {
	ids, err := r.Identities()
	if err != nil {
		return seal.Recipient{}, err
	}
	return ids[0].Recipient(), nil
}

// Dare is the AES key shared with a peer.
func (r *Ring) Dare(peer string) (k seal.DareKey, err error) {
	if err := ident.Name(peer); err != nil {
		return k, code.Wrap(code.SigningKey, err, "shared key")
	}
	path := r.path("dare/" + peer)
	b, err := secret(path)
	if err != nil {
		return k, err
	}
	if k, err = seal.ParseDareKey([]byte(strings.TrimSpace(string(b)))); err != nil {
		return k, code.Wrap(code.SigningKey, err, "read shared key").In(path, "")
	}
	return k, nil
}

// SetDare stores the AES key shared with a peer, replacing the one before.
func (r *Ring) SetDare(peer string, k seal.DareKey) error {
	if err := ident.Name(peer); err != nil {
		return fmt.Errorf("set shared key: %w", err)
	}
	if err := r.fs.Mkdir(filepath.Join(r.dir, "keys", "dare"), 0o700); err != nil {
		return fmt.Errorf("set shared key: %w", err)
	}
	if err := r.fs.WriteFile(r.path("dare/"+peer), []byte(k.String()+"\n"), 0o600); err != nil {
		return fmt.Errorf("set shared key: %w", err)
	}
	return nil
}

// DareKeys are the keys shared with all peers, for opening what is sealed to us.
func (r *Ring) DareKeys() ([]seal.DareKey, error) {
	peers, err := r.names("dare")
	if err != nil {
		return nil, err
	}
	var keys []seal.DareKey
	for _, p := range peers {
		k, err := r.Dare(p)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}
