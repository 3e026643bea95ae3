package marks

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
)

// FuzzOpen: a file with a wrong sum is never read; one with a right sum opens or is state-corrupt, and no raise after it
// lowers what it said.
func FuzzOpen(f *testing.F) {
	path := filepath.Join(f.TempDir(), "marks")
	if err := Create(path, durable.FS{}, "inst", build); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	line, _, _ := bytes.Cut(good, []byte("\n"))
	f.Add(line, true)
	f.Add(good, false)
	f.Add([]byte(`{"instance":"inst","trusted":"9999-12-31T23:59:59Z","feeds":{"f":{"epoch":9,"generation":9007199254740991}}}`), true)
	f.Add([]byte(`null`), true)
	f.Add([]byte{}, true)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte, sum bool) {
		file := bytes.Clone(b)
		if sum {
			file = append(file, "\n"+digest.Of(b).String()+"\n"...)
		}
		path := filepath.Join(dir, "marks")
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := Open(path, durable.FS{}, clock.NewFixed(build))
		if err != nil {
			if code.Of(err) != code.StateCorrupt {
				t.Fatalf("no code of ours: %v", err)
			}
			return
		}
		text, end, _ := bytes.Cut(file, []byte("\n"))
		if string(end) != digest.Of(text).String()+"\n" || !json.Valid(text) {
			t.Fatalf("%q was read", file)
		}
		was := m.Get()
		if err := m.Raise(feedTo(1, "one")); err != nil && code.Of(err) != code.Fork {
			t.Fatalf("raise: %v", err)
		}
		for key, old := range was.Feeds {
			if now := m.Get().Feeds[key]; now.Less(old) {
				t.Fatalf("%s went back from %v to %v", key, old, now)
			}
		}
		if m.Get().Trusted.Before(was.Trusted) {
			t.Fatal("trusted time went back")
		}
	})
}
