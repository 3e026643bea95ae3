package cert

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/marks"
)

var begin = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func at(t time.Time) marks.Reading { return marks.Reading{Wall: t, Trusted: t, Source: "anchor"} }

func options(t *testing.T) Options {
	t.Helper()
	return Options{
		Dir: t.TempDir(), Random: rand.Reader, Label: "site-07",
		Asked: []string{"localhost", "127.0.0.1"}, Found: []string{"Site-07", "10.0.0.7", "fe80::1%eth0", "not a name"},
	}
}

func open(t *testing.T, o Options, now marks.Reading) *Keeper {
	t.Helper()
	k, err := Open(o, now)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// accepts is what a browser with the CA says at a time.
func accepts(t *testing.T, k *Keeper, name string, at time.Time) error {
	t.Helper()
	pair, err := k.Get(nil)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(k.CA()) {
		t.Fatal("no CA")
	}
	_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

func TestMade(t *testing.T) {
	o := options(t)
	k := open(t, o, at(begin))
	for _, name := range []string{"localhost", "127.0.0.1", "site-07", "10.0.0.7", "fe80::1"} {
		if err := accepts(t, k, name, begin); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if accepts(t, k, "10.0.0.8", begin) == nil || accepts(t, k, "example.org", begin) == nil {
		t.Error("it speaks for others")
	}
	f := k.Facts()
	pair, _ := k.Get(nil)
	if f.Fingerprint != Fingerprint(pair.Certificate[0]) || f.Authority != Fingerprint(pair.Certificate[1]) || len(f.Fingerprint) != 95 || f.Brought || f.Warning != "" {
		t.Errorf("%+v", f)
	}
	if !f.NotAfter.Equal(begin.Add(leafLife)) {
		t.Errorf("ends %s", f.NotAfter)
	}
	for name, mode := range map[string]os.FileMode{"ca.pem": 0o600, "leaf.pem": 0o600, "ca.crt": 0o644} {
		if st, err := os.Stat(filepath.Join(o.Dir, name)); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", name, st, err)
		}
	}
	if shown, err := os.ReadFile(filepath.Join(o.Dir, "ca.crt")); err != nil || !bytes.Equal(shown, k.CA()) || bytes.Contains(shown, []byte("PRIVATE")) {
		t.Errorf("ca.crt: %v %s", err, shown)
	}
	if again := open(t, o, at(begin)).Facts(); again.Fingerprint != f.Fingerprint || again.Authority != f.Authority {
		t.Error("a second start made another one")
	}
}

// A certificate that our CA's key signs for another name must not be taken by anyone who trusts the CA.
func TestConstrained(t *testing.T) {
	k := open(t, options(t), at(begin))
	ca, err := k.load(caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.Leaf)
	for _, c := range []struct {
		dns  []string
		ip   []net.IP
		want bool
	}{
		{[]string{"site-07"}, nil, true},
		{[]string{"bank.example"}, nil, false},
		{nil, []net.IP{net.IPv4(10, 0, 0, 8)}, false},
		{nil, []net.IP{net.ParseIP("2001:db8::1")}, false},
		{[]string{"site-07", "bank.example"}, nil, false},
	} {
		leaf := sign(t, &x509.Certificate{DNSNames: c.dns, IPAddresses: c.ip, NotBefore: begin, NotAfter: begin.Add(day)}, ca)
		_, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: begin.Add(time.Hour)})
		if (err == nil) != c.want {
			t.Errorf("%v %v: %v", c.dns, c.ip, err)
		}
	}
	if !ca.Leaf.MaxPathLenZero || !ca.Leaf.PermittedDNSDomainsCritical {
		t.Error("the CA could make another CA, or its constraints could be passed over")
	}
}

// sign makes a pair from a template; nil signs itself.
func sign(t *testing.T, template *x509.Certificate, ca *tls.Certificate) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(7)
	if template.Subject.CommonName == "" {
		template.Subject = pkix.Name{CommonName: "x"}
	}
	parent, signer := template, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestRenewed(t *testing.T) {
	o := options(t)
	k := open(t, o, at(begin))
	first := k.Facts()
	for _, d := range []time.Duration{0, day, 59 * day} {
		if changed, err := k.Check(at(begin.Add(d))); err != nil || changed {
			t.Errorf("after %v: %v %v", d, changed, err)
		}
	}
	later := begin.Add(61 * day)
	if changed, err := k.Check(at(later)); err != nil || !changed {
		t.Fatalf("after 61 days: %v %v", changed, err)
	}
	f := k.Facts()
	if f.Fingerprint == first.Fingerprint || f.Authority != first.Authority || !f.NotAfter.Equal(later.Add(leafLife)) {
		t.Errorf("%+v", f)
	}
	if err := accepts(t, k, "site-07", later); err != nil {
		t.Error(err)
	}
	// off for a year: the next start makes one that is good at once
	if err := accepts(t, open(t, o, at(begin.Add(400*day))), "site-07", begin.Add(400*day)); err != nil {
		t.Error(err)
	}
	// near its end the CA itself is followed by another one
	if f := open(t, o, at(begin.Add(3300*day))).Facts(); f.Authority == first.Authority {
		t.Error("the CA is not replaced in its last year")
	}
}

