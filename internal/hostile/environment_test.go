package hostile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/forge"
	"sallyport/internal/intake"
	"sallyport/internal/media"
)

// Section J of 70-hostile-inputs: what the world around does, where it is not the medium's bytes. The web's part is not here.

// offer writes the next generation in several volumes to a directory, and gives the bundle's directory in it.
func offer(t *testing.T, w *forge.World, dir string, edit func(*forge.Plan)) string {
	t.Helper()
	p := plan(w)
	p.Cut, p.Feeds[0].Pad = 2000, 4000
	if edit != nil {
		edit(&p)
	}
	b, err := p.Build()
	check(t, err)
	check(t, b.Write(dir))
	return filepath.Join(dir, b.Dir)
}

func (s *site) take(path string, progress intake.Progress) (intake.Result, error) {
	return s.room.Import(context.Background(), intake.Request{Path: path, Yes: true, Actor: "uid:1001"}, progress)
}

// said is all that a person reads of a result.
func said(res intake.Result, err error) string {
	parts := []string{res.Sentence}
	for _, o := range res.Outcomes {
		parts = append(parts, o.Sentence, o.Next)
	}
	if err != nil {
		parts = append(parts, err.Error(), code.NextStep(err))
	}
	return strings.Join(parts, "\n")
}

// holds tells whether the offered generation was taken in.
func (s *site) holds(t *testing.T) bool {
	t.Helper()
	return slices.Contains(s.events(t), "bundle.import.activated") && strings.Count(strings.Join(s.events(t), " "), "bundle.import.activated") > 1
}

// A sector that cannot be read is the stick's fault: never damage, never quarantine, the byte is named, and the same bundle
// from a good stick goes in.
func TestBadSector(t *testing.T) {
	w := world(t)
	s := newSite(t, w, false)
	dir := t.TempDir()
	offer(t, w, dir, nil)
	bad, at := plug(t, dir)
	bad.does(sector(".003", 0))
	before := s.tree(t)
	res, err := s.take(at, nil)
	if text := said(res, err); code.Of(err) != code.MediumRead && code.Of(err) != code.VolumeMissing || !strings.Contains(text, "olume 3 of ") || !strings.Contains(text, "not the data") || strings.Contains(text, "quarantine") {
		t.Errorf("%s: %s", code.Of(err), text)
	}
	if s.tree(t) != before {
		t.Error("store, layers or marks changed")
	}
	bad.does(nil)
	if res, err := s.take(at, nil); err != nil || !s.holds(t) {
		t.Errorf("the mended stick: %s", said(res, err))
	}
}

// A stick pulled out at any moment while it is read leaves the site as it was, or with all of it; it can be put back.
func TestPulledWhileRead(t *testing.T) {
	w := world(t)
	dir := t.TempDir()
	offer(t, w, dir, nil)
	st, at := plug(t, dir)
	s := newSite(t, w, false)
	before := s.tree(t)
	if _, err := s.room.Import(context.Background(), intake.Request{Path: at, PlanOnly: true, Actor: "uid:1001"}, nil); err != nil {
		t.Fatal(err)
	}
	all := st.ops
	if all < 20 {
		t.Fatalf("only %d operations on the stick", all)
	}
	for n := 1; n < all; n += max(1, all/12) {
		st.pulled(n)
		res, err := s.take(at, nil)
		if err == nil || code.Exit(err) != code.Lookup(code.MediumGone).Exit() || !strings.Contains(said(res, err), code.NextStep(err)) {
			t.Errorf("after %d of %d: %s, exit %d: %s", n, all, code.Of(err), code.Exit(err), said(res, err))
		}
		if s.tree(t) != before {
			t.Fatalf("after %d: store, layers or marks changed", n)
		}
	}
	st.does(nil)
	if res, err := s.take(at, nil); err != nil || !s.holds(t) {
		t.Errorf("put back: %s", said(res, err))
	}
}

