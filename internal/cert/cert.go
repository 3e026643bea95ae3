// Package cert keeps the certificate of the HTTPS door: one of a site CA of our own, or one that people brought.
//
// Data: D/tls/ca.pem and D/tls/leaf.pem (0600), each a certificate and its private key in one file, so that they can never
// fall apart; D/tls/ca.crt, the CA's certificate alone, for people to hand to browsers. The CA (ECDSA P-256, ten years) may
// speak for the names and addresses of this host alone (critical name constraints); a leaf lives 90 days and is made again
// when 60 have passed. Brought ones (tls.cert, tls.key) stay where they are and are only read.
//
// Order: a missing CA is made, then a missing or used-up leaf, then ca.crt is brought in line; each is one durable write, and
// a crash between two is met by the next Open, which makes what is missing. Dates come from a marks.Reading: from the time
// that is proven to be past until 90 days after the one that is stamped on everything we sign, so a clock at 1970 or 2099
// gives a certificate that browsers with a right clock accept. Check does the same while the daemon runs; who connects next
// gets the new one. A leaf that is lost costs nothing; a CA that is lost must be shown to browsers again.
package cert

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/marks"
)

// How long what we make is good for, and when it is made again.
const (
	day       = 24 * time.Hour
	leafLife  = 90 * day
	leafLeft  = 30 * day // made again with so much left: after 60 days
	caLife    = 3650 * day
	caLeft    = 365 * day
	slack     = day // before the trusted time: a browser's clock may be behind
	soon      = 30 * day
	maxFile   = 1 << 20
	caFile    = "ca.pem"
	leafFile  = "leaf.pem"
	shownFile = "ca.crt"
)

// Options is what a certificate is made from.
type Options struct {
	Dir    string     // D/tls; exists
	FS     durable.FS // all writes
	Random io.Reader
	Label  string   // "site-07": stands in the names of our certificates
	Asked  []string // names and addresses from the configuration: a CA that may not speak for them is replaced
	Found  []string // names and addresses this machine has by itself: those the CA may not speak for are only reported
	Spare  []string // names and addresses that a new CA may speak for too, and the leaf does not yet
	Cert   string   // files that were brought: both or none
	Key    string
}

// Facts is what people are shown.
type Facts struct {
	Fingerprint string    // SHA-256 of the certificate as browsers show it: AB:CD:…
	Authority   string    // the same of our site CA; "" for a certificate that was brought
	Names       []string  // names and addresses it is good for
	NotAfter    time.Time // its end
	Brought     bool
	Warning     string // a sentence about what is not well; "" when nothing is
	Next        string // what to do about it
}

// Keeper holds the certificate in use. Safe for concurrent use.
type Keeper struct {
	o Options

	mu    sync.Mutex
	leaf  *tls.Certificate
	ca    []byte // DER; nil when brought
	facts Facts
}

// Open makes what is missing and loads the certificate. Code certificate for files that cannot be used.
func Open(o Options, now marks.Reading) (*Keeper, error) {
	k := &Keeper{o: o}
	if _, err := k.Check(now); err != nil {
		return nil, err
	}
	return k, nil
}

// Check brings the certificate in line with the time and with what was brought, and tells whether another one is in use
// now. After an error the one before stays in use.
func (k *Keeper) Check(now marks.Reading) (changed bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var leaf *tls.Certificate
	var ca []byte
	if k.o.Cert != "" || k.o.Key != "" {
		leaf, err = brought(k.o.Cert, k.o.Key)
	} else {
		leaf, ca, err = k.ours(now)
	}
	if err != nil {
		return false, err
	}
	changed = k.leaf == nil || !slices.Equal(k.leaf.Certificate[0], leaf.Certificate[0])
	k.leaf, k.ca = leaf, ca
	k.facts = k.describe(now)
	return changed, nil
}

// ours loads our own CA and leaf, and makes what is missing, used up, or too narrow.
func (k *Keeper) ours(now marks.Reading) (leaf *tls.Certificate, ca []byte, err error) {
	issuer, err := k.load(caFile)
	if err != nil {
		return nil, nil, err
	}
	asked, found := parseNames(k.o.Asked), parseNames(k.o.Found)
	if issuer == nil || !fits(issuer.Leaf, asked) || now.Stamp().After(issuer.Leaf.NotAfter.Add(-caLeft)) {
		if issuer, err = k.makeCA(asked.with(found).with(parseNames(k.o.Spare)), now); err != nil {
			return nil, nil, err
		}
	}
	if err := k.show(issuer.Certificate[0]); err != nil {
		return nil, nil, err
	}
	want := asked.with(found).within(issuer.Leaf)
	leaf, err = k.load(leafFile)
	if err != nil || leaf == nil || due(leaf.Leaf, issuer.Leaf, want, now) { // a leaf that cannot be read is just made again
		if leaf, err = k.makeLeaf(issuer, want, now); err != nil {
			return nil, nil, err
		}
	}
	leaf.Certificate = [][]byte{leaf.Certificate[0], issuer.Certificate[0]}
	return leaf, issuer.Certificate[0], nil
}

