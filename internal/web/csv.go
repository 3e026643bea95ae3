package web

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

// CSV writes the answer of an action that lists something as a table: the columns that people compare and add up, with whole
// numbers, whole digests and times as RFC 3339. Code not-found for an answer that is no list.
func CSV(answer any) ([]byte, error) {
	for _, table := range []func(any) ([]byte, error){crossed, known, kept, people} {
		b, err := table(answer)
		if b != nil || err != nil {
			return b, err
		}
	}
	return nil, code.New(code.Missing, "%T is no table", answer)
}

// crossed are the lists of what crosses the gap.
func crossed(answer any) ([]byte, error) {
	switch v := answer.(type) {
	case wire.Runs:
		return sheet("Run,State,Kind,Variant,Profile,Tenant,For,Name,Bundle id,Records,Bytes,By,Created,Started,Finished,Error", v.Runs, func(r wire.Run) []any {
			return []any{r.ID, r.Status(), r.Kind, r.Variant, r.Profile, r.Tenant, r.Peers, r.Name, r.BundleID, r.Records, r.Bytes, r.By, r.CreatedAt, r.StartedAt, r.FinishedAt, r.Code}
		})
	case wire.Shelf:
		return sheet("File,Bytes,Digest", v.Files, func(f wire.ShelfFile) []any { return []any{f.Name, f.Bytes, f.Digest} })
	case wire.Receipts:
		return sheet("Receipt,At,Decision,Peer,Tenant,Bundle,Bundle id,Digest,Acknowledged,Spoken", v.Receipts, func(r wire.Receipt) []any {
			return []any{r.Number, r.At, r.Decision, r.Peer, r.Tenant, r.Bundle, r.BundleID, r.Digest, r.AckedAt, r.Spoken}
		})
	case wire.Quarantine:
		return sheet("Number,At,Code,Reason,Bundle,From,Tenant,Bytes,Signer,Label,Folder", v.Entries, func(q wire.Quarantined) []any {
			return []any{q.Number, q.At, q.Code, q.Reason, q.Bundle, q.From, q.Tenant, q.Bytes, q.Signer, q.Label, q.Dir}
		})
	case wire.Media:
		return sheet("Path,State,Label,File system,Device,Serial,Free,Total,Read-only,Bundles,Sentence", v.Media, func(m wire.Medium) []any {
			return []any{m.Path, m.State, m.Label, m.FSType, m.Device, m.Serial, m.Free, m.Total, m.ReadOnly, len(m.Bundles), m.Sentence}
		})
	case wire.Imported:
		return sheet("Bundle,From,Decision,Feed,Generation before,Generation,Added,Changed,Removed,Unchanged,Bytes,Receipt,Code", feedsOf(v), func(f fed) []any {
			p, o := f.feed, f.outcome
			return []any{o.Plan.Name, o.Plan.From, o.Decision, p.Feed, p.Before, p.Generation, p.Added, p.Changed, p.Removed, p.Unchanged, o.Plan.Bytes, o.Receipt, o.Code}
		})
	case *wire.Imported:
		return crossed(*v)
	}
	return nil, nil
}

// fed is one feed of one bundle of an import.
type fed struct {
	outcome wire.Outcome
	feed    wire.FeedPlan
}

func feedsOf(v wire.Imported) (all []fed) {
	for _, o := range v.Outcomes {
		if len(o.Plan.Feeds) == 0 {
			all = append(all, fed{outcome: o})
		}
		for _, f := range o.Plan.Feeds {
			all = append(all, fed{o, f})
		}
	}
	return all
}

