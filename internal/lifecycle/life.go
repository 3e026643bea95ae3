package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sallyport/internal/attest"
	"sallyport/internal/code"
	"sallyport/internal/feed"
	"sallyport/internal/job"
	"sallyport/internal/keyring"
	"sallyport/internal/marks"
	"sallyport/internal/peer"
	"sallyport/internal/root"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
	"sallyport/internal/wire"
)

// A restored appliance begins a new life. Between its backup and its loss it may have given out numbers that it no longer
// knows of; everything it numbers therefore leaps to where it cannot have been:
//
//	feeds       what is active becomes generation 1 of a new epoch
//	timeline    a new log, whose first entry names the last head that the backup knows
//	own root    version N+1, which names epochs and log; whoever trusts N takes it up as one change of trust. What was
//	            published after the backup is taken from a medium first: no version is signed twice
//	counters    of cards, receipts, inventories, anchors and quarantine: 2^20 further, more than one appliance gives out in a life
//
// What it had heard from peers is dropped, and until something of each was read again nothing is exported to it.

// leapBy is how far our own counters jump: far above what may have been given out since the backup, and so far below 2^53
// that eight thousand million restores fit.
const leapBy = 1 << 20

// maxEarlier bounds Earlier: each takes a version of the root, of which a reader follows 64 in a row.
const maxEarlier = 32

// leap raises s to the marks of the backup, and our own counters to beyond what the lost future can have used. Where s holds
// the lost appliance's own marks these stay when they are higher still: every number is used up there before it is used.
func leap(s *marks.Set, past marks.Set, earlier int) {
	for k, m := range past.Feeds {
		if old, ok := s.Feeds[k]; !ok || old.Less(m) {
			s.Feeds[k] = m
		}
	}
	for k, n := range past.Roots {
		s.Roots[k] = max(s.Roots[k], n)
	}
	for k, n := range past.Anchors {
		s.Anchors[k] = max(s.Anchors[k], n)
	}
	s.Counters[marks.Floor] = max(s.Counters[marks.Floor], past.Counters[marks.Floor]+leapBy*int64(1+earlier))
	for k, n := range past.Counters {
		if marks.Own(k) {
			n += leapBy * int64(1+earlier)
		}
		s.Counters[k] = max(s.Counters[k], n)
	}
	for k, list := range past.Accepted {
		for _, p := range list {
			s.Accept(k, p)
		}
	}
	if past.Trusted.After(s.Trusted) {
		s.Trusted, s.Source = past.Trusted, past.Source
	}
}

// relive changes in the copied state what must not go on as it was.
func (r *restoring) relive() (err error) {
	m, err := marks.Open(filepath.Join(r.DataDir, "marks"), r.FS, r.Clock)
	if err != nil {
		return err
	}
	db, err := state.Open(filepath.Join(r.DataDir, "state.db"), r.FS)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if got := db.Instance(); got != r.in.Instance {
		return code.New(code.BackupBad, "its state is of another appliance").In(r.from, "state.db").Want(r.in.Instance, got)
	}
	l := &life{restoring: r, log: timeline.New(r.in.ID, m.Now, r.Random), marks: m}
	if err := db.Update(context.Background(), l.begin); err != nil {
		return err
	}
	if err := l.root(); err != nil {
		return err
	}
	return db.Update(context.Background(), l.tell)
}

// life is the state of a restored appliance being made.
type life struct {
	*restoring
	log      *timeline.Log
	marks    *marks.Marks
	feeds    []feed.Reborn
	restored []root.Restored // one for each log that is opened
	applied  []int64         // versions of our root that were made
}

// begin opens the log, puts feeds into their epoch, forgets what was heard, and ends what cannot go on.
func (l *life) begin(tx *state.Tx) (err error) {
	now := l.marks.Now().Trusted
	l.restored, l.out.Peers, l.out.Feeds = nil, nil, nil
	for range 1 + l.Earlier {
		if err := l.open(tx); err != nil {
			return err
		}
	}
	if l.feeds, l.out.Epoch, err = feed.Rebirth(tx, max(l.out.Log, l.used+1)-int64(l.Earlier), int64(l.Earlier), now); err != nil {
		return err
	}
	for i := range l.restored {
		l.restored[i].Epoch = l.out.Epoch - int64(len(l.restored)-1-i)
	}
	for _, b := range l.feeds {
		l.out.Feeds = append(l.out.Feeds, RestoredFeed{b.Ref.Name, b.Before.String(), b.After.String()})
	}
	if err := l.forget(tx); err != nil {
		return err
	}
	if err := tx.LeapSeq("quarantine", leapBy*uint64(1+l.Earlier)); err != nil {
		return err
	}
	return l.end(tx)
}

// open begins the next log; its first entry names the last head of the one before.
func (l *life) open(tx *state.Tx) error {
	number, err := l.log.BeginAs(tx, l.Actor, map[string]string{
		"backup": l.archive.CreatedAt, "reason": l.Reason, "withoutCards": fmt.Sprint(l.WithoutCards), "marksKept": fmt.Sprint(l.out.KeptOld),
		"earlier": fmt.Sprint(l.Earlier),
	})
	if err != nil {
		return err
	}
	l.out.Log = number
	l.restored = append(l.restored, root.Restored{
		Backup: l.archive.CreatedAt, Log: number, Before: max(l.archive.Log, 1), Size: l.archive.Head.Size, Root: l.archive.Head.Root,
	})
	return nil
}

