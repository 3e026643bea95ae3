package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Goals of 80 in bytes.
const (
	goalVerify = 64 << 20
	goalImport = 128 << 20
	goalBuild  = 96 << 20
	goalIdle   = 64 << 20
)

// work is everything that was measured on one number of advisories.
type work struct {
	*pair
	n      int
	load   Phase
	build  Phase
	verify Cost
	plan   Cost
	take   Phase
	idle   Phase
	dir    string // the bundle's folder
}

// advisories measures P5, P10 and P11, on N advisories and on a tenth of them.
func (l *lab) advisories() error {
	small, err := l.cross(l.N / 10)
	if err != nil {
		return err
	}
	small.pair.stop()
	big, err := l.cross(l.N)
	if err != nil {
		return err
	}
	if err := big.shards(); err != nil {
		return err
	}
	if err := big.throughGate(); err != nil {
		return err
	}
	big.imports(small)
	big.memory(small)
	big.disk()
	return nil
}

// cross loads, exports, verifies and imports n advisories.
func (l *lab) cross(n int) (*work, error) {
	name := fmt.Sprintf("advisories-%d", n)
	zip := l.path(name + ".zip")
	l.say("  %d advisories", n)
	if _, _, err := l.step("zip", zip, strconv.Itoa(n)); err != nil {
		return nil, err
	}
	p, err := l.pair(name, func(hub *appliance) (Cost, error) { return hub.do("load", "--feed", "osv", zip) })
	if err != nil {
		return nil, err
	}
	w := &work{pair: p, n: n, load: p.load}
	if err := os.Remove(zip); err != nil {
		return nil, err
	}
	w.build, w.dir, err = p.export("--for", "site", "--to", p.medium())
	if err != nil {
		return nil, err
	}
	if w.idle, err = p.hub.idle(); err != nil {
		return nil, err
	}
	return w, w.rounds()
}

// rounds verifies and imports in turn.
func (w *work) rounds() error {
	var verified, planned, taken []Cost
	for i := range w.l.Rounds {
		v, err := w.pair.verify(w.medium(), "--identity", w.site.identity())
		if err != nil {
			return err
		}
		ph, err := w.imported("--yes")
		if err != nil {
			return err
		}
		verified, taken = append(verified, v), append(taken, ph.Cost)
		w.take.Anon, w.take.Disk, w.take.Kept = max(w.take.Anon, ph.Anon), max(w.take.Disk, ph.Disk), ph.Kept
		if i > 0 {
			continue
		}
		if ph, err = w.imported("--plan"); err != nil {
			return err
		}
		planned = append(planned, ph.Cost)
	}
	w.verify, w.plan, w.take.Cost = median(verified), median(planned), median(taken)
	return nil
}

// shards compares the shards' size with one stream of the same lines.
func (w *work) shards() error {
	lines := w.l.path("lines")
	_, out, err := w.l.step("lines", w.hub.dir, lines)
	if err != nil {
		return err
	}
	packed, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		return err
	}
	if _, err := w.l.shell(`zstd -q -3 -T0 lines -o lines.zst`); err != nil {
		return err
	}
	st, err := os.Stat(lines + ".zst")
	if err != nil {
		return err
	}
	r := float64(packed) / float64(st.Size())
	w.l.row(Row{
		ID: "P1", Work: fmt.Sprintf("shards of %d advisories: size", w.n), Ours: mb(packed), Reference: mb(st.Size()) + " (zstd -3)",
		Ratio: fmt.Sprintf("%.3f×", r), Goal: "≤ 1.06×", Verdict: atMost(r, 1.06),
	})
	return os.Remove(lines)
}

// throughGate shows what verifying the advisories costs beside inflating and hashing their bundle.
func (w *work) throughGate() error {
	volume, _, err := payload(w.dir)
	if err != nil {
		return err
	}
	var pipe []Cost
	for range w.l.Rounds {
		c, err := w.l.shell(`age -d -i "$KEY" "$VOLUME" | zstd -q -dc | sha256sum > /dev/null`, "KEY="+w.site.identity(), "VOLUME="+volume)
		if err != nil {
			return err
		}
		pipe = append(pipe, c)
	}
	b := median(pipe)
	w.l.row(Row{
		ID: "P3", Work: fmt.Sprintf("verify a sealed bundle of %d advisories, every line of it", w.n), Ours: w.verify.String(),
		Reference: b.String() + " (age -d, zstd -d, sha256sum; looks into no shard)", Ratio: times(ratio(w.verify.Wall, b.Wall)) + " wall",
	})
	return nil
}

