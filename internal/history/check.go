package history

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/durable"
	"sallyport/internal/marks"
	"sallyport/internal/wire"
)

func sorted[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// holding is what an appliance holds of one feed.
type holding struct {
	active, mark point
	root         string
	held         map[point]string // → root
	pinned       bool
	gone         bool // only its mark is known here
}

// markFile reads the marks of the hub's feeds, by full feed name: the one thing a restore must not set back.
func (a *appliance) markFile() (map[string]point, error) {
	m, err := marks.Open(filepath.Join(a.dir, "marks"), durable.FS{}, a.clock)
	if err != nil {
		return nil, err
	}
	all := map[string]point{}
	for key, f := range m.Get().Feeds {
		parts := strings.Split(key, "\x00")
		all["hub/"+parts[len(parts)-1]] = point{f.Epoch, f.Generation}
	}
	return all, nil
}

// held asks an appliance for all it holds, by full feed name.
func (w *World) held(a *appliance) (map[string]holding, error) {
	feeds, err := a.feeds()
	if err != nil {
		return nil, err
	}
	all := map[string]holding{}
	set, err := a.markFile()
	if err != nil {
		return nil, err
	}
	for name, m := range set {
		all[name] = holding{mark: m, held: map[point]string{}, gone: true}
	}
	for name, f := range feeds {
		var d wire.FeedDetail
		if err := a.call("feeds/show", wire.FeedRequest{Name: name}, &d); err != nil {
			return nil, err
		}
		h := holding{active: point{f.Epoch, f.Generation}, mark: set[name], root: f.StateRoot, held: map[point]string{}, pinned: f.Pinned}
		for _, g := range d.Held {
			h.held[point{g.Epoch, g.Generation}] = g.StateRoot
		}
		all[name] = h
	}
	return all, nil
}

// stands holds where an appliance is against what the hub minted and against where it was.
func (w *World) stands(a *appliance, after string) error {
	now, err := w.held(a)
	if err != nil {
		return err
	}
	for _, name := range sorted(now) {
		h := now[name]
		t := w.truth[strings.TrimPrefix(name, "hub/")]
		if t == nil {
			w.wrong("%s has a feed %s that the hub never had", a.name, name)
			continue
		}
		for p, root := range h.held {
			if t.roots[p] != root {
				w.wrong("%s holds %s %v as %.20s, the hub minted %.20s", a.name, name, p, root, t.roots[p])
			}
		}
		if h.mark.less(a.marks[name]) {
			w.wrong("after %s the mark of %s at %s fell from %v to %v", after, name, a.name, a.marks[name], h.mark)
		}
		if h.active == h.mark {
			delete(a.again, name)
		}
		if a != w.hub && !h.gone && !h.pinned && !a.again[name] && h.active != h.mark {
			w.wrong("after %s %s stands at %v of %s, its mark is %v, and it is not pinned", after, a.name, h.active, name, h.mark)
		}
		a.marks[name] = h.mark
	}
	for name := range a.marks {
		if _, ok := now[name]; !ok {
			w.wrong("after %s %s has no mark of %s any more", after, a.name, name)
		}
	}
	return nil
}

// verdicts is one visit to be judged.
type verdicts struct {
	w    *World
	a    *appliance
	lies []lying
	was  map[string]holding
	out  *wire.Exchanged
	err  error
}

// outcome finds what was said of a bundle directory.
func (v *verdicts) outcome(l lying) (wire.Outcome, bool) {
	if v.out.In == nil {
		return wire.Outcome{}, false
	}
	for _, o := range v.out.In.Outcomes {
		if o.Dir == l.dir {
			return o, true
		}
	}
	return wire.Outcome{}, false
}

// atHub: a hub takes receipts, and what it writes verifies.
func (v *verdicts) atHub() error {
	if code.Of(v.err) == code.Unheard {
		v.w.counts["hub: a restored one waits to hear"]++
		if v.w.hub.cards {
			v.w.wrong("a hub restored without cards waits for them: %v", v.err)
		}
		return nil
	}
	if v.err != nil && !empty(v.err) && !v.spoiled() {
		v.w.wrong("a visit at the hub with an intact stick: %v", v.err)
	}
	return nil
}

// empty is the answer to a medium with nothing on it for anybody.
func empty(err error) bool {
	c := code.Of(err)
	return c == code.MediumEmpty || c == code.NothingForUs
}

func (v *verdicts) spoiled() bool {
	return slices.ContainsFunc(v.lies, func(l lying) bool { return l.err != nil })
}

// forUs tells whether a bundle is addressed to this site.
func (v *verdicts) forUs(c *carried) bool {
	return slices.Contains(c.to, v.a.id) || slices.Contains(c.to, "*")
}

// atSite: every intact bundle for the site is in, or older, or waits for a base that is named; no damaged one is in.
func (v *verdicts) atSite() error {
	now, err := v.w.held(v.a)
	if err != nil {
		return err
	}
	for _, l := range v.lies {
		switch {
		case l.carried == nil || !v.forUs(l.carried):
		case l.err != nil:
			v.damaged(l, now)
		default:
			v.intact(l, now)
		}
	}
	return nil
}

// damaged: what does not verify changes nothing.
func (v *verdicts) damaged(l lying, now map[string]holding) {
	o, told := v.outcome(l)
	v.w.counts["damaged: "+o.Decision+" "+o.Code]++
	if told && (o.Decision == "activated" || o.Decision == "held") && !v.a.complete(l) {
		v.w.wrong("%s at %s does not verify (%v) and is %s", l.dir, v.a.name, l.err, o.Decision)
	}
}

// intact: everything in it is in now, or it is said why not, truly.
func (v *verdicts) intact(l lying, now map[string]holding) {
	o, told := v.outcome(l)
	v.w.counts["verdict: "+o.Decision+" "+o.Code]++
	if v.a.version < v.a.marked { // a restored site forgot the root that it believed: until it has that again nothing counts
		if o.Decision == "activated" || o.Decision == "held" {
			v.w.wrong("%s %v at %s: %s under a trust root that was followed by another here", l.dir, l.carried, v.a.name, o.Decision)
		}
		return
	}
	var missing, older, new bool
	for _, f := range l.feeds {
		h, p := now["hub/"+f.Feed], point{f.Epoch, f.Generation}
		if !h.mark.less(p) {
			was := v.was["hub/"+f.Feed]
			older = older || (p.less(was.mark) || p.less(h.mark)) && was.held[p] == "" && h.held[p] == ""
			continue
		}
		new = true
		missing = missing || l.delta && !holdsOne(h, f.Bases)
	}
	switch {
	case !new && older && v.stranger(l.carried) && o.Code == string(code.EpochUnknown): // a newer epoch came on the same stick
	case !new && (o.Decision == "refused" || o.Decision == "quarantined") && !(older && o.Code == string(code.Rollback)):
		v.w.wrong("%s %v at %s: %s with %s (%s), and it is in or older", l.dir, l.carried, v.a.name, o.Decision, o.Code, o.Reason)
	case new && !told:
		v.w.wrong("%s %v at %s: not in, and nothing is said: %v", l.dir, l.carried, v.a.name, v.err)
	case new && older && o.Code == string(code.Rollback): // a bundle is one thing: what is older in it refuses it all
	case new && missing && !v.stranger(l.carried) && (o.Decision != "parked" || !strings.Contains(o.Code+o.Reason, "base")):
		v.w.wrong("%s %v at %s: its base is missing and it is %s with %s (%s)", l.dir, l.carried, v.a.name, o.Decision, o.Code, o.Reason)
	case new && v.stranger(l.carried) && o.Code == string(code.EpochUnknown):
	case new && !missing && !older:
		v.w.wrong("%s %v at %s: nothing is missing and it is not in: %s with %s (%s)", l.dir, l.carried, v.a.name, o.Decision, o.Code, o.Reason)
	}
}

// stranger tells that the bundle speaks of an epoch that is new to the site, and not the one its trust root names: the site was
// not told yet, or was told of a later one.
func (v *verdicts) stranger(c *carried) bool {
	return slices.ContainsFunc(c.feeds, func(f bundle.FeedState) bool {
		return f.Epoch > v.was["hub/"+f.Feed].mark.epoch && v.w.epochs[f.Epoch] != v.a.version
	})
}

func holdsOne(h holding, bases []bundle.Base) bool {
	for _, b := range bases {
		for _, root := range h.held {
			if root == b.StateRoot.String() {
				return true
			}
		}
	}
	return false
}

// summary is a visit in one line.
func summary(out *wire.Exchanged, err error) string {
	var parts []string
	if out.In != nil {
		for _, o := range out.In.Outcomes {
			s := strings.TrimSpace(o.Decision + " " + o.Code)
			var feeds []string
			for _, f := range o.Plan.Feeds {
				feeds = append(feeds, fmt.Sprintf("%s %d.%d %s", f.Feed, f.Epoch, f.Generation, f.Decision))
			}
			parts = append(parts, "in "+o.Plan.Variant+" ["+strings.Join(feeds, ", ")+"] "+s)
		}
	}
	for _, o := range out.Written {
		parts = append(parts, "out "+o.Kind+":"+o.Variant+" for "+o.For)
	}
	if err != nil {
		parts = append(parts, said(err))
	}
	return strings.Join(parts, "; ")
}
