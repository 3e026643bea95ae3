package page_test

import (
	"encoding/json"
	"time"

	"sallyport/internal/wire"
	"sallyport/ui/kit"
	"sallyport/ui/page"
)

var (
	midday = time.Date(2026, 3, 14, 14, 2, 3, 0, time.UTC)
	sum    = "sha256:7c1e90ab44d2c3b0f6a1d2e3f4a5b6c7d8e9fa0b1c2d3e4f5a6b7c8d9e0f1a2b"
	sum2   = "sha256:0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9"
	keyID  = "SHA256:4n8gOQYf0y3Q0r6tKx1q7m2b8s9w0d1e2f3a4b5c6d7"
	nine   = "river lamp ocean stone winter paper copper field anchor"
)

// ago is a stamp so many hours before midday.
func ago(hours int) string {
	return midday.Add(-time.Duration(hours) * time.Hour).Format(time.RFC3339)
}

func feeds() []wire.Feed {
	day := int64(86400)
	return []wire.Feed{
		{Name: "osv-go", FullName: "hub-01/osv-go", Tenant: "acme", Origin: "ap1hub", OriginName: "hub-01", Epoch: 1, Generation: 42, StateRoot: sum, Records: 4291, Kinds: map[string]int64{"advisory": 4291}, GeneratedAt: ago(73), AcceptedAt: ago(72), Bytes: 1 << 26, Mark: "1.42", Newest: "1.42", Standing: "ok", AgeSeconds: 3 * day, Every: 14 * day},
		{Name: "osv-npm", FullName: "hub-01/osv-npm", Tenant: "acme", Origin: "ap1hub", OriginName: "hub-01", Epoch: 1, Generation: 40, StateRoot: sum, Records: 104233, Kinds: map[string]int64{"advisory": 104233}, AcceptedAt: ago(700), Bytes: 1 << 30, Mark: "1.42", Newest: "1.42", Standing: "warn", AgeSeconds: 31 * day, Every: 14 * day, Pinned: true, PinReason: "generation 41 lost 300 advisories; headquarters looks at it"},
		{Name: "vendor-vex", FullName: "hub-02/vendor-vex", Tenant: "acme", Origin: "ap1two", OriginName: "hub-02", Epoch: 2, Generation: 3, StateRoot: sum2, Records: 212, Kinds: map[string]int64{"vex": 212}, AcceptedAt: ago(1100), Bytes: 1 << 20, Mark: "2.3", Newest: "2.3", Standing: "breach", Blocks: true, AgeSeconds: 46 * day, AtLeast: true, Every: 14 * day},
		{Name: "policies", FullName: "hub-02/policies", Tenant: "acme", Origin: "ap1two", OriginName: "hub-02"},
		{Name: "sboms", FullName: "site-07/sboms", Tenant: "acme", Origin: "ap1self", OriginName: "site-07", Local: true, Epoch: 1, Generation: 9, StateRoot: sum2, Records: 212, Kinds: map[string]int64{"sbom": 200, "artifact": 12}, AcceptedAt: ago(6), Bytes: 1 << 24, Mark: "1.9", Newest: "1.9"},
	}
}

func feedDetail(i int) wire.FeedDetail {
	f := feeds()[i]
	d := wire.FeedDetail{Feed: f}
	for n := f.Generation; n > max(0, f.Generation-4); n-- {
		g := wire.Generation{Epoch: f.Epoch, Generation: n, StateRoot: sum, Records: f.Records - (f.Generation-n)*11, Bytes: f.Bytes, BundleID: sum2, Signer: keyID, AcceptedAt: ago(72 + int(f.Generation-n)*14*24), Active: n == f.Generation, Held: n == f.Generation-2}
		if f.Local {
			g.BundleID, g.LoadedBy = "", "anna"
		}
		d.Held = append(d.Held, g)
	}
	return d
}

func records() wire.Records {
	return wire.Records{Next: "bmV4dA", Records: []wire.Record{
		{Kind: "advisory", Key: "GO-2024-2687", Digest: sum, Bytes: 2310, Feed: "osv-go", Origin: "ap1hub", OriginName: "hub-01", Generation: 42},
		{Kind: "advisory", Key: "GHSA-4v7x-pqxf-cx7m", Digest: sum2, Bytes: 1822, Feed: "osv-go", Origin: "ap1hub", OriginName: "hub-01", Generation: 42},
		{Kind: "sbom", Key: "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", Digest: sum, Bytes: 88210, Document: true, Name: "turbine-control.cdx.json", MediaType: "application/vnd.cyclonedx+json", Feed: "sboms", Origin: "ap1self", OriginName: "site-07", Generation: 9},
	}}
}