// known are the lists of what is held here, and of whom is known.
func known(answer any) ([]byte, error) {
	switch v := answer.(type) {
	case wire.Feeds:
		return sheet("Feed,Tenant,Origin,Epoch,Generation,Newest,Records,Bytes,Age in seconds,Age is at least,Standing,Stick every seconds,Pinned,Generated,Accepted,State root", v.Feeds, func(f wire.Feed) []any {
			return []any{f.FullName, f.Tenant, f.Origin, f.Epoch, f.Generation, f.Newest, f.Records, f.Bytes, f.AgeSeconds, f.AtLeast, f.Standing, f.Every, f.Pinned, f.GeneratedAt, f.AcceptedAt, f.StateRoot}
		})
	case wire.FeedDetail:
		return sheet("Epoch,Generation,Active,Held,Records,Bytes,Accepted,Anchor time,Bundle id,Signer,Loaded by,State root", v.Held, func(g wire.Generation) []any {
			return []any{g.Epoch, g.Generation, g.Active, g.Held, g.Records, g.Bytes, g.AcceptedAt, g.AnchorTime, g.BundleID, g.Signer, g.LoadedBy, g.StateRoot}
		})
	case wire.Records:
		return sheet("Kind,Key,Feed,Origin,Generation,Bytes,Digest,Document,File,Media type", v.Records, func(r wire.Record) []any {
			return []any{r.Kind, r.Key, r.Feed, r.OriginName, r.Generation, r.Bytes, r.Digest, r.Document, r.Name, r.MediaType}
		})
	case wire.Peers:
		return sheet("Peer,Id,Tenant,Their tenant,Fingerprint,Trusted by,Trusted how,Trusted at,Last contact,Software,Volumes asked for", v.Peers, func(p wire.Peer) []any {
			return []any{p.Name, p.ID, p.Tenant, p.TheirTenant, p.Fingerprint, p.TrustedBy, p.TrustedHow, p.TrustedAt, p.LastContact, p.Software, p.Asks}
		})
	case wire.Fleet:
		return sheet("Peer,Level,Why,Has,We have,Last contact,Next stick due,Overdue seconds,Delta bytes,Full bytes,Volumes asked for,Keys that end,Receipts open,Reader,Root ends", v.Peers, func(p wire.PeerStanding) []any {
			return []any{
				p.Name, p.Level, p.Why, has(p, func(f wire.FleetFeed) string { return f.Has }), has(p, func(f wire.FleetFeed) string { return f.We }), p.LastContact, p.NextDue,
				p.Overdue, unknown(p.Delta), p.Full, asked(p), ending(p), p.Receipts, p.Reader, p.RootEnds,
			}
		})
	case wire.TrustViews:
		return sheet("Appliance,Own,Fingerprint,Root version,Root ends,Kind,Key id,Tenants,State,Ends,Here", keysOf(v), func(k trusted) []any {
			return []any{k.of.Name, k.of.Own, k.of.Fingerprint, k.of.Version, k.of.NotAfter, k.key.Kind, k.key.KeyID, k.key.Tenants, k.key.State, k.key.NotAfter, k.key.Here}
		})
	case wire.KeyRows:
		return sheet("Kind,Key id,Tenants,State,Ends,Here,Words", v.Keys, func(k wire.KeyRow) []any {
			return []any{k.Kind, k.KeyID, k.Tenants, k.State, k.NotAfter, k.Here, k.Words}
		})
	}
	return nil, nil
}

// trusted is one key of one trust root.
type trusted struct {
	of  wire.TrustView
	key wire.KeyRow
}

func keysOf(v wire.TrustViews) (all []trusted) {
	for _, a := range v.Appliances {
		for _, k := range a.Keys {
			all = append(all, trusted{a, k})
		}
	}
	return all
}

// has lists a number of each feed: "osv 12, sboms 3".
func has(p wire.PeerStanding, of func(wire.FleetFeed) string) (list []string) {
	for _, f := range p.Feeds {
		n := of(f)
		if n == "" {
			n = "unknown"
		}
		list = append(list, f.Feed+" "+n)
	}
	return list
}

func asked(p wire.PeerStanding) (n int) {
	for _, w := range p.Wanted {
		n += len(w.Volumes)
	}
	return n
}

func ending(p wire.PeerStanding) (list []string) {
	for _, k := range p.Keys {
		list = append(list, k.Kind+" "+k.KeyID+" "+k.NotAfter)
	}
	return list
}

// unknown leaves a cell empty where a number is not known.
func unknown(n int64) any {
	if n < 0 {
		return ""
	}
	return n
}

