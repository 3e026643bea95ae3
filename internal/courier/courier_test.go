package courier_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/bundle"
	"sallyport/internal/courier"
	"sallyport/internal/forge"
)

// stick is a forged medium on disk with keys beside it.
type stick struct {
	w              *forge.World
	b              *forge.Bundle
	dir, home      string
	pub, root, age string // outside the stick
}

func newStick(t *testing.T, edit func(*forge.World, *forge.Plan)) *stick {
	t.Helper()
	w, err := forge.NewWorld(2)
	if err != nil {
		t.Fatal(err)
	}
	p := forge.Plan{From: w.Hub, To: []*forge.Appliance{w.Site}, Seal: bundle.SealAge, Cut: 3000}
	if edit != nil {
		edit(w, &p)
	}
	b, err := p.Build()
	if err != nil {
		t.Fatal(err)
	}
	s := &stick{w: w, b: b, dir: t.TempDir(), home: t.TempDir()}
	if err := b.Write(s.dir); err != nil {
		t.Fatal(err)
	}
	s.pub = s.keep(t, "hub.pub", w.Hub.Bundle.Public().PEM())
	s.root = s.keep(t, "hub.root.json", w.Hub.RootEnv)
	s.age = s.keep(t, "age.key", []byte("# site\n"+w.Site.Identity.String()+"\n"))
	return s
}

