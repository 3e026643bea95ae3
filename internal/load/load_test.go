package load

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/canon"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/layer"
	"sallyport/internal/pack"
	"sallyport/internal/record"
	"sallyport/internal/sample"
)

func want(t *testing.T, what string, res Result, c Counts, gen int64) {
	t.Helper()
	if res.Counts != c || res.Generation != gen {
		t.Errorf("%s: generation %d, %+v, want generation %d, %+v (rejects %+v)", what, res.Generation, res.Counts, gen, c, res.Rejects)
	}
}

// TestRealWeek loads the Go vulnerability database of two weeks, and the first again.
func TestRealWeek(t *testing.T) {
	first, second := shared(t, "osv/go-2026-08-13.zip"), shared(t, "osv/go-2026-08-20.zip")
	w := newWorld(t)
	one := w.load("osv-go", first)
	want(t, "first week", one, Counts{Added: 4155}, 1)
	two := w.load("osv-go", second)
	want(t, "second week", two, Counts{Added: 136, Changed: 2, Unchanged: 4153}, 2)
	if two.Frames.Copied < two.Frames.Written {
		t.Errorf("frames %+v", two.Frames)
	}
	again := w.load("osv-go", second)
	want(t, "the same again", again, Counts{Unchanged: 4291}, 2)
	if !again.Unchanged {
		t.Error("the same again made something new")
	}
	back := w.load("osv-go", first)
	want(t, "the first week again", back, Counts{Changed: 2, Removed: 136, Unchanged: 4153}, 3)
	if back.StateRoot != one.StateRoot || back.StateRoot == two.StateRoot {
		t.Error("equal content has another state root")
	}
	_, v := w.view("osv-go")
	defer v.Close()
	items, err := v.Show("", "cve-2024-24790")
	if err != nil || len(items) != 1 || items[0].Key != "GO-2024-2887" {
		t.Errorf("by alias: %v %v", items, err)
	}
	if items, err := v.Search("Go", "github.com/gin-gonic/gin", layer.Ref{}, 0); err != nil || len(items) < 3 {
		t.Errorf("by package: %v %v", items, err)
	}
}

func TestRealDocuments(t *testing.T) {
	var files []string
	for _, pattern := range []string{"sbom/*.json", "vex/*.json"} {
		found, _ := filepath.Glob(filepath.Join(filepath.Dir(shared(t, "README.md")), pattern))
		files = append(files, found...)
	}
	w := newWorld(t)
	want(t, "documents", w.load("docs", files...), Counts{Added: 5}, 1)
	_, v := w.view("docs")
	defer v.Close()
	for _, path := range files {
		body, err := os.ReadFile(path)
		must(t, err)
		items, err := v.Show("", filepath.Base(path))
		if err != nil || len(items) != 1 || !items[0].Document || items[0].Name != filepath.Base(path) {
			t.Fatalf("%s: %+v %v", path, items, err)
		}
		got, err := v.Body(items[0], w.blobs())
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s does not come back byte for byte: %v", path, err)
		}
	}
	if items, err := v.Show("vex", "CVE-2021-44228"); err != nil || len(items) != 1 {
		t.Errorf("a VEX by the vulnerability it judges: %v %v", items, err)
	}
}

