package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/code"
	"sallyport/internal/wire"
)

func (a *app) trustCmd() *cobra.Command {
	show := &cobra.Command{
		Use: "show [PEER]", Short: "show whom we believe: root versions, keys and their dates, of one appliance or of all", Args: atMostOne,
		RunE: func(_ *cobra.Command, args []string) error {
			v, err := call[wire.TrustViews](a, "trust/show", wire.TrustRequest{Peer: strings.Join(args, "")})
			if err != nil {
				return err
			}
			return a.show(v, func(w io.Writer) { a.trustViews(w, v, len(args) > 0) })
		},
	}
	return family("trust", "whom this appliance believes, and how that changes: by two people, from a medium", show, a.trustPlanCmd(), a.trustApplyCmd())
}

func atMostOne(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage(code.New(code.BadUsage, "one name at most"))
	}
	return nil
}

func (a *app) trustViews(w io.Writer, v wire.TrustViews, keys bool) {
	for i, t := range v.Appliances {
		if i > 0 {
			fmt.Fprintln(w)
		}
		name, how := t.Name, ""
		if t.Own {
			name += " (this appliance)"
		}
		if t.How != "" {
			how = t.How + " by " + t.By + " at " + t.At + " (trusted time)"
		}
		pairs(w, "appliance", name, "id", t.ID, "fingerprint", t.Fingerprint, "words", t.Words, "root version", fmt.Sprint(t.Version), "valid until", t.NotAfter,
			"recipient", t.Recipient, "trust", how)
		if keys || len(v.Appliances) == 1 {
			fmt.Fprintln(w)
			keyTable(w, t.Keys)
		}
		if t.Warning != "" {
			a.say("%s: %s", clean(t.Name), clean(t.Warning))
		}
	}
}

func keyTable(w io.Writer, keys []wire.KeyRow) {
	var rows [][]string
	for _, k := range keys {
		rows = append(rows, []string{k.Kind, k.State, yesNo(k.Here), day(k.NotAfter), strings.Join(k.Tenants, ","), k.KeyID, k.Words})
	}
	table(w, "KEY STATE HERE UNTIL TENANT ID WORDS", rows)
}

// day is the date of a time; "" is a dash.
func day(at string) string {
	if len(at) < 10 {
		return "-"
	}
	return at[:10]
}

func (a *app) trustPlanCmd() *cobra.Command {
	var q wire.TrustRequest
	c := command("plan MEDIUM", "show the changes of trust that lie on a medium, old and new; nothing is stored", 1, func(args []string) (err error) {
		if q.Path, err = medium(args[0]); err != nil {
			return err
		}
		res, err := call[wire.TrustResult](a, "trust/plan", q)
		if err != nil {
			return err
		}
		if err := a.show(res, func(w io.Writer) { a.trustPlans(w, res, "", q.Path) }); err != nil {
			return err
		}
		return refusedPlan(res)
	})
	c.Flags().StringVar(&q.Peer, "peer", "", "of this peer alone")
	return c
}

// refusedPlan is the error of the first plan that cannot be followed.
func refusedPlan(res wire.TrustResult) error {
	for _, p := range res.Plans {
		if p.Code != "" {
			return code.New(code.Code(p.Code), "%s", p.Reason).Do(p.Next)
		}
	}
	return nil
}

func (a *app) trustApplyCmd() *cobra.Command {
	var q wire.TrustRequest
	c := command("apply MEDIUM", "propose the changes of trust on a medium; with --approve say yes to one, and make it when enough people have", 1, func(args []string) (err error) {
		if q.Path, err = medium(args[0]); err != nil {
			return err
		}
		if err := approval(false, q.Approve); err != nil {
			return err
		}
		res, err := stream[wire.TrustResult](a, "trust/apply", q)
		if res == nil {
			return err
		}
		return a.join(res, func(w io.Writer) { a.trustPlans(w, *res, q.Approve, q.Path) }, a.whoNext(err, "trust", "apply", q.Path, "--approve", q.Approve))
	})
	c.Flags().StringVar(&q.Approve, "approve", "", "say yes to exactly the change with this digest")
	c.Flags().StringVar(&q.Reason, "reason", "", "why, for the audit")
	c.Flags().StringVar(&q.Peer, "peer", "", "of this peer alone")
	return c
}

// whoNext adds to an error about a missing second person what that person types.
func (a *app) whoNext(err error, words ...string) error {
	if code.Of(err) != code.TrustTwoPersons {
		return err
	}
	return next(err, "A second person types, signed in as themselves: "+a.elsewhere(words...))
}

// trustPlans prints changes of trust, old before new, and how to go on.
func (a *app) trustPlans(w io.Writer, res wire.TrustResult, approve, path string) {
	for i, p := range res.Plans {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, clean(p.Sentence))
		for _, line := range p.Changes {
			fmt.Fprintf(w, "  %s\n", clean(line))
		}
		if p.Digest == "" || p.Applied {
			continue
		}
		fmt.Fprintf(w, "plan %s\n", p.Digest)
		a.saidYes(p.People, p.Need, p.ExpiresAt)
		switch {
		case approve != "":
		case len(p.People) == 0:
			a.say("To propose it: %s", clean(a.typed("trust", "apply", path)))
		case len(p.People) < p.Need:
			a.say("The second person types, signed in as themselves: %s", clean(a.elsewhere("trust", "apply", path, "--approve", p.Digest)))
		default:
			a.say("To make it: %s", clean(a.typed("trust", "apply", path, "--approve", p.Digest)))
		}
	}
	if res.Sentence != "" {
		fmt.Fprintln(w, clean(res.Sentence))
	}
}

// saidYes says who has said yes to a plan.
func (a *app) saidYes(people []string, need int, until string) {
	if len(people) == 0 {
		return
	}
	a.say("Said yes: %s (%d of %d). The plan is open until %s.", clean(strings.Join(people, ", ")), len(people), need, until)
}
