package verify

import (
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/root"
)

// anchorSlack is how much later than its own anchor a bundle may say it was made: a run takes time, and the anchor is
// taken at its start.
const anchorSlack = 24 * time.Hour

// readAnchor verifies the time anchor the bundle carries and raises the reading to it. In key mode an anchor whose key is
// not among the trusted ones is left alone: it proves nothing and moves nothing.
func (ps *pass) readAnchor() error {
	env := ps.check.anchor
	if env == nil {
		return nil
	}
	name := ps.check.anchorPath
	j := judge{trust: ps.o.Trust, now: ps.o.Now}
	v, err := j.envelope(env, name, attest.TypeAnchor)
	if err != nil {
		if ps.voice.root == nil && code.Of(err) == code.SignerUnknown {
			return nil
		}
		return err
	}
	a, err := bundle.ParseAnchor(v.Payload())
	if err != nil {
		return in(err, name)
	}
	m := ps.b.manifest
	p := purpose{roles: []string{root.RoleAnchor}, tenant: m.Tenant, origin: m.Appliance.ID, rootID: m.TrustRoot.ID}
	voc, err := j.accept(v, p, name)
	if err != nil {
		return err
	}
	at, err := anchorTime(a, name)
	if err != nil {
		return err
	}
	j.raise(at)
	if err := j.again(voc, p, name); err != nil {
		return err
	}
	ps.j.raise(at)
	ps.b.anchor = a
	return nil
}

// anchorTime is the time an anchor states, if it does not contradict itself.
func anchorTime(a *bundle.Anchor, name string) (time.Time, error) {
	at, err := clock.Parse(a.AnchorTime)
	if err != nil {
		return at, code.Wrap(code.BadTime, err, "anchorTime").In(name, "anchorTime")
	}
	end, err := clock.Parse(a.NotAfter)
	if err != nil {
		return at, code.Wrap(code.BadTime, err, "notAfter").In(name, "notAfter")
	}
	if at.After(end) {
		return at, code.New(code.AnchorBad, "the anchor ends before it begins").In(name, "notAfter").Want("after "+a.AnchorTime, a.NotAfter)
	}
	return at, nil
}

// notYet refuses a bundle that says it was made later than any time that can be believed. Without an anchor there is no
// such time: a trusted clock without a network only ever lags behind.
func (ps *pass) notYet(m *bundle.Manifest) error {
	made, err := clock.Parse(m.GeneratedAt)
	if err != nil {
		return code.Wrap(code.BadTime, err, "generatedAt").In(memberEnvelope, "generatedAt")
	}
	if ps.b.anchor != nil && made.After(ps.j.now.Add(anchorSlack)) {
		return code.New(code.NotYetValid, "").In(memberEnvelope, "generatedAt").
			Want("not after "+clock.Format(ps.j.now.Add(anchorSlack)), m.GeneratedAt)
	}
	return nil
}
