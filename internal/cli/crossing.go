package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

// medium makes a medium's path absolute; a folder that is to be written may be new.
func medium(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("medium %q: %w", path, err)
	}
	return abs, nil
}

func (a *app) cardCmd() *cobra.Command {
	var to string
	c := command("card", "show who this appliance is; --to writes its card, root and public keys to a medium", 0, func([]string) (err error) {
		action, q := "card/show", wire.MediumRequest{}
		if to != "" {
			action = "card/write"
			if q.Path, err = medium(to); err != nil {
				return err
			}
		}
		k, err := call[wire.Card](a, action, q)
		if err != nil {
			return err
		}
		return a.show(k, func(w io.Writer) {
			a.card(w, k)
			for _, f := range k.Files {
				a.say("written: %s", clean(f))
			}
			if to != "" {
				a.say("The other side compares the fingerprint or the words with what you tell it by letter or phone, not with this stick.")
			}
		})
	})
	c.Flags().StringVar(&to, "to", "", "medium to write to")
	return c
}

func (a *app) card(w io.Writer, k wire.Card) {
	pairs(w, "appliance", k.Name, "id", k.ID, "tenants", strings.Join(k.Tenants, ", "), "fingerprint", k.Fingerprint, "words", k.Words,
		"recipient", k.Recipient, "root version", fmt.Sprint(k.RootVersion))
}

func (a *app) peersCmd() *cobra.Command {
	list := command("list", "list the appliances we know", 0, func([]string) error {
		p, err := call[wire.Peers](a, "peers/list", nil)
		if err != nil {
			return err
		}
		return a.show(p, func(w io.Writer) {
			var rows [][]string
			for _, x := range p.Peers {
				rows = append(rows, []string{x.Name, x.ID, x.Tenant, x.TrustedHow, x.LastContact})
			}
			table(w, "PEER ID TENANT TRUST CONTACT", rows)
		})
	})
	show := command("show PEER", "show one of them, and what it holds of ours", 1, func(args []string) error {
		p, err := call[wire.Peer](a, "peers/show", wire.PeerRequest{Name: args[0]})
		if err != nil {
			return err
		}
		return a.show(p, func(w io.Writer) { a.peer(w, p) })
	})
	return family("peers", "other appliances we trust or feed", a.peersAddCmd(), list, show, a.peersFleetCmd(), a.peersConfirmCmd())
}

func (a *app) peer(w io.Writer, p wire.Peer) {
	pairs(w, "peer", p.Name, "id", p.ID, "tenant", p.Tenant, "their tenant", p.TheirTenant, "fingerprint", p.Fingerprint, "words", p.Words,
		"recipient", p.Recipient, "software", p.Software, "trust", p.TrustedHow+" by "+p.TrustedBy+" at "+p.TrustedAt+" (trusted time)", "last contact", p.LastContact, "asks for", asks(p.Asks))
	var rows [][]string
	for _, h := range p.Holds {
		rows = append(rows, []string{h.Feed, fmt.Sprint(h.Generation), short(h.StateRoot), h.At, yesNo(h.Current)})
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		table(w, "FEED GENERATION ROOT TOLD CURRENT", rows)
	}
}

func asks(volumes int) string {
	if volumes == 0 {
		return ""
	}
	return units.Plural(int64(volumes), "volume", "volumes") + " again: sallyport exchange MEDIUM writes them"
}

func (a *app) peersAddCmd() *cobra.Command {
	var q wire.PeerRequest
	c := command("add MEDIUM", "trust the appliance whose card is on a medium, after its fingerprint was compared", 1, func(args []string) (err error) {
		if q.Path, err = medium(args[0]); err != nil {
			return err
		}
		if q.Fingerprint == "" && q.Words == "" {
			if err := a.compare(&q); err != nil {
				return err
			}
		}
		p, err := call[wire.Peer](a, "peers/add", q)
		if err != nil {
			return err
		}
		return a.show(p, func(w io.Writer) {
			a.peer(w, p)
			a.say("%s is a peer now: trust made by %s.", clean(p.Name), p.TrustedHow)
		})
	})
	f := c.Flags()
	f.StringVar(&q.Fingerprint, "fingerprint", "", "its fingerprint from a letter, a contract or a phone call")
	f.StringVar(&q.Words, "words", "", "its nine words from there")
	f.StringVar(&q.Name, "name", "", "which one, when the medium has several cards")
	f.StringVar(&q.Tenant, "tenant", "", "our tenant it is bound to, where there are several")
	f.StringVar(&q.TheirTenant, "their-tenant", "", "their tenant, where there are several")
	return c
}

