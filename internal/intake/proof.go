package intake

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/ident"
	"sallyport/internal/layer"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/state"
)

// maxEnvelope bounds a stored manifest envelope: the manifest in base64 and its signatures.
const maxEnvelope = 16 << 20

// Proof shows and checks the way from one record to a signature. For a local feed it ends at the load record.
type Proof struct {
	Feed        ident.FeedRef `json:"feed"`
	OriginName  string        `json:"originName"`
	Epoch       int64         `json:"epoch"`
	Generation  int64         `json:"generation"`
	StateRoot   digest.Digest `json:"stateRoot"`
	Kind        string        `json:"kind"`
	Key         string        `json:"key"`
	Digest      digest.Digest `json:"digest"` // of the record
	Bytes       int64         `json:"bytes"`
	Shard       digest.Digest `json:"shard,omitzero"` // the blob the record is a line of
	Line        *int64        `json:"line,omitempty"` // from 0
	Path        string        `json:"path,omitempty"` // of shard or document in the bundle
	Manifest    digest.Digest `json:"manifest,omitzero"`
	Bundle      string        `json:"bundle,omitempty"` // NAME
	Signer      string        `json:"signer,omitempty"` // nine words of the key
	KeyID       string        `json:"keyid,omitempty"`
	SignerState string        `json:"signerState,omitempty"` // "valid", or the code that says why it would not count today
	RootID      digest.Digest `json:"rootId,omitzero"`
	RootVersion int64         `json:"rootVersion,omitempty"`
	Local       bool          `json:"local"`
	LoadedBy    string        `json:"loadedBy,omitempty"`
	LoadRecord  digest.Digest `json:"loadRecord,omitzero"`
	Sources     []string      `json:"sources,omitempty"` // lines of the load record about the files it came from
	AcceptedAt  string        `json:"acceptedAt"`
	Checked     []string      `json:"checked"` // one sentence a step, in order
}

// Proof recomputes, from the bytes in the store, how one record of the active generation is vouched for: record, line,
// shard, manifest, signature. Any step that does not hold is an error (store-corrupt, signature, …), never a weaker proof.
func (r *Room) Proof(ctx context.Context, ref ident.FeedRef, kind, key string) (Proof, error) {
	var g feed.Generation
	var from peer.Peer
	var local bool
	err := r.State.View(func(tx *state.Tx) error {
		f, ok, err := feed.Get(tx, ref)
		if err == nil && ok {
			local = f.Local
			g, ok, err = feed.Current(tx, ref)
		}
		if err == nil && !ok {
			err = code.New(code.Missing, "no active generation of feed %.40q", ref.Name)
		}
		if err == nil && !local {
			from, _, err = peer.ByID(tx, ref.Origin)
		}
		return err
	})
	if err != nil {
		return Proof{}, err
	}
	p := Proof{Feed: ref, Epoch: g.Epoch, Generation: g.Generation, StateRoot: g.Root, Kind: kind, Key: key, Local: local, AcceptedAt: g.AcceptedAt}
	if err := r.proveRecord(ctx, &p, g); err != nil {
		return p, fmt.Errorf("prove %s %q: %w", kind, key, err)
	}
	if local {
		p.OriginName = r.Self.Name
		err = r.proveLoad(&p, g)
	} else {
		p.OriginName = from.Name
		err = r.proveManifest(&p, g, from)
	}
	if err != nil {
		return p, fmt.Errorf("prove %s %q: %w", kind, key, err)
	}
	return p, nil
}

func (p *Proof) checked(format string, args ...any) {
	p.Checked = append(p.Checked, fmt.Sprintf(format, args...))
}

// proveRecord finds the record, hashes its body, and for a line counts it in its shard and hashes the whole shard.
func (r *Room) proveRecord(ctx context.Context, p *Proof, g feed.Generation) error {
	v, err := r.view(g)
	if err != nil {
		return err
	}
	defer v.Close()
	it, ok, err := v.Get(p.Kind, p.Key)
	if err == nil && !ok {
		err = code.New(code.Missing, "no %s %.200q in feed %s", p.Kind, p.Key, p.Feed.Name)
	}
	if err != nil {
		return err
	}
	open := layer.Opener(r.CAS.Open)
	body, err := v.Body(it, open)
	if err != nil {
		return err
	}
	p.Digest, p.Bytes = it.Digest, int64(len(body))
	if got := digest.Of(body); got != it.Digest {
		return code.New(code.StoreCorrupt, "the record").Want(it.Digest, got)
	}
	p.checked("record: %d bytes have digest %s", len(body), it.Digest)
	if it.Document {
		return nil
	}
	s, line, err := v.Line(it, open)
	if err != nil {
		return err
	}
	p.Shard, p.Line = s.Digest, &line
	p.checked("line: it is line %d of shard %s", line, s.Digest)
	if err := r.rehash(ctx, s.Digest); err != nil {
		return err
	}
	p.checked("shard: its %d bytes have that digest", s.Bytes)
	return nil
}

// rehash reads a blob to its end; the last read fails when its bytes are not what its name says.
func (r *Room) rehash(ctx context.Context, d digest.Digest) error {
	f, err := r.CAS.OpenVerified(d)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return code.Wrap(code.Interrupted, err, "read shard")
		}
		if _, err := f.Read(buf); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// proveManifest finds the manifest that names the record's shard or document, verifies its signature again, and demands that
