package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/code"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

func (a *app) storeCmd() *cobra.Command {
	return family("store", "what is on the appliance's disk: show, prune, scrub",
		command("show", "what lies there, what of it could go, what is damaged", 0, func([]string) error {
			s, err := call[wire.Store](a, "store/show", nil)
			if err != nil {
				return err
			}
			return a.show(s, func(w io.Writer) { a.store(w, s) })
		}), a.storePruneCmd(), a.storeScrubCmd())
}

func (a *app) store(w io.Writer, s wire.Store) {
	inodes := ""
	if s.Inodes >= 0 {
		inodes = units.Count(s.Inodes) + " free"
	}
	size := func(n int64) string {
		if n == 0 {
			return ""
		}
		return units.Size(n)
	}
	pairs(w, "disk", fmt.Sprintf("%s free of %s; loads and imports leave %s free", units.Size(s.Free), units.Size(s.Total), units.Size(s.Keep)),
		"inodes", inodes, "promised", size(s.Reserved), "ballast", size(s.Ballast),
		"blobs", fmt.Sprintf("%s, %s", units.Count(s.Blobs), units.Size(s.Bytes)),
		"orphans", orphanWords(s), "dead", deadWords(s),
		"layers", size(s.Layers), "state", size(s.State), "staging", size(s.Staging), "waiting", size(s.Waiting),
		"quarantine", size(s.Quarantine), "shelf", shelfWords(s), "backups", size(s.Backups),
		"prune", pruneWords(s), "scrub", scrubWords(s.Scrub))
	a.damaged(w, s.Damaged)
	if s.Stopped {
		a.say("Intake has stopped: less than %s is free.", units.Size(s.Keep))
	}
	if s.Prunable > 0 {
		a.say("→ %s", a.typed("store", "prune", "--keep", fmt.Sprint(s.Keeping), "--plan"))
	}
}

func shelfWords(s wire.Store) string {
	if s.Shelf == 0 {
		return ""
	}
	return units.Size(s.Shelf) + " of bundles made here, kept so that they can be written to a stick again"
}

func orphanWords(s wire.Store) string {
	if s.Orphans == 0 {
		return "none"
	}
	return fmt.Sprintf("%s, %s: nothing names them, they go a day after they came", units.Count(s.Orphans), units.Size(s.OrphanSize))
}

func deadWords(s wire.Store) string {
	if s.Dead == 0 {
		return "none"
	}
	return units.Size(s.Dead) + " of kept shards belong to records that are gone; a full refresh returns them"
}

func pruneWords(s wire.Store) string {
	if s.Prunable == 0 {
		return "nothing can go: what is kept is active, held, or needed"
	}
	return fmt.Sprintf("%s can go when %s of each feed stays, besides what is active, held or needed", units.Size(s.Prunable), units.Plural(int64(s.Keeping), "newest generation", "newest generations"))
}

func scrubWords(s wire.Scrubbed) string {
	if s.At == "" {
		return "never yet"
	}
	if s.All {
		return fmt.Sprintf("all of it, %s, ended %s", units.Size(s.Bytes), s.At)
	}
	return fmt.Sprintf("%d %% of this round, last part ended %s; %s so far", s.Percent, s.At, units.Plural(s.Rounds, "whole round", "whole rounds"))
}

// damaged lists what is damaged, who needs it, and what helps.
func (a *app) damaged(w io.Writer, list []wire.Damaged) {
	if len(list) == 0 {
		return
	}
	var rows [][]string
	next := map[string]bool{}
	for _, d := range list {
		used := strings.Join(d.Used, "; ")
		if used == "" {
			used = "nothing"
		}
		rows = append(rows, []string{d.What, short(d.Name), d.Why, used})
		next[d.Next] = true
	}
	fmt.Fprintln(w)
	table(w, "DAMAGED NAME WHY NEEDED-BY", rows)
	for n := range next {
		if n != "" {
			a.say("→ %s", clean(n))
		}
	}
}