// compare shows the words to a person who answers whether they match.
func (a *app) compare(q *wire.PeerRequest) error {
	if !terminal(a.In) || a.json {
		return nil // the daemon refuses and says how
	}
	found, err := call[wire.Question](a, "peers/inspect", q)
	if err != nil {
		return err
	}
	own, err := call[wire.Card](a, "card/show", wire.MediumRequest{})
	if err != nil {
		return err
	}
	a.card(a.Err, found.Card)
	a.say("\nRead these words to them, they are ours (%s):\n  %s", clean(own.Name), own.Words)
	a.say("They must read these words to you, they are on the stick (%s):\n  %s", clean(found.Card.Name), found.Card.Words)
	a.say("%s", found.Sentence)
	ok, err := a.ask("Do all nine words match? Type yes:")
	if err != nil {
		return err
	}
	if !ok {
		return code.New(code.FingerprintWrong, "not compared, or not equal: nothing was changed")
	}
	q.Answered = found.Card.Fingerprint
	return nil
}

func (a *app) outboundCmd() *cobra.Command {
	var q wire.OutboundRequest
	c := command("outbound --to MEDIUM", "write receipts and inventory for our hubs", 0, func([]string) (err error) {
		if q.Path == "" {
			return missing("--to", "Say where the medium is.")
		}
		if q.Path, err = medium(q.Path); err != nil {
			return err
		}
		o, err := stream[wire.Outbound](a, "outbound/write", q)
		if o == nil {
			return err
		}
		return a.join(o, func(w io.Writer) { a.outbound(w, o) }, err)
	})
	c.Flags().StringVar(&q.Path, "to", "", "medium to write to")
	c.Flags().StringVar(&q.Peer, "peer", "", "for this hub alone")
	return c
}

func (a *app) outbound(w io.Writer, o *wire.Outbound) {
	a.written(w, o.Written)
	if o.Sentence != "" {
		fmt.Fprintln(w, clean(o.Sentence))
	}
}

func (a *app) written(w io.Writer, list []wire.Written) {
	for _, x := range list {
		fmt.Fprintf(w, "for %s: %s, %s\n", clean(x.For), clean(x.Name), units.Size(x.Bytes))
	}
}

func (a *app) importCmd() *cobra.Command {
	var q wire.ImportRequest
	c := command("import MEDIUM", "verify what is on a medium for us, show the plan, and take it in when it is approved", 1, func(args []string) (err error) {
		if q.Path, err = medium(args[0]); err != nil {
			return err
		}
		if err := approval(q.Yes, q.Approve); err != nil {
			return err
		}
		in, err := stream[wire.Imported](a, "import/run", q)
		if in == nil {
			return err
		}
		return a.join(in, func(w io.Writer) { a.imported(w, in, a.typed("import", args[0])) }, a.late(in, err))
	})
	c.Flags().BoolVar(&q.Yes, "yes", false, "approve the plan without looking at it first")
	c.Flags().StringVar(&q.Approve, "approve", "", "approve exactly the plan with this digest")
	c.Flags().BoolVar(&q.Plan, "plan", false, "show the plan and stop")
	return c
}

// approval judges how a plan was approved on the command line.
func approval(yes bool, plan string) error {
	if yes && plan != "" {
		return code.New(code.BadUsage, "--yes and --approve exclude each other")
	}
	if plan == "" {
		return nil
	}
	if _, err := digest.Parse(plan); err != nil {
		return code.Wrap(code.BadUsage, err, "--approve takes the digest of a plan").Do("Copy the whole line that the plan ended with.")
	}
	return nil
}

// decided is what became of one feed of a bundle; of a plan, what would.
func decided(bundle, feed string) string {
	if bundle != "planned" {
		return feed
	}
	switch feed {
	case "activated":
		return "would activate"
	case "held":
		return "would hold"
	}
	return feed
}

// outcomeWord is what became of a bundle in one word. An old one is late: nothing is wrong with it.
func outcomeWord(o wire.Outcome) string {
	if o.Decision == "refused" && o.Code == string(code.Rollback) {
		return "late"
	}
	return o.Decision
}

// named is the name of a bundle before its sentence, where there are several and the sentence does not say it.
func named(o wire.Outcome, all int) string {
	name := o.Plan.Name
	if name == "" {
		name = filepath.Base(o.Dir)
	}
	if all < 2 || strings.Contains(o.Sentence, name) {
		return ""
	}
	return clean(name) + ": "
}

// late turns the error of a visit that met nothing but data older than ours into its exit status alone: the text says it, and
// nothing is wrong.
func (a *app) late(in *wire.Imported, err error) error {
	if a.json || in == nil || code.Of(err) != code.Rollback {
		return err
	}
	if slices.ContainsFunc(in.Outcomes, func(o wire.Outcome) bool { return o.Decision == "refused" && o.Code != string(code.Rollback) }) {
		return err
	}
	return exit(code.Lookup(code.Rollback).Exit())
}