// the newest one gives the generation its state root. Of a generation made by deltas the two may differ: the full, or an
// earlier delta, vouches for a record that has not changed since.
func (r *Room) proveManifest(p *Proof, g feed.Generation, from peer.Peer) error {
	t, err := chain(from.Roots)
	if err != nil {
		return err
	}
	keys, err := keysEver(from.Roots)
	if err != nil {
		return err
	}
	list := g.Vouchers()
	for i := len(list) - 1; i >= 0; i-- {
		newest := i == len(list)-1
		v, m, err := r.vouched(list[i], keys, p.Feed, newest, g.Root)
		if err != nil {
			return err
		}
		at := m.names(p)
		if newest && len(list) > 1 {
			p.checked("state: %s gives generation %d the state root %s", m.ExportID, g.Generation, g.Root)
		}
		if at < 0 {
			continue
		}
		p.Path, p.Manifest, p.Bundle = m.Contents[at].Path, v.PayloadDigest(), m.ExportID
		p.checked("manifest: %s names it as %s, in feed %s with state root %s", m.ExportID, p.Path, p.Feed.Name, m.state().StateRoot)
		p.signer(v.Keys()[0], t, m.Manifest, r.Marks.Now().Trusted)
		return nil
	}
	return code.New(code.StoreCorrupt, "no stored manifest names what the layer points to").In("feed "+p.Feed.Name, "").Want(p.content(), "nothing")
}

// keysEver are the keys of every version of a trust root that was accepted here: what a key signed in its time stays proven
// when the root has let it go, and the proof says what it counts today.
func keysEver(envelopes [][]byte) (keys []*attest.Key, err error) {
	for i := range envelopes {
		t, err := chain(envelopes[:i+1])
		if err != nil {
			return nil, err
		}
		for _, k := range t.All() {
			if !slices.ContainsFunc(keys, func(old *attest.Key) bool { return old.ID() == k.ID() }) {
				keys = append(keys, k)
			}
		}
	}
	return keys, nil
}

// content is the digest of what a manifest must name for the record: the shard of a line, or the document itself.
func (p *Proof) content() digest.Digest {
	if p.Line != nil {
		return p.Shard
	}
	return p.Digest
}

// vouching is a manifest and the feed that it speaks of here.
type vouching struct {
	*bundle.Manifest
	feed int
}

func (m vouching) state() *bundle.FeedState { return &m.Feeds[m.feed] }

// names finds the content of a record in a manifest, or -1.
func (m vouching) names(p *Proof) int {
	role := bundle.RoleDocument
	if p.Line != nil {
		role = bundle.RoleShard
	}
	want := p.content()
	return slices.IndexFunc(m.Contents, func(c bundle.Content) bool {
		return c.Digest == want && c.Role == role && c.Kind == p.Kind && c.Feed != nil && *c.Feed == int64(m.feed)
	})
}

// vouched reads one of a generation's manifests and verifies it again. The newest must give the generation its state root.
func (r *Room) vouched(w feed.Voucher, keys []*attest.Key, ref ident.FeedRef, newest bool, stateRoot digest.Digest) (*attest.Verified, vouching, error) {
	envelope, err := r.CAS.ReadAll(w.Manifest, maxEnvelope)
	if err != nil {
		return nil, vouching{}, err
	}
	v, err := attest.Verify(envelope, attest.Policy{Types: []string{attest.TypeManifest}, Keys: keys})
	if err != nil {
		return nil, vouching{}, err
	}
	m, err := bundle.ParseManifest(v.Payload())
	if err != nil {
		return nil, vouching{}, err
	}
	if w.FeedIndex < 0 || w.FeedIndex >= len(m.Feeds) {
		return nil, vouching{}, code.New(code.StoreCorrupt, "the stored manifest has no such feed").In(m.ExportID, "").Want(w.FeedIndex, len(m.Feeds))
	}
	f := m.Feeds[w.FeedIndex]
	if f.Feed != ref.Name || f.Origin != ref.Origin || newest && f.StateRoot != stateRoot {
		return nil, vouching{}, code.New(code.StoreCorrupt, "the stored manifest speaks of another feed or state").In(m.ExportID, "").Want(stateRoot, f.StateRoot)
	}
	return v, vouching{m, w.FeedIndex}, nil
}

func (p *Proof) signer(k *attest.Key, t *root.Trusted, m *bundle.Manifest, now time.Time) {
	p.Signer, p.KeyID, p.RootID, p.RootVersion, p.SignerState = k.Words(), k.ID(), t.ID(), t.Version(), "valid"
	if err := t.Why(k.ID(), root.RoleBundle, m.Tenant, m.Appliance.ID, now); err != nil {
		p.SignerState = string(code.Of(err))
	}
	p.checked("signature: by %s (%s), key %s of root %s version %d, today %s", m.Appliance.Name, m.Tenant, k.ID(), t.ID().Short(), t.Version(), p.SignerState)
}

// proveLoad reads the load record: who brought the record in, and from which files.
func (r *Room) proveLoad(p *Proof, g feed.Generation) error {
	p.LoadedBy, p.LoadRecord = g.LoadedBy, g.LoadRecord
	p.checked("loaded here by %s, not signed by anyone else", g.LoadedBy)
	if g.LoadRecord.IsZero() {
		return nil
	}
	f, err := r.CAS.OpenVerified(g.LoadRecord)
	if err != nil {
		return err
	}
	defer f.Close()
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		if bytes.Contains(scan.Bytes(), []byte(p.Digest.String())) || strings.Contains(scan.Text(), `"file"`) && len(p.Sources) < 64 {
			p.Sources = append(p.Sources, clean(scan.Text()))
		}
	}
	if err := scan.Err(); err != nil {
		return err
	}
	p.checked("load record %s: names the files it came from", g.LoadRecord)
	return nil
}
