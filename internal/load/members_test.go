package load

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/pack"
)

// doc is one member of a made-up dump.
type doc struct {
	member, body string
	stored       bool
}

func docs(t testing.TB, list []doc) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, d := range list {
		h := &zip.FileHeader{Name: d.member, Method: zip.Deflate}
		if d.stored {
			h.Method = zip.Store
		}
		f, err := z.CreateHeader(h)
		must(t, err)
		_, err = f.Write([]byte(d.body))
		must(t, err)
	}
	must(t, z.Close())
	return file(t, "dump.zip", b.Bytes())
}

// met reads files into a feed without changing it, and tells how many members it did not inflate.
func (w *world) met(name string, files ...string) int64 {
	w.t.Helper()
	op := &operation{room: w.room, req: Request{Tenant: "acme", Feed: name, Files: files, Actor: "x"}, ref: ref(name), progress: func(Progress) {}}
	defer op.close()
	must(w.t, op.begin())
	must(w.t, op.read(context.Background()))
	return op.in.skipped
}

// sources are the lines of the load record of the active generation that name members.
func (w *world) sources(name string) (list []string) {
	w.t.Helper()
	gen, _ := w.current(name)
	packed, err := w.room.CAS.ReadAll(gen.LoadRecord, 1<<24)
	must(w.t, err)
	r := pack.NewReader(bytes.NewReader(packed))
	defer r.Close()
	var text bytes.Buffer
	_, err = text.ReadFrom(r)
	must(w.t, err)
	for line := range strings.Lines(text.String()) {
		if strings.Contains(line, `"member"`) {
			list = append(list, line)
		}
	}
	return list
}

// same demands that two feeds hold the same, byte for byte, made of the same members.
func same(t *testing.T, what string, a, b *world, name string) {
	t.Helper()
	_, x := a.view(name)
	defer x.Close()
	_, y := b.view(name)
	defer y.Close()
	if x.Meta().Root != y.Meta().Root || !slices.Equal(x.Shards(), y.Shards()) {
		t.Errorf("%s: another state: %v and %v", what, x.Meta().Root, y.Meta().Root)
	}
	if !slices.Equal(a.sources(name), b.sources(name)) {
		t.Errorf("%s: the load records tell of other members", what)
	}
}

func results(a, b Result) bool {
	return slices.EqualFunc(a.Rejects, b.Rejects, func(x, y Reject) bool {
		return x.Member == y.Member && x.Code == y.Code && x.Reason == y.Reason
	}) && a.Counts.Rejected == b.Counts.Rejected && a.Records == b.Records && a.StateRoot == b.StateRoot
}

