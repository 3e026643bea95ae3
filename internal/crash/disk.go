package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"sallyport/internal/blocklog"
	"sallyport/internal/client"
	"sallyport/internal/wire"
)

// diskSize is that of the recorded disk.
const diskSize = 64 << 20

// diskDir is a scratch directory for one recorded disk:
//
//	prep/                what is put on it before the log begins: evidence, hub, site
//	fuse/ mnt/           where it is mounted, in the mount namespace of the process at work alone
//	base log told        the disk when the log began, the log, and what was told when
//	<n>.points <n>.image of one process that plays it back
type diskDir string

func (d diskDir) at(name string) string { return filepath.Join(string(d), name) }

// prepare makes two appliances that know nothing of each other yet.
func (d diskDir) prepare(ctx context.Context) error {
	r := &Rig{dir: d.at("prep")}
	t := &teller{r: r, ctx: ctx}
	t.do("evidence", r.evidence)
	for _, name := range []string{"hub", "site"} {
		p := t.found(name)
		t.do("keep the fingerprint", func() error { return os.WriteFile(p.dir+".fingerprint", []byte(p.fingerprint), 0o600) })
	}
	t.medium("stick")
	for _, name := range []string{"fuse", "mnt"} {
		t.do("folder", func() error { return os.Mkdir(d.at(name), 0o700) })
	}
	return t.err
}

// recorder tells a story on a recorded disk and notes what was told when.
type recorder struct {
	teller
	disk  *blocklog.Disk
	stick string
	told  []told
}

// record is the work of the process that owns the disk: env SALLYPORT_DISK=record. program is the daemon's.
func (d diskDir) record(ctx context.Context, program string, env ...string) (err error) {
	data, err := blocklog.Format(diskSize, string(d))
	if err != nil {
		return err
	}
	disk, err := blocklog.Serve(d.at("fuse"), data)
	if err != nil {
		return err
	}
	base, err := d.story(ctx, disk, program, env)
	log, cerr := disk.Close()
	if err := errors.Join(err, cerr); err != nil {
		return err
	}
	f, err := os.Create(d.at("log"))
	if err != nil {
		return err
	}
	return errors.Join(log.Write(f), f.Close(), os.WriteFile(d.at("base"), base, 0o600))
}

// story mounts the disk, brings the appliances onto it, and tells the story.
func (d diskDir) story(ctx context.Context, disk *blocklog.Disk, program string, env []string) (base []byte, err error) {
	mnt := d.at("mnt")
	if err := blocklog.Mount(disk.File(), mnt); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, blocklog.Unmount(mnt)) }()
	if err := copyTree(d.at("prep"), mnt); err != nil {
		return nil, err
	}
	if err := syncAll(mnt); err != nil {
		return nil, err
	}
	base = disk.Begin()
	c := &recorder{teller: teller{r: &Rig{dir: mnt, program: program, env: env}, ctx: ctx}, disk: disk}
	c.hub, c.site, c.stick = c.player("hub"), c.player("site"), c.medium("stick")
	defer c.end()
	c.crossings()
	return base, errors.Join(c.err, writeJSON(d.at("told"), c.told))
}

func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

func (c *recorder) player(name string) *player {
	p := &player{r: c.r, name: name, dir: filepath.Join(c.r.dir, "story", name)}
	c.do("fingerprint of "+name, func() error {
		b, err := os.ReadFile(p.dir + ".fingerprint")
		p.fingerprint = string(b)
		return err
	})
	return p
}

// end leaves no daemon behind.
func (c *recorder) end() {
	for _, p := range []*player{c.hub, c.site} {
		if p.p != nil {
			p.p.kill()
		}
	}
}

// note asks an appliance what is so, and notes it with the position in the log.
func (c *recorder) note(op string, p *player) {
	c.do("ask "+p.name+" after "+op, func() error {
		t, err := ask(c.ctx, p.p.client, p.dir, c.stick)
		t.Op, t.Who, t.At = op, p.name, c.disk.At()
		c.told = append(c.told, t)
		return err
	})
}

// crossings is the story: two appliances meet, and evidence of three weeks crosses.
func (c *recorder) crossings() {
	c.on(c.hub)
	c.on(c.site)
	c.note("start", c.hub)
	c.note("start", c.site)
	c.meet(c.stick)
	c.note("meet", c.hub)
	c.note("meet", c.site)
	c.load(c.hub, "adv", "week1.zip")
	c.note("load", c.hub)
	c.load(c.hub, "sboms", "sbom-1.json", "sbom-2.json")
	c.note("load", c.hub)
	c.export(c.stick)
	c.note("export", c.hub)
	c.do("import", func() error {
		return c.site.p.client.Stream(c.ctx, "import/run", wire.ImportRequest{Path: c.stick, Yes: true}, nil, nil)
	})
	c.note("import", c.site)
	for week := 2; week <= 3; week++ {
		c.load(c.hub, "adv", fmt.Sprintf("week%d.zip", week))
		c.note("load", c.hub)
		for _, p := range []*player{c.site, c.hub, c.site} {
			c.exchange(p)
		}
	}
	for _, verb := range []struct {
		name string
		do   func(context.Context, place, *client.Client, *notes) error
	}{{"rollback", driveRollback}, {"unpin", driveUnpin}} {
		c.do(verb.name, func() error { return verb.do(c.ctx, place{}, c.site.p.client, newNotes()) })
		c.note(verb.name, c.site)
	}
	c.off(c.hub)
	c.on(c.hub)
	c.note("restart", c.hub)
	c.exchange(c.hub)
	c.off(c.site)
	c.off(c.hub)
}

func (c *recorder) exchange(p *player) {
	c.do("exchange at "+p.name, func() error {
		return p.p.client.Stream(c.ctx, "exchange/run", wire.ExchangeRequest{Path: c.stick, Yes: true}, nil, nil)
	})
	c.note("exchange", p)
}

// again runs this test program as the process that owns a disk, or plays it back: its mounts are its own and end with it.
func (d diskDir) again(ctx context.Context, what string, env ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^$")
	cmd.Env = append(os.Environ(), "SALLYPORT_DISK="+what, "SALLYPORT_DISK_DIR="+string(d))
	cmd.Env = append(cmd.Env, env...)
	var say strings.Builder
	cmd.Stderr = &say
	blocklog.Private(cmd)
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w\n%s", what, err, say.String())
	}
	return out, nil
}
