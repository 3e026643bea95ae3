package bench

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sallyport/internal/digest"
	"sallyport/internal/layer"
	"sallyport/internal/pack"
)

// week measures P2: the first build of a full mirror, from the dump to the bundle, and the same a week later, when 3 % were
// appended and one in 2,000 was revised.
func (l *lab) week() error {
	p, first, err := l.hubOf("week", l.N, 0)
	if err != nil {
		return err
	}
	defer p.stop()
	again, err := p.reload(l.N+l.N*3/100, 2000)
	if err != nil {
		return err
	}
	a, all, err := l.squeezed(p.hub.dir, 1)
	if err != nil {
		return err
	}
	b, few, err := l.squeezed(p.hub.dir, 2)
	if err != nil {
		return err
	}
	r := ratio(b, a)
	l.row(Row{
		ID: "P2", Work: fmt.Sprintf("a full of %d advisories again, 3 %% more, 0.05 %% changed: compression CPU", l.N), Ours: fmt.Sprintf("%s, %d frames", seconds(b), few),
		Reference: fmt.Sprintf("%s, %d frames (the first build)", seconds(a), all), Ratio: times(r), Goal: "≤ 0.25×", Verdict: atMost(r, 0.25),
	})
	w := ratio(again.Wall, first.Wall)
	row := Row{
		ID: "P2", Work: "the same, from the dump to the bundle", Ours: again.String(), Reference: first.String() + " (the first build)",
		Ratio: times(w) + " wall", Goal: "≤ 0.5×", Verdict: atMost(w, 0.5),
	}
	if row.Verdict == missed {
		row.Why = "members of the dump that an earlier load had are hashed as they lie there, not inflated, and whole frames are copied; both write an index of all records and seal and verify every byte of the bundle."
	}
	l.row(row)
	return nil
}

// changed measures P7: a delta of one in a hundred, beside the full of the same generation.
func (l *lab) changed() error {
	small, err := l.deltaOf(max(l.N/10, 100))
	if err != nil {
		return err
	}
	big, err := l.deltaOf(l.N)
	if err != nil {
		return err
	}
	r := float64(big.bytes) / float64(big.whole)
	l.row(Row{
		ID: "P7", Work: fmt.Sprintf("delta of 1 %% changed of %d advisories: size", l.N), Ours: mb(big.bytes), Reference: mb(big.whole) + " (full)",
		Ratio: fmt.Sprintf("%.2f %%", 100*r), Goal: "≤ 1.2 %", Verdict: atMost(r, 0.012),
	})
	t := ratio(big.delta.Wall, big.full.Wall)
	row := Row{
		ID: "P7", Work: "the same: time", Ours: big.delta.Cost.String(), Reference: big.full.Cost.String() + " (full)", Ratio: times(t) + " wall", Goal: "≤ 0.25×",
		Verdict: atMost(t, 0.25),
	}
	if row.Verdict == missed {
		row.Why = "records that changed lie all over the feed: nearly every frame holds one and is inflated for it."
	}
	l.row(row)
	m := float64(big.delta.Anon) / float64(max(small.delta.Anon, 1))
	l.row(Row{
		ID: "P7", Work: "the same: peak memory without pages of files", Ours: mib(big.delta.Anon), Reference: mib(small.delta.Anon) + " (a tenth of the data)",
		Ratio: times(m), Goal: "≤ " + mib(goalBuild), Verdict: atMost(float64(big.delta.Anon), goalBuild),
	})
	return nil
}

// deltas is what a delta and a full of one generation took.
type deltas struct {
	delta, full  Phase
	bytes, whole int64
}

// deltaOf loads n advisories, then the same with one in a hundred revised, and builds delta and full in turn.
func (l *lab) deltaOf(n int) (d deltas, err error) {
	p, _, err := l.hubOf(fmt.Sprintf("delta-%d", n), n, 0)
	if err != nil {
		return d, err
	}
	defer p.stop()
	if _, err := p.dumped(n, 100); err != nil {
		return d, err
	}
	var ours, whole []Cost
	for range l.Rounds {
		ph, dir, err := p.export("--for", "site", "--profile", "mirror:delta", "--base", "1")
		if err != nil {
			return d, err
		}
		if _, d.bytes, err = payload(dir); err != nil {
			return d, err
		}
		ours, d.delta.Anon = append(ours, ph.Cost), max(d.delta.Anon, ph.Anon)
		if ph, dir, err = p.export("--for", "site"); err != nil {
			return d, err
		}
		if _, d.whole, err = payload(dir); err != nil {
			return d, err
		}
		whole = append(whole, ph.Cost)
		if err := os.RemoveAll(dir); err != nil {
			return d, err
		}
	}
	d.delta.Cost, d.full.Cost = median(ours), median(whole)
	return d, nil
}