// imported prints what was found and done, and how to go on when a plan waits.
func (a *app) imported(w io.Writer, in *wire.Imported, again string) {
	waits := false
	for _, t := range in.Trust { // first: what is refused below may be refused because of it
		fmt.Fprintf(w, "trust: %s\n", clean(t.Sentence))
	}
	for _, o := range in.Outcomes {
		fmt.Fprintf(w, "%s: %s%s\n", outcomeWord(o), named(o, len(in.Outcomes)), clean(o.Sentence))
		for _, f := range o.Plan.Feeds {
			fmt.Fprintf(w, "  %s %s/%s generation %s: %s added, %s changed, %s removed, %s\n", decided(o.Decision, f.Decision), clean(origin(f)), clean(f.Feed), generation(f.Epoch, f.Generation),
				units.Count(f.Added), units.Count(f.Changed), units.Count(f.Removed), units.Plural(f.Records, "record", "records"))
		}
		if o.Receipt != "" {
			fmt.Fprintf(w, "  receipt %s\n", o.Receipt)
		}
		if o.Spoken != "" {
			a.say("  To confirm it by phone, read these six words: %s", o.Spoken)
		}
		for _, name := range o.Unlisted {
			a.say("  beside it, signed by nobody and left alone: %s", clean(name))
		}
		for _, name := range o.Lacking {
			a.say("  %s was signed and is missing: a sheet for people, nothing depends on it", clean(name))
		}
		waits = waits || o.Decision == "planned"
	}
	for _, name := range in.Cards {
		a.say("The newer card of %s was recorded.", clean(name))
	}
	if in.Clock != "" {
		a.say("%s", clean(in.Clock))
	}
	said := slices.ContainsFunc(in.Outcomes, func(o wire.Outcome) bool { return o.Sentence == in.Sentence })
	if in.Sentence != "" && !said {
		fmt.Fprintln(w, clean(in.Sentence))
	}
	if in.Damaged > 0 {
		a.say("But %s here damaged or missing, and this stick may have it:", units.Plural(int64(in.Damaged), "thing is", "things are"))
		a.say("→ %s", clean(in.Next))
	}
	if !waits {
		return
	}
	fmt.Fprintf(w, "plan %s\n", in.Plan.Digest)
	for _, b := range in.Plan.Bundles {
		a.say("  %s from %s, signed by %s, %s old, needs %s", clean(b.Name), clean(b.From), clean(b.Signer), age(b.AgeSeconds), units.Size(b.Space))
		if b.NeedsApproval != "" {
			a.say("  needs approval: %s", clean(b.NeedsApproval))
		}
	}
	a.say("To take it in: %s --approve %s", clean(again), in.Plan.Digest)
}

func origin(f wire.FeedPlan) string {
	if f.OriginName != "" {
		return f.OriginName
	}
	return f.Origin
}

func (a *app) exchangeCmd() *cobra.Command {
	var q wire.ExchangeRequest
	c := command("exchange MEDIUM", "one whole visit: everything in that is for us, then everything out, then safe to remove", 1, func(args []string) (err error) {
		if q.Path, err = medium(args[0]); err != nil {
			return err
		}
		if err := approval(q.Yes, q.Approve); err != nil {
			return err
		}
		x, err := stream[wire.Exchanged](a, "exchange/run", q)
		if x == nil {
			return err
		}
		return a.join(x, func(w io.Writer) { a.exchanged(w, x, a.typed("exchange", args[0])) }, a.late(x.In, err))
	})
	f := c.Flags()
	f.BoolVar(&q.Yes, "yes", false, "approve the plan without looking at it first")
	f.StringVar(&q.Approve, "approve", "", "approve exactly the plan with this digest")
	f.BoolVar(&q.Plan, "plan", false, "show both halves and stop")
	f.StringSliceVar(&q.For, "for", nil, "write for these peers alone")
	return c
}

func (a *app) exchanged(w io.Writer, x *wire.Exchanged, again string) {
	if x.In != nil {
		a.imported(w, x.In, again)
	}
	if x.Waiting != "" || len(x.Written) == 0 {
		for _, d := range x.Due {
			fmt.Fprintf(w, "due for %s: %s\n", clean(d.Peer), clean(d.Why))
		}
	}
	a.written(w, x.Written)
	if x.Sentence != "" {
		fmt.Fprintln(w, clean(x.Sentence))
	}
}

