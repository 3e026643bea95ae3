package crash

import (
	"bytes"
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sallyport/internal/archtest"
	"sallyport/internal/canon"
	"sallyport/internal/digest"
	"sallyport/internal/sample"
)

// rigged builds the program with the seam, and the rig, in a scratch directory: in memory where the system has a place for
// that, because what is proven here is what a process leaves, not what a disk does.
func rigged(t *testing.T) *Rig {
	t.Helper()
	module, err := archtest.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := scratch(t)
	program := filepath.Join(dir, "bin", "sallyport")
	if err := Build(t.Context(), module, program, true); err != nil {
		t.Fatal(err)
	}
	r, err := New(t.Context(), dir, program)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sallyport-crash-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// campaign tells that all cells are to be run (make crash), not the seeded part; SALLYPORT_CAMPAIGN may name one operation.
func campaign() bool { return os.Getenv("SALLYPORT_CAMPAIGN") != "" }

// selection is the seeded part: 30 kills and 50 lost or kept steps, another choice with SALLYPORT_SEED. A campaign takes all
// of them, or as many kills and others as SALLYPORT_CELLS says ("1200,1800").
func selection(t *testing.T, r *Rig) []Cell {
	if s := os.Getenv("SALLYPORT_CELLS"); s != "" && campaign() {
		var kills, faults int
		if _, err := fmt.Sscanf(s, "%d,%d", &kills, &faults); err != nil {
			t.Fatal(err)
		}
		return Pick(r.Cells(), seed, kills, faults)
	}
	if campaign() {
		return slices.DeleteFunc(r.Cells(), func(c Cell) bool {
			only := os.Getenv("SALLYPORT_CAMPAIGN")
			return only != "1" && only != c.Operation.Name
		})
	}
	chosen := uint64(seed)
	if s := os.Getenv("SALLYPORT_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		chosen = n
	}
	if testing.Short() {
		return Pick(r.Cells(), chosen, 6, 12)
	}
	return Pick(r.Cells(), chosen, 30, 50)
}

func TestCrash(t *testing.T) {
	r := rigged(t)
	t.Run("reference", func(t *testing.T) { provenReference(t, r) })
	t.Run("points", func(t *testing.T) { everyPoint(t, r) })
	tallies := Tallies{}
	cells := selection(t, r)
	err := r.RunAll(t.Context(), cells, func(o Outcome) {
		tallies.Add(o)
		for _, f := range o.Findings {
			t.Errorf("%s: %s (%s): %s", o.Operation.Name, o.Fault, o.Step, f)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	idle := 0
	for name, n := range tallies {
		idle += n.Idle
		t.Logf("%s: %d kills, %d lost, %d kept, %d idle, %d acknowledged", name, n.Kills, n.Lost, n.Kept, n.Idle, n.Acks)
	}
	if idle*20 > len(cells) {
		t.Errorf("%d of %d faults never came", idle, len(cells))
	}
	controls := proveControls(t, r)
	if os.Getenv("SALLYPORT_CAMPAIGN") == "1" {
		publish(t, r, tallies, controls)
	}
}

// proveControls spoils what a blind checker would not see.
func proveControls(t *testing.T, r *Rig) (all []Seen) {
	for _, c := range Controls() {
		s, err := r.Prove(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if !s.Found {
			t.Errorf("%s: not reported as %s %q; reported: %v", c.Name, c.Want, c.Says, s.Reported)
		}
		all = append(all, s)
	}
	return all
}

// publish writes this part of testdata/results/crash.md.
func publish(t *testing.T, r *Rig, tallies Tallies, controls []Seen) {
	module, err := archtest.Root()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Report(&b, r, tallies, controls); err != nil {
		t.Fatal(err)
	}
	played := 0
	for _, n := range tallies {
		played += n.Kills + n.Lost + n.Kept + n.Idle
	}
	if all := len(r.Cells()); played < all {
		fmt.Fprintf(&b, "\n%d of %d cells were played, chosen by a seed and spread evenly over the operations.\n", played, all)
	}
	if err := Publish(module, Title, b.String()); err != nil {
		t.Fatal(err)
	}
}

// provenReference computes what the feeds must hold from the evidence itself, without any room, and compares all sides.
func provenReference(t *testing.T, r *Rig) {
	lines := map[digest.Digest]bool{}
	w := weeks[1]
	for n := w.From; n < w.To; n++ {
		if w.Removed(n) {
			continue
		}
		revision := 0
		if w.Changed(n) {
			revision = 1
		}
		b, err := canon.Line(sample.Revised(seed, n, revision))
		if err != nil {
			t.Fatal(err)
		}
		lines[digest.Of(b)] = true
	}
	docs := map[string][]string{"sboms": {"sbom-1.json", "sbom-2.json", "sbom-3.json", "spdx.json"}, "vex": {"vex-1.json", "csaf.json"}}
	for _, name := range []string{"load", "import", "exchange-site"} {
		after := r.op(name).after
		same(t, name, lines, after.records["hub/adv"])
		for feed, files := range docs {
			want := map[digest.Digest]bool{}
			for _, f := range files {
				want[digest.Of(documents()[f])] = true
			}
			same(t, name, want, after.records["hub/"+feed])
		}
		for feed, at := range after.feeds {
			if at != r.op("load").after.feeds[feed] {
				t.Errorf("%s: feed %s stands at %v, at the hub at %v", name, feed, at, r.op("load").after.feeds[feed])
			}
		}
	}
	if r.op("import").before.feeds["hub/adv"] == r.op("import").after.feeds["hub/adv"] {
		t.Error("the import changes nothing: its cells prove nothing")
	}
}

func same(t *testing.T, name string, want map[digest.Digest]bool, got map[record]digest.Digest) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("%s: %d records, want %d", name, len(got), len(want))
	}
	for k, d := range got {
		if !want[d] {
			t.Errorf("%s: %v has other bytes than the evidence", name, k)
		}
	}
}

// everyPoint holds the points named in the source against those the traces pass.
func everyPoint(t *testing.T, r *Rig) {
	passed := map[string]bool{}
	for _, o := range r.Operations {
		for _, s := range o.Trace {
			if s.Verb == "point" {
				passed[s.Path] = true
			}
		}
	}
	for _, name := range pointNames(t) {
		switch known := slices.Contains(notYet, name); {
		case !passed[name] && !known:
			t.Errorf("no operation passes the point %s", name)
		case passed[name] && known:
			t.Errorf("the point %s is passed: take it off the list", name)
		}
	}
}

// BUG: no operation of the rig passes these points yet; nothing is killed there. The first takes a disk that is full, the
// second a damaged record; jobs and uploads are killed by the tests of their own rooms alone.
var notYet = []string{
	"ballast.given", "load.mended",
	"job.promised", "job.running", "job.ran", "job.result", "job.ended",
	"upload.allocated", "upload.chunk", "upload.proven", "upload.laid", "upload.dropped",
}

// pointNames lists the arguments of all calls of Point.
func pointNames(t *testing.T) (names []string) {
	module, err := archtest.Root()
	if err != nil {
		t.Fatal(err)
	}
	files, err := archtest.Files(module)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Test || archtest.IsTestOnly(f.Package) {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			arg, literal := call.Args[0].(*ast.BasicLit)
			if !ok || !literal || sel.Sel.Name != "Point" {
				return true
			}
			name, err := strconv.Unquote(arg.Value)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
			return true
		})
	}
	if len(names) < 20 {
		t.Fatalf("only %d points found: %v", len(names), names)
	}
	return names
}

// A release has no fault seam to the outside: not even its names.
func TestReleaseHasNoSeam(t *testing.T) {
	module, err := archtest.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, seam := range []bool{false, true} {
		program := filepath.Join(t.TempDir(), "sallyport")
		if err := Build(t.Context(), module, program, seam); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"SALLYPORT_KILL", "SALLYPORT_FAULT", "SALLYPORT_TRACE", "SALLYPORT_KEEP", "SALLYPORT_LIE", "SALLYPORT_FAKE_TIME"} {
			if strings.Contains(string(b), name) != seam {
				t.Errorf("built with the seam: %v; names %s: %v", seam, name, !seam)
			}
		}
	}
}

