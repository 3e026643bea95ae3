package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/ident"
	"sallyport/internal/job"
	"sallyport/internal/media"
	"sallyport/internal/peer"
	"sallyport/internal/seal"
	"sallyport/internal/state"
)

// MinVolume is the smallest volume that is cut, in bytes: below it the 4,096 volumes hold next to nothing.
const MinVolume = 4 << 10

// DVD is the medium whose bundles are sorted into one folder per disc.
const DVD = "dvd"

// Request asks for a run. It is kept with the run as it was asked.
type Request struct {
	Tenant      string   `json:"tenant"`
	Profile     string   `json:"profile"`               // "mirror:full"
	For         string   `json:"for,omitempty"`         // peer name; "" only with Unencrypted
	To          string   `json:"to,omitempty"`          // absolute path of a medium; "" leaves the bundle on the shelf
	Unencrypted bool     `json:"unencrypted,omitempty"` // for everybody, or clear for one peer
	Seal        string   `json:"seal,omitempty"`        // "" or "age", or "dare" with the AES key shared with the peer
	VolumeBytes int64    `json:"volumeBytes,omitempty"` // 0: 1 GiB; 4 KiB … 4 GiB − 1
	AllowEmpty  bool     `json:"allowEmpty,omitempty"`
	Feeds       []string `json:"feeds,omitempty"`         // of a mirror: these alone; empty: all
	Base        string   `json:"base,omitempty"`          // of a delta, for experts: run id, bundle id or generation
	Reset       bool     `json:"resetBaseline,omitempty"` // the delta carries every record
	Anonymous   bool     `json:"anonymous,omitempty"`     // neither label nor name says for whom; the site finds itself
	Medium      string   `json:"medium,omitempty"`        // "", or DVD: To gets one folder per disc
	Actor       string   `json:"actor,omitempty"`
}

// Wants tells whether the request is for a feed.
func (q Request) Wants(feed string) bool { return len(q.Feeds) == 0 || slices.Contains(q.Feeds, feed) }

// Submit checks a request, stores a run as pending and returns its id. Codes: ERR_EXPORT_INVALID_REQUEST naming the
// field, ERR_EXPORT_PROFILE_NOT_FOUND, ERR_EXPORT_ENCRYPTION_REQUIRED, ERR_EXPORT_EMPTY, not-found for a peer, medium-*.
func (r *Room) Submit(ctx context.Context, q Request) (string, error) {
	if k, ok := r.kinds[q.Profile]; ok && k.Profile().Internal {
		return "", code.New(code.ExportProfile, "profile %.80q is not run by request", q.Profile)
	}
	return r.submit(ctx, q)
}

// submit gives refusals as they are: whoever asked has no run yet, and may never have asked for one by that name.
func (r *Room) submit(ctx context.Context, q Request) (string, error) {
	k, err := r.check(q)
	if err != nil {
		return "", err
	}
	now := r.Clock.Now()
	id, err := ident.New(now, r.Random)
	if err != nil {
		return "", fmt.Errorf("id of a run: %w", err)
	}
	body, err := json.Marshal(q)
	if err != nil {
		return "", fmt.Errorf("request of a run: %w", err)
	}
	p := k.Profile()
	run := job.Run{
		ID: id, Tenant: q.Tenant, Kind: p.Kind, Variant: p.Variant, Profile: fmt.Sprintf("%s@r%d", p.Name, p.Revision),
		By: q.Actor, Request: body, Priority: job.Normal,
	}
	if q.For != "" {
		run.Peers = []string{q.For}
	}
	err = r.State.Update(ctx, func(tx *state.Tx) error {
		if _, err := addressee(tx, q); err != nil {
			return err
		}
		probe := run
		if err := k.Pin(tx, &probe); err != nil {
			return err
		}
		if err := empty(probe, q); err != nil {
			return err
		}
		got, err := job.Submit(tx, run, now)
		if err != nil {
			return err
		}
		return r.tell(tx, "export.run.submitted", got, nil)
	})
	if err != nil {
		return "", r.sized(q, err)
	}
	r.poke()
	return id, nil
}