func (a *app) receiptsCmd() *cobra.Command {
	var limit int
	list := command("list", "list the receipts we gave out, newest first", 0, func([]string) error {
		r, err := call[wire.Receipts](a, "receipts/list", wire.ReceiptRequest{Limit: limit})
		if err != nil {
			return err
		}
		return a.show(r, func(w io.Writer) {
			var rows [][]string
			for _, x := range r.Receipts {
				rows = append(rows, []string{x.Number, x.Peer, x.Bundle, x.Decision, x.At, x.AckedAt})
			}
			table(w, "RECEIPT PEER BUNDLE DECISION AT ACKNOWLEDGED", rows)
		})
	})
	list.Flags().IntVar(&limit, "limit", 50, "at most so many; 0 is all")
	show := command("show R-NUMBER", "show one receipt", 1, func(args []string) error {
		r, err := a.receipt(args[0])
		if err != nil {
			return err
		}
		return a.show(r, func(w io.Writer) {
			pairs(w, "receipt", r.Number, "for", r.Peer, "bundle", r.Bundle, "bundle id", r.BundleID, "decision", r.Decision, "at", r.At,
				"digest", r.Digest, "acknowledged", r.AckedAt, "words", r.Spoken)
		})
	})
	var to string
	export := command("export R-NUMBER", "write the signed receipt, which anyone can verify with our public key", 1, func(args []string) error {
		r, err := a.receipt(args[0])
		if err != nil {
			return err
		}
		if to == "" || to == "-" {
			_, err := a.Out.Write(append(r.Envelope, '\n'))
			return err
		}
		f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return code.Wrap(code.BadUsage, err, "export receipt").In(to, "")
		}
		_, err = f.Write(r.Envelope)
		return errors.Join(err, f.Close())
	})
	export.Flags().StringVar(&to, "to", "", "a new file; standard output when not given")
	return family("receipts", "the signed answers we gave to bundles", list, show, export)
}

func (a *app) receipt(number string) (wire.Receipt, error) {
	return call[wire.Receipt](a, "receipts/show", wire.ReceiptRequest{Number: strings.ToUpper(number)})
}

func (a *app) mediaCmd() *cobra.Command {
	list := command("list", "list the media that are mounted", 0, func([]string) error {
		m, err := call[wire.Media](a, "media/list", nil)
		if err != nil {
			return err
		}
		return a.show(m, func(w io.Writer) {
			var rows [][]string
			for _, x := range m.Media {
				rows = append(rows, []string{x.Path, x.FSType, units.Size(x.Free), x.State, fmt.Sprint(len(x.Bundles))})
			}
			table(w, "MEDIUM TYPE FREE STATE BUNDLES", rows)
			for _, x := range m.Media {
				if x.Sentence != "" {
					fmt.Fprintf(w, "%s: %s\n", x.Path, x.Sentence)
				}
			}
			a.waitingFor(w, m.Waiting)
			if len(m.Media) == 0 {
				a.say("No medium is mounted below /media, /mnt or /run/media, and no removable one is plugged in.")
			}
		})
	})
	show := command("show MEDIUM", "show what lies on a medium; nothing is proven by it", 1, func(args []string) error {
		path, err := medium(args[0])
		if err != nil {
			return err
		}
		m, err := call[wire.Medium](a, "media/show", wire.MediumRequest{Path: path})
		if err != nil {
			return err
		}
		return a.show(m, func(w io.Writer) { a.medium(w, m) })
	})
	return family("media", "sticks, discs and directories that are carried", list, show, a.healCmd(), a.mediaForgetCmd())
}

func (a *app) medium(w io.Writer, m wire.Medium) {
	pairs(w, "medium", m.Path, "type", m.FSType, "device", m.Device, "label", m.Label, "free", units.Size(m.Free)+" of "+units.Size(m.Total),
		"read-only", yesNo(m.ReadOnly), "cards", strings.Join(m.Cards, ", "), "peers", strings.Join(m.Peers, ", "))
	for _, s := range []string{m.Sentence, m.Writing} {
		if s != "" {
			fmt.Fprintln(w, s)
		}
	}
	a.waitingFor(w, m.Waiting)
	if !m.Ours {
		return
	}
	var rows [][]string
	for _, b := range m.Bundles {
		rows = append(rows, []string{b.Dir, b.From, strings.Join(b.For, ","), b.Variant + " " + b.Kind, units.Size(b.Bytes), b.Problem})
	}
	if len(rows) > 0 {
		fmt.Fprintln(w)
		table(w, "BUNDLE FROM FOR KIND SIZE PROBLEM", rows)
		for _, b := range m.Bundles {
			if len(b.Unlisted) > 0 {
				fmt.Fprintf(w, "Not part of %s: %s\n", b.Dir, strings.Join(b.Unlisted, ", "))
			}
		}
		a.say("These are the words of the labels; sallyport import verifies them.")
	}
}