func TestPick(t *testing.T) {
	trace := []Step{{"point", "x"}, {"sync", "f"}, {"point", "x"}, {"commit", "g"}}
	a, b := &Operation{Name: "a", Trace: trace}, &Operation{Name: "b", Trace: trace}
	var all []Cell
	for _, o := range []*Operation{a, b} {
		for _, f := range Faults(trace) {
			all = append(all, Cell{o, f})
		}
	}
	if len(all) != 2*(2*(starting+2)+2*6) {
		t.Fatalf("%d cells", len(all))
	}
	some := Pick(all, 7, 3, 100)
	if !some[0].commits() || !some[1].commits() || some[0].Operation == some[1].Operation {
		t.Errorf("first come %v and %v", some[0].Fault, some[1].Fault)
	}
	kills, seen := 0, map[Cell]bool{}
	for _, c := range some {
		if seen[c] {
			t.Errorf("%v twice", c)
		}
		seen[c] = true
		if c.Fault.Kill() {
			kills++
		}
	}
	if kills != 3 || len(some) != 3+16 {
		t.Errorf("%d kills of %d cells", kills, len(some))
	}
	if s, ok := struck(Fault{Point: "x", At: 2}, []Step{{"point", "x"}, {"write", "g"}}); ok {
		t.Errorf("struck %v", s)
	}
	if s, ok := struck(Fault{How: "EIO", At: 2}, []Step{{"sync", "f"}, {"point", "x"}, {"write", "g"}}); !ok || s.Path != "g" {
		t.Errorf("struck %v %v", s, ok)
	}
}

