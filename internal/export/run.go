package export

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/job"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/seal"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/verify"
)

// work is one attempt of one run.
type work struct {
	*Room
	ctx    context.Context
	run    job.Run
	req    Request
	kind   Kind
	peer   *peer.Peer // nil: for everybody
	now    time.Time  // the one reading of this attempt
	root   *root.Trusted
	signer *attest.Signer // the tenant's bundle key: manifest, raw signature and label
	dare   seal.DareKey   // shared with the peer, when the request asks for that seal
	log    bundle.Log
	acks   []digest.Digest
	delta  *Contents // of a delta: what it changes
}

// execute runs one attempt from pending to its end. The error says why it did not succeed; finish records it.
func (r *Room) execute(ctx context.Context, id string) (err error) {
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = fmt.Errorf("run %s: %w", id, context.Cause(ctx))
		}
	}()
	run, err := r.move(ctx, id, job.Planning, nil)
	if err != nil {
		return err
	}
	w := &work{Room: r, ctx: ctx, run: run, now: r.reading()}
	if err := w.plan(); err != nil {
		return err
	}
	r.FS.Point("export.planned")
	dir := filepath.Join(r.Shelf(), building+id)
	defer os.RemoveAll(dir) // after a crash the next start does it
	if w.run.Shelf == "" {
		err = w.build(dir)
	} else {
		err = w.resume()
	}
	if err != nil {
		return err
	}
	return w.distribute()
}

// reading is the time this appliance signs with.
func (r *Room) reading() time.Time { return r.Marks.Now().Stamp() }

// plan pins everything the run says and carries, and moves it to running.
func (w *work) plan() (err error) {
	if w.req, err = RequestOf(w.run); err != nil {
		return err
	}
	if w.kind = w.kinds[w.req.Profile]; w.kind == nil {
		return code.New(code.ExportProfile, "no profile %.80q", w.req.Profile)
	}
	if w.signer, err = w.Keys.Bundle(w.req.Tenant); err != nil {
		return in("signing", err)
	}
	clerk, err := w.Keys.Appliance()
	if err != nil {
		return in("signing", err)
	}
	if w.root, err = w.trusted(); err != nil {
		return err
	}
	if w.sealMode() == bundle.SealDare {
		if w.dare, err = w.Keys.Dare(w.req.For); err != nil {
			return in("signing", err)
		}
	}
	challenge, err := w.challenge()
	if err != nil {
		return err
	}
	w.run, err = w.move(w.ctx, w.run.ID, job.Running, func(tx *state.Tx, run job.Run) (func(*job.Run), []timeline.Event, error) {
		if err := w.pin(tx, &run, clerk); err != nil {
			return nil, nil, err
		}
		return func(to *job.Run) {
			to.Name, to.Feeds, to.Bases, to.Records, to.Challenge, to.Papers = run.Name, run.Feeds, run.Bases, run.Records, challenge, run.Papers
		}, nil, nil
	})
	return w.sized(w.req, err)
}

// challenge is what only who opens the bundle can know; a run whose bundle stands already keeps its own.
func (w *work) challenge() (string, error) {
	if w.req.Unencrypted || w.run.Shelf != "" {
		return w.run.Challenge, nil
	}
	var b [16]byte
	if _, err := io.ReadFull(w.Random, b[:]); err != nil {
		return "", fmt.Errorf("challenge: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

// pin is the part of planning that reads the ledgers: one moment for feeds, peer, log and acknowledgements.
func (w *work) pin(tx *state.Tx, run *job.Run, clerk *attest.Signer) (err error) {
	if w.peer, err = addressee(tx, w.req); err != nil {
		return err
	}
	if run.Shelf != "" {
		return nil // pinned by the attempt that built it
	}
	before := *run
	if err := w.kind.Pin(tx, run); err != nil {
		return err
	}
	if err := empty(*run, w.req); err != nil {
		return err
	}
	if err := pinned(tx, before, *run); err != nil {
		return err
	}
	if run.Name == "" {
		p := w.kind.Profile()
		to := w.req.For
		if w.req.Anonymous {
			to = ""
		}
		run.Name, err = job.UniqueName(tx, run.ID, func(n int) string { return bundle.Name(p.Kind, w.now, p.Variant, to, n) })
		if err != nil {
			return err
		}
	}
	var from *bundle.Head
	if w.peer != nil && w.peer.Log != nil {
		from = &bundle.Head{Size: int64(w.peer.Log.Size), Root: w.peer.Log.Root}
	}
	if w.log, err = w.Timeline.Section(tx, clerk, from); err != nil {
		return err
	}
	if w.peer != nil && w.Acks != nil {
		w.acks, err = w.Acks(tx, w.peer.ID)
		slices.SortFunc(w.acks, func(a, b digest.Digest) int { return slices.Compare(a[:], b[:]) })
		w.acks = slices.Compact(w.acks)
	}
	return err
}

// chain accepts our own root documents one after the other. Dates are not judged: an own root that has expired still
// says which key is whose, and the gate judges what is signed under it.
func chain(envelopes [][]byte) (*root.Trusted, error) {
	if len(envelopes) == 0 {
		return nil, code.New(code.RootBad, "this appliance has no trust root")
	}
	t, err := root.First(envelopes[0], time.Time{})
	for _, env := range envelopes[1:] {
		if err != nil {
			break
		}
		t, err = t.Next(env, time.Time{})
	}
	if err != nil {
		return nil, fmt.Errorf("own trust root: %w", err)
	}
	return t, nil
}

// advance reports progress of a stage.
func (w *work) advance(stage string, items, totalItems, bytes, totalBytes int64) {
	w.hub.progress(Run{Run: w.run}, Progress{Stage: stage, Items: items, TotalItems: totalItems, Bytes: bytes, TotalBytes: totalBytes})
}

// options are those of the gate for our own work: our own root, our own reading, nobody's audience.
func (w *work) options() verify.Options {
	return verify.Options{Trust: verify.Trust{Roots: []*root.Trusted{w.root}}, Now: w.now}
}

// step moves the run on without anything else to record.
func (w *work) step(to job.State) (err error) {
	w.run, err = w.move(w.ctx, w.run.ID, to, nil)
	return err
}

// resume takes up a run whose bundle stands on the shelf: nothing is built again, but the gate looks again.
func (w *work) resume() error {
	for _, to := range []job.State{job.Signing, job.Verifying} {
		if err := w.step(to); err != nil {
			return err
		}
	}
	if err := w.outer(w.Shelf(), w.run.Shelf); err != nil {
		return in("verify", code.Wrap(code.ExportVerify, err, "bundle on the shelf").In(w.run.Shelf, ""))
	}
	return w.step(job.Distributing)
}

// outer has the gate check label, sheets and every volume of a bundle folder.
func (w *work) outer(under, dir string) error {
	fsys := os.DirFS(under)
	p, err := verify.CheckLabel(w.ctx, fsys, dir, w.options())
	if err != nil {
		return err
	}
	o := w.options()
	o.Progress = func(done, total int64) { w.advance("verifying", 0, 0, done, total) }
	return verify.Outer(w.ctx, p, o)
}

// when writes the attempt's reading as everything we sign does.
func (w *work) when() string { return clock.Format(w.now) }
