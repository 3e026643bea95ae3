package keyring

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sallyport/internal/attest"
	"sallyport/internal/code"
	"sallyport/internal/ident"
	"sallyport/internal/seal"
)

// The keys that can be exchanged for new ones.
const (
	ApplianceKey = "appliance"
	AgeKey       = "age"
)

// TenantKey names the bundle key of a tenant.
func TenantKey(tenant string) string { return "tenants/" + tenant }

// Prepare makes the key that will follow the one of a name, unless it waits there already, and gives it. It is durable before
// it returns and is used by nobody before Promote.
func (r *Ring) Prepare(name string, random io.Reader) (*attest.Signer, error) {
	alg, err := algorithm(name)
	if err != nil {
		return nil, err
	}
	s, err := r.make(r.next(name), alg, random)
	if err != nil {
		return nil, fmt.Errorf("new key %s: %w", name, err)
	}
	return s, nil
}

func algorithm(name string) (string, error) {
	tenant, ok := strings.CutPrefix(name, "tenants/")
	switch {
	case name == ApplianceKey:
		return ed25519, nil
	case ok && ident.Name(tenant) == nil:
		return p256, nil
	}
	return "", code.New(code.Bug, "no key %.40q can be exchanged", name)
}

func (r *Ring) next(name string) string {
	return filepath.Join(r.dir, "keys", filepath.FromSlash(name)+".next")
}

// Promote puts the prepared key with this id in the place of the one in use, whose private half is kept under keys/old. Doing
// it again changes nothing. Code signing when neither is the key with this id.
func (r *Ring) Promote(name, keyid string) error {
	alg, err := algorithm(name)
	if err != nil {
		return err
	}
	now, err := r.signer(r.path(name), alg)
	if err != nil {
		return err
	}
	if now.Public().ID() != keyid {
		next, err := r.signer(r.next(name), alg)
		if err != nil {
			return err
		}
		if got := next.Public().ID(); got != keyid {
			return code.New(code.SigningKey, "the prepared key is another one").In(r.next(name), "").Want(keyid, got)
		}
		if err := r.putAside(name, now); err != nil {
			return err
		}
		if err := r.fs.Rename(r.next(name), r.path(name)); err != nil {
			return fmt.Errorf("exchange key %s: %w", name, err)
		}
		now = next
	}
	if tenant, ok := strings.CutPrefix(name, "tenants/"); ok {
		return r.publish(tenant, now.Public())
	}
	return nil
}

// putAside keeps a private key that is not in use any more, under a name made of its fingerprint.
func (r *Ring) putAside(name string, s *attest.Signer) error {
	pem, err := s.PEM()
	if err != nil {
		return err
	}
	dir := filepath.Join(r.dir, "keys", "old")
	if err := r.fs.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("keep old key: %w", err)
	}
	if err := r.fs.WriteFile(filepath.Join(dir, oldName(name, s.Public())), pem, 0o600); err != nil {
		return fmt.Errorf("keep old key: %w", err)
	}
	return nil
}

func oldName(name string, k *attest.Key) string {
	print := k.Fingerprint()
	return strings.ReplaceAll(name, "/", "-") + "-" + hex.EncodeToString(print[:8]) + ".key"
}

// publish writes the public half of a tenant's key, when another stands there.
func (r *Ring) publish(tenant string, k *attest.Key) error {
	pub := r.PublicPath(tenant)
	if b, err := os.ReadFile(pub); err == nil && bytes.Equal(b, k.PEM()) {
		return nil
	}
	if err := r.fs.Mkdir(filepath.Dir(pub), 0o700); err != nil {
		return fmt.Errorf("publish key of %s: %w", tenant, err)
	}
	if err := r.fs.WriteFile(pub, k.PEM(), 0o644); err != nil {
		return fmt.Errorf("publish key of %s: %w", tenant, err)
	}
	return nil
}

// Old is the private half of a key of this name that was in use before; nil when it is not kept here.
func (r *Ring) Old(name string, k *attest.Key) (*attest.Signer, error) {
	alg, err := algorithm(name)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(r.dir, "keys", "old", oldName(name, k))
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return r.signer(path, alg)
}

// PrepareIdentity makes the age identity that will be the newest, unless it waits there already, and gives its recipient. What
// is sealed to it cannot be opened before PromoteIdentity.
func (r *Ring) PrepareIdentity(hybrid bool) (seal.Recipient, error) {
	path := r.next(AgeKey)
	if _, err := os.Lstat(path); err != nil {
		id, err := seal.NewIdentity(hybrid)
		if err != nil {
			return seal.Recipient{}, fmt.Errorf("new identity: %w", err)
		}
		if err := r.fs.WriteFile(path, identityFile(id), 0o600); err != nil {
			return seal.Recipient{}, fmt.Errorf("new identity: %w", err)
		}
	}
	ids, err := r.identities(path)
	if err != nil {
		return seal.Recipient{}, err
	}
	return ids[0].Recipient(), nil
}

func identityFile(id seal.Identity) []byte {
	return []byte("# public key: " + id.Recipient().String() + "\n" + id.String() + "\n")
}

// PromoteIdentity puts the prepared identity with this recipient before all others, which stay for reading. Doing it again
// changes nothing. The prepared file goes only after the new one is on the disk.
func (r *Ring) PromoteIdentity(recipient string) error {
	now, err := r.Identities()
	if err != nil {
		return err
	}
	if now[0].Recipient().String() != recipient {
		next, err := r.identities(r.next(AgeKey))
		if err != nil {
			return err
		}
		if got := next[0].Recipient().String(); got != recipient {
			return code.New(code.SigningKey, "the prepared identity is another one").In(r.next(AgeKey), "").Want(recipient, got)
		}
		old, err := secret(r.path(AgeKey))
		if err != nil {
			return err
		}
		if err := r.fs.WriteFile(r.path(AgeKey), append(identityFile(next[0]), old...), 0o600); err != nil {
			return fmt.Errorf("exchange identity: %w", err)
		}
	}
	if ids, err := r.identities(r.next(AgeKey)); err == nil && ids[0].Recipient().String() == recipient {
		return r.fs.Remove(r.next(AgeKey))
	}
	return nil
}

// identities reads one file of age identities, newest first, at least one.
func (r *Ring) identities(path string) ([]seal.Identity, error) {
	b, err := secret(path)
	if err != nil {
		return nil, err
	}
	ids, err := seal.ParseIdentities(b)
	if err == nil && len(ids) == 0 {
		err = errors.New("no identity in it")
	}
	if err != nil {
		return nil, code.Wrap(code.SigningKey, err, "read identities").In(path, "")
	}
	return ids, nil
}

// ParseRoot reads a root key that is kept elsewhere, as `--root-key` brings it: one PEM block. Code signing.
func ParseRoot(pem []byte) (*attest.Signer, error) {
	s, err := attest.ParseSigner(pem)
	if err != nil {
		return nil, code.Wrap(code.SigningKey, err, "read root key")
	}
	if got := s.Public().Alg(); got != ed25519 {
		return nil, code.New(code.SigningKey, "a root key of another kind").Want(ed25519, got)
	}
	return s, nil
}
