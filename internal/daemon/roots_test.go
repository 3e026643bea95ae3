package daemon

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/config"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/ident"
	"sallyport/internal/keyring"
	"sallyport/internal/lifecycle"
	"sallyport/internal/marks"
	"sallyport/internal/root"
)

// published is version 2 of the root of an appliance, as it changed it after its backup; n makes several of them differ.
func published(t *testing.T, dir string, n int) (*root.Trusted, []byte) {
	t.Helper()
	in, err := ReadInstance(dir)
	if err != nil {
		t.Fatal(err)
	}
	id, err := digest.Parse(in.RootID)
	if err != nil {
		t.Fatal(err)
	}
	all, err := readRoots(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	one, err := root.First(all[0], clock.System().Now())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Open(dir, durable.FS{})
	if err != nil {
		t.Fatal(err)
	}
	key, err := ring.Root()
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := root.Successor(one, func(d *root.Document) error {
		d.NotAfter = fmt.Sprintf("2046-01-%02dT00:00:00Z", n)
		return nil
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return one, envelope
}

// stickOf is a medium with versions of a root.
func stickOf(t *testing.T, id digest.Digest, versions map[string][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "stick")
	if err := os.MkdirAll(filepath.Join(dir, "sallyport", "roots"), 0o755); err != nil {
		t.Fatal(err)
	}
	for n, envelope := range versions {
		if err := os.WriteFile(filepath.Join(dir, "sallyport", "roots", id.Short()+"."+n+".root.json"), envelope, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func restoredFrom(t *testing.T, o lifecycle.RestoreOptions) (lifecycle.Restored, [][]byte, error) {
	t.Helper()
	o.Reason, o.Actor = "a test", "uid:1001"
	r, err := lifecycle.Restore(context.Background(), o, lifecycle.RestoreDeps{Clock: clock.System(), Random: clock.Random()}, nil)
	if err != nil {
		return r, nil, err
	}
	d, err := New(config.New(o.DataDir), Deps{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	all, err := d.roots()
	if err != nil {
		t.Fatal(err)
	}
	return r, all, nil
}

// An appliance that changed its root after its backup goes on from that change, when a medium has it; it never signs the same
// version a second time where the marks know of it, and follows no medium that is forked or has a gap.
func TestRestoreFollowsItsOwnRoot(t *testing.T) {
	dir, backup := backedUp(t)
	one, two := published(t, dir, 1)
	stick := stickOf(t, one.ID(), map[string][]byte{"1": one.Envelope(), "2": two})
	fresh := func() string { return filepath.Join(t.TempDir(), "d") }

	r, all, err := restoredFrom(t, lifecycle.RestoreOptions{From: backup, DataDir: fresh(), Roots: stick})
	if err != nil || r.Newer != 1 || r.Root != 3 || len(all) != 3 || !bytes.Equal(all[1], two) || r.Log != 2 || r.Epoch != 2 {
		t.Fatalf("%+v %d versions: %v", r, len(all), err)
	}

	// the medium of the first life leads the second one to new numbers
	again := stickOf(t, one.ID(), map[string][]byte{"2": two, "3": all[2]})
	r, more, err := restoredFrom(t, lifecycle.RestoreOptions{From: backup, DataDir: fresh(), Roots: again})
	if err != nil || r.Root != 4 || r.Log != 3 || r.Epoch != 3 || !bytes.Equal(more[2], all[2]) {
		t.Errorf("a second life: %+v: %v", r, err)
	}

	// the marks know that version 2 was published, and nothing brings it
	kept := fresh()
	b, err := os.ReadFile(filepath.Join(dir, "marks"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(kept, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(kept, "marks"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := marks.Open(filepath.Join(kept, "marks"), durable.FS{}, clock.System())
	if err != nil {
		t.Fatal(err)
	}
	in, err := ReadInstance(dir)
	if err != nil {
		t.Fatal(err)
	}
	ref := ident.FeedRef{Tenant: "acme", Origin: in.ID, Name: "notes"} // of an epoch that the backup knows nothing of
	if err := m.Raise(func(s *marks.Set) error {
		s.Roots[one.ID().String()] = 2
		s.Feeds[ref.Key()] = marks.Mark{Epoch: 7, Generation: 3, Root: digest.Of([]byte("x"))}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := restoredFrom(t, lifecycle.RestoreOptions{From: backup, DataDir: kept}); code.Of(err) != code.RootRollback {
		t.Errorf("version 2 signed again: %v", err)
	}
	if r, _, err := restoredFrom(t, lifecycle.RestoreOptions{From: backup, DataDir: kept, Roots: stick}); err != nil || r.Epoch != 8 || r.Root != 3 {
		t.Errorf("with the medium: %+v %v", r, err)
	}

	_, other := published(t, dir, 2)
	for what, c := range map[string]struct {
		files map[string][]byte
		want  code.Code
	}{
		"forked":  {map[string][]byte{"2": two, "9": other}, code.RootFork},
		"a gap":   {map[string][]byte{"3": all[2]}, code.RootGap},
		"nothing": {map[string][]byte{"7": []byte("{}")}, code.Missing},
	} {
		to := fresh()
		if _, _, err := restoredFrom(t, lifecycle.RestoreOptions{From: backup, DataDir: to, Roots: stickOf(t, one.ID(), c.files)}); code.Of(err) != c.want {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := os.Stat(to); err == nil {
			t.Errorf("%s: something was written", what)
		}
	}
}
