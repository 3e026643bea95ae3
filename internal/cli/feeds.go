package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/units"
	"sallyport/internal/wire"
)

func (a *app) feedsCmd() *cobra.Command {
	list := command("list", "list the feeds there are, and how they stand against their budget", 0, func([]string) error {
		f, err := call[wire.Feeds](a, "feeds/list", wire.FeedRequest{})
		if err != nil {
			return err
		}
		return a.show(f, func(w io.Writer) { a.feeds(w, f.Feeds) })
	})
	show := command("show FEED", "show one feed and its generations", 1, func(args []string) error {
		f, err := call[wire.FeedDetail](a, "feeds/show", wire.FeedRequest{Name: args[0]})
		if err != nil {
			return err
		}
		return a.show(f, func(w io.Writer) { a.feed(w, f) })
	})
	return family("feeds", "named sets of records and where they come from", list, show,
		a.rollbackCmd(), a.pinCmd(), a.unpinCmd(), a.holdCmd(), a.releaseCmd(), a.rhythmCmd())
}

// steer makes a verb about one feed. need names the flags that must be given.
func (a *app) steer(use, short, action string, flags func(c *cobra.Command, q *wire.FeedChange), need func(q *wire.FeedChange) error) *cobra.Command {
	q := &wire.FeedChange{}
	c := command(use, short, 1, func(args []string) error {
		q.Name = args[0]
		if err := need(q); err != nil {
			return err
		}
		f, err := call[wire.FeedChanged](a, action, q)
		if err != nil {
			return err
		}
		return a.show(f, func(w io.Writer) {
			fmt.Fprintln(w, clean(f.Sentence))
			if f.Next != "" {
				a.say("%s", clean(f.Next))
			}
		})
	})
	flags(c, q)
	c.Flags().StringVar(&q.Tenant, "tenant", "", "owner, where there are several")
	return c
}

func because(c *cobra.Command, q *wire.FeedChange) {
	c.Flags().StringVar(&q.Reason, "reason", "", "why: it stands in the timeline")
}

func needReason(q *wire.FeedChange) error {
	if q.Reason == "" {
		return missing("--reason", "Say why, in your words: it stands in the timeline.")
	}
	return nil
}

func (a *app) rollbackCmd() *cobra.Command {
	return a.steer("rollback FEED --to G --reason R", "show an older generation again and stay there, in one step", "feeds/rollback",
		func(c *cobra.Command, q *wire.FeedChange) {
			c.Flags().StringVar(&q.To, "to", "", "the generation, like 12, or 2.12 with its epoch; sallyport feeds show lists those held")
			because(c, q)
		},
		func(q *wire.FeedChange) error {
			if q.To == "" {
				return missing("--to", "Say which generation; sallyport feeds show "+q.Name+" lists those held.")
			}
			return needReason(q)
		})
}

func (a *app) pinCmd() *cobra.Command {
	return a.steer("pin FEED --reason R", "stay at what is active: what arrives is kept, not activated", "feeds/pin", because, needReason)
}

func (a *app) unpinCmd() *cobra.Command {
	return a.steer("unpin FEED", "go on: activate the newest generation that is held", "feeds/unpin",
		func(*cobra.Command, *wire.FeedChange) {}, func(*wire.FeedChange) error { return nil })
}

func whichGeneration(q *wire.FeedChange) error {
	if q.To == "" {
		return missing("--generation", "Say which; sallyport feeds show "+q.Name+" lists those held.")
	}
	return needReason(q)
}

func (a *app) holdCmd() *cobra.Command {
	return a.steer("hold FEED --generation G --reason R", "keep a generation, whatever retention says", "feeds/hold",
		func(c *cobra.Command, q *wire.FeedChange) {
			c.Flags().StringVar(&q.To, "generation", "", "the generation, like 12 or 2.12")
			because(c, q)
		}, whichGeneration)
}

