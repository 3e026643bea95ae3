package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/root"
)

// judge decides whom to believe, with one reading of the time for a whole operation. Until the anchor of a bundle was
// read, that reading can only grow: what is over by now is over, what has not begun yet may still begin.
type judge struct {
	trust Trust
	now   time.Time // zero: no reading
}

// purpose is what a signature is wanted for.
type purpose struct {
	roles          []string
	tenant, origin string        // "" is not judged
	rootID         digest.Digest // the root the document names; zero: any
}

// voice is who signed something, and under which root it counts (nil in key mode).
type voice struct {
	keys []*attest.Key
	root *root.Trusted
	role string
}

// keys are all keys we know in any role: a signature by one of them that does not verify is a refusal, and a right one
// in the wrong role gets its own answer instead of "unknown".
func (j *judge) keys() []*attest.Key {
	var all []*attest.Key
	seen := map[digest.Digest]bool{}
	add := func(k *attest.Key) {
		if !seen[k.Fingerprint()] {
			seen[k.Fingerprint()] = true
			all = append(all, k)
		}
	}
	for _, k := range j.trust.Keys {
		add(k)
	}
	for _, r := range j.trust.Roots {
		for _, k := range r.All() {
			add(k)
		}
	}
	return all
}

// envelope checks signatures alone. What comes back may be parsed; whether its signer may say so is accept's question.
func (j *judge) envelope(env []byte, name string, types ...string) (*attest.Verified, error) {
	v, err := attest.Verify(env, attest.Policy{Types: types, Keys: j.keys()})
	if err != nil {
		return nil, in(err, name)
	}
	return v, nil
}

// accept judges role, scope, revocation and threshold, and of the dates those that no later reading can mend.
func (j *judge) accept(v *attest.Verified, p purpose, name string) (voice, error) {
	var why error
	for _, r := range j.trust.Roots {
		if !p.rootID.IsZero() && r.ID() != p.rootID {
			continue
		}
		for _, role := range p.roles {
			voc, err := j.under(r, role, v.Keys(), p)
			if err == nil {
				return voc, nil
			}
			why = worse(why, err)
		}
	}
	for _, k := range v.Keys() {
		if !j.revoked(k) && slices.ContainsFunc(j.trust.Keys, func(t *attest.Key) bool { return t.Fingerprint() == k.Fingerprint() }) {
			return voice{keys: []*attest.Key{k}}, nil
		}
	}
	if why == nil {
		why = code.New(code.RootUnknown, "it names a trust root that is not trusted here").Want(j.rootIDs(), p.rootID)
	}
	return voice{}, in(why, name)
}

// revoked tells whether any root revokes the key: then it is not believed as a bare key either, whatever root the document names.
func (j *judge) revoked(k *attest.Key) bool {
	return slices.ContainsFunc(j.trust.Roots, func(r *root.Trusted) bool {
		return slices.ContainsFunc(r.Document().Revoked, func(x root.Revocation) bool { return x.KeyID == k.ID() })
	})
}

// under judges the verified keys in one role of one root.
func (j *judge) under(r *root.Trusted, role string, keys []*attest.Key, p purpose) (voice, error) {
	voc, need := voice{root: r, role: role}, r.Document().Roles[role].Threshold
	var why error
	for _, k := range keys {
		err := r.Why(k.ID(), role, p.tenant, p.origin, time.Time{})
		if err == nil {
			err = j.over(r, k, role, p)
		}
		if err != nil {
			why = worse(why, err)
			continue
		}
		voc.keys = append(voc.keys, k)
	}
	switch {
	case len(voc.keys) == 0 && why != nil:
		return voice{}, why
	case len(voc.keys) == 0 || int64(len(voc.keys)) < need:
		return voice{}, code.New(code.Threshold, "too few keys with the role %s signed it", role).Want(need, len(voc.keys))
	}
	return voc, nil
}

// over refuses what has ended by the reading so far.
func (j *judge) over(r *root.Trusted, k *attest.Key, role string, p purpose) error {
	if j.now.IsZero() {
		return nil
	}
	if err := r.Fresh(j.now); err != nil {
		return err
	}
	for _, e := range r.Document().Keys {
		if e.KeyID != k.ID() {
			continue
		}
		if end, err := clock.Parse(e.NotAfter); err != nil || j.now.After(end) {
			return r.Why(k.ID(), role, p.tenant, p.origin, j.now)
		}
	}
	return nil
}

// raise moves the reading forward to a verified anchor.
func (j *judge) raise(t time.Time) {
	if t.After(j.now) {
		j.now = t
	}
}

// again judges a voice with the final reading, beginnings included. Without any reading dates stay unjudged.
func (j *judge) again(voc voice, p purpose, name string) error {
	if voc.root == nil || j.now.IsZero() {
		return nil
	}
	if err := voc.root.Fresh(j.now); err != nil {
		return in(err, name)
	}
	var good int64
	var why error
	for _, k := range voc.keys {
		if err := voc.root.Why(k.ID(), voc.role, p.tenant, p.origin, j.now); err != nil {
			why = worse(why, err)
			continue
		}
		good++
	}
	if need := voc.root.Document().Roles[voc.role].Threshold; good < max(need, 1) {
		return in(worse(why, code.New(code.Threshold, "too few keys with the role %s signed it", voc.role).Want(need, good)), name)
	}
	return nil
}

// until refuses what has ended by the reading so far.
func (j *judge) until(notAfter, name string) error {
	if notAfter == "" || j.now.IsZero() {
		return nil
	}
	end, err := clock.Parse(notAfter)
	if err != nil {
		return code.Wrap(code.BadTime, err, "notAfter").In(name, "notAfter")
	}
	if j.now.After(end) {
		return code.New(code.Expired, "its validity has ended").In(name, "notAfter").
			Want("now before "+notAfter, clock.Format(j.now))
	}
	return nil
}

func (j *judge) rootIDs() string {
	var ids []string
	for _, r := range j.trust.Roots {
		ids = append(ids, r.ID().Short())
	}
	return "one of " + strings.Join(ids, ", ")
}

// worse keeps the error that says more: a key that is known and may not comes before one that is unknown.
func worse(a, b error) error {
	rank := func(err error) int {
		switch code.Of(err) {
		case "":
			return 0
		case code.SignerUnknown:
			return 1
		case code.KeyRole:
			return 2
		case code.Threshold:
			return 3
		case code.KeyScope:
			return 4
		}
		return 5
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// in puts a file name on an error that has none yet.
func in(err error, name string) error {
	var e *code.Error
	if errors.As(err, &e) {
		if e.File == "" && name != "" {
			e.File = name
			return e // what was wrapped around it was put in words when it had no file yet
		}
		return err
	}
	return fmt.Errorf("verify %q: %w", name, err)
}