// hubOf is a hub that loaded n advisories and built a full of them; the cost is that of both.
func (l *lab) hubOf(name string, n, every int) (*pair, Cost, error) {
	l.say("  %d advisories", n)
	dump, err := l.dump(n, every)
	if err != nil {
		return nil, Cost{}, err
	}
	p, err := l.pair(name, func(hub *appliance) (Cost, error) { return hub.do("load", "--feed", "osv", dump) })
	if err != nil {
		return nil, Cost{}, err
	}
	ph, _, err := p.export("--for", "site")
	if err != nil {
		return nil, Cost{}, err
	}
	l.say("  load %s, bundle %s", p.load, ph.Cost)
	return p, p.load.plus(ph.Cost), os.Remove(dump)
}

// reload loads another dump and builds a full of it.
func (p *pair) reload(n, every int) (Cost, error) {
	load, err := p.dumped(n, every)
	if err != nil {
		return Cost{}, err
	}
	ph, _, err := p.export("--for", "site")
	if err == nil {
		p.l.say("  load %s, bundle %s", load, ph.Cost)
	}
	return load.plus(ph.Cost), err
}

// dumped loads another dump.
func (p *pair) dumped(n, every int) (Cost, error) {
	dump, err := p.l.dump(n, every)
	if err != nil {
		return Cost{}, err
	}
	ph, err := p.hub.d.phase("", func() (Cost, error) { return p.hub.do("load", "--feed", "osv", dump) })
	if err != nil {
		return Cost{}, err
	}
	return ph.Cost, os.Remove(dump)
}

func (l *lab) dump(n, every int) (string, error) {
	name := l.path(fmt.Sprintf("dump-%d-%d.zip", n, every))
	_, _, err := l.step("zip", name, strconv.Itoa(n), strconv.Itoa(every))
	return name, err
}

// squeezed runs the step squeeze.
func (l *lab) squeezed(dir string, generation int) (took time.Duration, frames int, err error) {
	_, out, err := l.step("squeeze", dir, strconv.Itoa(generation))
	if err != nil {
		return 0, 0, err
	}
	_, err = fmt.Sscan(string(out), &took, &frames)
	return took, frames, err
}

// squeeze packs the frames of one generation's shards that are in no shard of the generation before, in one thread, and prints
// the CPU time of packing alone and how many there were.
func squeeze(dir, generation string) error {
	n, err := strconv.ParseInt(generation, 10, 64)
	if err != nil {
		return err
	}
	old := map[digest.Digest]bool{}
	err = framesOf(dir, n-1, func(packed []byte) error {
		old[digest.Of(packed)] = true
		return nil
	})
	if err != nil {
		return err
	}
	var took time.Duration
	frames := 0
	in, out := pack.NewDecompressor(), pack.NewCompressor()
	var text, packed []byte
	err = framesOf(dir, n, func(frame []byte) (err error) {
		if old[digest.Of(frame)] {
			return nil
		}
		if text, err = in.Frame(text[:0], frame); err != nil {
			return err
		}
		began := spent()
		packed = out.Frame(packed[:0], text)
		took += spent() - began
		frames++
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Println(int64(took), frames)
	return nil
}

// spent is the CPU time of this process so far.
func spent() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// framesOf visits the frames of the layers of one generation; there are none of generation 0.
func framesOf(dir string, generation int64, fn func([]byte) error) error {
	return filepath.WalkDir(filepath.Join(dir, "layers"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".layer" {
			return err
		}
		l, err := layer.Open(path)
		if err != nil {
			return err
		}
		defer l.Close()
		if l.Meta().Generation != generation {
			return nil
		}
		for _, s := range l.Meta().Shards {
			hex := strings.TrimPrefix(s.Digest.String(), "sha256:")
			f, err := os.Open(filepath.Join(dir, "cas", "sha256", hex[:2], hex))
			if err != nil {
				return err
			}
			err = pack.Frames(f, func(f pack.Frame) error { return fn(f.Packed) })
			f.Close()
			if err != nil {
				return err
			}
		}
		return nil
	})
}