// What somebody does to the medium between the look at it and the last byte never gets in: a folder replaced by a link, a
// file changed, cut or grown under the reader, another stick in the same place.
func TestChangedWhileRead(t *testing.T) {
	w := world(t)
	for name, c := range map[string]struct {
		do   func(top, dir, last string) error // called while the medium is read, from any goroutine
		want []code.Code                       // any of these; none: it may also go in, because the bytes that were opened are the signed ones
	}{
		"folder becomes a link": {func(_, dir, _ string) error {
			return errors.Join(os.Rename(dir, dir+".moved"), os.Symlink(filepath.Base(dir)+".moved", dir))
		}, []code.Code{code.MediumName, code.VolumeMissing, code.MediumGone, code.MediumRead}},
		"volume becomes a link": {func(_, _, v string) error {
			return errors.Join(os.Rename(v, v+".moved"), os.Symlink(filepath.Base(v)+".moved", v))
		}, []code.Code{code.MediumName, code.VolumeMissing, code.MediumRead}},
		"volume changes": {func(_, _, v string) error {
			b, err := os.ReadFile(v)
			if err != nil {
				return err
			}
			b[len(b)-1] ^= 1
			return os.WriteFile(v, b, 0o600)
		}, []code.Code{code.VolumeDamaged, code.VolumeMissing}},
		"volume is cut": {func(_, _, v string) error { return os.Truncate(v, 10) }, []code.Code{code.VolumeDamaged, code.VolumeMissing}},
		"volume grows": {func(_, _, v string) error {
			b, err := os.ReadFile(v)
			if err != nil {
				return err
			}
			return os.WriteFile(v, append(b, "more"...), 0o600)
		}, []code.Code{code.VolumeDamaged, code.VolumeMissing}},
		"volume becomes a pipe": {func(_, _, v string) error {
			return errors.Join(os.Remove(v), syscall.Mkfifo(v, 0o600))
		}, []code.Code{code.MediumName, code.VolumeMissing, code.MediumRead}},
		"another stick": {func(top, _, _ string) error {
			return errors.Join(os.Rename(top, top+".old"), os.Rename(top+".other", top))
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			top := filepath.Join(t.TempDir(), "stick")
			dir := offer(t, w, top, nil)
			offer(t, w, top+".other", func(p *forge.Plan) { p.Feeds[0].Lines = 20 })
			v := last(t, dir)
			s := newSite(t, w, false)
			before := s.tree(t)
			var once sync.Once
			did := errors.New("nothing was done to the medium")
			res, err := s.take(top, func(string, int64, int64) { once.Do(func() { did = c.do(top, dir, v) }) })
			check(t, did)
			if c.want == nil {
				if err == nil != s.holds(t) {
					t.Errorf("half of it went in: %s", said(res, err))
				}
				return
			}
			if !slices.Contains(c.want, code.Of(err)) || code.NextStep(err) == "" || s.tree(t) != before {
				t.Errorf("%s, unchanged %v: %s", code.Of(err), s.tree(t) == before, said(res, err))
			}
		})
	}
}

// last is the volume that is read last.
func last(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.tar.zst.*"))
	check(t, err)
	slices.Sort(names)
	if len(names) < 3 {
		t.Fatalf("%d volumes", len(names))
	}
	return names[len(names)-1]
}

// A stick that fails while it is written: pulled, full, write-protected by its switch, a sector that does not take the
// bytes. Each has its code; no label stands over an unfinished copy; mended, it goes on where it was.
func TestFailsWhileWritten(t *testing.T) {
	w := world(t)
	shelf := t.TempDir()
	dir := offer(t, w, shelf, nil)
	b := onShelf(t, dir)
	for name, c := range map[string]struct {
		errno syscall.Errno
		want  code.Code
	}{
		"pulled": {syscall.ENODEV, code.MediumGone}, "full": {syscall.ENOSPC, code.NoSpace},
		"switched to read-only": {syscall.EROFS, code.MediumReadOnly}, "bad sector": {syscall.EIO, code.MediumWrite},
	} {
		t.Run(name, func(t *testing.T) {
			under := t.TempDir()
			st, at := plug(t, under)
			m, err := media.Open(at)
			check(t, err)
			defer m.Close()
			wrote := 0
			st.does(func(op, file string, _ int64) syscall.Errno {
				if op == "write" {
					wrote++
				}
				if wrote > 2 && (op == "write" || op == "create") {
					return c.errno
				}
				return 0
			})
			_, err = m.CopyBundle(context.Background(), durable.FS{}, dir, b, nil)
			if code.Of(err) != c.want || code.NextStep(err) == "" {
				t.Errorf("%s: %v", code.Of(err), err)
			}
			if found, _ := filepath.Glob(filepath.Join(under, "sallyport/bundles/*/*.label.json")); len(found) > 0 {
				t.Error("a label stands over an unfinished copy")
			}
			st.does(nil)
			done, err := m.CopyBundle(context.Background(), durable.FS{}, dir, b, nil)
			if err != nil || done.Kept == 0 {
				t.Errorf("mended: %+v, %v", done, err)
			}
			s := newSite(t, w, false)
			if res, err := s.take(at, nil); err != nil || !s.holds(t) {
				t.Errorf("what was written does not go in: %s", said(res, err))
			}
		})
	}
}