// A clock that is wrong either way gives a certificate that a browser with the right time takes.
func TestClocks(t *testing.T) {
	built := begin.Add(-300 * day)
	for name, wall := range map[string]time.Time{"1970": time.Unix(0, 0), "2099": time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), "right": begin, "a day late": begin.Add(-day)} {
		o := options(t)
		k := open(t, o, marks.Reading{Wall: wall, Trusted: built, Source: "build"})
		when := begin
		if name == "1970" || name == "2099" {
			when = built // nothing told the time: it is good from the build on, and follows the first anchor
			if _, err := k.Check(marks.Reading{Wall: wall, Trusted: begin, Source: "anchor"}); err != nil {
				t.Fatal(err)
			}
			if err := accepts(t, k, "site-07", begin); err != nil {
				t.Errorf("%s, after an anchor: %v", name, err)
			}
			k = open(t, options(t), marks.Reading{Wall: wall, Trusted: built, Source: "build"})
		}
		if err := accepts(t, k, "site-07", when); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := accepts(t, k, "site-07", built); err != nil {
			t.Errorf("%s, where it is as early as is proven: %v", name, err)
		}
	}
	// made when the clock was years ahead: not kept for years
	o := options(t)
	k := open(t, o, marks.Reading{Wall: begin.Add(1000 * day), Trusted: begin, Source: "build"})
	if changed, err := k.Check(at(begin)); err != nil || !changed || k.Facts().NotAfter.After(begin.Add(leafLife)) {
		t.Errorf("%v %v %s", changed, err, k.Facts().NotAfter)
	}
}

func TestNamesChange(t *testing.T) {
	o := options(t)
	first := open(t, o, at(begin)).Facts()

	// an address that came by itself: reported, and the CA that browsers know stays
	o.Found = append(o.Found, "10.0.0.9")
	k := open(t, o, at(begin))
	f := k.Facts()
	if f.Authority != first.Authority || slices.Contains(f.Names, "10.0.0.9") || !strings.Contains(f.Warning, "10.0.0.9") {
		t.Errorf("%+v", f)
	}
	// one that goes takes the leaf's name with it
	o.Found = []string{"site-07"}
	if f := open(t, o, at(begin)).Facts(); f.Authority != first.Authority || slices.Contains(f.Names, "10.0.0.7") {
		t.Errorf("%+v", f)
	}
	// one that people ask for: a new CA
	o.Asked = append(o.Asked, "sally.lan")
	k = open(t, o, at(begin))
	if f := k.Facts(); f.Authority == first.Authority || f.Warning != "" {
		t.Errorf("%+v", f)
	}
	if err := accepts(t, k, "sally.lan", begin); err != nil {
		t.Error(err)
	}
}

// Each write fails in each way, or the process ends there: the next start has a whole certificate.
func TestFaults(t *testing.T) {
	type death struct{}
	for _, verdict := range []durable.Verdict{durable.Lose, durable.Keep, 99} {
		for step := 0; ; step++ {
			o := options(t)
			n, hit := 0, false
			o.FS = durable.WithHook(func(durable.Op) durable.Verdict {
				if n++; n != step+1 {
					return durable.Do
				}
				hit = true
				if verdict == 99 {
					panic(death{})
				}
				return verdict
			})
			func() {
				defer func() {
					if p := recover(); p != nil && p != any(death{}) {
						panic(p)
					}
				}()
				if _, err := Open(o, at(begin)); (err == nil) == hit {
					t.Errorf("verdict %d at step %d: %v", verdict, step, err)
				}
			}()
			if !hit {
				if step < 6 {
					t.Fatalf("only %d steps", step)
				}
				break
			}
			o.FS = durable.FS{}
			k := open(t, o, at(begin))
			if err := accepts(t, k, "site-07", begin); err != nil {
				t.Errorf("verdict %d at step %d, then again: %v", verdict, step, err)
			}
			if shown, err := os.ReadFile(filepath.Join(o.Dir, "ca.crt")); err != nil || !bytes.Equal(shown, k.CA()) {
				t.Errorf("verdict %d at step %d: ca.crt %v", verdict, step, err)
			}
		}
	}
}

