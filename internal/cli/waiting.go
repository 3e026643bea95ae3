package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/units"
	"sallyport/internal/wire"
)

// waitingFor shows the bundles that could not be taken in yet, and what each needs.
func (a *app) waitingFor(w io.Writer, list []wire.Waiting) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, x := range list {
		rows = append(rows, []string{x.Name, x.From, fmt.Sprintf("%d of %d", len(x.Have), x.Volumes), units.Size(x.Bytes), day(x.Since), x.Label[:12]})
	}
	table(w, "WAITING FROM VOLUMES SIZE SINCE LABEL", rows)
	for _, x := range list {
		fmt.Fprintf(w, "%s: %s\n", clean(x.Name), clean(x.Sentence))
		if x.Plan != "" {
			fmt.Fprintf(w, "  Approve it while it waits: sallyport approvals approve %s\n", x.Plan)
		}
	}
}

func (a *app) mediaForgetCmd() *cobra.Command {
	var q wire.ForgetRequest
	c := command("forget LABEL", "drop a bundle that waits for volumes or for its base; LABEL is its label id, the beginning of it, or its name", 1, func(args []string) error {
		q.Label = args[0]
		if strings.TrimSpace(q.Reason) == "" {
			return missing("--reason", "Say why; it goes into the timeline.")
		}
		x, err := call[wire.Waiting](a, "media/forget", q)
		if err != nil {
			return err
		}
		return a.show(x, func(io.Writer) {
			a.say("Dropped %s from %s: it waits here no longer. Feeds and marks are as they were.", clean(x.Name), clean(x.From))
		})
	})
	c.Flags().StringVar(&q.Reason, "reason", "", "why, for the timeline")
	return c
}

func (a *app) quarantineCmd() *cobra.Command {
	list := command("list", "list what was refused and kept", 0, func([]string) error {
		q, err := call[wire.Quarantine](a, "quarantine/list", wire.QuarantineRequest{})
		if err != nil {
			return err
		}
		return a.show(q, func(w io.Writer) {
			var rows [][]string
			for _, x := range q.Entries {
				rows = append(rows, []string{x.Number, day(x.At), x.Code, x.Bundle, x.From, units.Size(x.Bytes)})
			}
			table(w, "ENTRY SINCE CODE BUNDLE FROM SIZE", rows)
			if len(rows) == 0 {
				a.say("Nothing is in quarantine.")
				return
			}
			a.say("FROM and BUNDLE are what the labels say. Look into one: %s NUMBER", a.typed("quarantine", "show"))
		})
	})
	show := command("show NUMBER", "show one entry: why it was refused, and what is kept of it", 1, func(args []string) error {
		x, err := call[wire.Quarantined](a, "quarantine/show", wire.QuarantineRequest{Number: args[0]})
		if err != nil {
			return err
		}
		return a.show(x, func(w io.Writer) {
			pairs(w, "entry", x.Number, "bundle", x.Bundle, "from", x.From, "since", x.At, "tenant", x.Tenant, "code", x.Code, "reason", x.Reason,
				"label", x.Label, "signer", x.Signer, "files", strings.Join(x.Files, ", "), "folder", x.Dir)
			fmt.Fprintln(w)
			for line := range strings.Lines(x.Log) {
				fmt.Fprintln(w, clean(strings.TrimRight(line, "\n")))
			}
		})
	})
	return family("quarantine", "what was refused and is kept as evidence", list, show, a.quarantineReleaseCmd(), a.quarantineRemoveCmd())
}

func (a *app) quarantineReleaseCmd() *cobra.Command {
	var q wire.QuarantineRequest
	c := command("release NUMBER", "verify it again, and take it in like any other bundle; the entry goes when it was taken in", 1, func(args []string) (err error) {
		q.Number = args[0]
		if q.Path != "" {
			if q.Path, err = medium(q.Path); err != nil {
				return err
			}
		}
		if err := approval(q.Yes, q.Approve); err != nil {
			return err
		}
		in, err := stream[wire.Imported](a, "quarantine/release", q)
		if in == nil {
			return err
		}
		return a.join(in, func(w io.Writer) { a.imported(w, in, a.typed("quarantine", "release", args[0])) }, err)
	})
	f := c.Flags()
	f.StringVar(&q.Path, "medium", "", "where the bundle lies, when the entry keeps only its label")
	f.BoolVar(&q.Yes, "yes", false, "approve whatever the plan says")
	f.StringVar(&q.Approve, "approve", "", "approve the plan with this digest")
	return c
}

func (a *app) quarantineRemoveCmd() *cobra.Command {
	var q wire.QuarantineRequest
	c := command("remove NUMBER", "throw an entry away, with a reason", 1, func(args []string) error {
		q.Number = args[0]
		if strings.TrimSpace(q.Reason) == "" {
			return missing("--reason", "Say why; it goes into the timeline.")
		}
		x, err := call[wire.Quarantined](a, "quarantine/remove", q)
		if err != nil {
			return err
		}
		return a.show(x, func(io.Writer) { a.say("Removed %s from quarantine.", x.Number) })
	})
	c.Flags().StringVar(&q.Reason, "reason", "", "why, for the timeline")
	return c
}