// check judges everything that needs no transaction.
func (r *Room) check(q Request) (Kind, error) {
	k, ok := r.kinds[q.Profile]
	if !ok {
		return nil, code.New(code.ExportProfile, "no profile %.80q", q.Profile)
	}
	if err := ident.Name(q.Tenant); err != nil {
		return nil, code.Wrap(code.ExportInvalid, err, "tenant")
	}
	if q.For == "" && !q.Unencrypted {
		return nil, code.New(code.EncryptionRequired, "no addressee: name a peer with --for, or say --unencrypted")
	}
	if q.Seal != "" && q.Seal != bundle.SealAge && q.Seal != bundle.SealDare || q.Seal != "" && q.Unencrypted {
		return nil, code.New(code.ExportInvalid, "seal").Want("age or dare, and not unencrypted", fmt.Sprintf("%.20q", q.Seal))
	}
	if q.VolumeBytes != 0 && (q.VolumeBytes < MinVolume || q.VolumeBytes > bundle.MaxVolume) {
		return nil, code.New(code.ExportInvalid, "volume size").Want(fmt.Sprintf("%d to %d bytes", MinVolume, int64(bundle.MaxVolume)), q.VolumeBytes)
	}
	if q.Anonymous && (q.Unencrypted || q.For == "") {
		return nil, code.New(code.ExportInvalid, "anonymous").Want("encrypted for a peer, which finds itself by its key", "in clear, or for nobody")
	}
	if q.Base != "" && k.Profile().Variant != "delta" || q.Reset && k.Profile().Variant != "delta" {
		return nil, code.New(code.ExportInvalid, "a base or its reset is of deltas alone").Want("mirror:delta", q.Profile)
	}
	if err := q.discs(); err != nil {
		return nil, err
	}
	return k, r.checkMedium(q.To)
}

// discs judges what is asked of a set of discs.
func (q Request) discs() error {
	switch {
	case q.Medium == "":
		return nil
	case q.Medium != DVD:
		return code.New(code.ExportInvalid, "medium").Want(DVD+", or none", fmt.Sprintf("%.20q", q.Medium))
	case q.To == "":
		return code.New(code.ExportInvalid, "discs need a folder to be sorted into: name it with --to")
	case q.VolumeBytes > media.DiscBytes:
		return code.New(code.ExportInvalid, "volume size").Want(fmt.Sprintf("at most %d bytes on a disc", int64(media.DiscBytes)), q.VolumeBytes)
	}
	return nil
}

// checkMedium refuses early what could only fail later: a path that is no medium, is read-only or is our own store.
func (r *Room) checkMedium(to string) error {
	if to == "" {
		return nil
	}
	if !filepath.IsAbs(to) {
		return code.New(code.ExportInvalid, "the medium's path must be absolute").In(to, "")
	}
	if err := media.Outside(to, r.DataDir); code.Of(err) == code.BadUsage {
		return code.Wrap(code.ExportInvalid, err, "medium").In(to, "")
	} else if err != nil {
		return err
	}
	m, err := media.Open(to)
	if err != nil {
		return err
	}
	i, err := m.Info()
	if err = errors.Join(err, m.Close()); err != nil {
		return err
	}
	if i.ReadOnly {
		return code.New(code.MediumReadOnly, "").In(to, "")
	}
	return nil
}

// addressee finds the peer a request names and refuses one that cannot read what we would write.
func addressee(tx *state.Tx, q Request) (*peer.Peer, error) {
	if q.For == "" {
		return nil, nil
	}
	p, err := peer.Get(tx, q.For)
	if err != nil {
		return nil, err
	}
	if p.Tenant != q.Tenant {
		return nil, code.New(code.ExportInvalid, "peer %q is bound to another tenant", q.For).Want(q.Tenant, p.Tenant)
	}
	if err := readable(p); err != nil {
		return nil, err
	}
	if q.Unencrypted || q.Seal == bundle.SealDare {
		return &p, nil
	}
	if _, err := seal.ParseRecipient(p.Recipient); err != nil {
		return nil, code.Wrap(code.EncryptionRequired, err, "recipient of peer %q", q.For)
	}
	return &p, nil
}

// readable refuses what the peer's card says it cannot read: it would be refused there, after the journey. A card that says
// no version we understand is believed about the format alone.
func readable(p peer.Peer) error {
	want, okWant := release(bundle.MinReader)
	have, okHave := release(p.Reads.Software)
	if p.Reads.BundleVersion >= bundle.Version && !(okWant && okHave && slices.Compare(have, want) < 0) {
		return nil
	}
	return code.New(code.ReaderTooOld, "peer %q cannot read what would be written", p.Name).
		Want(fmt.Sprintf("bundles of version %d, sallyport %s or newer", bundle.Version, bundle.MinReader),
			fmt.Sprintf("version %d, sallyport %.40q", p.Reads.BundleVersion, p.Reads.Software)).
		Do(fmt.Sprintf("Put sallyport %s or newer on the medium first; when it runs there, bring its new card.", bundle.MinReader))
}

// release is the number of a released version; false for anything else, as 0.0.0, which a build without a number says.
func release(version string) (n []int, ok bool) {
	number, _, _ := strings.Cut(version, "-")
	for part := range strings.SplitSeq(number, ".") {
		v, err := strconv.Atoi(part)
		if err != nil || v < 0 {
			return nil, false
		}
		n = append(n, v)
	}
	return n, len(n) == 3 && slices.Max(n) > 0
}

func empty(run job.Run, q Request) error {
	if run.Records == 0 && len(run.Bases) == 0 && !q.AllowEmpty {
		return code.New(code.ExportEmpty, "no record of %q originates here", q.Tenant)
	}
	return nil
}
