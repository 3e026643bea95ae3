package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/units"
	"sallyport/internal/wire"
)

func (a *app) timeCmd() *cobra.Command {
	show := command("show", "what time it is here, how that is known, and what speaks against the clock", 0, func([]string) error {
		t, err := call[wire.TimeShown](a, "time/show", nil)
		if err != nil {
			return err
		}
		return a.show(t, func(w io.Writer) { a.time(w, t) })
	})
	return family("time", "the trusted time, and where it comes from", show, a.timeSetCmd(), a.timeConfirmCmd())
}

func (a *app) time(w io.Writer, t wire.TimeShown) {
	anchor := "none yet"
	if t.Anchor != "" {
		age := units.Age(time.Duration(t.AnchorAge) * time.Second)
		if t.AtLeast {
			age = units.AgeAtLeast(time.Duration(t.AnchorAge) * time.Second)
		}
		anchor = t.Anchor + ", " + age + " old"
	}
	pairs(w, "trusted time", t.Trusted, "source", t.Source, "anchor", anchor, "clock", t.Wall, "clock suspect", yesNo(t.Suspect), "time unproven", yesNo(t.Unproven))
	for _, s := range t.Words {
		fmt.Fprintln(w, clean(s))
	}
	for _, x := range t.Waiting {
		fmt.Fprintf(w, "The anchor of %s says %s: that moves time by more than 400 days, and two people must say so.\n", clean(x.Peer), clean(x.At))
		a.say("Each of the two: %s --approve %s", a.typed("time", "confirm", x.Peer, "--reason", "WHY"), x.Approve)
	}
}

func agreeing(c *cobra.Command, q *wire.TimeRequest) {
	c.Flags().StringVar(&q.Reason, "reason", "", "why: it stands in the timeline")
	c.Flags().StringVar(&q.Approve, "approve", "", "second person: the digest of what the first one proposed")
}

func (a *app) timeSetCmd() *cobra.Command {
	var q wire.TimeRequest
	c := command("set --at T --reason R", "set the trusted time by the word of two people, where no stick brings one", 0, func([]string) error {
		if q.At == "" {
			return missing("--at", "Say it in UTC, like 2026-11-21T09:30:00Z.")
		}
		return a.timed("time/set", q, "set", "--at", q.At)
	})
	c.Flags().StringVar(&q.At, "at", "", "the time in UTC, like 2026-11-21T09:30:00Z; it never goes back")
	agreeing(c, &q)
	return c
}

func (a *app) timeConfirmCmd() *cobra.Command {
	var q wire.TimeRequest
	c := command("confirm PEER --reason R", "let a peer's anchor count that moves time by more than 400 days; this needs two people", 1, func(args []string) error {
		q.Peer = args[0]
		return a.timed("time/confirm", q, "confirm", q.Peer)
	})
	agreeing(c, &q)
	return c
}

// timed proposes a time, or says the second yes; words are the command again, without who says it and why.
func (a *app) timed(action string, q wire.TimeRequest, words ...string) error {
	if q.Reason == "" {
		return missing("--reason", "Say why, in your words: it stands in the timeline.")
	}
	t, err := call[wire.TimeShown](a, action, q)
	if err != nil {
		return err
	}
	return a.show(t, func(w io.Writer) {
		if t.Proposed == "" {
			a.time(w, t)
			return
		}
		fmt.Fprintf(w, "Proposed: time %s. Nothing has changed yet.\nplan %s\n", clean(strings.Join(words, " ")), t.Proposed)
		words = append([]string{"time"}, append(words, "--reason", "WHY", "--approve", t.Proposed)...)
		a.say("The second person types, signed in as themselves: %s", clean(a.elsewhere(words...)))
	})
}

// breached tells whether the data of a feed is in breach of its budget.
func breached(list []wire.Feed) bool {
	return slices.ContainsFunc(list, func(f wire.Feed) bool { return f.Standing == "breach" })
}