// TestIncrementalEqualsWhole: a feed that grew week by week has the same shards as one loaded at once, byte for byte, at
// any number of workers.
func TestIncrementalEqualsWhole(t *testing.T) {
	last := sample.Week{From: 50, To: 1700, Changed: func(n int) bool { return n%900 == 0 }, Removed: func(n int) bool { return n%600 == 7 }}
	dumps := []string{
		dump(t, 1, sample.Week{From: 0, To: 1500}), dump(t, 1, sample.Week{From: 0, To: 1600, Changed: func(n int) bool { return n%700 == 3 }}), dump(t, 1, last),
	}
	var root string
	for i, workers := range []int{1, 8} {
		a, b := newWorld(t), newWorld(t)
		a.room.Workers, b.room.Workers = workers, workers
		var res Result
		for _, path := range dumps {
			res = a.load("osv", path)
		}
		if res.Frames.Copied == 0 {
			t.Error("no frame was copied")
		}
		at := b.load("osv", dumps[2])
		if at.StateRoot != res.StateRoot || i > 0 && at.StateRoot != root {
			t.Error("state roots differ")
		}
		root = at.StateRoot
		_, grown := a.view("osv")
		_, whole := b.view("osv")
		if !slices.Equal(grown.Shards(), whole.Shards()) {
			t.Errorf("%d workers: shards differ: %v and %v", workers, grown.Shards(), whole.Shards())
		}
		if i == 0 {
			sameLookups(t, b, grown, whole)
		}
		grown.Close()
		whole.Close()
	}
}

// sameLookups: lookups that were inherited are what a fresh layer has.
func sameLookups(t *testing.T, w *world, grown, whole *layer.View) {
	t.Helper()
	bodies := whole.Bodies(w.blobs())
	defer bodies.Close()
	must(t, whole.All(func(it layer.Item) error {
		body, err := bodies.Body(it)
		if err != nil {
			return err
		}
		f, err := record.Scan(body)
		if err != nil {
			return err
		}
		for _, v := range []*layer.View{grown, whole} {
			if items, err := v.Show("", f.Aliases[0]); err != nil || len(items) != 1 || items[0].Key != it.Key {
				t.Fatalf("%s by its alias: %v %v", it.Key, items, err)
			}
			items, err := v.Search(f.Packages[0].Ecosystem, f.Packages[0].Name, layer.Ref{}, 0)
			if err != nil || !slices.ContainsFunc(items, func(x layer.Item) bool { return x.Key == it.Key }) {
				t.Fatalf("%s by its package: %v", it.Key, err)
			}
		}
		return nil
	}))
	for _, n := range []int{7, 3} { // gone with the last week
		if items, err := grown.Show("", sample.AdvisoryID(n)); err != nil || len(items) > 0 {
			t.Errorf("%d is still there: %v %v", n, items, err)
		}
	}
}

func advisory(id, modified, text string) string {
	return fmt.Sprintf(`{"id":%q,"modified":%q,"details":%q,"affected":[]}`, id, modified, text)
}

func TestSnapshotAndAdditive(t *testing.T) {
	w := newWorld(t)
	a, b, c := advisory("A", "2024", "a"), advisory("B", "2024", "b"), advisory("C", "2024", "c")
	want(t, "dump", w.load("f", zipOf(t, "A.json", a, "B.json", b)), Counts{Added: 2}, 1)
	want(t, "one more", w.load("f", file(t, "C.json", []byte(c))), Counts{Added: 1, Unchanged: 2}, 2)
	want(t, "an SBOM beside", w.load("f", file(t, "s.json", sample.SBOM(1, 3))), Counts{Added: 1, Unchanged: 3}, 3)
	want(t, "a dump without B and C", w.load("f", zipOf(t, "A.json", a)), Counts{Removed: 2, Unchanged: 2}, 4)
	yes, no := true, false
	res, err := w.room.Load(context.Background(), Request{Tenant: "acme", Feed: "f", Files: []string{zipOf(t, "B.json", b)}, Snapshot: &no, Actor: "x"}, nil)
	must(t, err)
	want(t, "an additive dump", res, Counts{Added: 1, Unchanged: 2}, 5)
	res, err = w.room.Load(context.Background(), Request{Tenant: "acme", Feed: "hub/f", Files: []string{file(t, "t.json", sample.SBOM(2, 3))}, Snapshot: &yes, Actor: "x"}, nil)
	must(t, err)
	want(t, "a snapshot of SBOMs", res, Counts{Added: 1, Removed: 1, Unchanged: 2}, 6)
	if res.Kinds["sbom"] != (Counts{Added: 1, Removed: 1}) || res.Records != 3 {
		t.Errorf("%+v", res)
	}
}