// forget drops what peers had told, and which of our log they had seen.
func (l *life) forget(tx *state.Tx) error {
	list, err := peer.List(tx)
	if err != nil {
		return err
	}
	for _, p := range list {
		if !l.WithoutCards {
			l.out.Peers = append(l.out.Peers, p.Name)
		}
		if _, err := peer.Edit(tx, p.Name, func(p *peer.Peer) error {
			p.Views, p.Wanted, p.Log, p.Unheard = nil, nil, nil, !l.WithoutCards
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// end cancels runs that were under way, and lets those expire whose bundle stood on the lost shelf: nothing may be sent, or
// taken to be held by a peer, in the old epoch.
func (l *life) end(tx *state.Tx) error {
	now := l.marks.Now().Trusted
	why := wire.FromError(code.New(code.Interrupted, "this appliance was restored from a backup that was made while this ran").Do("Look whether it was done; if not, start it anew."))
	if _, err := job.Interrupt(tx, now, why); err != nil {
		return err
	}
	runs, err := job.List(tx, "", "", 0, func(r job.Run) bool { return !r.State.Final() || r.State == job.Succeeded })
	if err != nil {
		return err
	}
	for _, run := range runs {
		to := job.Cancelled
		if run.State == job.Succeeded {
			to = job.Expired
		}
		if _, err := job.Move(tx, run.ID, to, now, func(r *job.Run) { r.Shelf = "" }); err != nil {
			return err
		}
		typ := job.EventType(run.State, to)
		if typ == "" {
			continue
		}
		if _, err := l.log.Append(tx, timeline.Event{Type: typ, Tenant: run.Tenant, Actor: l.Actor, Subject: "run/" + run.ID, Attrs: map[string]string{"why": "restored"}}); err != nil {
			return err
		}
	}
	return nil
}

// root signs the next version of our own trust root: the same keys, the new epochs and the new log.
func (l *life) root() error {
	ring, err := keyring.Open(l.DataDir, l.FS)
	if err != nil {
		return err
	}
	if err := l.takeRoots(ring); err != nil {
		return err
	}
	own := l.own
	key, err := l.rootKey(ring)
	if err != nil {
		return err
	}
	for _, re := range l.restored {
		if re.Log <= l.said {
			continue // the lost appliance said so, in a root that is known here
		}
		envelope, err := root.Successor(own, func(d *root.Document) error {
			for _, b := range l.feeds {
				d.SetEpoch(root.FeedEpoch{Tenant: b.Ref.Tenant, Origin: l.in.ID, Feed: b.Ref.Name, Epoch: re.Epoch})
			}
			return d.SetRestored(re)
		}, key)
		if err != nil {
			return code.Wrap(code.SigningKey, err, "sign our own trust root").Do("More root keys than this one must sign: make the successor where they are.")
		}
		if own, err = own.Next(envelope, l.Clock.Now()); err != nil {
			return err
		}
		if err := ring.AddRoot(l.rootID, own.Version(), envelope); err != nil {
			return err
		}
		l.applied = append(l.applied, own.Version())
	}
	l.out.Root = own.Version()
	return nil
}

func (l *life) rootKey(ring *keyring.Ring) (*attest.Signer, error) {
	if l.RootKey == "" {
		key, err := ring.Root()
		if err != nil {
			return nil, code.Wrap(code.SigningKey, err, "the root key must sign the new epoch").Do("Bring the root key from its safe: --root-key FILE. It is read and not kept.")
		}
		return key, nil
	}
	b, err := os.ReadFile(l.RootKey)
	if err != nil {
		return nil, code.Wrap(code.SigningKey, err, "read root key").In(l.RootKey, "")
	}
	key, err := attest.ParseSigner(b)
	if err != nil {
		return nil, code.Wrap(code.SigningKey, err, "read root key").In(l.RootKey, "")
	}
	return key, nil
}

// tell writes down which versions of our own trust root came back and which are new.
func (l *life) tell(tx *state.Tx) error {
	for _, t := range l.newer {
		if _, err := l.log.Append(tx, timeline.Event{
			Type: "trust.rotation.applied", Actor: l.Actor, Subject: "root",
			Attrs: map[string]string{"change": fmt.Sprint("root version ", t.Version()), "why": "published after the backup, brought back by a medium", "after": t.PayloadDigest().String()},
		}); err != nil {
			return err
		}
	}
	for _, version := range l.applied {
		if _, err := l.log.Append(tx, timeline.Event{
			Type: "trust.rotation.applied", Actor: l.Actor, Subject: "root",
			Attrs: map[string]string{"change": fmt.Sprint("root version ", version), "why": "restored from the backup of " + l.archive.CreatedAt, "epoch": fmt.Sprint(l.out.Epoch)},
		}); err != nil {
			return err
		}
	}
	return nil
}