// onShelf describes a bundle's directory as a copy wants it: the label last.
func onShelf(t *testing.T, dir string) media.Bundle {
	t.Helper()
	b := media.Bundle{Dir: filepath.Base(dir)}
	entries, err := os.ReadDir(dir)
	check(t, err)
	var label media.File
	for _, e := range entries {
		body, err := os.ReadFile(filepath.Join(dir, e.Name()))
		check(t, err)
		f := media.File{Name: e.Name(), Bytes: int64(len(body)), Digest: digest.Of(body)}
		if strings.HasSuffix(f.Name, ".label.json") {
			label = f
			continue
		}
		b.Files = append(b.Files, f)
	}
	b.Files = append(b.Files, label)
	return b
}

// A read-only stick is imported from like any other; what lies in the data directory is no medium.
func TestReadOnlyAndOwnDisk(t *testing.T) {
	w := world(t)
	s := newSite(t, w, false)
	dir := t.TempDir()
	offer(t, w, dir, nil)
	st, at := plug(t, dir)
	st.does(func(op, _ string, _ int64) syscall.Errno {
		if op == "write" || op == "create" {
			return syscall.EROFS
		}
		return 0
	})
	if res, err := s.take(at, nil); err != nil || !s.holds(t) {
		t.Errorf("read-only: %s", said(res, err))
	}
	m, err := media.Open(dir)
	check(t, err)
	defer m.Close()
	if same, err := m.SharesDisk(s.dir); err != nil || !same {
		t.Errorf("a bundle on the disk of the state is not noticed: %v, %v", same, err)
	}
	inside := filepath.Join(s.dir, "waiting", "stick")
	offer(t, w, inside, nil)
	for _, path := range []string{inside, s.dir} {
		if res, err := s.take(path, nil); code.Of(err) != code.BadUsage || !strings.Contains(said(res, err), "Name the folder where the stick is mounted.") {
			t.Errorf("%s: %s", path, said(res, err))
		}
	}
}

// No clock changes a verdict: five years behind, twenty ahead, at the beginning and the end of what RTCs know, and one that
// jumps while an import runs.
func TestClocks(t *testing.T) {
	w := world(t)
	b := &bench{w: w}
	cases := sample()
	for name, at := range map[string]time.Time{
		"five years behind": forge.Epoch().AddDate(-5, 0, 0), "1970": time.Unix(0, 0).UTC(),
		"twenty years ahead": forge.Epoch().AddDate(20, 0, 0), "2099": time.Date(2099, 12, 31, 23, 59, 59, 0, time.UTC),
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, w, false)
			b.site = s
			s.clock.Set(at)
			for _, c := range cases {
				g := b.give(t, c)
				want, request := g.code("import-"), intake.Request{Path: g.medium, Yes: true, Actor: "uid:1001"}
				request.PlanOnly, request.Yes = want == string(OK), want != string(OK)
				_, err := s.room.Import(context.Background(), request, nil)
				if got := string(code.Of(err)); got != want && (want != string(OK) || err != nil) {
					t.Errorf("%s: %s, want %s: %v", c.Name(), got, want, err)
				}
			}
			stick := t.TempDir()
			offer(t, w, stick, nil)
			step := 0
			res, err := s.take(stick, func(string, int64, int64) {
				step++
				s.clock.Set([]time.Time{time.Unix(0, 0), forge.Epoch(), forge.Epoch().AddDate(30, 0, 0)}[step%3]) // stepping
			})
			if err != nil || !s.holds(t) {
				t.Errorf("a right bundle: %s", said(res, err))
			}
		})
	}
}

// SIGTERM anywhere in an import: nothing of it, or all of it; asked again, it goes in once.
func TestStoppedInACommit(t *testing.T) {
	w := world(t)
	stick := t.TempDir()
	offer(t, w, stick, nil)
	for n := 0; ; n++ {
		s := newSite(t, w, false)
		ctx, stop := context.WithCancel(context.Background())
		steps := 0
		s.hook = func(durable.Op) durable.Verdict {
			if steps++; steps == 2*n+1 {
				stop()
			}
			return durable.Do
		}
		_, err := s.room.Import(ctx, intake.Request{Path: stick, Yes: true, Actor: "uid:1001"}, nil)
		stopped := ctx.Err() != nil
		stop()
		s.hook = nil
		switch {
		case err == nil != s.holds(t):
			t.Fatalf("stopped at step %d: said %v, taken in %v", 2*n+1, err, s.holds(t))
		case err != nil && code.Of(err) != code.Interrupted: // blobs and layers that nothing names are swept, and a number of a receipt is left out
			t.Fatalf("stopped at step %d: %s: %v", 2*n+1, code.Of(err), err)
		}
		if res, err := s.take(stick, nil); err != nil || !s.holds(t) || strings.Count(strings.Join(s.events(t), " "), "activated") != 2 {
			t.Fatalf("again after step %d: %v: %s", 2*n+1, s.events(t), said(res, err))
		}
		if !stopped {
			if n < 3 {
				t.Fatalf("an import takes %d durable steps?", n)
			}
			return
		}
	}
}
