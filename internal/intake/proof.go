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

// proveManifest verifies the stored manifest's signature again and finds shard or document in it.
func (r *Room) proveManifest(p *Proof, g feed.Generation, from peer.Peer) error {
	t, err := chain(from.Roots)
	if err != nil {
		return err
	}
	envelope, err := r.CAS.ReadAll(g.Manifest, maxEnvelope)
	if err != nil {
		return err
	}
	v, err := attest.Verify(envelope, attest.Policy{Types: []string{attest.TypeManifest}, Keys: t.All()})
	if err != nil {
		return err
	}
	m, err := bundle.ParseManifest(v.Payload())
	if err != nil {
		return err
	}
	want := p.Digest
	if p.Line != nil {
		want = p.Shard
	}
	i := slices.IndexFunc(m.Contents, func(c bundle.Content) bool {
		return c.Digest == want && c.Feed != nil && *c.Feed == int64(g.FeedIndex) && (c.Role == bundle.RoleShard || c.Role == bundle.RoleDocument)
	})
	if i < 0 || g.FeedIndex >= len(m.Feeds) || m.Feeds[g.FeedIndex].StateRoot != g.Root {
		return code.New(code.StoreCorrupt, "the stored manifest does not name what the layer points to").In(m.ExportID, "").Want(want, "nothing")
	}
	p.Path, p.Manifest, p.Bundle = m.Contents[i].Path, v.PayloadDigest(), m.ExportID
	p.checked("manifest: %s names it as %s, in feed %s with state root %s", m.ExportID, p.Path, m.Feeds[g.FeedIndex].Feed, g.Root)
	p.signer(v.Keys()[0], t, m, r.Marks.Now().Trusted)
	return nil
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