// week changes a dump the ways dumps change: edits, members gone and new, renamed, packed another way, in another order, bad
// ones, and two of one key.
func week(r *rand.Rand, list []doc, n int) []doc {
	list = slices.Clone(list)
	at := func() int { return r.IntN(len(list)) }
	key := func(i int) string { return fmt.Sprintf("K-%04d", i) }
	for range 6 {
		k := key(r.IntN(400))
		list[at()] = doc{member: k + ".json", body: advisory(k, fmt.Sprintf("2024-%02d", n), strings.Repeat("edit ", r.IntN(300)))}
		list[at()].member = fmt.Sprintf("renamed-%d-%d.json", n, r.IntN(1000))
		list[at()].stored = r.IntN(2) == 0
		list = append(list, doc{member: fmt.Sprintf("new-%d.json", r.IntN(1000)), body: advisory(key(r.IntN(500)), fmt.Sprint(2020+r.IntN(6)), "new")})
	}
	list[at()].body = []string{`{"id":`, `{"id":"X","n":90071992547409931}`, `{"no":"id"}`}[r.IntN(3)]
	list = slices.Delete(list, n, n+3)
	if n%2 == 0 {
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	return list
}

// TestKnownMembersEqualWhole: week after week of random changes, a feed that skips the members it knows is the feed that reads
// them all: the same shards, rejects and load records; only the records that rejects preserve depend on the past, so both
// begin each week with the same.
func TestKnownMembersEqualWhole(t *testing.T) {
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 9))
		var list []doc
		for i := range 400 {
			k := fmt.Sprintf("K-%04d", i)
			list = append(list, doc{member: k + ".json", body: advisory(k, "2023", strings.Repeat(k, r.IntN(80)))})
		}
		a, b := newWorld(t), newWorld(t)
		for n := range 6 {
			if n > 0 {
				list = week(r, list, n)
			}
			must(t, os.RemoveAll(b.path(ledgerDir)))
			files := []string{docs(t, list)}
			if n == 4 { // two files, some keys in both
				files = []string{docs(t, list[:250]), docs(t, list[200:])}
			}
			if hits := b.met("f", files...); hits != 0 {
				t.Fatalf("the feed to compare with met %d members", hits)
			}
			if hits := a.met("f", files...); n > 0 && hits < 300 {
				t.Errorf("week %d: only %d members were met again", n, hits)
			}
			strict := Request{Tenant: "acme", Feed: "f", Files: files, Strict: true, Actor: "x"}
			x, errA := a.room.Load(context.Background(), strict, nil)
			y, errB := b.room.Load(context.Background(), strict, nil)
			if code.Of(errA) != code.Of(errB) || !results(x, y) || n > 0 && !code.Has(errA, code.LoadRejects) {
				t.Errorf("week %d, strict: %v and %v", n, errA, errB)
			}
			if n > 0 {
				x, y = a.load("f", files...), b.load("f", files...)
			}
			if !results(x, y) || x.Counts != y.Counts {
				t.Errorf("week %d: %+v and %+v", n, x, y)
			}
			same(t, fmt.Sprintf("seed %d, week %d", seed, n), a, b, "f")
			entries, err := os.ReadDir(filepath.Join(a.path(ledgerDir), ref("f").Dir()))
			if err != nil || len(entries) != 1 {
				t.Errorf("week %d: %d members files: %v", n, len(entries), err)
			}
		}
	}
}

// TestKnownMembersThatAreGone: a member is met again only while the feed has its line.
func TestKnownMembersThatAreGone(t *testing.T) {
	w := newWorld(t)
	a, b, c := advisory("A", "2024", "a"), advisory("B", "2024", "b"), advisory("C", "2024", "c")
	first := zipOf(t, "A.json", a, "B.json", b)
	want(t, "dump", w.load("f", first), Counts{Added: 2}, 1)
	want(t, "a document", w.load("f", file(t, "C.json", []byte(c))), Counts{Added: 1, Unchanged: 2}, 2)
	if hits := w.met("f", first); hits != 2 {
		t.Errorf("%d met after a document", hits)
	}
	want(t, "A changed by hand", w.load("f", file(t, "A.json", []byte(advisory("A", "2025", "z")))), Counts{Changed: 1, Unchanged: 2}, 3)
	want(t, "the dump again", w.load("f", first), Counts{Changed: 1, Removed: 1, Unchanged: 1}, 4)
	no := false
	res, err := w.room.Load(context.Background(), Request{Tenant: "acme", Feed: "f", Files: []string{zipOf(t, "C.json", c)}, Snapshot: &no, Actor: "x"}, nil)
	must(t, err)
	want(t, "another dump beside", res, Counts{Added: 1, Unchanged: 2}, 5)
	if hits := w.met("f", zipOf(t, "x.json", c, "y.json", b)); hits != 2 {
		t.Errorf("%d met of two dumps", hits)
	}
	want(t, "only B is left", w.load("f", zipOf(t, "B.json", b)), Counts{Removed: 2, Unchanged: 1}, 6)
	if hits := w.met("f", first); hits != 1 {
		t.Errorf("%d met after the others were gone", hits)
	}
}

// TestSameChecksumIsAnotherMember: other bytes of the same size with the same CRC-32 are read.
func TestSameChecksumIsAnotherMember(t *testing.T) {
	w := newWorld(t)
	one := advisory("A", "2024", "good") + strings.Repeat(" ", 64)
	two := collide(t, one, advisory("A", "2024", "evil")+strings.Repeat(" ", 64))
	w.load("f", docs(t, []doc{{"A.json", one, true}}))
	want(t, "forged", w.load("f", docs(t, []doc{{"A.json", two, true}})), Counts{Changed: 1}, 2)
}

