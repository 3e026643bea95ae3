package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/archtest"
	"sallyport/internal/blocklog"
)

// TestMain lets this program be the process that owns a disk, too.
func TestMain(m *testing.M) {
	d, ctx := diskDir(os.Getenv("SALLYPORT_DISK_DIR")), context.Background()
	var err error
	switch os.Getenv("SALLYPORT_DISK") {
	case "":
		os.Exit(m.Run())
	case "record":
		err = d.record(ctx, os.Getenv("SALLYPORT_DISK_PROGRAM"), strings.Fields(os.Getenv("SALLYPORT_DISK_ENV"))...)
	case "replay":
		err = d.replay(ctx, os.Getenv("SALLYPORT_DISK_POINTS"), os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// recorded tells the story on a recorded disk.
func recorded(t *testing.T, env string) diskDir {
	t.Helper()
	if err := blocklog.Usable(); err != nil {
		t.Skip("no disk can be recorded here: ", err)
	}
	module, err := archtest.Root()
	if err != nil {
		t.Fatal(err)
	}
	d := diskDir(scratch(t))
	program := d.at("sallyport")
	if err := Build(t.Context(), module, program, env != ""); err != nil {
		t.Fatal(err)
	}
	if err := d.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.again(t.Context(), "record", "SALLYPORT_DISK_PROGRAM="+program, "SALLYPORT_DISK_ENV="+env); err != nil {
		t.Fatal(err)
	}
	return d
}

// replayAll plays points back, two processes at a time.
func (d diskDir) replayAll(t *testing.T, points []blocklog.Point) (all []Replayed) {
	t.Helper()
	const parts = 2
	type answer struct {
		out []byte
		err error
	}
	answers := make(chan answer, parts)
	for i := range parts {
		var mine []blocklog.Point
		for n, p := range points {
			if n%parts == i {
				mine = append(mine, p)
			}
		}
		file := d.at(fmt.Sprintf("%d.points", i))
		if err := writeJSON(file, mine); err != nil {
			t.Fatal(err)
		}
		go func() {
			out, err := d.again(t.Context(), "replay", "SALLYPORT_DISK_POINTS="+file)
			answers <- answer{out, err}
		}()
	}
	for range parts {
		a := <-answers
		if a.err != nil {
			t.Error(a.err)
		}
		for line := range bytes.Lines(a.out) {
			var r Replayed
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
	}
	return all
}

// replayPoints is how many crash points are played back.
func replayPoints() int {
	switch {
	case campaign():
		return 2000
	case testing.Short():
		return 4
	}
	return 12
}

// points spreads crash points over the story, from the moment both appliances have said something.
func (d diskDir) points(t *testing.T, n int) []blocklog.Point {
	t.Helper()
	log, err := blocklog.ReadLog(d.at("log"))
	if err != nil {
		t.Fatal(err)
	}
	var all []told
	if err := readJSON(d.at("told"), &all); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d entries, %d flushes, told %d times", len(log), log.Flushes(), len(all))
	return log.Spread(all[1].At, len(log), n, seed)
}

// TestCrashDisk cuts the power of a disk at many moments of a story; and does the same with a daemon whose syncs do nothing:
// a rig that finds nothing then is blind.
func TestCrashDisk(t *testing.T) {
	d, blind := recorded(t, ""), recorded(t, "SALLYPORT_LIE=1")
	real := d.replayAll(t, d.points(t, replayPoints()))
	for _, r := range real {
		if !campaign() {
			t.Logf("%s (%s): open %d dropped %d, %d ms", r.Point, r.Op, r.Open, r.Dropped, r.Millis)
		}
		for _, f := range r.Findings {
			t.Errorf("%s, during %s: %s", r.Point, r.Op, f)
		}
	}
	seen := map[Class]int{}
	control := blind.replayAll(t, blind.points(t, controlPoints()))
	for _, r := range control {
		for _, f := range r.Findings {
			seen[f.Class]++
		}
	}
	t.Logf("without syncs: %v", seen)
	if seen[Lost]+seen[Half]+seen[Other] == 0 || !testing.Short() && seen[Lost] == 0 {
		t.Errorf("nothing acknowledged was lost without a sync: %v", seen)
	}
	if os.Getenv("SALLYPORT_CAMPAIGN") == "1" {
		d.publish(t, real, control)
	}
}

// controlPoints is how many are played back of the disk without syncs: enough to lose something.
func controlPoints() int {
	if campaign() {
		return 200
	}
	return 36
}

func (d diskDir) publish(t *testing.T, real, control []Replayed) {
	module, err := archtest.Root()
	if err != nil {
		t.Fatal(err)
	}
	log, err := blocklog.ReadLog(d.at("log"))
	if err != nil {
		t.Fatal(err)
	}
	if err := Publish(module, DiskTitle, DiskReport(log, real, control)); err != nil {
		t.Fatal(err)
	}
}

// A part of the page is replaced by its title, and the others stay.
func TestPublish(t *testing.T) {
	module := t.TempDir()
	for _, part := range [][2]string{{"A", "first"}, {"B", "## below\n\nsecond"}, {"A", "third"}} {
		if err := Publish(module, part[0], part[1]); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(filepath.Join(module, "testdata", "results", "crash.md"))
	if want := "# A\n\nthird\n\n# B\n\n## below\n\nsecond\n"; err != nil || string(b) != want {
		t.Errorf("%q %v", b, err)
	}
}
