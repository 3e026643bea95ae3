package crash

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/blocklog"
)

// Publish writes one part of testdata/results/crash.md, the one under this title, and leaves the others as they are: each
// campaign writes its own.
func Publish(module, title, text string) error {
	path := filepath.Join(module, "testdata", "results", "crash.md")
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	part := "# " + title + "\n\n" + strings.TrimSpace(text) + "\n"
	var parts []string
	found := false
	for _, p := range strings.Split("\n"+string(b), "\n# ") {
		switch name, _, _ := strings.Cut(p, "\n"); {
		case strings.TrimSpace(p) == "":
		case name == title:
			parts, found = append(parts, part), true
		default:
			parts = append(parts, "# "+strings.TrimSpace(p)+"\n")
		}
	}
	if !found {
		parts = append(parts, part)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.Join(parts, "\n")), 0o644)
}

// DiskTitle is the part about the recorded disk.
const DiskTitle = "The power of a disk is cut"

// diskSums counts points of one variant.
type diskSums struct {
	points, open, dropped, acks int
	millis                      int64
	found                       map[Class]int
}

// DiskReport is the part about a recorded disk: its log, the points of the real daemon, and those of one without syncs.
func DiskReport(log blocklog.Log, real, control []Replayed) string {
	var b strings.Builder
	fmt.Fprintf(&b, `A hub, a site and a stick lie on one ext4 file system, on a loop device, on a FUSE file that records every write and every
flush the kernel sends. The real daemons work there: load, meet, export, import, exchanges, a restart. The log has %d entries,
%d of them flushes. A point is the disk after some entry: with all writes since the last flush (*prefix*), with each of these
or not (*half*), or with each, or not, or cut at a sector of 512 bytes (*torn*). The image is mounted (the journal of ext4
recovers), both appliances are started, every record is read and every state root computed anew, timelines are held against
the heads that were told before, marks against those that were seen, the files are audited, and everything under a label on the
stick is opened. The *control* is a daemon whose syncs do nothing: the rig has to see that.

`, len(log), log.Flushes())
	b.WriteString("| | points | writes not flushed | of these dropped or cut | moments acknowledged before | ms a point | acknowledged and lost | half applied | other |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, v := range blocklog.Variants() {
		diskLine(&b, string(v), slices.DeleteFunc(slices.Clone(real), func(r Replayed) bool { return r.Point.Variant != v }))
	}
	diskLine(&b, "**all**", real)
	diskLine(&b, "control, syncs off", control)
	n := map[string]int{}
	for _, r := range real {
		n[r.Op]++
	}
	b.WriteString("\n| under way | points |\n|---|--:|\n")
	for _, op := range slices.Sorted(maps.Keys(n)) {
		fmt.Fprintf(&b, "| %s | %d |\n", op, n[op])
	}
	b.WriteString("\nFindings:")
	none := " none.\n"
	for _, r := range real {
		for _, f := range r.Findings {
			fmt.Fprintf(&b, "\n- %s, during %s: %s", r.Point, r.Op, f)
			none = "\n"
		}
	}
	return b.String() + none
}

func diskLine(b *strings.Builder, name string, list []Replayed) {
	s := diskSums{found: map[Class]int{}}
	for _, r := range list {
		s.points, s.open, s.dropped, s.acks, s.millis = s.points+1, s.open+r.Open, s.dropped+r.Dropped, s.acks+r.Acks, s.millis+r.Millis
		for _, f := range r.Findings {
			s.found[f.Class]++
		}
	}
	fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %d | %d | %d | %d |\n", name, s.points, s.open, s.dropped, s.acks, s.millis/int64(max(1, s.points)),
		s.found[Lost], s.found[Half], s.found[Other])
}
