package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sallyport/internal/blocklog"
	"sallyport/internal/bundle"
	"sallyport/internal/daemon"
	"sallyport/internal/wire"
)

// Replayed is what became of one crash point of a recorded disk.
type Replayed struct {
	Point    blocklog.Point `json:"point"`
	Op       string         `json:"op"`      // under way at that moment
	Open     int            `json:"open"`    // writes after the last flush
	Dropped  int            `json:"dropped"` // of these: dropped or cut
	Acks     int            `json:"acks"`    // moments at which something had been told
	Millis   int64          `json:"millis"`
	Findings []Finding      `json:"findings"`
}

// replayer plays a disk back in one process and judges what two appliances make of it.
type replayer struct {
	d     diskDir
	mnt   string
	image string
	told  []told
	rig   *Rig // knows both trust roots, to judge the medium
}

// replay is the work of a process that plays back: env SALLYPORT_DISK=replay, SALLYPORT_DISK_POINTS a file with ascending
// points. It writes one line of JSON for each.
func (d diskDir) replay(ctx context.Context, points string, out *os.File) error {
	p := &replayer{d: d, mnt: d.at("mnt"), image: points + ".image"}
	var todo []blocklog.Point
	base, err := os.ReadFile(d.at("base"))
	if err = errors.Join(err, readJSON(points, &todo), readJSON(d.at("told"), &p.told)); err != nil {
		return err
	}
	log, err := blocklog.ReadLog(d.at("log"))
	if err != nil {
		return err
	}
	p.rig = &Rig{dir: d.at("prep")}
	if err := p.rig.trust(); err != nil {
		return err
	}
	f, err := os.Create(p.image)
	if err != nil {
		return err
	}
	defer os.Remove(p.image)
	defer f.Close()
	player, lines := blocklog.NewPlayer(base, log), json.NewEncoder(out)
	for _, point := range todo {
		r := Replayed{Point: point}
		began := time.Now()
		if r.Open, r.Dropped, err = player.Image(point, f); err != nil {
			return err
		}
		if err := p.judge(ctx, &r); err != nil {
			return fmt.Errorf("%s: %w", point, err)
		}
		r.Millis = time.Since(began).Milliseconds()
		if err := lines.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// judge mounts the image and looks at all that is on it. An error is the rig's own trouble.
func (p *replayer) judge(ctx context.Context, r *Replayed) (err error) {
	f := (*findings)(&r.Findings)
	_, next := around(p.told, "", r.Point.At)
	r.Op = next.Op + " at " + next.Who
	for _, t := range p.told {
		if t.At <= r.Point.At {
			r.Acks++
		}
	}
	if err := blocklog.Mount(p.image, p.mnt); err != nil {
		f.add(Other, "the file system does not mount: %v", err)
		return nil
	}
	defer func() { err = errors.Join(err, blocklog.Unmount(p.mnt)) }()
	for _, who := range []string{"hub", "site"} {
		var mine findings
		p.appliance(ctx, who, r.Point.At, &mine)
		for _, x := range mine {
			f.add(x.Class, "%s: %s", who, x.What)
		}
	}
	p.medium(ctx, r.Point.At, f)
	return nil
}

// appliance starts one on what is left, as a person would, and compares; then it reads its files.
func (p *replayer) appliance(ctx context.Context, who string, at int, f *findings) {
	before, next := around(p.told, who, at)
	dir := filepath.Join(p.mnt, "story", who)
	lowered(before.Marks, readMarks(dir, f), f)
	v, err := lookOnce(ctx, dir, f)
	if err != nil {
		f.add(Other, "start after the crash: %v", err)
		return
	}
	standings(before, next, v, f)
	for id, state := range before.Runs {
		i := slices.IndexFunc(v.runs, func(r wire.Run) bool { return r.ID == id })
		if i < 0 || v.runs[i].State != state {
			f.add(Lost, "run %s was %s and is not", id, state)
		}
	}
	var known []bundle.Head
	if before.Log.Size > 0 {
		known = append(known, before.Log)
	}
	after := audit(dir, f, known...)
	lowered(before.Marks, after.marks, f)
	for _, number := range before.Receipts {
		if !after.receipts[number] {
			f.add(Lost, "receipt %s was given out and is not there", number)
		}
	}
}

// lookOnce serves a data directory in this process, looks, and stops.
func lookOnce(ctx context.Context, dir string, f *findings) (v view, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := daemon.LoadConfig(dir, func(name string) (string, bool) {
		v, ok := map[string]string{"SALLYPORT_STORE_RESERVE": "1MiB", "SALLYPORT_STORE_BALLAST": "64KiB"}[name]
		return v, ok
	})
	if err != nil {
		return v, err
	}
	r, err := daemon.Start(ctx, c, daemon.Deps{Software: "1.0.0"})
	if err != nil {
		return v, err
	}
	defer func() { err = errors.Join(err, r.Stop()) }()
	if err := settle(ctx, r.Client()); err != nil {
		f.check("runs", err)
	}
	healthy(ctx, r.Client(), f)
	return look(ctx, r.Client(), f)
}

// standings holds what is there against the only two states there may be.
func standings(before, next told, v view, f *findings) {
	names := maps.Clone(before.Feeds)
	maps.Copy(names, next.Feeds)
	maps.Copy(names, v.feeds)
	old, fresh := 0, 0
	for name := range names {
		was, will, is := before.Feeds[name], next.Feeds[name], v.feeds[name]
		switch {
		case is == was && is == will:
		case is == was:
			old++
		case is == will:
			fresh++
		case is == (standing{}), is.Epoch < was.Epoch, is.Epoch == was.Epoch && is.Generation < was.Generation:
			f.add(Lost, "feed %s: %v was acknowledged, %v is there", name, was, is)
		default:
			f.add(Half, "feed %s stands at %v, neither at %v nor at %v", name, is, was, will)
		}
	}
	if old > 0 && fresh > 0 {
		f.add(Half, "%d feeds flipped, %d did not", fresh, old)
	}
}

// medium opens everything under a label, and asks for the labels that were there and are there still after the next step.
func (p *replayer) medium(ctx context.Context, at int, f *findings) {
	before, next := around(p.told, "", at)
	dir := filepath.Join(p.mnt, "story")
	p.rig.judge(ctx, filepath.Join(dir, "stick"), newNotes(), f)
	there, err := labels(filepath.Join(dir, "stick"))
	f.check("labels", err)
	for name, d := range before.Medium {
		if next.Medium[name] == d && there[name] != d {
			f.add(Lost, "label %s was on the medium and is not", name)
		}
	}
}
