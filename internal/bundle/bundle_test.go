package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/code"
	"sallyport/internal/digest"
)

var (
	hub  = Appliance{ID: "ap1" + strings.Repeat("a", 32), Name: "hub-01"}
	site = Appliance{ID: "ap1" + strings.Repeat("b", 32), Name: "site-07"}
)

const at = "2026-03-01T12:00:00Z"

func num(n int64) *int64 { return &n }

func of(s string) digest.Digest { return digest.Of([]byte(s)) }

func sampleManifest() *Manifest {
	return &Manifest{
		ExportID: "mirror-20260301-full-for-site-07", RunID: "01hxxxxxxxxxxxxxxxxxxxxxxx", Tenant: "acme", Appliance: hub,
		Audience: []string{site.ID}, Profile: Profile{Kind: "mirror", Variant: "full", Name: "mirror:full", Revision: 1},
		GeneratedAt: at, TrustRoot: TrustRoot{ID: of("root"), Version: 1}, Anchor: of("anchor"),
		Log: Log{Checkpoint: "sallyport.timeline/x/1\n1\nAAAA\n"}, Challenge: strings.Repeat("0f", 16),
		Feeds: []FeedState{
			{Feed: "osv-go", Origin: hub.ID, Generation: 1, StateRoot: of("a"), Records: 3},
			{Feed: "sboms", Origin: hub.ID, Generation: 2, StateRoot: of("b"), Records: 1, Counts: map[string]Counts{"sbom": {Added: 1}}},
		},
		Contents: []Content{
			{Path: "mirror/README.md", Digest: of("readme"), Bytes: 6, Role: RoleInfo, ContentType: "text/markdown", Volatile: true},
			{Path: "mirror/data/raw/advisories/0-0000.jsonl.zst", Digest: of("shard"), Bytes: 5, Role: RoleShard, Kind: "advisory", Feed: num(0), Records: num(3), ContentType: "application/zstd"},
			{Path: "mirror/data/raw/sboms/" + of("k").Hex() + "/x.json", Digest: of("doc"), Bytes: 3, Role: RoleDocument, Kind: "sbom", Feed: num(1), ContentType: "application/json"},
			{Path: "mirror/indexes/0.index.jsonl.zst", Digest: of("index"), Bytes: 5, Role: RoleIndex, Feed: num(0), Records: num(3), ContentType: "application/zstd"},
			{Path: "mirror/indexes/1.index.jsonl.zst", Digest: of("index1"), Bytes: 6, Role: RoleIndex, Feed: num(1), Records: num(1), ContentType: "application/zstd"},
			{Path: "mirror/time-anchor.json", Digest: of("anchor"), Bytes: 6, Role: RoleAnchor, ContentType: "application/json", Volatile: true},
		},
	}
}

func sampleLabel() *Label {
	l := &Label{
		BundleID: of("bundle"), Name: "mirror-20260301-full-for-site-07", Kind: "mirror", Variant: "full", Tenant: "acme", Appliance: hub,
		Packer: Packer{ID: hub.ID}, CreatedAt: at, Sealed: Sealed{Mode: SealAge, Recipients: []string{"0123456789abcdef"}}, For: []Appliance{site},
		Bytes: 250, Digest: of("all"), VolumeBytes: 100,
		Sheets: []Sheet{{Name: CoverName, Bytes: 10, Digest: of("cover")}, {Name: SumsName, Bytes: 10, Digest: of("sums")}},
	}
	for i, n := range []int64{100, 100, 50} {
		l.Volumes = append(l.Volumes, Volume{N: int64(i + 1), Name: VolumeName(l.Name, ".tar.zst.age", i+1, 3), Bytes: n, Digest: of(fmt.Sprint(i))})
	}
	return l
}

func cardKey(t testing.TB, alg string) CardKey {
	s, err := attest.NewSigner(alg, bytes.NewReader(bytes.Repeat([]byte("seed"), 20)))
	if err != nil {
		t.Fatal(err)
	}
	return NewCardKey(s.Public())
}

