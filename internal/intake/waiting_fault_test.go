package intake

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/forge"
	"sallyport/internal/state"
)

// lateness is a site that something comes to which it cannot take in at once: visits are sticks in their order, of which the last
// makes everything whole.
type lateness struct {
	tpl    *template
	visits []string
	want   int64 // generation in the end
}

// newLateness is a bundle in five volumes on two sticks, one volume damaged on the first; or a delta before its full.
func newLateness(t *testing.T, parked bool) *lateness {
	if parked {
		h := grown(t, 61)
		l := &lateness{tpl: &template{s: h.s, w: &forge.World{Hub: h.hub}}, want: 2}
		second := h.delta(2, 1)
		second.Cut = 1500
		l.visits = []string{h.s.stick(second), h.s.stick(h.full(1))}
		h.s.close()
		return l
	}
	w := world(t, 62)
	s := newSite(t, "site", "acme")
	s.meetHub(w.Hub)
	b := cut(t, w, s)
	one := s.lay(b, 1, 2, 3, 4)
	s.flip(one, b, 2)
	l := &lateness{tpl: &template{s: s, w: w}, visits: []string{one, s.lay(b, 2, 5)}, want: 1}
	s.close()
	return l
}

// run makes all visits up to nth without faults, and that one with.
func (l *lateness) run(t *testing.T, nth int, f fault) (steps int) {
	c := l.tpl.copy(t)
	name, armed := "", false
	c.open(durable.WithHook(func(op durable.Op) durable.Verdict {
		if !armed {
			return durable.Do
		}
		steps++
		switch {
		case steps == f.at:
			name = op.Verb + " " + strings.TrimPrefix(op.Path, c.dir)
			return f.first
		case steps > f.at && f.dead && f.at > 0:
			return durable.Lose
		}
		return durable.Do
	}))
	for i, stick := range l.visits[:nth+1] {
		armed = i == nth
		c.take(stick)
	}
	armed = false
	c.reopen()
	what := fmt.Sprintf("visit %d, %s (%s)", nth+1, f, name)
	l.check(t, c, what)
	for _, stick := range l.visits {
		c.take(stick)
	}
	if g, _ := c.active(l.tpl.w.Hub, "osv-go"); g.Generation != l.want {
		t.Errorf("%s: finished at generation %d", what, g.Generation)
	}
	c.gone()
	if err := c.CAS.Check(context.Background()); err != nil {
		t.Errorf("%s: store: %v", what, err)
	}
	c.must(c.State.View(func(tx *state.Tx) error {
		_, err := c.Timeline.Verify(tx)
		return err
	}))
	return steps
}

// check demands after any fault: every volume that is said to be here is as it was signed, every row has its folder and every
// folder its row, and no piece lies about.
func (l *lateness) check(t *testing.T, c *site, what string) {
	t.Helper()
	rows := map[string]WaitingRow{}
	for _, row := range c.waits() {
		rows[row.Label] = row
		for _, v := range row.Volumes {
			file := filepath.Join(c.folder(row.Label), v.Name)
			if !c.stands(row.Label, v) {
				continue
			}
			if ok, err := sound(file, v.Digest); err != nil || !ok {
				t.Errorf("%s: volume %d is said to be here and is not: %v", what, v.N, err)
			}
		}
		if row.Why == WaitsForBase && len(row.Wanted) > 0 {
			t.Errorf("%s: parked, and not whole", what)
		}
	}
	err := filepath.WalkDir(c.waitingDir(), func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && p != c.waitingDir() && rows[e.Name()].Label == "":
			t.Errorf("%s: a folder nobody knows", what)
		case strings.HasSuffix(p, partialSuffix), strings.HasPrefix(e.Name(), ".tmp-"):
			t.Errorf("%s: a piece: %s", what, p)
		}
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
	for label := range rows {
		if _, err := os.Stat(c.folder(label)); err != nil {
			t.Errorf("%s: a row without a folder", what)
		}
	}
}

// TestWaitingFaults fails each durable step of visits that leave something waiting, and of the one that makes it whole.
func TestWaitingFaults(t *testing.T) {
	for name, parked := range map[string]bool{"volumes": false, "parked": true} {
		t.Run(name, func(t *testing.T) {
			l := newLateness(t, parked)
			for nth := range l.visits {
				total := l.run(t, nth, fault{})
				t.Logf("visit %d: %d durable steps", nth+1, total)
				var all []fault
				for at := 1; at <= total; at++ {
					for _, dead := range []bool{false, true} {
						all = append(all, fault{at, durable.Lose, dead}, fault{at, durable.Keep, dead})
					}
				}
				if os.Getenv("SALLYPORT_CRASH") != "all" {
					rand.New(rand.NewPCG(7, 8)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
					all = all[:min(8, len(all))]
				}
				for _, f := range all {
					l.run(t, nth, f)
				}
			}
		})
	}
}

// killed ends an import at a named point; what the process would have done after it is not done.
type killed struct{ point string }

// TestWaitingKilledAtPoints ends the work at each named point of this room's own, reopens, and finishes.
func TestWaitingKilledAtPoints(t *testing.T) {
	for parked, points := range map[bool][]string{
		false: {"waiting.folder", "waiting.volume", "waiting.row", "import.transaction", "import.done"},
		true:  {"waiting.folder", "waiting.volume", "waiting.whole", "waiting.parked", "import.transaction"},
	} {
		l := newLateness(t, parked)
		for _, point := range points {
			c, met := l.tpl.copy(t), false
			c.open(durable.WithHook(func(op durable.Op) durable.Verdict {
				if op.Verb == "point" && op.Path == point {
					met = true
					panic(killed{point})
				}
				return durable.Do
			}))
			for _, stick := range l.visits {
				func() {
					defer func() {
						switch r := recover().(type) {
						case nil, killed:
						default:
							panic(r)
						}
					}()
					c.take(stick)
				}()
				if met {
					break
				}
			}
			if !met {
				t.Errorf("parked %v: %s was never passed", parked, point)
			}
			c.reopen()
			l.check(t, c, "killed at "+point)
			for _, stick := range l.visits {
				c.take(stick)
			}
			if g, _ := c.active(l.tpl.w.Hub, "osv-go"); g.Generation != l.want {
				t.Errorf("killed at %s: finished at generation %d", point, g.Generation)
			}
			c.gone()
		}
	}
}

// A disk that fills up while volumes are kept: the import ends with its code, nothing is taken for whole, and it goes on when
// there is room.
func TestWaitingDiskFull(t *testing.T) {
	l := newLateness(t, false)
	c := l.tpl.copy(t)
	n := 0
	c.open(durable.WithHook(func(op durable.Op) durable.Verdict {
		if op.Verb == "write" && strings.HasSuffix(op.Path, partialSuffix) {
			if n++; n > 1 {
				return durable.Lose
			}
		}
		return durable.Do
	}))
	if _, err := c.take(l.visits[0]); err == nil || code.Of(err) == code.VolumeDamaged {
		t.Errorf("%v", err)
	}
	c.reopen()
	l.check(t, c, "full")
	if rows := c.waits(); len(rows) != 1 || len(rows[0].Have) != 1 {
		t.Errorf("%+v", rows)
	}
	for _, stick := range l.visits {
		c.take(stick)
	}
	if g, _ := c.active(l.tpl.w.Hub, "osv-go"); g.Generation != 1 {
		t.Errorf("finished at generation %d", g.Generation)
	}
	c.gone()
}
