package load

import (
	"os"
	"slices"
	"testing"

	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/sample"
)

// blobPath is where the content store keeps a blob.
func (w *world) blobPath(d digest.Digest) string {
	return w.path("cas/sha256/" + d.Hex()[:2] + "/" + d.Hex())
}

// rot flips a bit in the middle of a blob and condemns it, as a scrub does.
func (w *world) rot(d digest.Digest) {
	w.t.Helper()
	b, err := os.ReadFile(w.blobPath(d))
	must(w.t, err)
	b[len(b)/2] ^= 4
	must(w.t, os.Chmod(w.blobPath(d), 0o600))
	must(w.t, os.WriteFile(w.blobPath(d), b, 0o600))
	must(w.t, w.room.CAS.Condemn(d))
}

// named lists what the active generation of a feed names in the content store, its load record last.
func (w *world) named(feed string) (list []digest.Digest) {
	w.t.Helper()
	gen, v := w.view(feed)
	defer v.Close()
	must(w.t, v.Blobs(func(d digest.Digest) error {
		list = append(list, d)
		return nil
	}))
	return append(list, gen.LoadRecord)
}

// Files loaded again give back what rotted, byte for byte, and make no generation: lines, documents, and the record of who
// loaded them. A second time there is nothing to mend.
func TestMend(t *testing.T) {
	w := newWorld(t)
	first := dump(t, 1, sample.Week{From: 0, To: 1500})
	second := dump(t, 1, sample.Week{From: 0, To: 1600, Changed: func(n int) bool { return n%700 == 3 }})
	w.load("f", first)
	w.load("f", second) // frames are copied from the first
	note, other := file(t, "note.txt", []byte("a note\n")), file(t, "other.txt", []byte("another\n"))
	w.load("docs", note, other)
	lines, docs := w.named("f"), w.named("docs")
	if len(lines) != 2 || len(docs) != 3 {
		t.Fatal(lines, docs)
	}
	for _, d := range slices.Concat(lines, docs) {
		w.rot(d)
	}
	w.reopen(durable.FS{}) // what is condemned is known after a restart
	res := w.load("f", second)
	if !res.Unchanged || res.Mended != 2 || res.Ill != 0 || res.Generation != 2 || res.Counts.Unchanged != res.Records {
		t.Errorf("lines: %+v", res)
	}
	if now := w.named("f"); now[0] != lines[0] || now[1] == lines[1] || !w.room.CAS.Has(now[1]) {
		t.Errorf("%v became %v", lines, now)
	}
	if res = w.load("docs", note); !res.Unchanged || res.Mended != 2 || res.Ill != 1 {
		t.Errorf("one of two documents: %+v", res)
	}
	if res = w.load("docs", other); res.Mended != 1 || res.Ill != 0 {
		t.Errorf("the other document: %+v", res)
	}
	for _, d := range []digest.Digest{lines[0], docs[0], docs[1]} {
		if b, err := w.room.CAS.ReadAll(d, 1<<30); err != nil || digest.Of(b) != d {
			t.Errorf("%s is not whole: %v", d.Short(), err)
		}
	}
	if res = w.load("f", second); !res.Unchanged || res.Mended != 0 || res.Ill != 0 {
		t.Errorf("again: %+v", res)
	}
}

// A shard that is gone: files that lack some of its lines say that it still is, a newer dump makes a whole generation of what it
// has itself, and the dump that the shard came from gives it back.
func TestMendMissing(t *testing.T) {
	first := dump(t, 1, sample.Week{From: 0, To: 1500})
	newer := dump(t, 1, sample.Week{From: 0, To: 1600, Changed: func(n int) bool { return n%700 == 3 }})
	w := newWorld(t)
	a, b := advisory("A", "2024", "a"), advisory("B", "2024", "b")
	one := zipOf(t, "A.json", a, "B.json", b)
	w.load("two", one)
	w.load("f", first)
	for _, feed := range []string{"two", "f"} {
		must(t, os.Remove(w.blobPath(w.named(feed)[0])))
	}
	if res := w.load("two", file(t, "A.json", []byte(a))); !res.Unchanged || res.Mended != 0 || res.Ill != 1 {
		t.Errorf("one line of two: %+v", res)
	}
	if res := w.load("two", one); res.Mended != 1 || res.Ill != 0 {
		t.Errorf("both lines: %+v", res)
	}
	res := w.load("f", newer)
	if res.Generation != 2 || res.Counts.Added != 100 || res.Counts.Changed == 0 || res.Mended != 0 {
		t.Errorf("newer: %+v", res)
	}
	gen, _ := w.current("f")
	w.checkGeneration(gen)
	res = w.load("f", first)
	if res.Generation != 3 || res.Mended != 0 {
		t.Errorf("back: %+v", res)
	}
}

// A line that only the damaged shard has is read from it as long as its own digest holds.
func TestMendFromWhatIsLeft(t *testing.T) {
	w := newWorld(t)
	all := dump(t, 1, sample.Week{From: 0, To: 3000})
	w.load("f", all)
	shard := w.named("f")[0]
	w.rot(shard)
	res := w.load("f", dump(t, 1, sample.Week{From: 0, To: 3000, Changed: func(n int) bool { return n == 1 }}))
	if res.Mended+res.Ill != 0 && res.Generation != 2 {
		t.Errorf("%+v", res)
	}
	gen, _ := w.current("f")
	w.checkGeneration(gen)
	if res.Mended != 1 || len(w.room.CAS.Condemned()) != 0 {
		t.Errorf("the old line is in a good frame, the others are in the dump: %+v", res)
	}
}