func sampleCard(t testing.TB) *Card {
	return &Card{
		Appliance: site, Keys: []CardKey{cardKey(t, attest.Ed25519)}, Recipient: "age1qqqq", RootID: of("root"),
		Reads: Reads{BundleVersion: 1, Software: "0.1.0"}, Delivery: Delivery{EverySeconds: 1209600}, Counter: 1, IssuedAt: at, NotAfter: "2031-01-01T00:00:00Z",
	}
}

func sampleInventory() *Inventory {
	h := Held{Generation: 3, StateRoot: of("x")}
	return &Inventory{
		Issuer: site, Tenant: "acme", To: hub, Counter: 1, IssuedAt: at, LogSeen: &Head{Size: 7, Root: of("log")},
		Feeds:  []InventoryFeed{{Feed: "osv-go", Origin: hub.ID, Held: []Held{h}, Active: &h, Mark: Mark{Generation: 3}}},
		Wanted: []Wanted{{BundleID: of("bundle"), Volumes: []int64{2, 5}}},
	}
}

func sampleReceipt() *Receipt {
	return &Receipt{
		Issuer: site, Tenant: "acme", To: hub, Counter: 4, BundleID: of("bundle"), LabelID: of("label"), Opened: true, Decision: Activated,
		Feeds:     []ReceiptFeed{{Feed: "osv-go", Origin: hub.ID, Before: 0, After: 1, StateRoot: of("a")}},
		Approvals: Approvals{Count: 1, Roles: []string{"operator"}}, TrustedTime: at, TimeSource: "anchor",
		Medium: Medium{Label: "STICK é"}, Verifier: "sallyport 0.1.0", Log: Log{Checkpoint: "note\n", From: &Head{Size: 1, Root: of("h")}, Proof: []digest.Digest{of("p")}},
	}
}

func sampleAnchor() *Anchor {
	return &Anchor{AnchorTime: at, IssuedAt: at, NotAfter: "2026-06-01T00:00:00Z", Counter: 1, Source: "hub clock", AccuracyMS: 1000}
}

func TestRoundTrips(t *testing.T) {
	for name, run := range map[string]func() ([]byte, []byte, error){
		"manifest": func() ([]byte, []byte, error) {
			return again(sampleManifest().Encode, ParseManifest, (*Manifest).Encode)
		},
		"label": func() ([]byte, []byte, error) { return again(sampleLabel().Encode, ParseLabel, (*Label).Encode) },
		"card":  func() ([]byte, []byte, error) { return again(sampleCard(t).Encode, ParseCard, (*Card).Encode) },
		"inventory": func() ([]byte, []byte, error) {
			return again(sampleInventory().Encode, ParseInventory, (*Inventory).Encode)
		},
		"receipt": func() ([]byte, []byte, error) { return again(sampleReceipt().Encode, ParseReceipt, (*Receipt).Encode) },
		"anchor":  func() ([]byte, []byte, error) { return again(sampleAnchor().Encode, ParseAnchor, (*Anchor).Encode) },
	} {
		one, two, err := run()
		if err != nil || !bytes.Equal(one, two) || !strings.Contains(string(one), `"schema":"application/vnd.sallyport.`+name+`.v1+json","`) {
			t.Errorf("%s: %v\n%s\n%s", name, err, one, two)
		}
	}
}

func again[T any](encode func() ([]byte, error), parse func([]byte) (*T, error), back func(*T) ([]byte, error)) ([]byte, []byte, error) {
	one, err := encode()
	if err != nil {
		return nil, nil, err
	}
	v, err := parse(one)
	if err != nil {
		return one, nil, err
	}
	two, err := back(v)
	return one, two, err
}