func TestRejects(t *testing.T) {
	w := newWorld(t)
	good := advisory("A", "2024", "a")
	want(t, "before", w.load("f", zipOf(t, "A.json", good, "B.json", advisory("B", "2024", "b"), "X.json", advisory("X", "2024", "x"))), Counts{Added: 3}, 1)
	pairs := []string{"A.json", good}
	bad := []struct {
		member, body string
		code         code.Code
	}{
		{"B.json", `{"id":"B","n":90071992547409931}`, code.JSONNumber},
		{"c.json", `{"id":"C","id":"C"}`, code.JSONDuplicate},
		{"d.json", `{"id":"D","ID":"D"}`, code.JSONCase},
		{"e.json", `{"id":"E"`, code.JSONSyntax},
		{"f.json", `{"id":"\ud800"}`, code.JSONUnicode},
		{"g.json", `{"id":"G","x":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`, code.JSONDepth},
		{"h.json", `{"no":"id"}`, code.LineBad},
		{"i.json", `{"id":7}`, code.LineBad},
		{"j.json", `[]`, code.LineBad},
		{"k.json", advisory("K", "2024", strings.Repeat("k", 1<<20)), code.LineLimit},
		{"l.txt", `{"id":"L"}`, code.LoadType},
		{"m.json", `{"id":"M\u0001"}`, ""},
		{"n.json", "", code.JSONSyntax},
		{"../../o.json", advisory("A", "2023", "older"), code.Conflict},
		{"A2.json", advisory("A", "2022", "oldest"), code.Conflict},
	}
	for _, b := range bad {
		pairs = append(pairs, b.member, b.body)
	}
	pairs = append(pairs, "index/db.json", "{}", "index/", "", "same.json", good)
	path := zipOf(t, pairs...)
	res := w.load("f", path)
	want(t, "with rejects", res, Counts{Removed: 1, Unchanged: 2, Rejected: int64(len(bad))}, 2)
	for _, b := range bad {
		i := slices.IndexFunc(res.Rejects, func(r Reject) bool { return r.Member == b.member })
		if i < 0 || b.code != "" && res.Rejects[i].Code != string(b.code) || res.Rejects[i].Reason == "" || res.Rejects[i].File != path {
			t.Errorf("%s: %+v, want %s", b.member, res.Rejects, b.code)
		}
	}
	_, v := w.view("f")
	defer v.Close()
	if _, ok, err := v.Get("advisory", "B"); !ok || err != nil {
		t.Errorf("a record whose new document was rejected is gone: %v", err)
	}
	if _, ok, _ := v.Get("advisory", "X"); ok {
		t.Error("a record that is gone is still there")
	}
	strict := Request{Tenant: "acme", Feed: "f", Files: []string{path}, Strict: true, Actor: "x"}
	if res, err := w.room.Load(context.Background(), strict, nil); !code.Has(err, code.LoadRejects) || len(res.Rejects) == 0 {
		t.Errorf("strict: %v", err)
	}
	strict.Files = []string{zipOf(t, "A.json", good, "B.json", advisory("A", "2023", "older"))}
	if _, err := w.room.Load(context.Background(), strict, nil); !code.Has(err, code.LoadRejects) {
		t.Errorf("strict with one key twice: %v", err)
	}
	if _, err := w.room.Load(context.Background(), Request{Tenant: "acme", Feed: "f", Files: []string{zipOf(t, "B.json", "{")}, Actor: "x"}, nil); !code.Has(err, code.LoadRejects) {
		t.Errorf("nothing left: %v", err)
	}
	if gen, _ := w.current("f"); gen.Generation != 2 {
		t.Errorf("generation %d", gen.Generation)
	}
}