// A renewal that cannot be written leaves the one in use.
func TestFullDisk(t *testing.T) {
	o := options(t)
	full := false
	o.FS = durable.WithHook(func(durable.Op) durable.Verdict {
		if full {
			return durable.Lose
		}
		return durable.Do
	})
	k := open(t, o, at(begin))
	before := k.Facts().Fingerprint
	full = true
	if changed, err := k.Check(at(begin.Add(70 * day))); err == nil || changed {
		t.Fatalf("%v %v", changed, err)
	}
	if k.Facts().Fingerprint != before {
		t.Error("the one in use is gone")
	}
}

func TestDamaged(t *testing.T) {
	o := options(t)
	first := open(t, o, at(begin)).Facts()
	if err := os.WriteFile(filepath.Join(o.Dir, leafFile), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if f := open(t, o, at(begin)).Facts(); f.Authority != first.Authority || f.Fingerprint == first.Fingerprint {
		t.Errorf("a damaged leaf is not just made again: %+v", f)
	}
	if err := os.WriteFile(filepath.Join(o.Dir, caFile), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o, at(begin)); code.Of(err) != code.Certificate {
		t.Errorf("a damaged CA: %v", err)
	}
}

// put writes PEM blocks and gives their path.
func put(t *testing.T, blocks ...*pem.Block) string {
	t.Helper()
	var b bytes.Buffer
	for _, block := range blocks {
		if err := pem.Encode(&b, block); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "x.pem")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func certificate(c *tls.Certificate) *pem.Block {
	return &pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}
}

func private(t *testing.T, key any) *pem.Block {
	t.Helper()
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &pem.Block{Type: "PRIVATE KEY", Bytes: b}
}

func TestBrought(t *testing.T) {
	one := sign(t, &x509.Certificate{DNSNames: []string{"localhost"}, NotBefore: begin, NotAfter: begin.Add(100 * day)}, nil)
	two := sign(t, &x509.Certificate{DNSNames: []string{"localhost"}, NotBefore: begin, NotAfter: begin.Add(200 * day)}, nil)
	ca := sign(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, NotBefore: begin, NotAfter: begin.Add(day)}, nil)
	_, odd, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good, key := put(t, certificate(one), certificate(ca)), put(t, private(t, one.PrivateKey))
	for _, c := range []struct{ cert, key, words string }{
		{good, "", "tls.key is not"},
		{"", key, "tls.cert is not"},
		{"/no/such.pem", key, "cannot be read"},
		{good, "/no/such.pem", "cannot be read"},
		{key, key, "no certificate in PEM form"},
		{good, good, "no private key in PEM form"},
		{good, put(t, private(t, two.PrivateKey)), "does not belong"},
		{put(t, certificate(ca), certificate(one)), put(t, private(t, ca.PrivateKey)), "is a CA"},
		{good, put(t, &pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}), "password"},
		{good, put(t, private(t, odd)), "browsers do not take"},
		{put(t, &pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), key, "certificate 1 of the file"},
	} {
		err := Judge(c.cert, c.key)
		var e *code.Error
		if code.Of(err) != code.Certificate || !strings.Contains(err.Error(), c.words) || !errors.As(err, &e) || e.Next == "" {
			t.Errorf("%s: %v", c.words, err)
		}
	}
	if err := Judge("", ""); err != nil {
		t.Error(err)
	}

	o := options(t)
	o.Cert, o.Key = good, key
	k := open(t, o, at(begin))
	if f := k.Facts(); !f.Brought || f.Authority != "" || f.Fingerprint != Fingerprint(one.Certificate[0]) || !strings.Contains(f.Warning, "127.0.0.1") {
		t.Errorf("%+v", f)
	}
	if k.CA() != nil {
		t.Error("a CA of ours beside a certificate that was brought")
	}
	if entries, err := os.ReadDir(o.Dir); err != nil || len(entries) > 0 {
		t.Errorf("something was made: %v %v", entries, err)
	}
	for _, c := range []struct {
		now  time.Time
		word string
	}{{begin.Add(-3 * day), "not valid before"}, {begin.Add(80 * day), "expires on"}, {begin.Add(101 * day), "has expired"}} {
		if _, err := k.Check(at(c.now)); err != nil || !strings.Contains(k.Facts().Warning, c.word) || k.Facts().Next == "" {
			t.Errorf("%s: %v %+v", c.word, err, k.Facts())
		}
	}

	// another pair is taken up while the daemon runs; half of it is not
	if err := os.WriteFile(key, pem.EncodeToMemory(private(t, two.PrivateKey)), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := k.Check(at(begin)); err == nil || changed || k.Facts().Fingerprint != Fingerprint(one.Certificate[0]) {
		t.Errorf("half a pair: %v %v", changed, err)
	}
	if err := os.WriteFile(good, pem.EncodeToMemory(certificate(two)), 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := k.Check(at(begin)); err != nil || !changed || k.Facts().Fingerprint != Fingerprint(two.Certificate[0]) {
		t.Errorf("a new pair: %v %v", changed, err)
	}
}