// refuse bends a good document and demands the code, with a place and what was expected.
func refuse[T any](t *testing.T, name string, sample func() *T, check func(*T) error, want code.Code, bend func(*T)) {
	t.Helper()
	v := sample()
	bend(v)
	err := check(v)
	if code.Of(err) != want {
		t.Errorf("%s: %v, want code %q", name, err, want)
	}
	var e *code.Error
	if errors.As(err, &e) && (e.Place == "" && e.File == "" || e.Expected == "" && e.Err == nil) {
		t.Errorf("%s: %v does not say where and what", name, err)
	}
}

func TestManifestRules(t *testing.T) {
	check := func(m *Manifest) error { _, err := m.Encode(); return err }
	long := "mirror/" + strings.Repeat("x", 520)
	for name, c := range map[string]struct {
		want code.Code
		bend func(*Manifest)
	}{
		"good":                        {"", func(*Manifest) {}},
		"audience any":                {"", func(m *Manifest) { m.Audience = []string{"*"} }},
		"no audience":                 {code.ManifestBad, func(m *Manifest) { m.Audience = nil }},
		"any beside others":           {code.ManifestBad, func(m *Manifest) { m.Audience = []string{"*", site.ID} }},
		"audience twice":              {code.ManifestBad, func(m *Manifest) { m.Audience = []string{site.ID, site.ID} }},
		"name":                        {code.ManifestBad, func(m *Manifest) { m.ExportID = "mirror" }},
		"tenant":                      {code.ManifestBad, func(m *Manifest) { m.Tenant = "../acme" }},
		"appliance id":                {code.ManifestBad, func(m *Manifest) { m.Appliance.ID = "hub" }},
		"time with offset":            {code.BadTime, func(m *Manifest) { m.GeneratedAt = "2026-03-01T12:00:00+01:00" }},
		"time in words":               {code.BadTime, func(m *Manifest) { m.NotAfter = "tomorrow" }},
		"challenge":                   {code.ManifestBad, func(m *Manifest) { m.Challenge = "0F" }},
		"origin not the signer":       {code.OriginMismatch, func(m *Manifest) { m.Feeds[1].Origin = site.ID }},
		"generation 0":                {code.ManifestBad, func(m *Manifest) { m.Feeds[0].Generation = 0 }},
		"generation 2^53":             {code.JSONNumber, func(m *Manifest) { m.Feeds[0].Generation, m.Feeds[0].Records = 1, 1<<53 }},
		"feeds out of order":          {code.ManifestBad, func(m *Manifest) { m.Feeds[0], m.Feeds[1] = m.Feeds[1], m.Feeds[0] }},
		"feed name":                   {code.ManifestBad, func(m *Manifest) { m.Feeds[0].Feed = ".." }},
		"bases in a full":             {code.ManifestBad, func(m *Manifest) { m.Feeds[0].Bases = []Base{{1, of("x")}} }},
		"rerun hash":                  {code.RerunHashBad, func(m *Manifest) { m.RerunHash = of("x") }},
		"anchor missing":              {code.ManifestBad, func(m *Manifest) { m.Anchor = digest.Digest{} }},
		"anchor of another":           {code.ManifestBad, func(m *Manifest) { m.Anchor = of("x") }},
		"path out of order":           {code.ManifestBad, func(m *Manifest) { m.Contents[0], m.Contents[1] = m.Contents[1], m.Contents[0] }},
		"path twice":                  {code.ManifestBad, func(m *Manifest) { m.Contents[1].Path = m.Contents[0].Path }},
		"path twice without case":     {code.TarDuplicate, func(m *Manifest) { m.Contents[1].Path = "mirror/Readme.md" }},
		"path absolute":               {code.TarName, func(m *Manifest) { m.Contents[0].Path = "/mirror/x" }},
		"path up":                     {code.TarName, func(m *Manifest) { m.Contents[0].Path = "mirror/../x" }},
		"path of 520 bytes":           {code.TarName, func(m *Manifest) { m.Contents[5].Path = long }},
		"path with newline":           {code.TarName, func(m *Manifest) { m.Contents[0].Path = "mirror/a\nb" }},
		"path elsewhere":              {code.ManifestBad, func(m *Manifest) { m.Contents[0].Path = "aside/README.md" }},
		"path of the manifest":        {code.ManifestBad, func(m *Manifest) { m.Contents[1].Path = "mirror/export.json" }},
		"path below another":          {code.ManifestBad, func(m *Manifest) { m.Contents[1].Path = "mirror/README.md/x" }},
		"path below the manifest":     {code.ManifestBad, func(m *Manifest) { m.Contents[2].Path = "mirror/export.json/x" }},
		"role":                        {code.ManifestBad, func(m *Manifest) { m.Contents[0].Role = "king" }},
		"shard without feed":          {code.ManifestBad, func(m *Manifest) { m.Contents[1].Feed = nil }},
		"shard without kind":          {code.ManifestBad, func(m *Manifest) { m.Contents[1].Kind = "" }},
		"shard without records":       {code.ManifestBad, func(m *Manifest) { m.Contents[1].Records = nil }},
		"feed out of range":           {code.ManifestBad, func(m *Manifest) { m.Contents[1].Feed = num(2) }},
		"volatile shard":              {code.ManifestBad, func(m *Manifest) { m.Contents[1].Volatile = true }},
		"tombstones in a full":        {code.ManifestBad, func(m *Manifest) { m.Contents[1].Role = RoleTombstones }},
		"one digest, two sizes":       {code.ManifestBad, func(m *Manifest) { m.Contents[1].Digest, m.Contents[1].Bytes = of("readme"), 7 }},
		"sum beyond 2^53":             {code.ManifestBad, func(m *Manifest) { m.Contents[0].Bytes, m.Contents[1].Bytes = MaxNumber, MaxNumber }},
		"proof from nowhere":          {code.ManifestBad, func(m *Manifest) { m.Log.Proof = []digest.Digest{of("x")} }},
		"no checkpoint":               {code.ManifestBad, func(m *Manifest) { m.Log.Checkpoint = "" }},
		"root version 0":              {code.ManifestBad, func(m *Manifest) { m.TrustRoot.Version = 0 }},
		"critical extension":          {"", func(m *Manifest) { m.Ext = map[string]json.RawMessage{"x": json.RawMessage(`{"any":[null]}`)} }},
		"50,001 entries":              {code.ManifestLimit, func(m *Manifest) { m.Contents = many(50_001) }},
		"delta without bases":         {code.ManifestBad, func(m *Manifest) { m.Delta = &Delta{} }},
		"min reader is no version":    {code.ManifestBad, func(m *Manifest) { m.MinReader = "new" }},
		"control character in a name": {code.ManifestBad, func(m *Manifest) { m.Profile.Name = "a\x1b[2J" }},
	} {
		refuse(t, name, sampleManifest, check, c.want, c.bend)
	}
}