const advisory = `{"id":"GO-2024-2687","summary":"HTTP/2 CONTINUATION flood in net/http","details":"An attacker may cause an HTTP/2 endpoint to read arbitrary amounts of header data.\n\nUpdate to a fixed version.","aliases":["CVE-2023-45288","GHSA-4v7x-pqxf-cx7m"],"published":"2024-04-03T21:12:01Z","modified":"2024-05-20T16:03:47Z","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:L"}],"affected":[{"package":{"ecosystem":"Go","name":"golang.org/x/net"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"0.23.0"}]}]},{"package":{"ecosystem":"Go","name":"stdlib"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.21.9"},{"introduced":"1.22.0-0"},{"fixed":"1.22.2"}]}]}],"references":[{"url":"https://go.dev/issue/65051"}]}`

func record() page.RecordView {
	r := records().Records[0]
	r.Body = []byte(advisory)
	v := page.RecordView{Record: r, Now: midday, About: page.AboutRecord(r.Kind, r.Body)}
	v.Text, v.Cut, v.Binary = page.RecordText(r.Body)
	return v
}

func proof(state string) page.RecordView {
	v := record()
	line := int64(1233)
	v.Proof = &wire.Proof{
		Feed: wire.FeedRef{Tenant: "acme", Origin: "ap1hub", Name: "osv-go"}, OriginName: "hub-01", Epoch: 1, Generation: 42, StateRoot: sum, Kind: "advisory", Key: "GO-2024-2687", Digest: sum, Bytes: 2310,
		Shard: sum2, Path: "feeds/0/advisories/0001.zst", Line: &line, Manifest: sum, Bundle: "mirror-20260311-delta-for-site-07", Signer: nine, KeyID: keyID, SignerState: state, RootID: sum2, RootVersion: 3, AcceptedAt: ago(72),
	}
	return v
}

func localProof() page.RecordView {
	v := record()
	v.Proof = &wire.Proof{Feed: wire.FeedRef{Tenant: "acme", Origin: "ap1self", Name: "sboms"}, OriginName: "site-07", Epoch: 1, Generation: 9, StateRoot: sum, Kind: "sbom", Key: "x", Digest: sum, Bytes: 88210, Local: true, LoadedBy: "anna", LoadRecord: sum2, Sources: []string{"turbine-control.cdx.json"}, AcceptedAt: ago(6)}
	return v
}

func run(state string) wire.Run {
	request, _ := json.Marshal(map[string]any{"to": "/media/KINGSTON", "volumeBytes": int64(1) << 30})
	r := wire.Run{
		ID: "01JD0EXAMPLE0000000000001", Tenant: "acme", Kind: "mirror", Variant: "delta", Profile: "mirror:delta@r1", Name: "mirror-20260311-delta-for-site-07", Peers: []string{"site-07"}, By: "anna", Request: request, State: state, Attempt: 1,
		BundleID: sum, LabelID: sum2, Feeds: []wire.RunFeed{{Ref: wire.FeedRef{Tenant: "acme", Origin: "ap1self", Name: "osv-go"}, Epoch: 1, Generation: 43, Root: sum}}, Bases: []wire.RunFeed{{Ref: wire.FeedRef{Tenant: "acme", Origin: "ap1self", Name: "osv-go"}, Epoch: 1, Generation: 42, Root: sum2}},
		Changes: &wire.RunChanges{Added: 136, Changed: 2}, Bytes: 28 << 10, Records: 138, CreatedAt: ago(2), StartedAt: ago(2),
	}
	switch state {
	case "running":
		r.Progress = &wire.RunProgress{Stage: "running", Bytes: 1 << 30, TotalBytes: 19 << 27, Rate: 220 << 20, ETA: 7}
	case "succeeded":
		r.Shelf, r.FinishedAt = "mirror-20260311-delta-for-site-07-7c1e90ab", ago(1)
	case "failed":
		r.ErrorCode, r.Code, r.Message, r.FinishedAt = "distribution", "medium-gone", "write to /media/KINGSTON: the stick was removed while we wrote", ago(1)
	}
	return r
}

