package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/wire"
)

func (a *app) approvalsCmd() *cobra.Command {
	var all bool
	list := command("list", "list the plans that wait for people", 0, func([]string) error {
		p, err := call[wire.Approvals](a, "approvals/list", wire.ApprovalRequest{All: all})
		if err != nil {
			return err
		}
		return a.show(p, func(w io.Writer) {
			var rows [][]string
			for _, x := range p.Approvals {
				rows = append(rows, []string{x.Kind, x.State, fmt.Sprintf("%d of %d", len(x.Grants), x.Need), x.Proposer, day(x.ExpiresAt), x.Subject, x.Digest})
			}
			table(w, "KIND STATE YES PROPOSER UNTIL SUBJECT DIGEST", rows)
			if len(rows) == 0 {
				a.say("Nothing waits for anyone.")
			}
		})
	})
	list.Flags().BoolVar(&all, "all", false, "also those that are over")
	show := command("show DIGEST", "show one plan: who proposed it, who has said yes, and how it goes on", 1, func(args []string) error {
		return a.approval("approvals/show", wire.ApprovalRequest{Digest: args[0]})
	})
	return family("approvals", "plans that need people", list, show, a.saysCmd("approve", "say yes to exactly the plan with this digest; the command it names makes it then", false),
		a.saysCmd("deny", "end a plan, with a reason", true))
}

func (a *app) saysCmd(verb, short string, why bool) *cobra.Command {
	var q wire.ApprovalRequest
	c := command(verb+" DIGEST", short, 1, func(args []string) error {
		q.Digest = args[0]
		if err := approval(false, q.Digest); err != nil {
			return err
		}
		if why && q.Reason == "" {
			return missing("--reason", "Say why not.")
		}
		return a.approval("approvals/"+verb, q)
	})
	c.Flags().StringVar(&q.Reason, "reason", "", "why, for the audit")
	return c
}

func (a *app) approval(action string, q wire.ApprovalRequest) error {
	p, err := call[wire.Approval](a, action, q)
	if err != nil {
		return err
	}
	return a.show(p, func(w io.Writer) {
		var yes []string
		for _, g := range p.Grants {
			yes = append(yes, strings.TrimSuffix(g.Person+" at "+g.At+": "+g.Reason, ": "))
		}
		denied := ""
		if p.Denied != nil {
			denied = p.Denied.Person + " at " + p.Denied.At + ": " + p.Denied.Reason
		}
		pairs(w, "plan", p.Digest, "kind", p.Kind, "state", p.State, "subject", p.Subject, "tenant", p.Tenant, "proposed", p.Proposer+" at "+p.CreatedAt,
			"said yes", strings.Join(yes, "; "), "needs", fmt.Sprint(p.Need), "said no", denied, "open until", p.ExpiresAt, "made", p.UsedAt, "over", p.Over)
		for _, line := range p.Changes {
			fmt.Fprintf(w, "  %s\n", clean(line))
		}
		if p.Next == "" {
			p.Next = "the same command again, with --approve " + p.Digest
		}
		switch p.State {
		case "waiting":
			a.say("Another person types, signed in as themselves: %s", clean(a.elsewhere("approvals", "approve", p.Digest)))
		case "ready":
			a.say("Enough people have said yes. To go on: %s", clean(a.again(p.Next)))
		}
	})
}

// again is a command of the daemon's with the data directory that was typed.
func (a *app) again(command string) string {
	if rest, ok := strings.CutPrefix(command, "sallyport "); ok {
		return a.typed() + " " + rest
	}
	return command
}