func many(n int) (cs []Content) {
	for i := range n {
		cs = append(cs, Content{Path: fmt.Sprintf("mirror/x/%06d", i), Digest: of(fmt.Sprint(i)), Bytes: 1, Role: RoleInfo, ContentType: "x"})
	}
	return cs
}

// What only the bytes can get wrong.
func TestManifestBytes(t *testing.T) {
	good, err := sampleManifest().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old, with string
		want      code.Code
	}{
		"unknown member":     {`"acme"`, `"acme","tenants":1`, code.JSONUnknown},
		"unknown below":      {`"revision":1`, `"revision":1,"s":1`, code.JSONUnknown},
		"version 2":          {`"version":1},"version":1}`, `"version":1},"version":2}`, code.BadVersion},
		"upper case digest":  {of("shard").String(), strings.ToUpper(of("shard").String()), code.JSONType},
		"md5":                {of("shard").String(), "md5:" + of("shard").Hex(), code.JSONType},
		"cut digest":         {of("shard").String(), of("shard").String()[:70], code.JSONType},
		"digest null":        {`"` + of("shard").String() + `"`, "null", code.JSONType},
		"size as text":       {`"bytes":5`, `"bytes":"5"`, code.JSONType},
		"size negative":      {`"bytes":5`, `"bytes":-5`, code.JSONNumber},
		"size 2^53+1":        {`"bytes":5`, `"bytes":9007199254740993`, code.JSONNumber},
		"size 1e400":         {`"bytes":5`, `"bytes":1e400`, code.JSONNumber},
		"size as a fraction": {`"bytes":5`, `"bytes":5.5`, code.JSONNumber},
		"size -0":            {`"bytes":5`, `"bytes":-0`, code.JSONNumber},
		"space":              {`"bytes":5`, `"bytes": 5`, code.NotCanonical},
		"escaped":            {`"acme"`, `"\u0061cme"`, code.NotCanonical},
		"duplicate":          {`"tenant":"acme"`, `"tenant":"acme","tenant":"evil"`, code.JSONDuplicate},
		"case variant":       {`"tenant":"acme"`, `"tenant":"acme","Tenant":"evil"`, code.JSONCase},
		"lone surrogate":     {`"acme"`, `"\ud800"`, code.JSONUnicode},
		"another schema":     {attest.TypeManifest, attest.TypeLabel, code.ManifestBad},
		"critical":           {`"exportId"`, `"critical":["x"],"exportId"`, code.ReaderTooOld},
		"trailing":           {`"version":1},"version":1}`, `"version":1},"version":1}{}`, code.JSONTrailing},
		"audience as text":   {`["` + site.ID + `"]`, `"` + site.ID + `"`, code.JSONType},
		"tenant missing":     {`"tenant":"acme",`, ``, code.JSONType},
		"contents missing":   {`"contents":`, `"ext":{},"contents":`, code.NotCanonical},
		"feed position -1":   {`"feed":1`, `"feed":-1`, code.JSONNumber},
		"empty bytes":        {string(good), ``, code.JSONSyntax},
	} {
		bad := strings.Replace(string(good), c.old, c.with, 1)
		if c.want != "" && bad == string(good) {
			t.Fatalf("%s: nothing to replace", name)
		}
		if _, err := ParseManifest([]byte(bad)); code.Of(err) != c.want {
			t.Errorf("%s: %v, want code %q", name, err, c.want)
		}
	}
	if _, err := ParseManifest(append(good, bytes.Repeat([]byte(" "), 9<<20)...)); code.Of(err) != code.ManifestLimit {
		t.Errorf("9 MiB: %v", err)
	}
	m := sampleManifest()
	m.Ext, m.Critical = map[string]json.RawMessage{"x": json.RawMessage("1")}, []string{"x"}
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseManifest(b); code.Of(err) != code.ReaderTooOld || !strings.Contains(err.Error(), MinReader) {
		t.Errorf("critical: %v", err)
	}
}