func (a *app) releaseCmd() *cobra.Command {
	return a.steer("release FEED --generation G --reason R", "take a hold away; this needs two people", "feeds/release",
		func(c *cobra.Command, q *wire.FeedChange) {
			c.Flags().StringVar(&q.To, "generation", "", "the generation, like 12 or 2.12")
			because(c, q)
			c.Flags().StringVar(&q.Approve, "approve", "", "second person: the digest of what the first one proposed")
		}, whichGeneration)
}

func (a *app) rhythmCmd() *cobra.Command {
	return a.steer("rhythm FEED [--every 14d]", "how often does a stick arrive for this feed? without --every: as for the whole appliance", "feeds/rhythm",
		func(c *cobra.Command, q *wire.FeedChange) {
			c.Flags().StringVar(&q.Every, "every", "", "like 7d or 36h: data older than twice that warns, older than three times is in breach")
		}, func(*wire.FeedChange) error { return nil })
}

func (a *app) feeds(w io.Writer, list []wire.Feed) {
	var rows [][]string
	for _, f := range list {
		rows = append(rows, []string{f.FullName, generation(f.Epoch, f.Generation), units.Count(f.Records), f.AcceptedAt, short(f.StateRoot), feedAge(f), feedState(f)})
	}
	table(w, "FEED GENERATION RECORDS ACCEPTED ROOT AGE STATE", rows)
}

// generation is its number, with the epoch once a restore has begun a new one.
func generation(epoch, number int64) string {
	if epoch > 1 {
		return fmt.Sprintf("%d.%d", epoch, number)
	}
	return fmt.Sprint(number)
}

// feedAge is how old the data is; a lower bound after a start without a new anchor.
func feedAge(f wire.Feed) string {
	if f.Standing == "" {
		return "-"
	}
	age := time.Duration(f.AgeSeconds) * time.Second
	if f.AtLeast {
		return units.AgeAtLeast(age)
	}
	return units.Age(age)
}

func feedState(f wire.Feed) string {
	var parts []string
	if f.Local {
		parts = append(parts, "made here")
	}
	if f.Standing != "" {
		parts = append(parts, f.Standing)
	}
	if f.Pinned {
		parts = append(parts, "pinned")
	}
	if f.Newest != "" && f.Newest != fmt.Sprintf("%d.%d", f.Epoch, f.Generation) {
		parts = append(parts, f.Newest+" held")
	}
	return strings.Join(parts, ", ")
}

func (a *app) feed(w io.Writer, f wire.FeedDetail) {
	pinned, budget := "", ""
	if f.Pinned {
		pinned = "yes: " + f.PinReason
	}
	if f.Standing != "" {
		every := time.Duration(f.Every) * time.Second
		budget = fmt.Sprintf("%s: %s old, a stick every %s, warns after %s, breach after %s", f.Standing, feedAge(f.Feed), units.Age(every), units.Age(2*every), units.Age(3*every))
	}
	pairs(w, "feed", f.FullName, "origin", f.Origin, "tenant", f.Tenant, "generation", fmt.Sprint(f.Generation), "epoch", fmt.Sprint(f.Epoch),
		"highest accepted", f.Mark, "pinned", pinned, "budget", budget, "records", units.Count(f.Records),
		"kinds", kinds(f.Kinds), "state root", f.StateRoot, "generated", f.GeneratedAt, "accepted", f.AcceptedAt, "size", units.Size(f.Bytes))
	fmt.Fprintln(w)
	var rows [][]string
	for _, g := range f.Held {
		from := g.LoadedBy
		if g.BundleID != "" {
			from = "bundle " + short(g.BundleID)
		}
		var marks []string
		if g.Active {
			marks = append(marks, "active")
		}
		if g.Held {
			marks = append(marks, "on hold")
		}
		name := fmt.Sprint(g.Generation)
		if f.Epoch > 1 || g.Epoch > 1 {
			name = fmt.Sprintf("%d.%d", g.Epoch, g.Generation)
		}
		rows = append(rows, []string{name, units.Count(g.Records), g.AcceptedAt, short(g.StateRoot), from, strings.Join(marks, ", ")})
	}
	table(w, "GENERATION RECORDS ACCEPTED ROOT FROM STATE", rows)
}