func shelf() []wire.ShelfFile {
	return []wire.ShelfFile{{Name: "mirror-20260311-delta-for-site-07.001", Bytes: 28 << 10, Digest: sum}, {Name: "SHA256SUMS", Bytes: 102, Digest: sum2}, {Name: "COVER.txt", Bytes: 980, Digest: sum}, {Name: "mirror-20260311-delta-for-site-07.label.json", Bytes: 1820, Digest: sum2}}
}

func fleet() []wire.PeerStanding {
	day := int64(86400)
	base := func(name, level string) wire.PeerStanding {
		return wire.PeerStanding{
			Peer:  wire.Peer{Name: name, ID: "ap1" + name, Tenant: "acme", TheirTenant: "acme", Fingerprint: sum[7:], Words: nine, Recipient: "age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq", Software: "0.1.0", TrustedBy: "anna", TrustedHow: "words", TrustedAt: ago(2000), LastContact: ago(100)},
			Level: level, Every: 14 * day, NextDue: midday.Add(240 * time.Hour).Format(time.RFC3339), Delta: 28 << 10, Full: 1 << 30, Reader: 1, Root: 2, RootEnds: "2028-01-01T00:00:00Z",
			Feeds: []wire.FleetFeed{{Feed: "osv-go", Has: "1.42", We: "1.43", Sent: "1.43", Heard: ago(100), From: "inventory"}, {Feed: "sboms", Has: "1.9", We: "1.9", Heard: ago(100), From: "receipt", Even: true}},
			Sent:  []wire.FleetFlown{{Run: "01JD0EXAMPLE0000000000001", Name: "mirror-20260311-delta-for-" + name, At: ago(2), Bytes: 28 << 10}, {Run: "01JD0EXAMPLE0000000000000", Name: "mirror-20260225-full-for-" + name, At: ago(400), Bytes: 1 << 30, Decision: "activated"}},
		}
	}
	stuck := base("site-12", wire.PeerBad)
	stuck.Why, stuck.Unheard = []string{"This appliance was restored and nothing of site-12 was read since: nothing is exported to it."}, true
	late := base("site-03", wire.PeerWarn)
	late.Why, late.Overdue, late.Asks = []string{"It asks for 2 volumes again.", "Nothing was heard of it when the next stick was due, 9 days ago."}, 9*day, 2
	late.Wanted = []wire.FleetAsk{{Run: "01JD0EXAMPLE0000000000001", Name: "mirror-20260225-full-for-site-03", Volumes: []int64{2, 5}}}
	late.Keys = []wire.FleetKey{{Kind: "bundle", KeyID: keyID, NotAfter: "2026-04-01T00:00:00Z"}}
	silent := base("site-21", wire.PeerUnknown)
	silent.Why, silent.LastContact, silent.NextDue, silent.Delta, silent.Sent, silent.Software = []string{"It never told us what it holds."}, "", "", -1, nil, ""
	silent.Feeds = []wire.FleetFeed{{Feed: "osv-go", We: "1.43"}}
	behind := base("site-07", wire.PeerBehind)
	behind.Why = []string{"1 feed of 2 are newer here."}
	even := base("site-08", wire.PeerOK)
	even.Feeds, even.Delta = even.Feeds[1:], 0
	hub := base("hub-02", wire.PeerOK)
	hub.Feeds, hub.FeedsUs, hub.Sent = nil, 2, nil
	return []wire.PeerStanding{stuck, late, silent, behind, even, hub}
}

func media() []wire.Medium {
	return []wire.Medium{
		{Path: "/media/KINGSTON", FSType: "vfat", Device: "/dev/sdb1", Mount: "/media/KINGSTON", Free: 9 << 30, Total: 16 << 30, Label: "KINGSTON", Serial: "0019E06B", UUID: "3A1C-77F0", Ours: true, State: "ours", Sentence: "This stick has 2 bundles for this site, 28 KiB. Nothing was opened.", Peers: []string{"hub-01"}, Bundles: []wire.MediumBundle{
			{Dir: "sallyport/bundles/a", Name: "mirror-20260311-delta-for-site-07", From: "hub-01", For: []string{"site-07"}, Kind: "mirror", Variant: "delta", Bytes: 28 << 10, CreatedAt: ago(72), Unlisted: []string{"Thumbs.db"}},
			{Dir: "sallyport/bundles/b", Problem: "copying to this stick was not finished: no label"},
		}},
		{Path: "/dev/sdc1", Device: "/dev/sdc1", FSType: "BitLocker", State: "encrypted", Sentence: "This stick is encrypted with BitLocker. Unlock it on another machine and copy the folder sallyport."},
		{Path: "/media/old", FSType: "ext4", Mount: "/media/old", Free: 1 << 30, Total: 2 << 30, ReadOnly: true, State: "no-folder", Sentence: "No folder sallyport on this stick. Nothing on it was opened."},
	}
}