func TestLabelRules(t *testing.T) {
	check := func(l *Label) error { _, err := l.Encode(); return err }
	for name, bend := range map[string]func(*Label){
		"name":                 func(l *Label) { l.Name = "Mirror" },
		"name too long":        func(l *Label) { l.Name = "mirror-20260301-" + strings.Repeat("x", 40) },
		"mode":                 func(l *Label) { l.Sealed.Mode = "rot13" },
		"none with recipients": func(l *Label) { l.Sealed.Mode = SealNone },
		"age without":          func(l *Label) { l.Sealed.Recipients = nil },
		"recipient":            func(l *Label) { l.Sealed.Recipients[0] = "age1xyz" },
		"no volumes":           func(l *Label) { l.Volumes = nil },
		"volume number":        func(l *Label) { l.Volumes[1].N = 3 },
		"volume name":          func(l *Label) { l.Volumes[1].Name = "../x" },
		"volume of another":    func(l *Label) { l.Volumes[1].Name = l.Volumes[0].Name },
		"volume too big":       func(l *Label) { l.Volumes[0].Bytes, l.Bytes = 101, 251 },
		"volume empty":         func(l *Label) { l.Volumes[2].Bytes, l.Bytes = 0, 200 },
		"sum":                  func(l *Label) { l.Bytes++ },
		"4 GiB":                func(l *Label) { l.VolumeBytes = MaxVolume + 1 },
		"one sheet":            func(l *Label) { l.Sheets = l.Sheets[:1] },
		"another sheet":        func(l *Label) { l.Sheets[0].Name = "EVIL.txt" },
		"packer":               func(l *Label) { l.Packer.ID = "" },
		"for twice":            func(l *Label) { l.For = append(l.For, l.For[0]) },
		"only volume":          func(l *Label) { l.Volumes = l.Volumes[:1]; l.Volumes[0].Name = l.Name + ".tar.zst.age"; l.Bytes = 100 },
	} {
		refuse(t, name, sampleLabel, check, code.LabelBad, bend)
	}
	refuse(t, "time", sampleLabel, check, code.BadTime, func(l *Label) { l.CreatedAt = "" })
	if _, err := ParseLabel(bytes.Repeat([]byte(" "), MaxLabel+1)); code.Of(err) != code.LabelBad {
		t.Errorf("over 1 MiB: %v", err)
	}
}

