package bench

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// flipsARound is how often a generation is rolled back, and activated again, in one round.
const flipsARound = 10

// flips measures P6: how long a person waits for another generation, on a thousandth of the records and on all of them. What
// is measured is the command, from its start to its answer; both sites are asked in turn.
func (l *lab) flips() error {
	big := 2 * l.N
	small := max(big/1000, 10)
	one, err := l.flippable(small)
	if err != nil {
		return err
	}
	all, err := l.flippable(big)
	if err != nil {
		return err
	}
	var back, forth [2][]Cost
	for range l.Rounds * flipsARound {
		for i, p := range [...]*pair{one, all} {
			c, err := p.site.do("feeds", "rollback", "osv", "--to", "1", "--reason", "bench")
			if err != nil {
				return err
			}
			back[i] = append(back[i], c)
			if c, err = p.site.do("feeds", "unpin", "osv"); err != nil {
				return err
			}
			forth[i] = append(forth[i], c)
		}
	}
	one.stop()
	all.stop()
	for _, r := range []struct {
		work string
		took [2][]Cost
	}{{"roll back a generation", back}, {"activate it again", forth}} {
		a, b := median(r.took[0]), median(r.took[1])
		x := ratio(b.Wall, a.Wall)
		row := Row{
			ID: "P6", Work: fmt.Sprintf("%s, %d records", r.work, big), Ours: millis(b.Wall), Reference: fmt.Sprintf("%s (%d records)", millis(a.Wall), small),
			Ratio: times(x) + " wall", Goal: "≤ 1.10×", Verdict: atMost(x, 1.10),
		}
		if row.Verdict == missed {
			row.Why = fmt.Sprintf("median of %d commands on each side; CPU of the command is %s and %s.", len(r.took[0]), millis(a.CPU), millis(b.CPU))
		}
		l.row(row)
	}
	return nil
}

// flippable is a pair whose site holds two generations of n records: a full, and a delta over it.
func (l *lab) flippable(n int) (*pair, error) {
	file := l.path(fmt.Sprintf("thin-%d.jsonl", n))
	l.say("  %d thin advisories", n)
	if err := thin(file, 0, n, 1); err != nil {
		return nil, err
	}
	p, err := l.pair(fmt.Sprintf("flips-%d", n), func(hub *appliance) (Cost, error) { return hub.do("load", "--feed", "osv", "--kind", "advisory", file) })
	if err != nil {
		return nil, err
	}
	if err := p.site.start(); err != nil {
		return nil, err
	}
	if _, err := p.site.do("card", "--to", p.medium()); err != nil {
		return nil, err
	}
	if err := p.exchange(); err != nil {
		return nil, err
	}
	if err := thin(file, n/2, n/2+1, 2); err != nil {
		return nil, err
	}
	if _, err := p.hub.do("load", "--feed", "osv", "--kind", "advisory", file); err != nil {
		return nil, err
	}
	if err := p.exchange(); err != nil {
		return nil, err
	}
	p.hub.stop()
	return p, os.Remove(file)
}

// exchange carries the stick to the site and back.
func (p *pair) exchange() error {
	for _, a := range []*appliance{p.hub, p.site, p.hub} {
		if _, err := a.do("exchange", filepath.Clean(p.medium()), "--yes"); err != nil {
			return err
		}
	}
	return nil
}

// thin writes the smallest advisories there are, from number from up to but not including to, a line each.
func thin(path string, from, to, version int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	for i := from; i < to; i++ {
		w.WriteString(`{"id":"THIN-` + fmt.Sprintf("%07d", i) + `","modified":"2026-01-01T00:00:00Z","summary":"version ` + strconv.Itoa(version) + "\"}\n")
	}
	return w.Flush()
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }
