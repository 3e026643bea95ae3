// Package lifecycle is the room where a person steers what the appliance has: which generation a feed shows, what is kept
// from retention, what time it is, and the copy of everything from which a lost appliance is made again.
//
// Data: the tables time-told, "last" → the last time that people set or confirmed, and delivery, "every" → how often a stick
// arrives. A backup is a directory, written under
// NAME.partial and renamed when it was opened and checked:
//
//	backup.json                     what it is of, every file with size and digest; written last
//	state.db marks                  a hot copy of the state database; the marks of that moment
//	instance.json config.yaml config.d/ keys/ pub/
//	layers/<feed>/…  cas/ab/<hex>   what kept generations name
//
// Order: a verb judges and changes the ledgers in one transaction together with its event; marks move after the commit. A
// backup copies the state first and then what that copy names, so that it is whole whatever happens meanwhile. A restore
// builds the data directory and writes instance.json last of all: a crash before leaves nothing that serves, and it is run
// again. See life.go for what makes a restored appliance acceptable to those who saw more of it.
package lifecycle

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/approval"
	"sallyport/internal/cas"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/keyring"
	"sallyport/internal/layer"
	"sallyport/internal/marks"
	"sallyport/internal/state"
	"sallyport/internal/timeline"
)

// Deps is what the room works with. All fields are needed.
type Deps struct {
	State    *state.DB
	CAS      *cas.Store
	Layers   *layer.Dir
	Keys     *keyring.Ring
	Marks    *marks.Marks
	Timeline *timeline.Log
	Clock    clock.Clock
	Random   io.Reader
	FS       durable.FS
	DataDir  string
	ID       string // of this appliance
	Name     string
	Software string // version of this program

	Every  time.Duration // how often a stick arrives, for feeds without a rhythm of their own (`delivery.every`)
	Expire time.Duration // of an approval (`approvals.expire`)
	Single bool          // one person counts for two (`init --single-operator`)
	Fixed  bool          // Every stands in the configuration: what a person said in the console does not count
}

// Room steers. Safe for concurrent use.
type Room struct {
	Deps
	one  sync.Mutex   // held by the one backup that runs
	told atomic.Int64 // seconds: how often a stick arrives, as a person said it; 0: nobody did
}

// New makes the room. Nothing is read or written.
func New(d Deps) *Room { return &Room{Deps: d} }

// Person is who asks.
type Person struct {
	Name string // "uid:1001", a name
	Role string // "" is operator
	Lone bool   // cannot be told from whoever proposed: never the second person

	OwnOnly bool // is no approver: says yes to their own proposals alone
}

func (p Person) grant(reason string) approval.Grant {
	role := p.Role
	if role == "" {
		role = "operator"
	}
	return approval.Grant{Person: p.Name, Role: role, Reason: reason, Lone: p.Lone, OwnOnly: p.OwnOnly}
}

// people are those who have said yes to a plan.
func people(p approval.Plan) string {
	var names []string
	for _, g := range p.Grants {
		names = append(names, g.Person)
	}
	return strings.Join(names, ", ")
}

// reasoned refuses a step that nobody gave a reason for.
func reasoned(reason string) error {
	if reason == "" || len(reason) > maxReason {
		return code.New(code.BadUsage, "a reason is needed, of at most %d bytes", maxReason).Do("Say why with --reason: it stands in the timeline.")
	}
	return nil
}

const maxReason = 1 << 10

// agree has the change with this digest approved by two people: the first call proposes it, the second, by somebody else
// who names the digest, lets it through. It returns nil exactly when the change may be done now; the caller uses the plan
// up in its transaction. Code approval-needed tells the digest.
func (r *Room) agree(ctx context.Context, who Person, kind, subject, reason string, d digest.Digest, approve string) error {
	if approve != "" && approve != d.String() {
		return code.New(code.PlanChanged, "").Want(fmt.Sprintf("%.80q", approve), d)
	}
	at := r.Marks.Now().Trusted
	need := 2
	if r.Single {
		need = 1
	}
	var p approval.Plan
	err := r.State.Update(ctx, func(tx *state.Tx) (err error) {
		plan := approval.Plan{Digest: d, Kind: kind, Subject: subject, Proposer: who.Name, Need: need}
		if p, err = approval.Propose(tx, plan, at, r.Expire); err != nil {
			return err
		}
		if len(p.Grants) > 0 && approve == "" {
			return nil // proposed before: whoever agrees names what they agree to
		}
		before := len(p.Grants)
		if p, err = approval.Approve(tx, d, who.grant(reason), at); err != nil || len(p.Grants) == before {
			return err
		}
		_, err = r.Timeline.Append(tx, timeline.Event{Type: "approval.granted", Actor: who.Name, Subject: kind + "/" + subject, Attrs: map[string]string{
			"plan": d.String(), "kind": kind, "need": fmt.Sprint(need), "people": people(p), "reason": reason,
		}})
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("approve %s: %w", subject, err)
	case p.Enough():
		return nil
	}
	return code.New(code.PlanApproval, "%s was proposed by %s and needs a second person", subject, p.Proposer).
		Want("2 people", len(p.Grants)).Do("Somebody else runs the same command with --approve " + d.String())
}