func TestOtherRules(t *testing.T) {
	card := func() *Card { return sampleCard(t) }
	ec := func(v *Card) error { _, err := v.Encode(); return err }
	refuse(t, "card key", card, ec, code.KeyBad, func(v *Card) { v.Keys[0].Public = "AAAA" })
	refuse(t, "card key id", card, ec, code.DocumentBad, func(v *Card) { v.Keys[0].KeyID = "SHA256:x" })
	refuse(t, "card key alg", card, ec, code.DocumentBad, func(v *Card) { v.Keys[0] = cardKey(t, attest.ECDSA) })
	refuse(t, "card key twice", card, ec, code.DocumentBad, func(v *Card) { v.Keys = append(v.Keys, v.Keys[0]) })
	refuse(t, "card recipient", card, ec, code.DocumentBad, func(v *Card) { v.Recipient = "ssh-ed25519 AAAA" })
	refuse(t, "card counter", card, ec, code.DocumentBad, func(v *Card) { v.Counter = 0 })
	ei := func(v *Inventory) error { _, err := v.Encode(); return err }
	refuse(t, "inventory of a foreign feed", sampleInventory, ei, code.DocumentBad, func(v *Inventory) { v.Feeds[0].Origin = site.ID })
	refuse(t, "held out of order", sampleInventory, ei, code.DocumentBad, func(v *Inventory) { v.Feeds[0].Held = append(v.Feeds[0].Held, v.Feeds[0].Held[0]) })
	refuse(t, "wanted volumes", sampleInventory, ei, code.DocumentBad, func(v *Inventory) { v.Wanted[0].Volumes = []int64{0} })
	er := func(v *Receipt) error { _, err := v.Encode(); return err }
	refuse(t, "decision", sampleReceipt, er, code.DocumentBad, func(v *Receipt) { v.Decision = "delivered" })
	refuse(t, "activated but not opened", sampleReceipt, er, code.DocumentBad, func(v *Receipt) { v.Opened = false })
	refuse(t, "refused unopened", sampleReceipt, er, "", func(v *Receipt) { v.Opened, v.Decision, v.Code = false, Refused, "wrong-audience" })
	refuse(t, "medium label", sampleReceipt, er, code.DocumentBad, func(v *Receipt) { v.Medium.Label = "a\nb" })
	ea := func(v *Anchor) error { _, err := v.Encode(); return err }
	refuse(t, "anchor ends before it begins", sampleAnchor, ea, code.AnchorBad, func(v *Anchor) { v.NotAfter = "2025-01-01T00:00:00Z" })
	refuse(t, "anchor time", sampleAnchor, ea, code.BadTime, func(v *Anchor) { v.AnchorTime = "2026-03-01" })
	for _, d := range Decisions() {
		if Covers(d) != (d == Activated || d == HeldBack || d == AlreadyActive || d == AlreadyHeld) {
			t.Errorf("covers %s", d)
		}
	}
}