// kept are the lists of what happened and how this appliance stands.
func kept(answer any) ([]byte, error) {
	switch v := answer.(type) {
	case wire.Timeline:
		return sheet("Entry,Type,At,Actor,Subject,Tenant,Details,Wall clock,Id,Redacted", v.Events, func(e wire.Event) []any {
			return []any{e.Seq, e.Type, e.At, e.Actor, e.Subject, e.Tenant, pairs(e.Attrs), e.Wall, e.ID, e.Gone}
		})
	case wire.Doctor:
		return sheet("Check,Level,Detail,Next", v.Checks, func(c wire.Check) []any { return []any{c.Name, c.Level, c.Detail, c.Next} })
	case wire.Store:
		return sheet("What,Name,Bytes,Why,Needed by,Next", v.Damaged, func(d wire.Damaged) []any { return []any{d.What, d.Name, d.Bytes, d.Why, d.Used, d.Next} })
	case wire.Pruned:
		return sheet("Feed,Tenant,Epoch,Generation,Records,Accepted", v.Generations, func(g wire.PrunedPlace) []any {
			return []any{g.Feed, g.Tenant, g.Epoch, g.Generation, g.Records, g.AcceptedAt}
		})
	case wire.Settings:
		return sheet("Setting,Value,Source,Variable,Help", v.Settings, func(s wire.Setting) []any { return []any{s.Name, s.Value, s.Source, s.Variable, s.Help} })
	case wire.Uploads:
		return sheet("Upload,State,Files,Bytes here,Bytes,By,Tenant,Created,Kept until,Path", v.Uploads, func(u wire.Upload) []any {
			return []any{u.ID, u.State, len(u.Files), u.Bytes, u.Total, u.By, u.Tenant, u.CreatedAt, u.Expires, u.Path}
		})
	case wire.Jobs:
		return sheet("Job,Action,Subject,State,By,Via,Created,Started,Finished,Seconds,Attempt,Error", v.Jobs, func(j wire.Job) []any {
			failed := ""
			if j.Error != nil {
				failed = j.Error.Code
			}
			return []any{j.ID, j.Action, j.Subject, j.State, j.By, j.Via, j.CreatedAt, j.StartedAt, j.FinishedAt, j.Seconds, j.Attempt, failed}
		})
	}
	return nil, nil
}

// people are the lists of who may do what, and who did.
func people(answer any) ([]byte, error) {
	switch v := answer.(type) {
	case wire.Approvals:
		return sheet("Plan,Kind,Subject,State,Proposed by,Needs,Said yes,Said no,Created,Open until,Made", v.Approvals, func(p wire.Approval) []any {
			var yes []string
			for _, g := range p.Grants {
				yes = append(yes, g.Person+" "+g.At)
			}
			no := ""
			if p.Denied != nil {
				no = p.Denied.Person + " " + p.Denied.At
			}
			return []any{p.Digest, p.Kind, p.Subject, p.State, p.Proposer, p.Need, yes, no, p.CreatedAt, p.ExpiresAt, p.UsedAt}
		})
	case wire.Users:
		return sheet("Account,Roles,State,Why,Created,Created by,Ends,Last sign-in,Users of this machine,App,Recovery codes left,Sessions", v.Users, func(u wire.User) []any {
			return []any{u.Name, u.Roles, u.State, u.Why, u.CreatedAt, u.CreatedBy, u.EndsAt, u.LastLogin, u.Names, u.App, u.CodesLeft, u.Sessions}
		})
	case wire.APITokens:
		return sheet("Token,Name,Account,Scopes,State,Created,Created by,Ends,Last used", v.Tokens, func(k wire.APIToken) []any {
			return []any{k.ID, k.Name, k.Account, k.Scopes, k.State, k.CreatedAt, k.CreatedBy, k.EndsAt, k.UsedAt}
		})
	case wire.WebSessions:
		return sheet("Session,Account,Signed in,From,Browser,Idle seconds,Seconds left", v.Sessions, func(s wire.WebSession) []any {
			return []any{s.ID, s.Account, s.At, s.Remote, s.Agent, s.Idle, s.Left}
		})
	}
	return nil, nil
}

// pairs writes the details of an event in the order of their names.
func pairs(m map[string]string) (list []string) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k+"="+m[k])
	}
	return list
}

// sheet writes one line for each row. Lists in a cell are joined by semicolons, truth is yes or nothing.
func sheet[T any](head string, rows []T, cells func(T) []any) ([]byte, error) {
	text := make([][]string, 0, len(rows))
	for _, r := range rows {
		var line []string
		for _, c := range cells(r) {
			line = append(line, cellText(c))
		}
		text = append(text, line)
	}
	return units.CSV(strings.Split(head, ","), text)
}

func cellText(c any) string {
	switch v := c.(type) {
	case string:
		return v
	case []string:
		return strings.Join(v, "; ")
	case bool:
		if v {
			return "yes"
		}
		return ""
	}
	return fmt.Sprint(c)
}
