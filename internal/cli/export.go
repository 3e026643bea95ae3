package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/code"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

func (a *app) stellaCmd() *cobra.Command {
	return family("stella", "the export centre, as its runbooks type it", a.exportCmd(), a.timelineCmd(), a.statusCmd(), a.versionCmd())
}

func (a *app) exportCmd() *cobra.Command {
	run := family("run", "one execution of a profile", a.runSubmitCmd(), a.runWatchCmd(), a.runListCmd(), a.runShowCmd(), a.runCancelCmd(), a.runRetryCmd(), a.runFilesCmd())
	return family("export", "make bundles and deliver them", run, a.exportVerifyCmd(), a.exportDownloadCmd())
}

func (a *app) exportctlCmd() *cobra.Command {
	c := family("exportctl", "the same under the name exportctl", a.runListCmd(), a.exportVerifyCmd())
	c.Hidden = true
	return c
}

func (a *app) runSubmitCmd() *cobra.Command {
	var q wire.RunRequest
	var volume string
	var watch bool
	c := command("submit", "submit a run; --watch follows it to its end", 0, func([]string) (err error) {
		if q.To != "" {
			if q.To, err = medium(q.To); err != nil {
				return err
			}
		}
		if volume != "" {
			if q.VolumeBytes, err = units.ParseSize(volume); err != nil {
				return usage(err)
			}
		}
		r, err := call[wire.Run](a, "runs/submit", q)
		if err != nil {
			return err
		}
		if watch {
			a.say("run %s", r.ID)
			return a.watch(r.ID)
		}
		return a.show(r, func(w io.Writer) {
			fmt.Fprintln(w, r.ID)
			a.say("Follow it: stella export run watch %s", r.ID)
		})
	})
	f := c.Flags()
	f.StringVar(&q.Profile, "profile", "mirror:full", "what to export: mirror:full or mirror:delta")
	f.StringVar(&q.For, "for", "", "peer it is encrypted for")
	f.StringVar(&q.To, "to", "", "medium to write to; the shelf when not given")
	f.BoolVar(&q.Unencrypted, "unencrypted", false, "in clear, readable by everybody")
	f.StringVar(&volume, "volume-bytes", "", "largest volume, like 2GiB")
	f.BoolVar(&q.AllowEmpty, "allow-empty", false, "no record is no error")
	f.StringSliceVar(&q.Feeds, "feed", nil, "these feeds alone; all when not given")
	f.StringVar(&q.Base, "base", "", "a delta against this, for experts: a run, a bundle id or a generation")
	f.BoolVar(&q.Reset, "reset-baseline", false, "a delta that carries every record, approved like a full")
	f.BoolVar(&q.Anonymous, "anonymous", false, "neither label nor file names say for whom; the site finds itself by its key")
	f.StringVar(&q.Medium, "medium", "", "dvd sorts the volumes into one folder per disc below --to")
	f.StringVar(&q.Tenant, "tenant", "", "owner, where there are several")
	f.BoolVar(&watch, "watch", false, "follow the run to its end")
	return c
}

// watch follows a run and prints how it ended.
func (a *app) watch(id string) error {
	r, err := stream[wire.Run](a, "runs/watch", wire.RunRequest{ID: id})
	if r == nil {
		return err
	}
	return a.join(r, func(w io.Writer) { a.ended(w, r) }, err)
}

func (a *app) ended(w io.Writer, r *wire.Run) {
	if r.State != "succeeded" {
		fmt.Fprintf(w, "%s: %s\n", r.ID, r.State)
		return
	}
	what := units.Plural(r.Records, "record", "records")
	if c := r.Changes; c != nil {
		what = changes(*c)
	}
	fmt.Fprintf(w, "%s: %s, %s, %s\n", clean(r.Name), r.Status(), what, units.Size(r.Bytes))
	var asked struct{ To string }
	if decode(r.Request, &asked) && asked.To != "" {
		fmt.Fprintf(w, "Safe to remove: %s. Everything was read back past the cache.\n", clean(asked.To))
	}
}

// changes are what a delta changes.
func changes(c wire.RunChanges) string {
	return fmt.Sprintf("%s added, %s changed, %s removed", units.Count(c.Added), units.Count(c.Changed), units.Count(c.Removed))
}

func (a *app) runWatchCmd() *cobra.Command {
	return command("watch RUN", "follow a run to its end", 1, func(args []string) error { return a.watch(args[0]) })
}

func (a *app) runListCmd() *cobra.Command {
	var q wire.RunRequest
	c := command("list", "list runs, newest first", 0, func([]string) error {
		r, err := call[wire.Runs](a, "runs/list", q)
		if err != nil {
			return err
		}
		return a.show(r, func(w io.Writer) {
			var rows [][]string
			for _, x := range r.Runs {
				rows = append(rows, []string{x.ID, x.Status(), x.Profile, strings.Join(x.Peers, ","), units.Size(x.Bytes), x.CreatedAt, why(x)})
			}
			table(w, "RUN STATE PROFILE FOR SIZE CREATED REASON", rows)
		})
	})
	c.Flags().StringVar(&q.Status, "status", "", "in this state alone")
	c.Flags().StringVar(&q.Profile, "profile", "", "of this profile alone")
	c.Flags().IntVar(&q.Limit, "limit", 50, "at most so many")
	return c
}