func TestSheets(t *testing.T) {
	l := sampleLabel()
	if got, want := string(SumsSheet(l.Volumes[:1])), of("0").Hex()+"  mirror-20260301-full-for-site-07.tar.zst.age.001\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	cover := string(CoverSheet(l, of("mirror")))
	for _, want := range []string{l.Name, "site-07", "hub-01", "acme", l.Digest.String(), l.Volumes[2].Digest.Hex(), of("mirror").Hex(), "mirror` from your kit"} {
		if !strings.Contains(cover, want) {
			t.Errorf("the cover lacks %q:\n%s", want, cover)
		}
	}
	if strings.Contains(cover, l.Sheets[0].Digest.Hex()) {
		t.Error("the cover names a sheet")
	}
	anonymous := sampleLabel()
	anonymous.For = nil
	if strings.Contains(string(CoverSheet(anonymous, digest.Digest{})), "for  ") {
		t.Error("an anonymous cover names an addressee")
	}
}

func TestNames(t *testing.T) {
	day := time.Date(2025, 10, 29, 23, 0, 0, 0, time.UTC)
	for want, got := range map[string]string{
		"mirror-20251029-full":                Name("mirror", day, "full", "", 0),
		"mirror-20251029-delta-for-site-07":   Name("mirror", day, "delta", "site-07", 1),
		"mirror-20251029-delta-for-site-07-2": Name("mirror", day, "delta", "site-07", 2),
	} {
		if got != want || CheckName(got) != nil {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for _, bad := range []string{"", "mirror", "mirror-2025-full", "Mirror-20251029-full", "mirror-20251029-", "mirror-20251029-full/x", "mirror-20251029-" + strings.Repeat("x", 50), "mirror-20251029-full\n"} {
		if CheckName(bad) == nil {
			t.Errorf("%q is no name", bad)
		}
	}
	for in, want := range map[string]string{"a b/c.json": "a_b_c.json", "é.json": "_.json", "..": "_..", "": "_", strings.Repeat("x", 99): strings.Repeat("x", 64)} {
		if got := SafeName(in); got != want {
			t.Errorf("SafeName(%q) = %q, want %q", in, got, want)
		}
	}
	if got := VolumeName("n", ".tar.zst", 1, 1) + VolumeName("n", ".tar.zst", 7, 8) + VolumeName("n", ".tar.zst", 7, 1000); got != "n.tar.zstn.tar.zst.007n.tar.zst.0007" {
		t.Error(got)
	}
	if got := BundleDir("n", of("x")); got != "n-"+of("x").Hex()[:8] {
		t.Error(got)
	}
	if got := DocumentPath("mirror", "sbom", "urn:x", "a b.json"); got != "mirror/data/raw/sboms/"+of("urn:x").Hex()+"/a_b.json" {
		t.Error(got)
	}
	if ShardPath("advisory", 0, 12) != "mirror/data/raw/advisories/0-0012.jsonl.zst" || IndexPath(3) != "mirror/indexes/3.index.jsonl.zst" {
		t.Error("paths")
	}
}

func TestRerunHash(t *testing.T) {
	a := Content{Path: "a", Digest: of("1")}
	b := Content{Path: "b", Digest: of("2")}
	v := Content{Path: "c", Digest: of("3"), Volatile: true}
	want := of("a\x00" + of("1").String() + "\nb\x00" + of("2").String() + "\n")
	if RerunHash([]Content{b, v, a}) != want || RerunHash([]Content{a, b}) != want || RerunHash(nil) != of("") {
		t.Error("rerun hash")
	}
}