func TestRefuses(t *testing.T) {
	w := newWorld(t)
	good := file(t, "a.json", []byte(advisory("A", "2024", "a")))
	inside := w.path("inside.json")
	must(t, os.WriteFile(inside, []byte(advisory("A", "2024", "a")), 0o600))
	link := filepath.Join(t.TempDir(), "link.json")
	must(t, os.Symlink(inside, link))
	linkedDir := filepath.Join(t.TempDir(), "d")
	must(t, os.Symlink(w.dir, linkedDir))
	for name, c := range map[string]struct {
		req  Request
		want code.Code
	}{
		"no file":               {Request{}, code.BadUsage},
		"missing file":          {Request{Files: []string{good, "/no/such"}}, code.Missing},
		"a directory":           {Request{Files: []string{t.TempDir()}}, code.BadUsage},
		"in the data directory": {Request{Files: []string{inside}}, code.BadUsage},
		"a link into it":        {Request{Files: []string{link}}, code.BadUsage},
		"through a linked dir":  {Request{Files: []string{filepath.Join(linkedDir, "inside.json")}}, code.BadUsage},
		"another's feed":        {Request{Files: []string{good}, Feed: other + "/f"}, code.FeedForeign},
		"bad feed name":         {Request{Files: []string{good}, Feed: "../x"}, code.FeedForeign},
		"bad feed":              {Request{Files: []string{good}, Feed: "UP"}, code.BadUsage},
		"bad kind":              {Request{Files: []string{good}, Kind: "x"}, code.BadUsage},
		"kind and bytes":        {Request{Files: []string{good}, Kind: "sbom"}, code.LoadType},
		"unknown JSON":          {Request{Files: []string{file(t, "x.json", []byte(`{"a":1}`))}}, code.LoadType},
		"empty dump":            {Request{Files: []string{zipOf(t)}}, code.LoadType},
	} {
		c.req.Tenant, c.req.Actor = "acme", "x"
		if c.req.Feed == "" {
			c.req.Feed = "f"
		}
		if _, err := w.room.Load(context.Background(), c.req, nil); !code.Has(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := w.room.Load(context.Background(), Request{Tenant: "acme", Feed: "f", Files: []string{good}}, nil); !code.Has(err, code.BadUsage) {
		t.Errorf("nobody: %v", err)
	}
	if _, ok := w.current("f"); ok {
		t.Error("a refused load left a feed")
	}
}

func TestKindsByHand(t *testing.T) {
	w := newWorld(t)
	any := file(t, "notes.bin", []byte("anything"))
	json := file(t, "thing.json", []byte(`{"a":1}`))
	load := func(kind, path string) Result {
		res, err := w.room.Load(context.Background(), Request{Tenant: "acme", Feed: "f", Kind: kind, Files: []string{path}, Actor: "x"}, nil)
		must(t, err)
		return res
	}
	want(t, "an unknown file", load("", any), Counts{Added: 1}, 1)
	want(t, "JSON as an artifact", load("artifact", json), Counts{Added: 1, Unchanged: 1}, 2)
	want(t, "a policy", load("policy", json), Counts{Added: 1, Unchanged: 2}, 3)
	lines := file(t, "f.jsonl", []byte(`{"id":"F-1","purl":"pkg:npm/x@1"}`+"\n\n"+`{"id":"F-2"}`+"\n"+`{"id":`))
	res := load("finding", lines)
	want(t, "findings", res, Counts{Added: 2, Unchanged: 3, Rejected: 1}, 4)
	_, v := w.view("f")
	defer v.Close()
	if items, err := v.Search("npm", "x", layer.Ref{}, 0); err != nil || len(items) != 1 || items[0].Kind != "finding" {
		t.Errorf("%v %v", items, err)
	}
}

// TestLoadRecord reads the record back: file and members with their digests as received.
func TestLoadRecord(t *testing.T) {
	w := newWorld(t)
	body := "{ \"id\": \"A\" , \"modified\":\"2024\" }"
	path := zipOf(t, "A.json", body, "bad.json", "{")
	w.load("f", path)
	gen, _ := w.current("f")
	packed, err := w.room.CAS.ReadAll(gen.LoadRecord, 1<<20)
	must(t, err)
	r := pack.NewReader(bytes.NewReader(packed))
	defer r.Close()
	var text bytes.Buffer
	_, err = text.ReadFrom(r)
	must(t, err)
	whole, err := os.ReadFile(path)
	must(t, err)
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	wants := []string{
		recordSchema, "tester", "2026-01-02T03:04:05Z", digest.Of(whole).String(), digest.Of([]byte(body)).String(), digest.Of([]byte("{")).String(),
	}
	if len(lines) != 4 {
		t.Fatalf("%d lines: %s", len(lines), text.String())
	}
	for _, want := range wants {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %s in %s", want, text.String())
		}
	}
	for _, line := range lines {
		if c, err := canon.Line([]byte(line)); err != nil || string(c) != line {
			t.Errorf("not canonical: %s", line)
		}
	}
	if gen.LoadedBy != "tester" || gen.GeneratedAt != "2026-01-02T03:04:05Z" {
		t.Errorf("%+v", gen)
	}
}

func TestProgress(t *testing.T) {
	w := newWorld(t)
	seen := map[string]Progress{}
	_, err := w.room.Load(context.Background(), Request{Tenant: "acme", Feed: "f", Files: []string{dump(t, 1, sample.Week{To: 600})}, Actor: "x"}, func(p Progress) {
		if last := seen[p.Stage]; p.Items < last.Items || p.Bytes < last.Bytes {
			t.Errorf("progress goes back: %+v after %+v", p, last)
		}
		seen[p.Stage] = p
	})
	must(t, err)
	if seen["read"].Items != 600 || seen["read"].Bytes < 600*2000 || seen["write"].Items != 600 || seen["done"].TotalItems != 600 {
		t.Errorf("%+v", seen)
	}
}

func TestCancel(t *testing.T) {
	for _, stage := range []string{"read", "write", "commit"} {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(context.Background())
		_, err := w.room.Load(ctx, Request{Tenant: "acme", Feed: "f", Files: []string{dump(t, 1, sample.Week{To: 1000})}, Actor: "x"}, func(p Progress) {
			if p.Stage == stage {
				cancel()
			}
		})
		cancel()
		if !code.Has(err, code.Cancelled) {
			t.Errorf("%s: %v", stage, err)
		}
		if _, ok := w.current("f"); ok {
			t.Errorf("%s: a cancelled load left a generation", stage)
		}
		left, _ := os.ReadDir(w.path("cas/staging"))
		if len(left) > 0 {
			t.Errorf("%s: staging holds %v", stage, left)
		}
	}
}

// TestDamagedShard: an old shard with other bytes stops the load instead of being copied under a new name.
func TestDamagedShard(t *testing.T) {
	w := newWorld(t)
	w.load("f", dump(t, 1, sample.Week{To: 1000}))
	gen, _ := w.current("f")
	d := gen.Layers[0].Shards[0]
	path := w.path("cas/sha256/" + d.Hex()[:2] + "/" + d.Hex())
	body, err := os.ReadFile(path)
	must(t, err)
	bad := bytes.Clone(body)
	bad[len(bad)/2] ^= 1
	must(t, os.Chmod(path, 0o600))
	must(t, os.WriteFile(path, bad, 0o600))
	next := dump(t, 1, sample.Week{To: 1001})
	if _, err := w.room.Load(context.Background(), Request{Tenant: "acme", Feed: "f", Files: []string{next}, Actor: "x"}, nil); !code.Has(err, code.StoreCorrupt) {
		t.Errorf("got %v", err)
	}
	must(t, os.WriteFile(path, body, 0o600))
	want(t, "healed", w.load("f", next), Counts{Added: 1, Unchanged: 1000}, 2)
}