// imports is P5.
func (w *work) imports(small *work) {
	r := ratio(w.take.Wall, w.verify.Wall)
	row := Row{
		ID: "P5", Work: fmt.Sprintf("import %d advisories, from verify to active", w.n), Ours: w.take.Cost.String(), Reference: w.verify.String() + " (mirror verify alone)",
		Ratio: times(r) + " wall", Goal: "≤ 4×", Verdict: atMost(r, 4),
	}
	if row.Verdict == missed {
		row.Why = fmt.Sprintf("verifying alone takes %s wall, verifying and building the layer %s (measured by planning only), committing and activating the rest, %s.",
			seconds(w.verify.Wall), seconds(w.plan.Wall), seconds(w.take.Wall-w.plan.Wall))
	}
	w.l.row(row)
	factor := float64(w.n) / float64(small.n)
	g := ratio(w.take.CPU, small.take.CPU)
	row = Row{
		ID: "P5", Work: fmt.Sprintf("growth of an import from %d to %d advisories: CPU", small.n, w.n), Ours: seconds(w.take.CPU), Reference: seconds(small.take.CPU),
		Ratio: times(g), Goal: fmt.Sprintf("≤ %.1f×", factor*1.05), Verdict: atMost(g, factor*1.05),
	}
	w.l.row(row)
}

// memory is P10.
func (w *work) memory(small *work) {
	for _, r := range []struct {
		work           string
		peak, anon     int64
		tiny, tinyAnon int64
		goal           int64
	}{
		{"verify (mirror)", w.verify.Peak, 0, small.verify.Peak, 0, goalVerify},
		{"import", w.take.Peak, w.take.Anon, small.take.Peak, small.take.Anon, goalImport},
		{"build and write to a medium", w.build.Peak, w.build.Anon, small.build.Peak, small.build.Anon, goalBuild},
		{"idle daemon that holds them", w.idle.Peak, w.idle.Anon, small.idle.Peak, small.idle.Anon, goalIdle},
		{"load", w.load.Peak, w.load.Anon, small.load.Peak, small.load.Anon, 0},
	} {
		row := Row{ID: "P10", Work: fmt.Sprintf("peak memory, %d advisories: %s", w.n, r.work), Ours: mib(r.peak)}
		if r.anon > 0 {
			row.Ours += fmt.Sprintf(" (%s without pages of files)", mib(r.anon))
		}
		if r.goal > 0 {
			row.Goal, row.Verdict = "≤ "+mib(r.goal), atMost(float64(r.peak), float64(r.goal))
		}
		if row.Verdict == missed && r.anon > 0 {
			row.Why = fmt.Sprintf("%s of it are pages of mapped files (the layer is a bbolt file), which the kernel drops when memory is wanted elsewhere.", mib(r.peak-r.anon))
		}
		w.l.row(row)
		grown := float64(r.peak) / float64(max(r.tiny, 1))
		row = Row{ID: "P10", Work: "the same, grown from a tenth of the data", Ours: mib(r.peak), Reference: mib(r.tiny), Ratio: times(grown)}
		if r.goal > 0 {
			row.Goal, row.Verdict = "≤ 1.1×", atMost(grown, 1.1)
		}
		if row.Verdict == missed && r.anon > 0 {
			row.Why = fmt.Sprintf("without pages of files it is %s after %s; the rest are pages of mapped files. A daemon's heap grows to what its buffers need and no further: a tenth of the data does not fill them.", mib(r.anon), mib(r.tinyAnon))
		}
		w.l.row(row)
	}
}

// disk is P11.
func (w *work) disk() {
	r := float64(w.take.Disk) / float64(max(w.take.Kept, 1))
	w.l.row(Row{
		ID: "P11", Work: fmt.Sprintf("disk during import of %d advisories", w.n), Ours: mb(w.take.Disk) + " at most", Reference: mb(w.take.Kept) + " afterwards",
		Ratio: times(r), Goal: "≤ 1.05×", Verdict: atMost(r, 1.05),
	})
	perSecond := func(c Cost) string {
		return fmt.Sprintf("%.0f/s", float64(w.n)/max(c.Wall, time.Millisecond).Seconds())
	}
	w.l.row(Row{ID: "—", Work: fmt.Sprintf("load %d advisories from a zip", w.n), Ours: w.load.Cost.String(), Ratio: perSecond(w.load.Cost)})
	w.l.row(Row{ID: "—", Work: fmt.Sprintf("export %d advisories to a medium, read back", w.n), Ours: w.build.Cost.String(), Ratio: perSecond(w.build.Cost)})
}