func (s *stick) keep(t *testing.T, name string, body []byte) string {
	t.Helper()
	p := filepath.Join(s.home, name)
	if err := os.WriteFile(p, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func mirror(t *testing.T, args ...string) (status int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	status = courier.Program{Out: &o, Err: &e}.Main(context.Background(), append([]string{"mirror"}, args...))
	return status, o.String(), e.String()
}

// want runs verify and demands status, first line and some texts.
func want(t *testing.T, status int, first string, texts []string, args ...string) {
	t.Helper()
	got, out, errs := mirror(t, args...)
	if got != status || !strings.HasPrefix(out, first) {
		t.Errorf("mirror %v: exit %d, want %d\n%s%s", args, got, status, out, errs)
		return
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("mirror %v: %q is not in\n%s", args, text, out)
		}
	}
}

const (
	verifiedLine = "VERIFIED: everything inside is as acme (hub) signed it.\n"
	intactLine   = "INTACT, SEALED: every outer byte is as acme (hub) signed it; the contents were not opened.\n"
)

func TestVerifyVerdicts(t *testing.T) {
	s := newStick(t, nil)
	words := s.w.Hub.Bundle.Public().Words()
	medium := filepath.Join(s.dir, "sallyport", "pub", "hub", "tenants", "acme", "export-center.pub")
	label := filepath.Join(s.dir, filepath.FromSlash(s.b.Dir), bundle.LabelName(s.b.Label.Name))
	volume := filepath.Join(s.dir, filepath.FromSlash(s.b.Dir), s.b.Label.Volumes[1].Name)
	stranger := s.keep(t, "stranger.pub", s.w.Stranger.Bundle.Public().PEM())
	strangerAge := s.keep(t, "stranger.key", []byte(s.w.Stranger.Identity.String()))
	notKeyMode := []string{"not checked  revocation, scope, time and marks"}
	for _, c := range []struct {
		status int
		first  string
		texts  []string
		args   []string
	}{
		{0, intactLine, notKeyMode, []string{s.dir, "--key", s.pub}},
		{0, intactLine, nil, []string{filepath.Join(s.dir, "sallyport"), "--key", s.pub}},
		{0, intactLine, nil, []string{filepath.Join(s.dir, filepath.FromSlash(s.b.Dir)), "--key", s.pub}},
		{0, intactLine, nil, []string{label, "--key", s.pub}},
		{0, intactLine, nil, []string{volume, "--key", s.pub}},
		{0, intactLine, []string{"WARNING: key and bundle come from one medium", words}, []string{s.dir, "--key", medium}},
		{0, verifiedLine, []string{"42 records", "state root", words}, []string{s.dir, "--key", s.pub, "--identity", s.age}},
		{0, verifiedLine, []string{"checked      role, scope and revocation", "2026-03-01T12:00:00Z"}, []string{"--root", s.root, "--identity", s.age, s.dir}},
		{0, verifiedLine, nil, []string{s.dir, "--key-words", strings.ToUpper(words), "--identity", s.age}},
		{0, verifiedLine, []string{"trust root"}, []string{s.dir, "--key-words", s.w.Hub.Root.Words(), "--identity", s.age}},
		{13, intactLine, []string{"not-for-us", "not encrypted for the identity"}, []string{s.dir, "--key", s.pub, "--identity", strangerAge}},
		{7, "NOT VERIFIED: signed by a key that is not trusted here (" + words + "). Do not import. Nothing was changed.\n", []string{"next:", "signer-unknown"}, []string{s.dir, "--key", stranger}},
		{
			7, "NOT VERIFIED: the signer was not checked. Do not import. Nothing was changed.\n",
			[]string{words, `SIGNER NOT CHECKED: compare these words with your paper, then run again with --key-words "` + words + `"`},
			[]string{s.dir},
		},
	} {
		want(t, c.status, c.first, c.texts, append([]string{"verify"}, c.args...)...)
	}
	if status, _, errs := mirror(t, "verify", s.dir, "--key-words", s.w.Stranger.Root.Words()); status != 7 || !strings.Contains(errs, "fingerprint") {
		t.Errorf("words of a stranger: exit %d %s", status, errs)
	}
	if status, _, _ := mirror(t, "verify", s.dir, "--key-words", "nine wrong words"); status != 2 {
		t.Errorf("wrong words: exit %d", status)
	}
}

func TestVerifyPapers(t *testing.T) {
	s := newStick(t, nil)
	card := filepath.Join(s.dir, "sallyport", "cards", "hub.card.json")
	want(t, 0, "VERIFIED: everything inside is as hub (", nil, "verify", card, "--root", s.root)
	want(t, 0, "VERIFIED: everything inside is as hub (", nil, "verify", card, "--key", s.keep(t, "appliance.pub", s.w.Hub.Key.Public().PEM()))
	want(t, 7, "NOT VERIFIED", nil, "verify", card, "--key", s.pub)
	want(t, 7, "NOT VERIFIED: the signer was not checked.", []string{s.w.Hub.Key.Public().Words()}, "verify", card)
	rootFile := filepath.Join(s.dir, "sallyport", "roots", s.w.Hub.Root.ID().Short()+".1.root.json")
	want(t, 0, "VERIFIED", nil, "verify", rootFile, "--root", s.root)
	want(t, 0, "VERIFIED", nil, "verify", rootFile, "--key-words", s.w.Hub.Root.Words())
	want(t, 7, "NOT VERIFIED", nil, "verify", rootFile, "--root", s.keep(t, "other.root.json", s.w.Stranger.RootEnv))
}

func TestVerifyBareFile(t *testing.T) {
	s := newStick(t, nil)
	sealed, plain := s.keep(t, "a.tar.zst.age", s.b.Outer), s.keep(t, "a.tar.zst", s.b.Payload)
	want(t, 0, verifiedLine, []string{"not checked  the outer bytes"}, "verify", sealed, "--key", s.pub, "--identity", s.age)
	want(t, 0, verifiedLine, []string{"not checked  the outer bytes"}, "verify", plain, "--key", s.pub)
	want(t, 13, "NOT VERIFIED: the bundle is encrypted and no identity was given.", nil, "verify", sealed, "--key", s.pub)
	want(t, 7, "NOT VERIFIED", nil, "verify", plain)
	want(t, 6, "NOT VERIFIED", nil, "verify", s.keep(t, "cut.tar.zst", s.b.Payload[:len(s.b.Payload)-9]), "--key", s.pub)
	want(t, 6, "NOT VERIFIED", nil, "verify", s.keep(t, "nothing.bin", []byte("hello")), "--key", s.pub)
}

func TestVerifyRefusals(t *testing.T) {
	for _, c := range []struct {
		name, code string
		status     int
		edit       func(dir string, f map[string][]byte)
	}{
		{"volume damaged", "volume-damaged", 6, func(dir string, f map[string][]byte) { f[named(f, ".002")][100] ^= 1 }},
		{"volume missing", "volume-missing", 10, func(dir string, f map[string][]byte) { delete(f, named(f, ".002")) }},
		{"no label", "label-missing", 10, func(dir string, f map[string][]byte) { delete(f, named(f, ".label.json")) }},
		{"nothing of ours", "medium-empty", 4, func(dir string, f map[string][]byte) { clear(f); f["holiday.jpg"] = []byte("x") }},
	} {
		s := newStick(t, func(_ *forge.World, p *forge.Plan) { p.Files = c.edit })
		status, out, errs := mirror(t, "verify", s.dir, "--key", s.pub)
		if status != c.status || !strings.Contains(out+errs, c.code) || c.status != 4 && !strings.HasPrefix(out, "NOT VERIFIED: ") {
			t.Errorf("%s: exit %d\n%s%s", c.name, status, out, errs)
		}
	}
}

func named(f map[string][]byte, suffix string) string {
	for name := range f {
		if strings.HasSuffix(name, suffix) {
			return name
		}
	}
	panic(suffix)
}

// A stick for two sites: each opens its own, the other's stays closed without fault; one bad bundle decides.
func TestVerifySeveral(t *testing.T) {
	s := newStick(t, nil)
	other, err := forge.Plan{From: s.w.Hub, To: []*forge.Appliance{s.w.Stranger}, Seal: bundle.SealAge}.Build()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Write(s.dir); err != nil {
		t.Fatal(err)
	}
	want(t, 0, intactLine, []string{verifiedLine, intactLine}, "verify", s.dir, "--key", s.pub, "--identity", s.age)
	volume := filepath.Join(s.dir, filepath.FromSlash(other.Dir), other.Label.Volumes[0].Name)
	if err := os.WriteFile(volume, append([]byte("x"), other.Outer[1:]...), 0o644); err != nil {
		t.Fatal(err)
	}
	want(t, 6, "NOT VERIFIED", []string{verifiedLine, "volume-damaged"}, "verify", s.dir, "--key", s.pub, "--identity", s.age)
}

// A bundle of another signer beside a good one: the verdict is a refusal, and says which half it is about.
func TestVerifySeveralSigners(t *testing.T) {
	s := newStick(t, nil)
	back, err := forge.Plan{From: s.w.Stranger, To: []*forge.Appliance{s.w.Hub}, Seal: bundle.SealAge}.Build()
	if err != nil {
		t.Fatal(err)
	}
	if err := back.Write(s.dir); err != nil {
		t.Fatal(err)
	}
	mixed := "NOT ALL VERIFIED: 1 good, 1 signed by a key that was not given: who signed that one was not checked."
	want(t, 7, mixed, []string{verifiedLine, "signer-unknown"}, "verify", s.dir, "--key", s.pub, "--identity", s.age)
	want(t, 7, "NOT VERIFIED: signed by a key", nil, "verify", s.dir, "--key", s.keep(t, "other.pub", s.w.Hub.Anchor.Public().PEM()))
	volume := filepath.Join(s.dir, filepath.FromSlash(s.b.Dir), s.b.Label.Volumes[0].Name)
	body, err := os.ReadFile(volume)
	if err != nil {
		t.Fatal(err)
	}
	body[7] ^= 1
	if err := os.WriteFile(volume, body, 0o644); err != nil {
		t.Fatal(err)
	}
	want(t, 6, "NOT VERIFIED: ", []string{"volume-damaged", "signer-unknown"}, "verify", s.dir, "--key", s.pub, "--identity", s.age)
}

func TestJSON(t *testing.T) {
	s := newStick(t, nil)
	status, out, _ := mirror(t, "verify", s.dir, "--root", s.root, "--identity", s.age, "--json")
	var rep struct {
		Verdict string
		Exit    int
		Items   []struct{ BundleID string }
	}
	if err := json.Unmarshal([]byte(out), &rep); err != nil || status != 0 || rep.Verdict != "verified" || rep.Items[0].BundleID != s.b.ID.String() {
		t.Fatalf("exit %d %v\n%s", status, err, out)
	}
}

func TestListAndExtract(t *testing.T) {
	s := newStick(t, nil)
	status, out, _ := mirror(t, "list", s.dir, "--key", s.pub, "--identity", s.age)
	if status != 0 || strings.Count(out, "\n") != len(s.b.Manifest.Contents) || !strings.Contains(out, "mirror/indexes/0.index.jsonl.zst") {
		t.Fatalf("list: exit %d\n%s", status, out)
	}
	to := filepath.Join(t.TempDir(), "out")
	want(t, 0, verifiedLine, nil, "extract", s.dir, "--key", s.pub, "--identity", s.age, "--to", to)
	for _, m := range s.b.Members {
		got, err := os.ReadFile(filepath.Join(to, filepath.FromSlash(m.Name)))
		if err != nil || !bytes.Equal(got, m.Body) {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
	if status, _, _ := mirror(t, "extract", s.dir, "--key", s.pub, "--identity", s.age, "--to", to); status != 2 {
		t.Errorf("into what is there: exit %d", status)
	}
}

// What does not verify leaves nothing behind.
func TestExtractRefused(t *testing.T) {
	s := newStick(t, func(_ *forge.World, p *forge.Plan) {
		p.Members = func(ms []forge.Member) []forge.Member { ms[len(ms)-1].Body[3] ^= 1; return ms }
	})
	home := t.TempDir()
	status, out, _ := mirror(t, "extract", s.dir, "--key", s.pub, "--identity", s.age, "--to", filepath.Join(home, "out"))
	list, err := os.ReadDir(home)
	if status != 6 || err != nil || len(list) != 0 {
		t.Fatalf("exit %d, left %v, %v\n%s", status, list, err, out)
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		status int
		args   []string
	}{
		{0, []string{"help"}},
		{0, []string{"version"}},
		{0, []string{"verify", "--help"}},
		{2, nil},
		{2, []string{"frobnicate"}},
		{2, []string{"verify"}},
		{2, []string{"verify", "a", "b"}},
		{2, []string{"verify", "a", "--nonsense"}},
		{4, []string{"verify", "/nowhere/at/all"}},
		{2, []string{"extract", "a"}},
		{2, []string{"verify", "a", "--key", "x", "--root", "y"}},
	} {
		if status, out, errs := mirror(t, c.args...); status != c.status {
			t.Errorf("mirror %v: exit %d, want %d\n%s%s", c.args, status, c.status, out, errs)
		}
	}
}