// collide makes spaces at the end of b tabs until b has the CRC-32 of a.
func collide(t *testing.T, a, b string) string {
	t.Helper()
	type vector struct {
		crc uint32
		set uint64
	}
	sum := func(s []byte) uint32 { return crc32.ChecksumIEEE(s) }
	base := []byte(b)
	var rows []vector
	reduce := func(v vector) vector {
		for _, r := range rows {
			if v.crc^r.crc < v.crc {
				v.crc, v.set = v.crc^r.crc, v.set^r.set
			}
		}
		return v
	}
	for i := range 64 {
		c := bytes.Clone(base)
		c[len(c)-1-i] = '\t'
		if v := reduce(vector{sum(c) ^ sum(base), 1 << i}); v.crc != 0 {
			rows = append(rows, v)
			slices.SortFunc(rows, func(x, y vector) int { return int(int64(y.crc) - int64(x.crc)) })
		}
	}
	v := reduce(vector{sum(base) ^ crc32.ChecksumIEEE([]byte(a)), 0})
	for i := range 64 {
		if v.set&(1<<i) != 0 {
			base[len(base)-1-i] = '\t'
		}
	}
	if v.crc != 0 || sum(base) != crc32.ChecksumIEEE([]byte(a)) || len(a) != len(base) {
		t.Fatal("no collision was made")
	}
	return string(base)
}

// TestMembersFileDamaged: other bytes than the ledger names, another version's file and a missing one are as if there were none.
func TestMembersFileDamaged(t *testing.T) {
	w := newWorld(t)
	first := zipOf(t, "A.json", advisory("A", "2024", "a"), "B.json", advisory("B", "2024", "b"))
	w.load("f", first)
	gen, _ := w.current("f")
	path := filepath.Join(w.path(ledgerDir), ref("f").Dir(), gen.Members.Hex())
	whole, err := os.ReadFile(path)
	must(t, err)
	bad := bytes.Clone(whole)
	bad[len(bad)-1] ^= 1
	newer := bytes.Replace(whole, []byte(membersHead()), []byte(strings.Replace(membersHead(), fmt.Sprint(readerVersion, "\n"), fmt.Sprint(readerVersion+1, "\n"), 1)), 1)
	for name, b := range map[string][]byte{"a flipped bit": bad, "cut": whole[:len(whole)-1], "empty": {}, "more": append(bytes.Clone(whole), 0), "another version": newer} {
		must(t, os.WriteFile(path, b, 0o600))
		if hits := w.met("f", first); hits != 0 {
			t.Errorf("%s: %d met", name, hits)
		}
		f, err := os.Open(path)
		must(t, err)
		if err := (&members{f: f}).survey(digest.Of(b)); (err == nil) != (name == "a flipped bit") {
			t.Errorf("%s, and the ledger says so: %v", name, err)
		}
		f.Close()
	}
	must(t, os.Remove(path))
	if hits := w.met("f", first); hits != 0 {
		t.Errorf("missing: %d met", hits)
	}
	want(t, "without it", w.load("f", zipOf(t, "A.json", advisory("A", "2024", "a"))), Counts{Removed: 1, Unchanged: 1}, 2)
	if hits := w.met("f", first); hits != 1 {
		t.Errorf("written anew: %d met", hits)
	}
}

// TestMembersFileNotWritten: a disk that is full just then costs nothing but time.
func TestMembersFileNotWritten(t *testing.T) {
	w := newWorld(t)
	fault := func(op durable.Op) durable.Verdict {
		if strings.Contains(op.Path, ledgerDir) || strings.HasSuffix(op.Path, "/members") {
			return durable.Lose
		}
		return durable.Do
	}
	w.reopen(durable.WithHook(fault))
	first := zipOf(t, "A.json", advisory("A", "2024", "a"))
	want(t, "load", w.load("f", first), Counts{Added: 1}, 1)
	if hits := w.met("f", first); hits != 0 {
		t.Errorf("%d met", hits)
	}
	w.reopen(durable.FS{})
	want(t, "next", w.load("f", zipOf(t, "A.json", advisory("A", "2024", "b"))), Counts{Changed: 1}, 2)
}