func waiting() []wire.Waiting {
	return []wire.Waiting{
		{Label: sum[7:], Name: "mirror-20260301-full-for-site-07", From: "hub-01", Tenant: "acme", Kind: "mirror", Variant: "full", BundleID: sum, Why: "volumes", Volumes: 5, Have: []int64{1, 2, 4}, Wanted: []int64{3, 5}, Bytes: 18 << 27, CreatedAt: ago(300), Since: ago(200), Sentence: "Volumes 3 and 5 have not come. Bring them on any stick, in any order."},
		{Label: sum2[7:], Name: "mirror-20260311-delta-for-site-07", From: "hub-01", Tenant: "acme", Kind: "mirror", Variant: "delta", BundleID: sum2, Why: "base", Needs: "generation 42 of osv-go", Bytes: 28 << 10, CreatedAt: ago(72), Since: ago(70), Sentence: "Kept, waiting for mirror-20260301-delta. Ask headquarters for it, or for a full (1.8 GiB)."},
	}
}

func roots() []wire.TrustView {
	keys := []wire.KeyRow{{Kind: "bundle", KeyID: keyID, Words: nine, Tenants: []string{"acme"}, State: "in use", NotAfter: "2027-01-01T00:00:00Z", Here: true}, {Kind: "appliance", KeyID: keyID + "x", Words: nine, State: "in use", NotAfter: "2027-01-01T00:00:00Z", Here: true}, {Kind: "bundle", KeyID: keyID + "y", Words: nine, Tenants: []string{"acme"}, State: "revoked", NotAfter: "2027-01-01T00:00:00Z"}, {Kind: "age", KeyID: "age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq", State: "in use", Here: true}}
	return []wire.TrustView{
		{Name: "site-07", ID: "ap1self", Own: true, Fingerprint: sum[7:], Words: nine, Version: 3, Mark: 3, NotAfter: "2026-04-20T00:00:00Z", Keys: keys},
		{Name: "hub-01", ID: "ap1hub", Fingerprint: sum2[7:], Words: nine, Version: 2, Mark: 2, NotAfter: "2028-01-01T00:00:00Z", Keys: keys[:2], How: "words", By: "anna", At: ago(2000), Recipient: "age1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqs3290gq"},
		{Name: "hub-02", ID: "ap1two", Fingerprint: sum[7:], Words: nine, Version: 1, Mark: 4, NotAfter: "2028-01-01T00:00:00Z", Keys: keys[:1], How: "not compared", By: "bob", At: ago(900), Warning: "Version 4 was accepted here before, and a restore brought version 1 back: nothing of hub-02 is taken in until its newest trust root is applied again."},
	}
}

func trustResult() *wire.TrustResult {
	return &wire.TrustResult{Sentence: "1 change of trust on this stick. Nothing was changed.", Plans: []wire.TrustPlan{
		{Digest: sum, Peer: "hub-01", ID: "ap1hub", Tenant: "acme", Fingerprint: sum2[7:], From: 2, To: 3, Changes: []string{"trust root: version 2 → 3", "key added: bundle " + keyID + ", words: " + nine + ", for acme, valid 11 Mar 2026 to 11 Mar 2027", "key revoked from 11 Mar 2026 on: bundle " + keyID + "y; what it signs is refused, what came in before stays and is shown as signer revoked"}, Need: 2, People: []string{"anna"}, Sentence: "hub-01 changed its keys."},
		{Peer: "hub-02", ID: "ap1two", From: 1, To: 1, Need: 2, Code: "root-chain", Reason: "version 3 does not follow version 1", Next: "Bring version 2 as well.", Sentence: "Nothing of hub-02 can be applied."},
	}}
}