func (a *app) storePruneCmd() *cobra.Command {
	var q wire.PruneRequest
	var c *cobra.Command
	c = command("prune", "drop old generations that nothing holds, and what nothing names; works on a full disk", 0, func([]string) error {
		if q.Keep < 0 || q.Keep == 0 && c.Flags().Changed("keep") {
			return code.New(code.BadUsage, "--keep").Want("1 or more", q.Keep)
		}
		action := "store/prune"
		if q.Plan {
			action = "store/plan"
		}
		p, err := call[wire.Pruned](a, action, q)
		if err != nil {
			return err
		}
		return a.show(p, func(w io.Writer) { a.pruned(w, p) })
	})
	f := c.Flags()
	f.IntVar(&q.Keep, "keep", 0, "generations of each feed that stay, besides active, held and needed ones (default 5, as always)")
	f.BoolVar(&q.Plan, "plan", false, "say what would go and change nothing")
	return c
}

func (a *app) pruned(w io.Writer, p wire.Pruned) {
	var rows [][]string
	for _, g := range p.Generations {
		rows = append(rows, []string{g.Feed, fmt.Sprintf("%d.%d", g.Epoch, g.Generation), units.Count(g.Records), g.AcceptedAt})
	}
	if len(rows) > 0 {
		table(w, "FEED GENERATION RECORDS ACCEPTED", rows)
	}
	would, state := "Gone", "now free"
	if p.Plan {
		would, state = "Would go", "free now, before it"
	}
	if len(p.Generations)+p.Blobs+p.Layers == 0 {
		a.say("Nothing can go: what is here is active, held, needed, or the newest %d of its feed.", p.Keep)
		return
	}
	fmt.Fprintf(w, "%s: %s, %s, %s: %s. %s %s.\n", would, units.Plural(int64(len(p.Generations)), "generation", "generations"),
		units.Plural(int64(p.Layers), "layer", "layers"), units.Plural(int64(p.Blobs), "blob", "blobs"), units.Size(p.Bytes), units.Size(p.Free), state)
	if p.Plan {
		a.say("→ %s", a.typed("store", "prune", "--keep", fmt.Sprint(p.Keep)))
	}
}

func (a *app) storeScrubCmd() *cobra.Command {
	var q wire.ScrubRequest
	c := command("scrub", "read the store again and prove every byte", 0, func([]string) error {
		s, err := stream[wire.Scrubbed](a, "store/scrub", q)
		if err != nil {
			return err
		}
		if err := a.show(s, func(w io.Writer) {
			fmt.Fprintln(w, clean(s.Sentence))
			a.damaged(w, s.Damaged)
			for _, l := range s.Rebuilt {
				a.say("Layer %s was damaged and was made again from its shards.", clean(l))
			}
		}); err != nil {
			return err
		}
		if len(s.Damaged) > 0 {
			return exit(code.Lookup(code.StoreCorrupt).Exit())
		}
		return nil
	})
	c.Flags().BoolVar(&q.All, "all", false, "the whole store, not only the part that is due today")
	return c
}

func (a *app) healCmd() *cobra.Command {
	return command("heal MEDIUM", "take from any bundle on a medium what is damaged or missing here; nothing is activated", 1, func(args []string) error {
		path, err := filepath.Abs(args[0])
		if err != nil {
			return err
		}
		h, err := stream[wire.Healed](a, "media/heal", wire.MediumRequest{Path: path})
		if err != nil {
			return err
		}
		if err := a.show(h, func(w io.Writer) {
			var rows [][]string
			for _, b := range h.Bundles {
				what := "nothing that is missing here"
				switch {
				case b.Code != "":
					what = "not used: " + b.Reason
				case b.Blobs+b.Layers > 0:
					what = fmt.Sprintf("%s, %s, %s", units.Plural(int64(b.Blobs), "blob", "blobs"), units.Plural(int64(b.Layers), "layer", "layers"), units.Size(b.Bytes))
				}
				rows = append(rows, []string{b.Name, b.From, what})
			}
			table(w, "BUNDLE FROM GAVE", rows)
			a.damaged(w, h.Left)
			fmt.Fprintln(w, clean(h.Sentence))
		}); err != nil {
			return err
		}
		if len(h.Left) > 0 {
			return exit(code.Lookup(code.StoreCorrupt).Exit())
		}
		return nil
	})
}
