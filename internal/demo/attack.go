package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"sallyport/internal/client"
	"sallyport/internal/code"
	"sallyport/internal/config"
	"sallyport/internal/wire"
)

// verdict is what a stick gives: the decision or the code, and whether the store stayed as it was.
func (p *play) verdict(a *appliance, stick string) string {
	if p.err != nil {
		return ""
	}
	before, err := a.treeHash()
	p.must(err, "tree hash")
	out, err := a.take(stick)
	got := string(code.Of(err))
	for _, o := range out.Outcomes {
		if got == "" {
			if got = o.Code; got == "" {
				got = o.Decision
			}
		}
	}
	after, err := a.treeHash()
	p.must(err, "tree hash")
	p.expect("tree hash of "+a.name+" after "+filepath.Base(stick), before, after)
	return got
}

// refused demands a verdict.
func (p *play) refused(a *appliance, stick string, want code.Code) {
	p.expect("verdict on "+filepath.Base(stick), string(want), p.verdict(a, stick))
	p.bundles++
}

func (p *play) attack() {
	flipped := p.copyStick(p.stick, "flipped")
	p.flip(flipped)
	p.refused(p.site, flipped, code.VolumeDamaged)
	forged := p.forged()
	p.refused(p.site, forged, code.SignerUnknown)
	p.say("a byte flipped; a stranger's signature", "refused (%s, %s), store unchanged", code.VolumeDamaged, code.SignerUnknown)
	p.refused(p.site, p.old, code.Rollback)
	foreign := p.foreign()
	p.refused(p.site, foreign, code.NothingForUs)
	p.say("an older generation never held; site-12's stick", "refused (%s), not opened; unchanged", code.Rollback)
	p.clocks(flipped, forged)
	p.kill(foreign)
}

// flip changes one bit in the middle of the first volume.
func (p *play) flip(stick string) {
	found, err := filepath.Glob(filepath.Join(stick, "sallyport/bundles/mirror-*/*.age*"))
	if !p.must(err, "find a volume") || len(found) == 0 {
		p.must(os.ErrNotExist, "find a volume on "+stick)
		return
	}
	b, err := os.ReadFile(found[0])
	if p.must(err, "read volume") {
		b[len(b)/2] ^= 1
		p.must(os.WriteFile(found[0], b, 0o644), "write volume")
	}
}

// forged is a stick of an impostor: same name, same tenant, same evidence, keys of its own.
func (p *play) forged() string {
	stick := p.newStick("forged")
	p.stranger = p.impostor("hub", "stranger")
	p.loadInto(p.stranger, p.evidence.feed, p.evidence.dump)
	if p.err == nil {
		p.must(p.site.call("card/write", wire.MediumRequest{Path: stick}, nil), "card")
	}
	p.trust(p.stranger, stick, p.site)
	p.export(p.stranger, "site", stick)
	if p.err == nil {
		p.stranger.stop()
	}
	return stick
}

// foreign is a stick for another site.
func (p *play) foreign() string {
	stick := p.newStick("foreign")
	p.other = p.found("site-12")
	for _, a := range []*appliance{p.hub, p.other} {
		if p.err == nil {
			p.must(a.call("card/write", wire.MediumRequest{Path: stick}, nil), "card of "+a.name)
		}
	}
	p.trust(p.hub, stick, p.other)
	p.trust(p.other, stick, p.hub)
	p.export(p.hub, "site-12", stick)
	return stick
}

// clocks shows the same sticks to a site whose clock is wrong.
func (p *play) clocks(flipped, forged string) {
	verdicts := func() string {
		return fmt.Sprint(p.verdict(p.site, p.stick), p.verdict(p.site, flipped), p.verdict(p.site, forged), p.verdict(p.site, p.old))
	}
	now := verdicts()
	for _, year := range []int{1970, 2099} {
		p.restart(p.site, time.Date(year, 1, 1, 0, 12, 0, 0, time.UTC))
		p.expect(fmt.Sprint("verdicts in ", year), now, verdicts())
	}
	p.restart(p.site, p.now)
	p.say("the clock of site at 1970 and at 2099", "the same four verdicts on the same four sticks")
}

// tries bounds how often a kill may come too late.
const tries = 5

// kill ends a real daemon with SIGKILL in the middle of an import, looks at what is left, and imports again.
func (p *play) kill(stick string) {
	if p.err != nil {
		return
	}
	p.other.stop()
	for range tries {
		at, ok := p.killOnce(stick)
		if p.err != nil {
			return
		}
		if !ok {
			continue
		}
		p.start(p.other, p.now)
		p.expect("feeds after the kill", "0", fmt.Sprint(len(p.feeds(p.other))))
		out, err := p.other.take(stick)
		if p.must(err, "import again") && p.expect("outcomes", "1", fmt.Sprint(len(out.Outcomes))) {
			p.expect("import again", "activated", out.Outcomes[0].Decision)
		}
		p.say("kill -9 of site-12's daemon in mid-import ("+at+")", "nothing half-applied; finished on retry")
		return
	}
	p.err = fmt.Errorf("the import was always over before the kill")
}

// killOnce reports the stage in which the daemon was killed; ok is false when the import was over before.
func (p *play) killOnce(stick string) (stage string, ok bool) {
	cmd := exec.CommandContext(p.ctx, p.Exe, "serve", "--data-dir", p.other.dir)
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "SALLYPORT_LISTEN_HTTPS=off")
	if !p.must(cmd.Start(), "start "+p.Exe) {
		return "", false
	}
	c := client.New(config.New(p.other.dir).SocketPath())
	if !p.must(waitReady(p.ctx, c), "wait for the daemon") {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return "", false
	}
	var last atomic.Value
	last.Store("")
	err := c.Stream(p.ctx, "import/run", wire.ImportRequest{Path: stick, Yes: true}, func(w wire.Progress) {
		stage, _, _ := strings.Cut(w.Stage, " ")
		if last.CompareAndSwap("", stage) {
			_ = cmd.Process.Signal(syscall.SIGKILL)
		}
	}, nil)
	_ = cmd.Process.Signal(syscall.SIGKILL)
	_ = cmd.Wait() // it was killed: that is its status
	return last.Load().(string), err != nil
}

func waitReady(ctx context.Context, c *client.Client) error {
	for range 100 {
		if status, _, err := c.Get(ctx, "/readyz"); err == nil && status == 200 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("not ready after 10 s")
}
