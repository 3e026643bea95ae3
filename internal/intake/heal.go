package intake

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/cas"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/ident"
	"sallyport/internal/layer"
	"sallyport/internal/root"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/verify"
)

// Ill is what is damaged or missing here.
type Ill struct {
	Blobs  map[digest.Digest]bool
	Layers map[string]bool // files below D/layers
}

// Healing is what one bundle gave back. Err says why it gave nothing.
type Healing struct {
	Name, From string
	Blobs      []digest.Digest
	Layers     []string
	Bytes      int64
	Err        error
}

// Heal takes from every bundle on a medium that this appliance can open what is ill here, and nothing else. Each bundle
// goes through the gate in full; what it gives is known by its digest, so an old bundle is as good as a new one: dates are
// judged by its own anchor, marks are not asked and nothing is activated. A damaged base layer is built again from the
// index of the full bundle it came from, and is installed only when it has the state root it had.
//
// Dates and keys of today do not matter for that: where the newest trust root no longer has the signer, the versions of it that
// were accepted here before are asked, the newest first. Of a bundle that only they vouch for, bodies are taken whose digests
// are known here, and no layer. Our own bundles are as good as others, where they can be opened here.
//
// Order: all of a bundle is verified and staged, the blobs are committed, the layers renamed into place, one event says so.
// A crash before that event leaves things healed that nobody wrote down.
func (r *Room) Heal(ctx context.Context, at string, ill Ill, actor string, progress Progress) ([]Healing, error) {
	select {
	case <-r.one:
		defer func() { r.one <- struct{}{} }()
	case <-ctx.Done():
		return nil, code.Wrap(code.Interrupted, ctx.Err(), "wait for the import before this one")
	}
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	v, err := r.look(ctx, at)
	if err != nil {
		return nil, err
	}
	defer v.medium.Close()
	var all []Healing
	for _, dir := range v.found.Bundles {
		h, err := r.healFrom(ctx, v, dir, ill, actor, progress)
		switch {
		case ctx.Err() != nil:
			return all, code.Wrap(code.Interrupted, err, "heal")
		case err != nil && !ofBundle(err):
			return all, fmt.Errorf("heal from %s: %w", h.Name, err)
		}
		h.Err = err
		for _, d := range h.Blobs {
			delete(ill.Blobs, d)
		}
		for _, f := range h.Layers {
			delete(ill.Layers, f)
		}
		all = append(all, h)
	}
	return all, nil
}

// healFrom is Heal for one bundle: with the trust of today, else with that of before.
func (r *Room) healFrom(ctx context.Context, v *visit, dir string, ill Ill, actor string, progress Progress) (Healing, error) {
	o := v.labels()
	o.Now, o.SheetsMayLack = time.Time{}, true
	h, err := r.healWith(ctx, v, dir, healing{o, ill, actor, progress, false})
	if !outgrown(err) {
		return h, err
	}
	for _, t := range v.before() {
		o.Trust.Roots = []*root.Trusted{t}
		if older, oerr := r.healWith(ctx, v, dir, healing{o, ill, actor, progress, true}); !outgrown(oerr) {
			return older, oerr
		}
	}
	if v.forOthers(dir, err) {
		l := v.peek(dir)
		h.Name, h.From, err = l.Name, l.Appliance.Name, code.New(code.NotForUs, "").In(dir, "")
	}
	return h, err
}

// healing is one try at a bundle. past tells that its trust is not that of today.
type healing struct {
	o        verify.Options
	ill      Ill
	actor    string
	progress Progress
	past     bool
}

// outgrown tells an error that an earlier version of the trust root may not have, one in which the signer still stood.
func outgrown(err error) bool {
	switch code.Of(err) {
	case code.KeyRevoked, code.KeyRole, code.KeyScope, code.SignerUnknown, code.RootUnknown, code.KeyExpired, code.RootExpired, code.Threshold:
		return true
	}
	return false
}

