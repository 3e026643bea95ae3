package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/code"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

func (a *app) loadCmd() *cobra.Command {
	var q wire.LoadRequest
	var full, add bool
	c := command("load --feed NAME FILE…", "bring local evidence into a feed", -1, func(args []string) (err error) {
		if q.Feed == "" {
			return missing("--feed", "Say into which feed, like --feed osv-go.")
		}
		if q.Files, err = paths(args); err != nil {
			return err
		}
		switch {
		case full && add:
			return code.New(code.BadUsage, "--snapshot and --additive exclude each other")
		case full || add:
			q.Snapshot = &full
		}
		l, err := stream[wire.Loaded](a, "load/run", q)
		if l == nil {
			return err
		}
		return a.join(l, func(w io.Writer) { a.loaded(w, l) }, err)
	})
	f := c.Flags()
	f.StringVar(&q.Feed, "feed", "", "name of the feed")
	f.StringVar(&q.Kind, "kind", "", "what the files are: advisory, finding, sbom, vex, policy, artifact (else detected)")
	f.BoolVar(&q.Strict, "strict", false, "one rejected document stops the load")
	f.BoolVar(&full, "snapshot", false, "the files are the whole feed: what is not in them is removed")
	f.BoolVar(&add, "additive", false, "the files are added to what is there")
	f.StringVar(&q.Tenant, "tenant", "", "owner, where there are several")
	return c
}

func (a *app) loaded(w io.Writer, l *wire.Loaded) {
	c := l.Counts
	if l.Generation > 0 {
		fmt.Fprintf(w, "%s: %s added, %s changed, %s removed, %s unchanged\n", clean(l.Feed), units.Count(c.Added), units.Count(c.Changed), units.Count(c.Removed), units.Count(c.Unchanged))
	}
	switch {
	case l.Unchanged:
		a.say("Nothing changed: generation %d stays, %s.", l.Generation, units.Plural(l.Records, "record", "records"))
	case l.StateRoot != "":
		a.say("Generation %d is active: %s, state root %s.", l.Generation, units.Plural(l.Records, "record", "records"), l.StateRoot)
	}
	if l.Mended > 0 {
		a.say("%s of it were damaged or missing and were written again.", units.Plural(l.Mended, "blob", "blobs"))
	}
	if l.Ill > 0 {
		a.say("%s of it are still damaged or missing: these files do not have what was in them.", units.Plural(l.Ill, "blob", "blobs"))
	}
	if c.Rejected == 0 {
		return
	}
	a.say("%s rejected:", units.Count(c.Rejected))
	for i, r := range l.Rejects {
		if i == 20 {
			a.say("  … all of them with --json")
			break
		}
		a.say("  %s %s: %s", clean(r.File), clean(r.Member), clean(r.Reason))
	}
}