func why(r wire.Run) string {
	if r.ErrorCode == "" {
		return ""
	}
	return r.ErrorCode + ": " + r.Message
}

func (a *app) runShowCmd() *cobra.Command {
	return command("show RUN", "show one run", 1, func(args []string) error {
		r, err := call[wire.Run](a, "runs/show", wire.RunRequest{ID: args[0]})
		if err != nil {
			return err
		}
		return a.show(r, func(w io.Writer) { a.run(w, r) })
	})
}

func (a *app) run(w io.Writer, r wire.Run) {
	pairs(w, "run", r.ID, "state", r.Status(), "profile", r.Profile, "bundle", r.Name, "bundle id", r.BundleID, "for", strings.Join(r.Peers, ", "),
		"by", r.By, "created", r.CreatedAt, "finished", r.FinishedAt, "records", units.Count(r.Records), "size", units.Size(r.Bytes),
		"attempt", fmt.Sprint(r.Attempt), "reason", why(r))
	var rows [][]string
	for _, f := range r.Feeds {
		rows = append(rows, []string{f.Ref.Name, fmt.Sprint(f.Generation), short(f.Root)})
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		table(w, "FEED GENERATION ROOT", rows)
	}
	if c := r.Changes; c != nil {
		fmt.Fprintf(w, "against the newest base: %s\n", changes(*c))
	}
	for _, b := range r.Bases {
		fmt.Fprintf(w, "applies to %s generation %d, root %s\n", clean(b.Ref.Name), b.Generation, short(b.Root))
	}
	for peer, d := range r.Deliveries {
		fmt.Fprintf(w, "%s: %s by %s at %s, the state it holds is the one that was sent: %s\n", clean(peer), clean(d.Decision), d.How, d.At, yesNo(d.Covers))
	}
}

func (a *app) runCancelCmd() *cobra.Command {
	return command("cancel RUN", "end a run", 1, func(args []string) error {
		r, err := call[wire.Run](a, "runs/cancel", wire.RunRequest{ID: args[0]})
		if err != nil {
			return err
		}
		return a.show(r, func(w io.Writer) { fmt.Fprintf(w, "%s: %s\n", r.ID, r.State) })
	})
}

func (a *app) exportVerifyCmd() *cobra.Command {
	var job string
	c := &cobra.Command{Use: "verify RUN|MEDIUM", Short: "read every outer byte of a bundle again and check it against its signature"}
	c.Flags().StringVar(&job, "job", "", "the run (as an argument does)")
	c.RunE = func(_ *cobra.Command, args []string) (err error) {
		if job != "" {
			args = append(args, job)
		}
		if len(args) != 1 {
			return code.New(code.BadUsage, "verify takes one run or medium").Want("1", len(args))
		}
		q := wire.VerifyRequest{ID: args[0]}
		if st, serr := os.Stat(args[0]); serr == nil && st.IsDir() {
			q.ID = ""
			if q.Path, err = medium(args[0]); err != nil {
				return err
			}
		}
		v, err := stream[wire.Verdicts](a, "bundles/verify", q)
		if v == nil {
			return err
		}
		return a.join(v, func(w io.Writer) {
			for _, x := range v.Verdicts {
				fmt.Fprintf(w, "%s\n  %s\n", clean(x.Sentence), clean(x.Name))
			}
		}, err)
	}
	return c
}

func (a *app) peersConfirmCmd() *cobra.Command {
	c := &cobra.Command{Use: "confirm PEER WORDS…", Short: "take the six words that a site read over the phone after it activated a bundle"}
	c.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) < 2 {
			return code.New(code.BadUsage, "confirm takes the peer and its six words")
		}
		q := wire.ConfirmRequest{Peer: args[0], Words: strings.Join(args[1:], " ")}
		if n := len(strings.Fields(q.Words)); n != 6 {
			return code.New(code.BadUsage, "a spoken receipt has six words").Want(6, n)
		}
		r, err := call[wire.Confirmation](a, "peers/confirm", q)
		if err != nil {
			return err
		}
		return a.show(r, func(w io.Writer) {
			how := "confirmed by voice"
			if r.Proven {
				how = "proven by its receipt already; the words say the same"
				if r.Run.Deliveries[q.Peer].How == "voice" {
					how = "confirmed by voice before; the words say the same"
				}
			}
			fmt.Fprintf(w, "%s: %s at %s, %s\n", clean(r.Run.Name), clean(r.Decision), clean(q.Peer), how)
		})
	}
	return c
}