func timeline() wire.Timeline {
	next := uint64(4211)
	return wire.Timeline{Size: 4215, Next: &next, Events: []wire.Event{
		{Seq: 4211, ID: "01J", Type: "media.seen", At: ago(30), Wall: ago(30), Tenant: "acme", Actor: "anna", Subject: "KINGSTON", Attrs: map[string]string{"serial": "0019E06B"}},
		{Seq: 4212, ID: "01J", Type: "bundle.import.activated", At: ago(29), Wall: ago(29), Tenant: "acme", Actor: "anna", Subject: "mirror-20260311-delta-for-site-07", Attrs: map[string]string{"bundleId": sum, "decision": "activated", "people": "anna, bob"}},
		{Seq: 4213, ID: "01J", Type: "redaction_notice", At: ago(20), Actor: "carla"},
		{Seq: 4214, ID: "01J", Type: "auth.login", At: ago(2), Gone: true},
	}}
}

func head() wire.TimelineHead {
	return wire.TimelineHead{Origin: "sallyport.timeline/ap1self/1", Number: 1, Size: 4215, Root: sum, Witnesses: 2, Checkpoint: "sallyport.timeline/ap1self/1\n4215\nfB6Qq0TSw7D2odLj9KW2x9jp+gscLT5PWmt8jZ4PGis=\n\n— sallyport.timeline/ap1self/1 4n8gOQYf0y3Q0r6tKx1q7m2b8s9w0d1e2f3a4b5c6d7AAAA=\n"}
}

func receipts() wire.Receipts {
	return wire.Receipts{Next: 41, Receipts: []wire.Receipt{
		{Number: "R-0043", Counter: 43, Tenant: "acme", Peer: "hub-01", PeerID: "ap1hub", Bundle: "mirror-20260311-delta-for-site-07", BundleID: sum, LabelID: sum2, Decision: "activated", At: ago(29), Digest: sum2, Spoken: "river lamp ocean stone winter paper"},
		{Number: "R-0042", Counter: 42, Tenant: "acme", Peer: "hub-01", PeerID: "ap1hub", Bundle: "mirror-20260225-full-for-site-07", BundleID: sum, Decision: "already-active", At: ago(400), Digest: sum, AckedAt: ago(29)},
		{Number: "R-0041", Counter: 41, Tenant: "acme", Peer: "hub-02", PeerID: "ap1two", Bundle: "vex-20260201", BundleID: sum, Decision: "refused", At: ago(900), Digest: sum},
	}}
}

func receipt() page.ReceiptView {
	return page.ReceiptView{Receipt: receipts().Receipts[0], Site: "site-07", Signer: keyID, Feeds: []page.ReceiptFeed{{Feed: "osv-go", StateRoot: sum, Epoch: 1, Before: 42, After: 43}}, Approvals: 2, Roles: []string{"operator", "approver"}, Medium: "KINGSTON 0019E06B", Time: "anchor", Verifier: "sallyport 0.1.0", Now: midday}
}

func quarantined() wire.Quarantined {
	return wire.Quarantined{Number: "Q-17", Tenant: "acme", At: ago(50), Code: "signature", Reason: "the signature does not fit", Bundle: "mirror-20260311-full", From: "hub-01", Label: sum, Dir: "acme/20260312T120203Z-signature-01J", Bytes: 19 << 27, Signer: keyID, Files: []string{"mirror-20260311-full.label.json", "verify.log"}, Log: "read label\nlabel signed by " + keyID + "\nsignature does not fit\n"}
}

func store() wire.Store {
	return wire.Store{
		Free: 78 << 30, Total: 200 << 30, Keep: 2 << 30, Inodes: 12_345_678, Ballast: 64 << 20, Blobs: 4120, Bytes: 96 << 30, Orphans: 3, OrphanSize: 1 << 20, Dead: 3 << 28, Layers: 4 << 30, Waiting: 1 << 20, Quarantine: 19 << 27, Shelf: 3 << 30, State: 12 << 20, Prunable: 4402341478, Keeping: 1,
		Scrub: wire.Scrubbed{At: ago(20), All: true, Rounds: 4, Percent: 61},
	}
}

func damaged() []wire.Damaged {
	return []wire.Damaged{{What: "blob", Name: sum, Bytes: 1 << 20, Why: "its bytes have another digest", Used: []string{"hub-01/osv-go generation 42: a shard of 31,204 advisories"}, Next: "Bring a stick that has it: sallyport media heal MEDIUM"}}
}