func TestUnsynced(t *testing.T) {
	good := `write d/.tmp-1
sync d/.tmp-1
rename d/marks
syncdir d
write d/cas/staging/op-1/w-1
sync d/cas/staging/op-1/aa11
mkdir d/cas/sha256/aa
syncdir d/cas/sha256
rename d/cas/sha256/aa/aa11
syncdir d/cas/sha256/aa
commit d/state.db
create m/x.tar.zst.partial
write m/x.tar.zst.partial
sync m/x.tar.zst.partial
rename m/x.tar.zst
sync m/.
sync m
create m/x.label.json.partial
write m/x.label.json.partial
sync m/x.label.json.partial
rename m/x.label.json
sync m
commit d/state.db
`
	if wrong := Unsynced(steps(good), "d", "m"); len(wrong) > 0 {
		t.Fatalf("%q", wrong)
	}
	all := steps(good)
	if wrong := Unsynced(steps(strings.Replace(good, "sync m/.\nsync m\n", "", 1)), "d", "m"); len(wrong) == 0 {
		t.Error("a label over a volume whose name is not synced, and nothing is wrong")
	}
	for i, s := range all {
		if !strings.HasPrefix(s.Verb, "sync") || s.Path == "m/." || s.Path == "m" && i < len(all)-2 {
			continue // the folder of a medium is covered twice
		}
		without := slices.Delete(slices.Clone(all), i, i+1)
		if wrong := Unsynced(without, "d", "m"); len(wrong) == 0 {
			t.Errorf("without step %d, %s, nothing is wrong", i, s)
		}
	}
}

func TestCut(t *testing.T) {
	dir := t.TempDir()
	data, medium := filepath.Join(dir, "d"), filepath.Join(dir, "m")
	for name, size := range map[string]int{"d/kept": 8, "d/sign.key": 8, "d/new": 8, "d/cas/blob": 8, "m/x.partial": 8, "m/y": 8} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	trace := []Step{
		{"rename", data + "/cas/blob"},
		{"syncdir", data + "/cas"},
		{"mkdir", data + "/cas/other"},
		{"rename", data + "/sign.next"},
		{"syncdir", data},
		{"rename", data + "/kept"},
		{"rename", data + "/new"},
		{"rename", data + "/sign.key"},
		{"create", medium + "/y"},
		{"write", medium + "/y"},
		{"sync", medium},
		{"write", medium + "/x.partial"},
	}
	kept := filepath.Join(dir, "kept")
	if err := os.Mkdir(kept, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"5", "7"} {
		if err := os.WriteFile(filepath.Join(kept, name), make([]byte, 5), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	lost, err := Cut(trace, data, medium, kept, func(p string) bool { return p == data+"/kept" || p == data+"/sign.key" })
	if err != nil || len(lost) != 5 {
		t.Errorf("took %v: %v", lost, err)
	}
	for name, want := range map[string]int64{"d/kept": 5, "d/sign.key": 5, "d/sign.next": 8, "d/new": -1, "d/cas/blob": 8, "m/x.partial": 4, "m/y": 8} {
		st, err := os.Stat(filepath.Join(dir, name))
		if got := int64(-1); err == nil && st.Size() != want || err != nil && want != got {
			t.Errorf("%s: want %d bytes, %v", name, want, err)
		}
	}
}