// TestLongHeap: who makes imprints fall together makes us read those members, not walk a long heap for each.
func TestLongHeap(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(membersHead())
	o := heapWriter{w: &b}
	const n = 10_000
	imprint := func(i int) (d digest.Digest) { binary.BigEndian.PutUint64(d[2:], uint64(i)); return d }
	for i := range n {
		k := known{packed: imprint(i), key: fmt.Sprint(i), size: int64(i)}
		must(t, o.put(k.encode(nil)))
		must(t, o.put(k.encode(nil)))
	}
	f, err := os.Open(file(t, "members", b.Bytes()))
	must(t, err)
	m := &members{f: f}
	defer m.close()
	must(t, m.survey(digest.Of(b.Bytes())))
	if b.Len() > heapMax+100 || m.count < heapMax/200 {
		t.Errorf("%d entries in %d bytes", m.count, b.Len())
	}
	for i := range int64(n) {
		k, number, _, ok := m.find(imprint(int(i)), nil)
		if ok != (i < m.count) || ok && (number != i || k.size != i || k.key != fmt.Sprint(i)) {
			t.Fatalf("%d of %d: %v %d %+v", i, m.count, ok, number, k)
		}
	}
}

// TestReaderVersion holds prepare's answers to a corpus: where one changes, readerVersion goes up with it.
func TestReaderVersion(t *testing.T) {
	h := digest.NewWriter(nil)
	for _, body := range []string{
		`{"id":"A","modified":"2024-01-02T00:00:00Z","details":"x\u00e9\/\u2028","affected":[{"package":{"ecosystem":"Go","name":"x"}}]}`,
		"\ufeff{}", "{\n \"id\" : \"B\", \"n\": 1.50e3, \"m\": -0, \"o\": 0.1 }\n", `{"id":"C","C":1,"c":2}`, `{"id":"D","id":"D"}`, `{"id":7}`, `[]`, ``, `{"id":""}`,
		`{"id":"E","n":9007199254740993}`, `{"id":"F","x":"\ud800"}`, `{"id":"G\u0001"}`, `{"id":"H","modified":null}`, `{"id":"I","aliases":["a","b"],"withdrawn":"2025"}`,
		`{"id":"J","z":1,"\ud83d\ude00":2,"\ufb33":3}`, `{"id":"K","x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, `{"id":"L","t":"` + strings.Repeat("l", pack.LineMax) + `"}`,
	} {
		p := prepare("m", []byte(body))
		fmt.Fprintf(h, "%s %d %v %s %s %s\n", p.source, p.length, p.digest, p.fields.ID, p.fields.Modified, code.Of(p.err))
	}
	if got, want := h.Sum().Short(), "cc8c8fec57a2d62c"; got != want {
		t.Errorf("%s, want %s: prepare gives other answers; raise readerVersion, then change this", got, want)
	}
}

func FuzzMembersFile(f *testing.F) {
	k := known{packed: digest.Of([]byte("a")), key: "A", modified: "2024", size: 7, length: 5}
	f.Add(k.encode(nil))
	f.Add(append(k.encode(nil), k.encode(nil)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = append([]byte(membersHead()), b...)
		in, err := os.Open(file(t, "members", b))
		must(t, err)
		m := &members{f: in}
		defer m.close()
		if m.survey(digest.Of(b)) != nil || len(b) > heapMax {
			return
		}
		n := int64(0)
		must(t, m.each(func(e []byte) error {
			k := decodeKnown(e)
			if got, _, _, ok := m.find(k.packed, nil); !ok || got.packed != k.packed {
				t.Errorf("entry %d is not found", n)
			}
			n++
			return nil
		}))
		if n != m.count {
			t.Errorf("%d entries, surveyed %d", n, m.count)
		}
	})
}
