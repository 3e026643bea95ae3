package export_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/export"
	"sallyport/internal/job"
	"sallyport/internal/peer"
	"sallyport/internal/state"
)

// TestAnonymous: neither label, sheets nor names say for whom; the site finds itself.
func TestAnonymous(t *testing.T) {
	h := newHub(t, 70)
	h.fill(20)
	must(t, h.room.Start(t.Context()))
	run := h.mustRun(export.Request{For: "site", Anonymous: true})
	b, err := h.gate(h.shelf(run), h.site.Identity)
	must(t, err)
	if l := b.Packing().Label(); len(l.For) != 0 || strings.Contains(run.Name, "site") || !slices.Equal(b.Manifest().Audience, []string{h.site.ID}) {
		t.Errorf("name %s, label %+v", run.Name, l)
	}
	for _, name := range []string{bundle.CoverName, bundle.SumsName, bundle.LabelName(run.Name)} {
		data, err := os.ReadFile(filepath.Join(h.shelf(run), name))
		must(t, err)
		if strings.Contains(string(data), h.site.ID) || strings.Contains(string(data), "for-site") {
			t.Errorf("%s tells the addressee: %s", name, data)
		}
	}
	for _, q := range []export.Request{{Anonymous: true, Unencrypted: true}, {Anonymous: true, Unencrypted: true, For: "site"}} {
		if _, err := h.run(q); code.Of(err) != code.ExportInvalid {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// TestDiscs: each disc's folder is a medium of its own with its volumes, sheets and label, and the sheet says which.
func TestDiscs(t *testing.T) {
	h := newHub(t, 71)
	h.fill(20)
	must(t, h.room.Start(t.Context()))
	to := t.TempDir()
	run := h.mustRun(export.Request{For: "site", To: to, Medium: export.DVD, VolumeBytes: 8 << 10})
	dir := filepath.Join(to, "disc-1")
	if _, err := h.gate(filepath.Join(dir, "sallyport", "bundles", run.Shelf), h.site.Identity); err != nil {
		t.Fatal(err)
	}
	cover, err := os.ReadFile(filepath.Join(h.shelf(run), bundle.CoverName))
	must(t, err)
	if !strings.Contains(string(cover), "disc 1 of 1: volumes 1 to ") {
		t.Errorf("%s", cover)
	}
	for _, q := range []export.Request{{For: "site", Medium: "cd", To: to}, {For: "site", Medium: export.DVD}} {
		if _, err := h.run(q); code.Of(err) != code.ExportInvalid {
			t.Errorf("%+v: %v", q, err)
		}
	}
}

// TestAgain: the volumes that a site asked for come onto another stick, with label and sheets, and no others.
func TestAgain(t *testing.T) {
	h := newHub(t, 72)
	h.fill(60)
	must(t, h.room.Start(t.Context()))
	run := h.mustRun(export.Request{For: "site", VolumeBytes: 8 << 10})
	stick := t.TempDir()
	copied, err := h.room.Again(t.Context(), run.ID, stick, []int64{2, 3}, "uid:1001")
	must(t, err)
	entries, err := os.ReadDir(filepath.Join(stick, filepath.FromSlash(copied.Dir)))
	must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, strings.TrimPrefix(e.Name(), run.Name))
	}
	if want := []string{"COVER.txt", "SHA256SUMS", ".label.json", ".tar.zst.age.002", ".tar.zst.age.003"}; !slices.Equal(got, want) {
		t.Errorf("on the stick: %q", got)
	}
	events := len(h.events())
	if copied, err = h.room.Again(t.Context(), run.ID, stick, []int64{2, 3}, "uid:1001"); err != nil || copied.Written != 0 || len(h.events()) != events {
		t.Errorf("a second time: %+v, %v", copied, err)
	}
	if _, err := h.room.Again(t.Context(), run.ID, stick, []int64{4000}, "uid:1001"); code.Of(err) != code.ExportConflict {
		t.Errorf("a volume that is not: %v", err)
	}
}

// TestConfirm: six words of a bundle make its states known, once; other words say nothing.
func TestConfirm(t *testing.T) {
	h := newHub(t, 73)
	must(t, h.room.Start(t.Context()))
	h.loadSnapshot("osv-go", evidence{1: 1, 2: 1})
	run := h.mustRun(export.Request{For: "site"})
	var roots []digest.Digest
	for _, f := range run.Feeds {
		roots = append(roots, f.Root)
	}
	parked, err := bundle.SpokenWords(run.Challenge, run.BundleID, bundle.Parked, roots...)
	must(t, err)
	for _, wrong := range []string{"abandon abandon abandon abandon abandon abandon", parked} {
		if _, err := h.room.Confirm(t.Context(), "site", wrong, "uid:1001"); code.Of(err) != code.SpokenWrong {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	words, err := bundle.SpokenWords(run.Challenge, run.BundleID, bundle.Activated, roots...)
	must(t, err)
	got, err := h.room.Confirm(t.Context(), "site", "  "+strings.ToUpper(words), "uid:1001")
	if err != nil || got.Run.ID != run.ID || got.Decision != bundle.Activated || got.Proven || got.Run.Delivered() {
		t.Fatalf("%+v %v", got, err)
	}
	if d := h.stored(run.ID).Deliveries["site"]; d.How != job.ByVoice || !d.Covers {
		t.Errorf("delivery %+v", d)
	}
	events := len(h.events())
	if got, err := h.room.Confirm(t.Context(), "site", words, "uid:1001"); err != nil || !got.Proven || len(h.events()) != events {
		t.Errorf("again: %+v %v", got, err)
	}
	h.loadSnapshot("osv-go", evidence{1: 1, 2: 2})
	next, err := h.delta(export.Request{})
	must(t, err)
	if m := h.right(next); len(m.Feeds[0].Bases) != 1 {
		t.Errorf("bases %+v", m.Feeds[0].Bases)
	}
	if h.view().From != peer.FromVoice {
		t.Errorf("view %+v", h.view())
	}
}

// view is what the site told about its feed.
func (h *hub) view() (v peer.FeedView) {
	h.t.Helper()
	must(h.t, h.deps.State.View(func(tx *state.Tx) error {
		p, err := peer.Get(tx, "site")
		v = p.Views["osv-go"]
		return err
	}))
	return v
}

// TestNotForEverybody: what a delta is refused for, before anything is built.
func TestNotForEverybody(t *testing.T) {
	h := newHub(t, 74)
	must(t, h.room.Start(t.Context()))
	h.loadSnapshot("osv-go", evidence{1: 1})
	h.mustRun(export.Request{For: "site"})
	h.heard("osv-go")
	h.loadSnapshot("osv-go", evidence{1: 2})
	edit := func(fn func(*peer.Peer)) {
		must(t, h.deps.State.Update(t.Context(), func(tx *state.Tx) error {
			_, err := peer.Edit(tx, "site", func(p *peer.Peer) error {
				fn(p)
				return nil
			})
			return err
		}))
	}
	view := func(fn func(*peer.FeedView)) func(*peer.Peer) {
		return func(p *peer.Peer) {
			v := p.Views["osv-go"]
			fn(&v)
			p.Views["osv-go"] = v
		}
	}
	was := h.view()
	for _, c := range []struct {
		name string
		edit func(*peer.Peer)
		code code.Code
		says string
	}{
		{"too old", func(p *peer.Peer) { p.Reads.Software = "0.0.9" }, code.ReaderTooOld, "sallyport 0.1.0 or newer"},
		{"another format", func(p *peer.Peer) { p.Reads = peer.Reads{BundleVersion: 0, Software: "1.0.0"} }, code.ReaderTooOld, "cannot read"},
		{"ahead", view(func(v *peer.FeedView) { v.Mark.Generation = 12 }), code.Rollback, "site has newer data than this hub"},
		{"another epoch", view(func(v *peer.FeedView) { v.Mark.Epoch = 2 }), code.Rollback, "newer data"},
		{"forked", view(func(v *peer.FeedView) { v.Held = []peer.Held{{Epoch: 1, Generation: 1, Root: digest.Of([]byte("x"))}} }), code.Fork, "another generation 1"},
		{"gone", view(func(v *peer.FeedView) {
			*v = peer.FeedView{Held: []peer.Held{{Epoch: 0, Generation: 9, Root: digest.Of([]byte("x"))}}}
		}), code.ExportBase, "not held here any more: full needed (about "},
		{"nothing", view(func(v *peer.FeedView) { *v = peer.FeedView{} }), code.ExportBase, "holds nothing of osv-go: full needed"},
	} {
		edit(c.edit)
		_, err := h.delta(export.Request{})
		if code.Of(err) != c.code || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.code == code.Rollback || c.code == code.Fork {
			if _, err := h.run(export.Request{For: "site"}); code.Of(err) != c.code {
				t.Errorf("%s, a full: %v", c.name, err)
			}
		}
		edit(func(p *peer.Peer) {
			p.Reads = peer.Reads{BundleVersion: 1}
			p.Views = map[string]peer.FeedView{"osv-go": was}
		})
	}
	if _, err := h.delta(export.Request{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestChosenBase: an expert's base counts, whatever is known.
func TestChosenBase(t *testing.T) {
	h := newHub(t, 75)
	must(t, h.room.Start(t.Context()))
	h.loadSnapshot("osv-go", evidence{1: 1})
	first := h.mustRun(export.Request{For: "site"})
	h.loadSnapshot("osv-go", evidence{1: 2})
	h.loadSnapshot("osv-go", evidence{1: 2, 2: 1})
	for _, base := range []string{"1", first.ID, first.BundleID.String()} {
		run, err := h.delta(export.Request{Base: base})
		if err != nil {
			t.Fatalf("%s: %v", base, err)
		}
		if m := h.right(run); len(m.Feeds[0].Bases) != 1 || m.Feeds[0].Bases[0].Generation != 1 || run.Changes.Added != 1 || run.Changes.Changed != 1 {
			t.Errorf("base %s: %+v", base, m.Feeds)
		}
	}
	if _, err := h.delta(export.Request{Base: "3"}); code.Of(err) != code.ExportEmpty {
		t.Errorf("the newest: %v", err)
	}
	if _, err := h.delta(export.Request{Base: "nothing"}); code.Of(err) != code.ExportRun {
		t.Errorf("no such base: %v", err)
	}
	if _, err := h.run(export.Request{For: "site", Base: "1"}); code.Of(err) != code.ExportInvalid {
		t.Errorf("a full with a base: %v", err)
	}
}

// TestResetBaseline: the delta carries every record, in the frames they lie in.
func TestResetBaseline(t *testing.T) {
	h := newHub(t, 76)
	must(t, h.room.Start(t.Context()))
	e := evidence{}
	for i := range 900 {
		e[i] = 1
	}
	h.loadSnapshot("osv-go", e)
	full := h.mustRun(export.Request{For: "site"})
	h.heard("osv-go")
	delete(e, 7)
	h.loadSnapshot("osv-go", e)
	run, err := h.delta(export.Request{Reset: true})
	must(t, err)
	m := h.right(run)
	if !m.Delta.ResetBaseline || run.Records != 900 || run.Changes.Removed != 1 {
		t.Errorf("%+v, %d records, %+v", m.Delta, run.Records, run.Changes)
	}
	var shards int64
	for _, c := range m.Contents {
		if c.Role == bundle.RoleShard {
			shards += c.Bytes
		}
	}
	if shards == 0 || shards > full.Bytes {
		t.Errorf("%d bytes of shards, the full has %d", shards, full.Bytes)
	}
}