// due tells whether a leaf must be made again.
func due(leaf, ca *x509.Certificate, want names, now marks.Reading) bool {
	stamp := now.Stamp()
	return leaf.CheckSignatureFrom(ca) != nil || !want.equal(namesOf(leaf)) ||
		stamp.After(leaf.NotAfter.Add(-leafLeft)) ||
		leaf.NotAfter.Sub(stamp) > leafLife+day || // made when the clock was ahead
		now.Trusted.Before(leaf.NotBefore)
}

// load reads a file of ours; nil when there is none.
func (k *Keeper) load(name string) (*tls.Certificate, error) {
	path := filepath.Join(k.o.Dir, name)
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		var pair tls.Certificate
		if pair, err = tls.X509KeyPair(text, text); err == nil {
			return &pair, nil
		}
	}
	return nil, code.Wrap(code.Certificate, err, "a file of the site CA cannot be used").In(path, "").
		Do("Move the file away and start the daemon again: it makes a new one, and browsers must be shown the new fingerprint.")
}

// show writes the CA's certificate for people, when the file says something else.
func (k *Keeper) show(der []byte) error {
	path := filepath.Join(k.o.Dir, shownFile)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if is, err := readFile(path); err == nil && string(is) == string(text) {
		return nil
	}
	return k.o.FS.WriteFile(path, text, 0o644)
}

// describe puts into words what is in use.
func (k *Keeper) describe(now marks.Reading) Facts {
	leaf := k.leaf.Leaf
	f := Facts{Fingerprint: Fingerprint(leaf.Raw), Names: namesOf(leaf).list(), NotAfter: leaf.NotAfter, Brought: k.ca == nil}
	if k.ca != nil {
		f.Authority = Fingerprint(k.ca)
	}
	stamp := now.Stamp()
	until := leaf.NotAfter.UTC().Format(time.DateOnly)
	missing := parseNames(k.o.Asked).with(parseNames(k.o.Found)).without(namesOf(leaf)).list()
	switch {
	case stamp.After(leaf.NotAfter):
		f.Warning, f.Next = "The certificate of the console has expired on "+until+".", "Put a newer pair at tls.cert and tls.key; it is taken up within a minute."
	case stamp.Before(leaf.NotBefore.Add(-slack)):
		f.Warning, f.Next = "The certificate of the console is not valid before "+leaf.NotBefore.UTC().Format(time.DateOnly)+".", "Check the clock, or the certificate at tls.cert."
	case f.Brought && leaf.NotAfter.Sub(stamp) < soon:
		f.Warning, f.Next = "The certificate of the console expires on "+until+".", "Put a newer pair at tls.cert and tls.key; it is taken up within a minute."
	case f.Brought:
		if m := parseNames(k.o.Asked).without(namesOf(leaf)).list(); len(m) > 0 {
			f.Warning, f.Next = "The certificate of the console does not name "+strings.Join(m, ", ")+".", "Have it made again with these names, or take them out of listen.hosts."
		}
	case len(missing) > 0:
		f.Warning = "The site CA was made before this machine was called " + strings.Join(missing, ", ") + "."
		f.Next = "Name it in listen.hosts: a new CA is made at the next start, and browsers must be shown its fingerprint."
	}
	return f
}

// Get is for tls.Config.GetCertificate: the one in use, whatever name the client asks for.
func (k *Keeper) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.leaf, nil
}

// Speaks tells whether the certificate in use is good for a name or an address.
func (k *Keeper) Speaks(host string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.leaf.Leaf.VerifyHostname(host) == nil
}

// Facts says what is in use.
func (k *Keeper) Facts() Facts {
	k.mu.Lock()
	defer k.mu.Unlock()
	f := k.facts
	f.Names = slices.Clone(f.Names)
	return f
}

// CA is our site CA's certificate as PEM, for download; nil when people brought the certificate.
func (k *Keeper) CA() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ca == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.ca})
}

// Fingerprint is the SHA-256 of a certificate as browsers and openssl show it: pairs of upper-case hex, colons between.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	var b strings.Builder
	for i, c := range sum {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02X", c)
	}
	return b.String()
}

// readFile reads a small file.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("longer than %d bytes", maxFile)
	}
	return text, err
}
