package demo

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

func (p *play) load() {
	p.hub, p.site = p.found("hub"), p.found("site")
	p.say("hub and site set up for tenant acme", "two appliances, each with keys of its own")
	dump := p.loadInto(p.hub, p.evidence.feed, p.evidence.dump)
	p.say("hub loads "+filepath.Base(p.evidence.dump), "%s added, %d rejected; generation %d, state root %s",
		units.Count(dump.Counts.Added), dump.Counts.Rejected, dump.Generation, short(dump.StateRoot))
	sboms := p.loadInto(p.hub, "sboms", p.evidence.sboms...)
	vex := p.loadInto(p.hub, "vex", p.evidence.vex...)
	p.say("hub loads SBOMs and VEX", "%s and %s, kept byte for byte", count(sboms.Counts.Added, "SBOM"), count(vex.Counts.Added, "VEX document"))
}

func (p *play) meet() {
	p.stick = p.newStick("stick")
	for _, a := range []*appliance{p.hub, p.site} {
		if p.err == nil {
			p.must(a.call("card/write", wire.MediumRequest{Path: p.stick}, nil), "card of "+a.name)
		}
	}
	if p.err != nil {
		return
	}
	wrong := strings.Repeat("0", 64)
	err := p.site.call("peers/add", wire.PeerRequest{Path: p.stick, Fingerprint: wrong}, nil)
	p.expect("a wrong fingerprint", string(code.FingerprintWrong), string(code.Of(err)))
	p.say("site is told a wrong fingerprint for hub", "refused (%s), nothing stored", code.Of(err))
	p.trust(p.site, p.stick, p.hub)
	p.trust(p.hub, p.stick, p.site)
	p.say("both read nine words to each other", "they match: hub and site are peers")
	p.say("the words of hub", "%s", p.hub.words)
}

// trust adds the peer whose card lies on a stick, by its words.
func (p *play) trust(a *appliance, stick string, of *appliance) {
	if p.err == nil {
		p.must(a.call("peers/add", wire.PeerRequest{Path: stick, Name: of.name, Words: of.words}, nil), a.name+" adds "+of.name)
	}
}

func (p *play) cross() {
	p.old = p.newStick("old")
	p.export(p.hub, "site", p.old) // kept aside: by the time it is shown, it is out of date
	p.loadInto(p.hub, "vex", p.evidence.later)
	run := p.export(p.hub, "site", p.stick)
	p.run = run.ID
	p.say("hub exports mirror:full for site", "%s records, %s, signed and encrypted; safe to remove", units.Count(run.Records), units.Size(run.Bytes))
	pub := filepath.Join(p.stick, "sallyport/pub/hub/tenants/acme/export-center.pub")
	status, first := courierSays("verify", p.stick, "--key", pub)
	p.expect("mirror verify", "0 INTACT, SEALED", fmt.Sprint(status, " ", head(first, ":")))
	p.say("the courier, with no secret: mirror verify", "INTACT, SEALED")
	status, first = courierSays("verify", p.stick, "--key", pub, "--identity", filepath.Join(p.site.dir, "keys/age.key"))
	p.expect("mirror verify --identity", "0 VERIFIED", fmt.Sprint(status, " ", head(first, ":")))
	p.importPlanned()
	p.equalRoots()
}

// head is a verdict without its reason.
func head(line, end string) string {
	word, _, _ := strings.Cut(line, end)
	return word
}

// importPlanned looks at the plan first and approves it by its digest.
func (p *play) importPlanned() {
	if p.err != nil {
		return
	}
	var plan, done wire.Imported
	if !p.must(p.site.long("import/run", wire.ImportRequest{Path: p.stick}, &plan), "plan") {
		return
	}
	if !p.must(p.site.long("import/run", wire.ImportRequest{Path: p.stick, Approve: plan.Plan.Digest}, &done), "import") {
		return
	}
	if p.expect("bundles for site", "1", fmt.Sprint(len(done.Outcomes))) && p.expect("import", "activated", done.Outcomes[0].Decision) {
		p.say("site verifies, plans, approves plan "+short(plan.Plan.Digest), "%s activated", count(int64(len(done.Outcomes[0].Plan.Feeds)), "feed"))
	}
}

func (p *play) equalRoots() {
	hub, site := p.feeds(p.hub), p.feeds(p.site)
	for name, f := range hub {
		p.expect("state root of "+name, f.StateRoot, site[name].StateRoot)
	}
	p.expect("feeds", fmt.Sprint(len(hub)), fmt.Sprint(len(site)))
	p.say("state roots compared", "equal on both sides for %s: equal content", count(int64(len(hub)), "feed"))
}