func kinds(m map[string]int64) string {
	var parts []string
	for k, n := range m {
		parts = append(parts, k+" "+units.Count(n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func (a *app) recordsCmd() *cobra.Command {
	return family("records", "single pieces of evidence", a.recordsShowCmd(), a.recordsSearchCmd(), a.recordsListCmd())
}

func selectors(c *cobra.Command, q *wire.RecordRequest) {
	f := c.Flags()
	f.StringVar(&q.Feed, "feed", "", "in this feed alone")
	f.StringVar(&q.Kind, "kind", "", "of this kind alone")
	f.StringVar(&q.Tenant, "tenant", "", "owner, where there are several")
}

func (a *app) recordsShowCmd() *cobra.Command {
	var q wire.RecordRequest
	var raw bool
	c := command("show KEY", "show a record by its key or an alias; --json prints its bytes as they were signed", 1, func(args []string) error {
		q.Key = args[0]
		r, err := call[wire.Record](a, "records/show", q)
		if err != nil {
			return err
		}
		switch {
		case raw && terminal(a.Out):
			return code.New(code.BadUsage, "these bytes come from elsewhere and could steer a terminal").Do("Write them into a file: … --raw > FILE")
		case raw:
			_, err = a.Out.Write(r.Body)
			return err
		case q.Proof:
			return a.show(r.Proof, func(w io.Writer) { a.proof(w, r.Proof) })
		case a.json && !r.Document:
			_, err = a.Out.Write(append(r.Body, '\n'))
			return err
		}
		return a.show(about(r), func(w io.Writer) { a.record(w, r) })
	})
	selectors(c, &q)
	c.Flags().BoolVar(&q.Proof, "proof", false, "show and check the way from the record to its signature")
	c.Flags().BoolVar(&raw, "raw", false, "write the bytes of the record and nothing else")
	return c
}

// documentInfo is what --json says of a document: nothing that differs from appliance to appliance.
type documentInfo struct {
	Kind       string `json:"kind"`
	Key        string `json:"key"`
	Digest     string `json:"digest"`
	Bytes      int64  `json:"bytes"`
	Name       string `json:"name"`
	MediaType  string `json:"mediaType"`
	Feed       string `json:"feed"`
	Origin     string `json:"origin"`
	Generation int64  `json:"generation"`
}

func about(r wire.Record) documentInfo {
	return documentInfo{r.Kind, r.Key, r.Digest, r.Bytes, r.Name, r.MediaType, r.Feed, r.Origin, r.Generation}
}

func (a *app) record(w io.Writer, r wire.Record) {
	pairs(w, "record", r.Key, "kind", r.Kind, "feed", r.OriginName+"/"+r.Feed+", generation "+fmt.Sprint(r.Generation), "name", r.Name,
		"media type", r.MediaType, "digest", r.Digest, "size", units.Size(r.Bytes))
	if r.Document {
		a.say("Its bytes: sallyport records show --raw")
		return
	}
	var pretty bytes.Buffer
	if json.Indent(&pretty, r.Body, "", "  ") != nil {
		return
	}
	fmt.Fprintln(w)
	for line := range strings.Lines(pretty.String()) {
		fmt.Fprintln(w, clean(strings.TrimRight(line, "\n")))
	}
}

func (a *app) proof(w io.Writer, p *wire.Proof) {
	line := ""
	if p.Line != nil {
		line = fmt.Sprint(*p.Line)
	}
	pairs(w, "record", p.Kind+" "+p.Key, "digest", p.Digest, "feed", p.OriginName+"/"+p.Feed.Name+", generation "+fmt.Sprint(p.Generation),
		"shard", p.Shard, "path", p.Path, "line", line, "bundle", p.Bundle, "manifest", p.Manifest, "signer", p.Signer, "key", p.KeyID, "signer is", p.SignerState,
		"trust root", p.RootID, "loaded by", p.LoadedBy, "load record", p.LoadRecord, "from", strings.Join(p.Sources, ", "), "accepted", p.AcceptedAt)
	for _, c := range p.Checked {
		fmt.Fprintf(w, "✓ %s\n", clean(c))
	}
}

func (a *app) recordsSearchCmd() *cobra.Command {
	var q wire.RecordRequest
	c := command("search TEXT", "find records by key, alias, package, or the beginning of a key", 1, func(args []string) error {
		q.Query = args[0]
		r, err := call[wire.Records](a, "records/search", q)
		if err != nil {
			return err
		}
		return a.records(r, q.Query)
	})
	selectors(c, &q)
	c.Flags().IntVar(&q.Limit, "limit", 50, "at most so many")
	return c
}

func (a *app) recordsListCmd() *cobra.Command {
	var q wire.RecordRequest
	c := command("list", "list records in order", 0, func([]string) error {
		r, err := call[wire.Records](a, "records/list", q)
		if err != nil {
			return err
		}
		return a.records(r, "")
	})
	selectors(c, &q)
	c.Flags().IntVar(&q.Limit, "limit", 50, "at most so many")
	c.Flags().StringVar(&q.After, "after", "", "go on behind the cursor of the last list (next in --json)")
	return c
}

// hit is the name of a record's file, or what it was found by when that is not its key.
func hit(r wire.Record, query string) string {
	if r.Name != "" || query == "" || strings.EqualFold(r.Key, query) {
		return r.Name
	}
	return "by " + query
}

// records prints what was found; query is what was asked for, to show why a record is there.
func (a *app) records(r wire.Records, query string) error {
	return a.show(r, func(w io.Writer) {
		var rows [][]string
		for _, x := range r.Records {
			rows = append(rows, []string{x.Kind, x.Key, x.OriginName + "/" + x.Feed, units.Size(x.Bytes), hit(x, query)})
		}
		table(w, "KIND KEY FEED SIZE NAME", rows)
		if len(r.Records) == 0 {
			a.say("Nothing found.")
		}
		if r.Next != "" {
			a.say("There are more: --limit, or --json and --after.")
		}
	})
}