// before lists the earlier versions of all trust roots that were accepted here, ours too, the newest first.
func (c *circle) before() (list []*root.Trusted) {
	chains := [][][]byte{c.ownRoots}
	for _, p := range c.peers {
		chains = append(chains, p.Roots)
	}
	for _, envelopes := range chains {
		for n := len(envelopes) - 1; n > 0; n-- {
			if t, err := chain(envelopes[:n]); err == nil {
				list = append(list, t)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b *root.Trusted) int { return cmp.Compare(b.Version(), a.Version()) })
	return list
}

// healWith is healFrom under one trust.
func (r *Room) healWith(ctx context.Context, v *visit, dir string, q healing) (h Healing, err error) {
	o := q.o
	h.Name = dir
	p, err := verify.CheckLabel(ctx, v.fsys, dir, o)
	if err != nil {
		return h, err
	}
	l := p.Label()
	h.Name, h.From = l.Name, l.Appliance.Name
	switch made := p.Root() != nil && p.Root().ID() == v.own.ID() && l.Appliance.ID == v.selfID; {
	case made && l.Sealed.Mode != bundle.SealNone && !p.ForUs(v.ids, v.selfID):
		return h, code.New(code.NotForUs, "made here, and encrypted for others: it cannot be opened here").In(dir, "")
	case made:
		o.Audience = ""
	case !v.forUs(p):
		return h, code.New(code.NotForUs, "").In(dir, "")
	}
	s := &healer{room: r, circle: v.circle, past: q.past, ill: q.ill, staged: map[string]blob{}, give: map[digest.Digest]int64{}}
	defer s.drop()
	if s.stage, err = r.CAS.Stage(); err != nil {
		return h, err
	}
	o.Sink = s
	o.Progress = func(done, total int64) { q.progress("verify "+l.Name, done, total) }
	b, err := verify.Open(ctx, p, o)
	if err != nil {
		return h, err
	}
	if err := s.closeCurrent(); err != nil {
		return h, err
	}
	if err := s.envelope(b.Envelope()); err != nil {
		return h, err
	}
	return h, s.apply(ctx, b, &h, q.actor)
}

// healer takes out of one bundle what is ill here. It is the gate's sink.
type healer struct {
	room    *Room
	circle  *circle
	past    bool // the signer counts no longer: bodies only
	ill     Ill
	stage   *cas.Stage
	tenant  string                  // ours, that the bundle's feeds belong to
	bases   map[int]string          // feed of the manifest → damaged layer file that it can make again
	staged  map[string]blob         // by path: also the indexes that layers are made from
	give    map[digest.Digest]int64 // what will be committed
	current *cas.Writer
	content bundle.Content
	release func()
}

// Begin finds out what the bundle can give, and reserves room for that.
func (s *healer) Begin(b *verify.Bundle) error {
	if err := s.closeCurrent(); err != nil {
		return err
	}
	m := b.Manifest()
	s.tenant, s.bases = m.Tenant, map[int]string{}
	if b.Root() == nil || b.Root().ID() != s.circle.own.ID() {
		p, err := s.circle.of(b.Root())
		if err != nil {
			return err
		}
		s.tenant = p.Tenant
	}
	for i, f := range m.Feeds {
		file := layer.FileName(s.meta(f))
		if m.Delta == nil && !s.past && s.ill.Layers[file] {
			s.bases[i] = file
		}
	}
	var need int64
	for _, c := range m.Contents {
		if s.wanted(c) {
			need += c.Bytes
		}
	}
	if s.release != nil {
		s.release()
	}
	var err error
	s.release, err = s.room.CAS.Reserve(need + need/layerShare)
	if err != nil {
		return fmt.Errorf("reserve space to heal from %s: %w", m.ExportID, err)
	}
	return nil
}

func (s *healer) meta(f bundle.FeedState) layer.Meta {
	return layer.Meta{
		Feed: ident.FeedRef{Tenant: s.tenant, Origin: f.Origin, Name: f.Feed}, Epoch: f.Epoch, Generation: f.Generation, Root: f.StateRoot,
	}
}

func (s *healer) wanted(c bundle.Content) bool {
	if s.ill.Blobs[c.Digest] {
		return true
	}
	return c.Role == bundle.RoleIndex && c.Feed != nil && s.bases[int(*c.Feed)] != ""
}

// Entry gives a writer to what is wanted; the content before it is complete.
func (s *healer) Entry(c bundle.Content) (io.Writer, error) {
	if err := s.closeCurrent(); err != nil || !s.wanted(c) {
		return nil, err
	}
	w, err := s.stage.Create()
	if err != nil {
		return nil, fmt.Errorf("stage %s: %w", c.Path, err)
	}
	s.current, s.content = w, c
	return w, nil
}

func (s *healer) closeCurrent() error {
	if s.current == nil {
		return nil
	}
	w, c := s.current, s.content
	s.current = nil
	d, n, err := w.Close()
	if err != nil {
		return fmt.Errorf("stage %s: %w", c.Path, err)
	}
	if d != c.Digest || n != c.Bytes {
		return code.New(code.EntryDigest, "").In(c.Path, "").Want(c.Digest, d)
	}
	s.staged[c.Path] = blob{d, n}
	if s.ill.Blobs[d] {
		s.give[d] = n
	}
	return nil
}

// envelope stages the signed manifest itself, which proofs need.
func (s *healer) envelope(b []byte) error {
	d := digest.Of(b)
	if !s.ill.Blobs[d] {
		return nil
	}
	w, err := s.stage.Create()
	if err != nil {
		return err
	}
	if _, err := w.Write(b); err != nil {
		w.Abort()
		return err
	}
	if _, _, err := w.Close(); err != nil {
		return err
	}
	s.give[d] = int64(len(b))
	return nil
}

// apply commits what the bundle gives. The gate has seen its last byte.
func (s *healer) apply(ctx context.Context, b *verify.Bundle, h *Healing, actor string) error {
	for d, n := range s.give {
		h.Blobs, h.Bytes = append(h.Blobs, d), h.Bytes+n
	}
	if err := s.stage.Commit(h.Blobs...); err != nil {
		h.Blobs, h.Bytes = nil, 0
		return err
	}
	s.room.FS.Point("heal.committed")
	for i, file := range s.bases {
		n, err := s.rebuild(ctx, b.Manifest(), i)
		if err != nil {
			return fmt.Errorf("build layer %s again: %w", file, err)
		}
		h.Layers, h.Bytes = append(h.Layers, file), h.Bytes+n
	}
	if len(h.Blobs)+len(h.Layers) == 0 {
		return nil
	}
	return s.room.State.Update(ctx, func(tx *state.Tx) error {
		_, err := s.room.Timeline.Append(tx, timeline.Event{
			Type: "bundle.import.accepted", Tenant: s.tenant, Actor: actor, Subject: "bundle/" + h.Name, Attrs: map[string]string{
				"bundleId": b.ID().String(), "signer": b.Signer().ID(), "healed.blobs": fmt.Sprint(len(h.Blobs)), "healed.layers": fmt.Sprint(len(h.Layers)),
				"healed.bytes": fmt.Sprint(h.Bytes), "signer.past": fmt.Sprint(s.past),
			},
		})
		return err
	})
}

// rebuild makes a base layer again. Its records are hashed while it is built, and its state root is that of its name.
func (s *healer) rebuild(ctx context.Context, m *bundle.Manifest, i int) (int64, error) {
	pr := &prepared{sink: &sink{stage: s.stage, staged: s.staged}}
	parts := contentsOf(m, i)
	scratch := s.stage.Path(fmt.Sprintf("sort-%d", i))
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return 0, err
	}
	meta := s.meta(m.Feeds[i])
	w, err := s.room.Layers.Create(meta.Feed, scratch)
	if err != nil {
		return 0, err
	}
	defer w.Abort()
	built, err := layer.Build(ctx, w, pr.lines(parts.index), parts.source(pr), nil)
	if err != nil {
		return 0, err
	}
	meta.Shards, meta.Counts, meta.Bytes = built.Shards, built.Counts, built.Bytes
	if err := w.Seal(meta); err != nil {
		return 0, err
	}
	_, n, err := s.room.Layers.Install(w, meta)
	return n, err
}

func (s *healer) drop() {
	if s.current != nil {
		s.current.Abort()
	}
	if s.stage != nil {
		s.stage.Discard()
	}
	if s.release != nil {
		s.release()
	}
}

// Manifest reads a manifest that was verified when its bundle came in, by the digest of its envelope; the digest is checked.
func (r *Room) Manifest(envelope digest.Digest) (*bundle.Manifest, error) {
	b, err := r.CAS.ReadAll(envelope, maxEnvelope)
	if err != nil {
		return nil, err
	}
	claim, err := attest.Inspect(b)
	if err != nil {
		return nil, err
	}
	return bundle.ParseManifest(claim.Payload)
}