func (p *play) answer() {
	if p.err != nil {
		return
	}
	var out wire.Outbound
	if !p.must(p.site.long("outbound/write", wire.OutboundRequest{Path: p.stick}, &out), "outbound") {
		return
	}
	receipts := 0
	for _, w := range out.Written {
		receipts += w.Receipts
	}
	p.say("site answers, sealed for hub alone", "%s and an inventory on the stick", count(int64(receipts), "receipt"))
	if _, err := p.hub.take(p.stick); !p.must(err, "hub takes the answer in") {
		return
	}
	p.expect("the run", "delivered", p.status(p.run))
	p.say("hub takes it in", "the run reads delivered")
	p.round()
}

// round is one more document and a whole round of visits with one verb.
func (p *play) round() {
	p.loadInto(p.hub, "sboms", p.evidence.extra)
	var run string
	for _, a := range []*appliance{p.hub, p.site, p.hub} {
		var visit wire.Exchanged
		if p.err == nil {
			p.must(a.long("exchange/run", wire.ExchangeRequest{Path: p.stick, Yes: true}, &visit), "exchange at "+a.name)
		}
		if run == "" && len(visit.Written) == 1 {
			run = visit.Written[0].Run
		}
	}
	hub, site := p.feeds(p.hub), p.feeds(p.site)
	p.expect("state root of sboms", hub["sboms"].StateRoot, site["sboms"].StateRoot)
	p.expect("the run", "delivered", p.status(run))
	p.say("one more SBOM; exchange at hub, site, hub", "generation %d of sboms on both sides, delivered", site["sboms"].Generation)
}

// status is the word for a run at hub.
func (p *play) status(id string) string {
	var run wire.Run
	if p.err == nil {
		p.must(p.hub.call("runs/show", wire.RunRequest{ID: id}, &run), "run "+id)
	}
	return run.Status()
}

func (p *play) ask() {
	if p.err != nil {
		return
	}
	var found wire.Records
	if !p.must(p.site.call("records/search", wire.RecordRequest{Query: p.evidence.alias}, &found), "search") || !p.expect("hits for "+p.evidence.alias, "1", fmt.Sprint(len(found.Records))) {
		return
	}
	p.say("site looks up "+p.evidence.alias, "%s, %s, from %s", found.Records[0].Key, units.Size(found.Records[0].Bytes), found.Records[0].OriginName)
	var here, there wire.Record
	p.must(p.site.call("records/show", wire.RecordRequest{Key: p.evidence.lookup, Proof: true}, &here), "show")
	p.must(p.hub.call("records/show", wire.RecordRequest{Key: p.evidence.lookup}, &there), "show")
	if p.err != nil || !p.expect("bytes of "+p.evidence.lookup, string(there.Body), string(here.Body)) {
		return
	}
	if here.Proof == nil || here.Proof.Line == nil || here.Proof.SignerState != "valid" {
		p.err = fmt.Errorf("proof of %s: %+v", p.evidence.lookup, here.Proof)
		return
	}
	p.say("its proof", "line %d of shard %s, manifest %s, signature of hub: checked", *here.Proof.Line, short(here.Proof.Shard), short(here.Proof.Manifest))
	p.documents()
}

// documents compares every document with the file that was loaded.
func (p *play) documents() {
	files := slices.Concat(p.evidence.sboms, p.evidence.vex, []string{p.evidence.later, p.evidence.extra})
	for _, file := range files {
		b, err := os.ReadFile(file)
		if !p.must(err, "read "+file) {
			return
		}
		var doc wire.Record
		if !p.must(p.site.call("records/show", wire.RecordRequest{Key: filepath.Base(file), Feed: p.feedOf(file)}, &doc), "show "+filepath.Base(file)) {
			return
		}
		p.expect("sha256 of "+filepath.Base(file), fmt.Sprintf("%x", sha256.Sum256(b)), fmt.Sprintf("%x", sha256.Sum256(doc.Body)))
	}
	p.say(count(int64(len(files)), "document")+" compared with the files loaded at hub", "byte for byte the same")
}

func (p *play) feedOf(file string) string {
	if file == p.evidence.later || slices.Contains(p.evidence.vex, file) {
		return "vex"
	}
	return "sboms"
}

func (p *play) proven() {
	heads := map[string]wire.TimelineHead{}
	for _, a := range []*appliance{p.hub, p.site} {
		var head wire.TimelineHead
		if p.err != nil || !p.must(a.call("timeline/verify", struct{}{}, &head), "timeline of "+a.name) {
			return
		}
		heads[a.name] = head
	}
	if heads["hub"].Witnesses == 0 {
		p.err = fmt.Errorf("timeline of hub: no head of it came back from site")
		return
	}
	p.say("both timelines recomputed", "%d and %d entries prove; hub's against a head that site returned", heads["hub"].Size, heads["site"].Size)
	for _, a := range []*appliance{p.hub, p.site} {
		var d wire.Doctor
		if p.must(a.call("doctor/run", struct{}{}, &d), "doctor "+a.name) && d.Worst == "critical" {
			p.err = fmt.Errorf("doctor of %s: %+v", a.name, d.Checks)
		}
	}
	p.say("doctor at hub and site", "stores, keys and state are whole")
}