func users() wire.Users {
	return wire.Users{CardAt: ago(3000), Users: []wire.User{
		{Name: "anna", Roles: []string{"admin"}, State: "active", CreatedAt: ago(3000), CreatedBy: "set-up", LastLogin: ago(1), UIDs: []uint32{1000}, Names: []string{"anna"}, App: true, CodesLeft: 8, Sessions: 2},
		{Name: "bob", Roles: []string{"operator", "approver"}, State: "active", CreatedAt: ago(2900), CreatedBy: "anna", EndsAt: "2026-12-31", LastLogin: ago(60), App: true, CodesLeft: 10},
		{Name: "carla", Roles: []string{"auditor"}, State: "invited", CreatedAt: ago(10), CreatedBy: "anna"},
		{Name: "dave", Roles: []string{"viewer"}, State: "disabled", Why: "left the company", CreatedAt: ago(2000), CreatedBy: "anna"},
	}}
}

func sessions() []wire.WebSession {
	return []wire.WebSession{{ID: "s-1", Account: "anna", At: ago(1), Remote: "10.0.0.7", Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0", Idle: 4, Left: 25000, Yours: true}, {ID: "s-2", Account: "bob", At: ago(3), Remote: "10.0.0.9", Idle: 800, Left: 18000}}
}

func tokens() []wire.APIToken {
	return []wire.APIToken{{ID: "t-1", Name: "nightly-export", Account: "anna", Scopes: []string{"export:run", "export:read"}, State: "active", CreatedAt: ago(500), CreatedBy: "anna", EndsAt: "2026-06-01T00:00:00Z", UsedAt: ago(8)}, {ID: "t-2", Name: "old-monitor", Scopes: []string{"airgap:status:read"}, State: "ended", CreatedAt: ago(5000), CreatedBy: "anna", EndsAt: "2026-01-01T00:00:00Z"}}
}

func scopes() []wire.APIScope {
	return []wire.APIScope{{Name: "export:read", Actions: []string{"runs/list", "runs/show"}}, {Name: "export:run", Actions: []string{"runs/submit"}}}
}

func settings() wire.Settings {
	return wire.Settings{DataDir: "/var/lib/sallyport", Settings: []wire.Setting{{Name: "delivery.every", Value: "14d", Source: "default", Variable: "SALLYPORT_DELIVERY_EVERY", Help: "how often a stick arrives"}, {Name: "socket.groups", Value: "sallyport", Source: "/etc/sallyport/config.d/groups.yaml", Variable: "SALLYPORT_SOCKET_GROUPS", Help: "a group, by name or number, whose members may use the socket"}, {Name: "listen.http", Source: "default", Variable: "SALLYPORT_LISTEN_HTTP", Help: "127.0.0.1:PORT for /healthz"}}}
}

func timeShown() wire.TimeShown {
	return wire.TimeShown{Time: wire.Time{Wall: ago(0), Trusted: ago(0), Source: "anchor", Anchor: ago(72)}, AnchorAge: 3 * 86400, TimeEpoch: 1}
}

func clockWrong() wire.TimeShown {
	return wire.TimeShown{Time: wire.Time{Wall: "1970-01-01T00:12:00Z", Trusted: ago(72), Source: "operator", Suspect: true, AtLeast: true}, TimeEpoch: 1, Words: []string{"This machine's clock reads 1970-01-01 00:12."}, Waiting: []wire.AnchorWaits{{Peer: "hub-01", At: "2028-01-01T00:00:00Z", Approve: sum}}}
}

func proposal(kind, subject string) wire.Approval {
	return wire.Approval{Digest: sum, Tenant: "acme", Kind: kind, Subject: subject, Proposer: "anna", Need: 2, Grants: []wire.Grant{{Person: "anna", Role: "admin", At: ago(1), Reason: "no stick for months"}}, CreatedAt: ago(1), ExpiresAt: ago(-160), State: "waiting"}
}

// askRollback is a page before a change.
func askRollback() page.AskView {
	v := page.AskView{Dialog: kit.DialogView{Title: "Go back to an earlier generation of osv-go?", Text: "The earlier generation is shown again at once, and the feed is pinned there.", Action: "/feeds/hub-01/osv-go/rollback", Confirm: "Go back", Cancel: "/feeds/hub-01/osv-go", Danger: true, Hidden: map[string]string{"to": "1.41"}}}
	v, err := page.AskGeneration(v, feedDetail(0), "1.41", true, midday)
	if err != nil {
		panic(err)
	}
	v.Fields = append(v.Fields, page.ReasonField("", "Say why."))
	return v
}
