package intake

import (
	"fmt"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/marks"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/seal"
	"sallyport/internal/state"
	"sallyport/internal/verify"
)

// circle is everyone this appliance trusts, read once per operation together with the keys that open and the time.
type circle struct {
	peers  map[digest.Digest]peer.Peer     // by root id
	roots  map[digest.Digest]*root.Trusted // newest accepted version, by root id
	own    *root.Trusted
	ids    []seal.Identity
	dare   []seal.DareKey
	time   marks.Reading
	floor  map[string]int64 // counters of the marks file: a restored backup forgets its own
	marked map[string]int64 // root versions of the marks file, by root id
	selfID string

	ownRoots [][]byte // envelopes of all versions of own
}

// circle reads peers, roots, keys and the time of one operation.
func (r *Room) circle() (*circle, error) {
	set := r.Marks.Get()
	c := &circle{
		peers: map[digest.Digest]peer.Peer{}, roots: map[digest.Digest]*root.Trusted{}, time: r.Marks.Now(), floor: set.Counters, marked: set.Roots, selfID: r.Self.ID,
	}
	err := r.State.View(func(tx *state.Tx) error {
		list, err := peer.List(tx)
		if err != nil {
			return err
		}
		for _, p := range list {
			t, err := chain(p.Roots)
			if err != nil {
				return fmt.Errorf("trust root of peer %s: %w", p.Name, err)
			}
			c.peers[t.ID()], c.roots[t.ID()] = p, t
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read peers: %w", err)
	}
	if c.own, c.ownRoots, err = r.own(); err != nil {
		return nil, err
	}
	if c.ids, err = r.Keys.Identities(); err != nil {
		return nil, err
	}
	if c.dare, err = r.Keys.DareKeys(); err != nil {
		return nil, err
	}
	return c, nil
}

// own is our own trust root at its newest version, and all its envelopes. They are read each time: a new version counts at once.
func (r *Room) own() (*root.Trusted, [][]byte, error) {
	envelopes, err := r.Keys.Roots(r.Self.Roots)
	if err != nil {
		return nil, nil, fmt.Errorf("own trust root: %w", err)
	}
	t, err := chain(envelopes)
	if err != nil {
		return nil, nil, fmt.Errorf("own trust root: %w", err)
	}
	return t, envelopes, nil
}

// chain accepts the envelopes of one trust root, version 1 first. They were accepted before, so dates are not judged again.
func chain(envelopes [][]byte) (*root.Trusted, error) {
	if len(envelopes) == 0 {
		return nil, code.New(code.RootUnknown, "no trust root is stored")
	}
	t, err := root.First(envelopes[0], time.Time{})
	for _, e := range envelopes[1:] {
		if err != nil {
			return nil, err
		}
		t, err = t.Next(e, time.Time{})
	}
	return t, err
}

// gate are the options for papers and bundles of peers. A root that is older than the newest ever accepted, as after a restored
// backup, vouches for nothing: it may name keys that were revoked since.
func (c *circle) gate() verify.Options {
	o := verify.Options{Identities: c.ids, Dare: c.dare, Now: c.time.Trusted, Audience: c.selfID}
	for _, t := range c.roots {
		if !c.forgets(t) {
			o.Trust.Roots = append(o.Trust.Roots, t)
		}
	}
	return o
}

// forgets tells whether a newer version of this root was accepted here before: a restored backup knows an older one.
func (c *circle) forgets(t *root.Trusted) bool { return t.Version() < c.marked[t.ID().String()] }

// labels are the options for labels: our own are recognised too, so that a hub knows its own bundles on a stick.
func (c *circle) labels() verify.Options {
	o := c.gate()
	o.Trust.Roots = append(o.Trust.Roots, c.own)
	o.SheetsMayLack = true
	return o
}

// only are the options for papers of one peer.
func (c *circle) only(t *root.Trusted) verify.Options {
	o := c.gate()
	o.Trust.Roots = []*root.Trusted{t}
	return o
}

// of finds the peer that pins a root.
func (c *circle) of(t *root.Trusted) (peer.Peer, error) {
	if t != nil {
		if p, ok := c.peers[t.ID()]; ok {
			return p, nil
		}
	}
	return peer.Peer{}, code.New(code.RootUnknown, "")
}

// byID finds a peer by its appliance id.
func (c *circle) byID(id string) (peer.Peer, bool) {
	for _, p := range c.peers {
		if p.ID == id {
			return p, true
		}
	}
	return peer.Peer{}, false
}

// issued is the time written on what we sign.
func issued(t marks.Reading) time.Time { return t.Stamp() }
