package hostile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"path"
	"strings"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/forge"
)

// payload edits the signed bytes of the manifest; they are then nothing that may be signed raw.
func payload(edit func([]byte) []byte) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) { p.Payload, p.SkipRaw = edit, true }
}

// number writes another number where the first feed's generation stands.
func number(text string) func(*forge.World, *forge.Plan) {
	return payload(replaced(fmt.Sprintf(`"generation":%d`, offered), `"generation":`+text))
}

// firstDigest rewrites the digest of the first content.
func firstDigest(edit func(string) string) func(*forge.World, *forge.Plan) {
	return payload(func(b []byte) []byte {
		at := bytes.Index(b, []byte(`"digest":"`)) + len(`"digest":"`)
		text := string(b[at : at+len(digest.Prefix)+64])
		return append(append(b[:at:at], edit(text)...), b[at+len(text):]...)
	})
}

// generation offers another generation of the first feed, with other or the same contents as Base.
func generation(g int64, lines int) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) { p.Feeds[0].Generation, p.Feeds[0].Lines = g, lines }
}

// index edits the index of the advisories.
func index(edit func([]bundle.IndexLine) []bundle.IndexLine) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) {
		p.Index = func(ls []bundle.IndexLine) []bundle.IndexLine {
			if ls[0].Kind == "advisory" {
				return edit(ls)
			}
			return ls
		}
	}
}

// entries has more contents than a manifest may name.
func entries(_ *forge.World, p *forge.Plan) {
	p.Manifest = func(m *bundle.Manifest) {
		for i := range bundle.MaxContents + 1 {
			m.Contents = append(m.Contents, bundle.Content{Path: fmt.Sprintf("mirror/zz/%06d", i), Digest: other(), Bytes: 1, Role: bundle.RoleInfo, ContentType: "a", Volatile: true})
		}
	}
}

// anchored carries an anchor signed by whoever sign says.
func anchored(sign func(*forge.World) ([]byte, error)) func(*forge.World, *forge.Plan) {
	return func(w *forge.World, p *forge.Plan) { p.Anchor = must(sign(w)) }
}

// otherFiles is a snapshot of A with the files of B.
func otherFiles(w *forge.World, p *forge.Plan) {
	q := plan(w)
	q.Feeds[0].Lines++
	b := must(q.Build())
	p.Members = func(ms []forge.Member) []forge.Member { return append(ms[:front:front], b.Members[front:]...) }
}

// otherLabel gives the volumes of this bundle the label of another packing.
func otherLabel(w *forge.World, m *Medium) error {
	p := plan(w)
	p.At = forge.Epoch()
	p.Feeds[0].Generation++
	b, err := p.Build()
	if err != nil {
		return err
	}
	for _, name := range []string{".label.json", "SHA256SUMS", "COVER.txt"} {
		v := m.Volume(name)
		m.Files[v] = b.Files[path.Join(b.Dir, path.Base(v))]
	}
	return nil
}

// impostor speaks for the site with the hub's keys.
func impostor(w *forge.World, p *forge.Plan) {
	p.Manifest = func(m *bundle.Manifest) {
		m.Appliance.ID = w.Stranger.ID
		m.Feeds[0].Origin, m.Feeds[1].Origin = w.Stranger.ID, w.Stranger.ID
	}
}

var manifestCases = []Case{
	{Number: 451, Slug: "unknown-member", Defect: "a manifest with a member nobody knows", Code: code.JSONUnknown, Plan: payload(replaced(`{"anchor":`, `{"aaaa":1,"anchor":`))},
	{Number: 452, Slug: "critical", Defect: "an extension that a reader must understand", Code: code.ReaderTooOld, Plan: manifest(reader)},
	{Number: 453, Slug: "extension", Defect: "an extension that a reader may ignore", Code: OK, Plan: manifest(func(m *bundle.Manifest) { m.Ext = map[string]json.RawMessage{"quantum": json.RawMessage(`{"a":1}`)} })},
	{Number: 454, Slug: "format-version", Defect: "a manifest of format version 2", Code: code.BadVersion, Plan: manifest(func(m *bundle.Manifest) { m.Version = 2 })},
	{Number: 455, Slug: "byte-order-mark", Defect: "a manifest that begins with a byte order mark", Code: code.JSONUnicode, Plan: payload(bom)},
	{Number: 456, Slug: "utf16", Defect: "a manifest in UTF-16", Code: code.JSONUnicode, Plan: payload(wide)},
	{Number: 457, Slug: "trailing-json", Defect: "a second document behind the manifest", Code: code.JSONTrailing, Plan: payload(func(b []byte) []byte { return append(b, "{}"...) })},
	{
		Number: 458, Slug: "depth-100000", Defect: "a manifest nested 100,000 levels deep", Code: code.JSONDepth,
		Plan: payload(replaced(`"exportId":`, `"ext":{"a":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`},"exportId":`)),
	},
	{Number: 459, Slug: "number-1e400", Defect: "a generation of 1e400", Code: code.JSONNumber, Plan: number("1e400")},
	{Number: 460, Slug: "number-minus-zero", Defect: "a generation of −0", Code: code.JSONNumber, Plan: number("-0")},
	{Number: 461, Slug: "number-2-53-plus-1", Defect: "a generation of 2^53 + 1", Code: code.JSONNumber, Plan: number("9007199254740993")},
	{Number: 462, Slug: "number-2-53", Defect: "a generation of 2^53", Code: code.JSONNumber, Plan: number("9007199254740992")},
	{Number: 463, Slug: "number-fraction", Defect: "a generation of 6.0", Code: code.NotCanonical, Plan: number("6.0")},
	{Number: 464, Slug: "number-null", Defect: "a generation of null", Code: code.JSONType, Plan: number("null")},
	{Number: 465, Slug: "lone-surrogate", Defect: "half a surrogate pair in a name", Code: code.JSONUnicode, Plan: payload(replaced(`"name":"mirror:full"`, `"name":"\ud800"`))},
	{Number: 466, Slug: "duplicate-key", Defect: "a member twice in the manifest", Code: code.JSONDuplicate, Plan: payload(replaced(`"tenant":"acme"`, `"tenant":"acme","tenant":"evil"`))},
	{Number: 467, Slug: "case-variant", Defect: "a member again in capitals", Code: code.JSONCase, Plan: payload(replaced(`"tenant":"acme"`, `"tenant":"acme","TENANT":"evil"`))},
	{Number: 468, Slug: "not-canonical", Defect: "a space in the manifest", Code: code.NotCanonical, Plan: payload(replaced(`"tenant":`, `"tenant": `))},
	{
		Number: 469, Slug: "manifest-9mib", Defect: "a manifest of 9 MiB", Code: code.ManifestLimit, Big: true,
		Plan: payload(replaced(`"exportId":`, `"ext":{"a":"`+strings.Repeat("x", 9<<20)+`"},"exportId":`)),
	},
	{Number: 470, Slug: "entries-50001", Defect: "a manifest of 50,001 more entries than may be", Code: code.ManifestLimit, Big: true, Plan: entries},
	{Number: 471, Slug: "size-low", Defect: "an entry one byte longer than signed", Code: code.EntrySize, Plan: manifest(func(m *bundle.Manifest) { m.Contents[0].Bytes-- })},
	{Number: 472, Slug: "size-high", Defect: "an entry one byte shorter than signed", Code: code.EntrySize, Plan: manifest(func(m *bundle.Manifest) { m.Contents[0].Bytes++ })},
	{Number: 473, Slug: "digest-wrong", Defect: "an entry with other bytes than signed", Code: code.EntryDigest, Plan: manifest(func(m *bundle.Manifest) { m.Contents[0].Digest = other() })},
	{Number: 474, Slug: "digest-upper-case", Defect: "a digest in capitals", Code: code.JSONType, Plan: firstDigest(func(s string) string { return s[:7] + strings.ToUpper(s[7:]) })},
	{Number: 475, Slug: "digest-cut", Defect: "a digest cut short", Code: code.JSONType, Plan: firstDigest(func(s string) string { return s[:40] })},
	{Number: 476, Slug: "digest-md5", Defect: "an MD5 where SHA-256 is due", Code: code.JSONType, Plan: firstDigest(func(string) string { return "md5:d41d8cd98f00b204e9800998ecf8427e" })},
	{Number: 477, Slug: "digest-two-sizes", Defect: "one digest with two sizes", Code: code.ManifestBad, Plan: manifest(func(m *bundle.Manifest) { m.Contents[1].Digest = m.Contents[0].Digest })},
	{Number: 478, Slug: "path-twice", Defect: "an entry twice in the manifest", Code: code.ManifestBad, Plan: manifest(func(m *bundle.Manifest) { m.Contents[1] = m.Contents[0] })},
	{Number: 479, Slug: "path-dotdot", Defect: "a signed entry named mirror/../../x", Code: code.TarName, Plan: manifest(func(m *bundle.Manifest) { m.Contents[0].Path = "mirror/../../x" })},
	{Number: 480, Slug: "path-other-kind", Defect: "a signed entry outside the folder of its kind", Code: code.ManifestBad, Plan: manifest(func(m *bundle.Manifest) { m.Contents[0].Path = "bin/mirror" })},
	{
		Number: 481, Slug: "expired", Defect: "a bundle whose validity has ended", Code: code.Expired,
		Plan: func(_ *forge.World, p *forge.Plan) {
			p.Manifest = func(m *bundle.Manifest) { m.NotAfter = clock.Format(forge.Epoch().AddDate(0, 0, -1)) }
			p.Label = func(l *bundle.Label) { l.NotAfter = clock.Format(forge.Epoch().AddDate(0, 0, -1)) }
		},
	},
	{
		Number: 482, Slug: "not-yet-valid", Defect: "a bundle made three days after its own anchor", Code: code.NotYetValid,
		Plan: manifest(func(m *bundle.Manifest) { m.GeneratedAt = clock.Format(forge.Epoch().AddDate(0, 0, 3)) }),
	},
	{Number: 483, Slug: "rollback", Defect: "an older generation than the one held", Code: OK, Import: code.Rollback, Plan: generation(held-1, 7)},
	{Number: 484, Slug: "fork", Defect: "the generation that is held with other contents", Code: OK, Import: code.Fork, Plan: generation(held, 9)},
	{Number: 485, Slug: "already-held", Defect: "the generation that is held with the same contents", Code: OK, Plan: func(w *forge.World, p *forge.Plan) { p.Feeds = Base(w).Feeds }},
	{Number: 486, Slug: "fast-forward", Defect: "generation 2^53 − 1", Code: OK, Import: code.FastForward, Plan: generation(1<<53-1, 9)},
	{Number: 487, Slug: "generation-zero", Defect: "generation 0", Code: code.ManifestBad, Plan: manifest(func(m *bundle.Manifest) { m.Feeds[0].Generation = 0 })},
	{Number: 488, Slug: "epoch", Defect: "an epoch no trust root names", Code: OK, Import: code.EpochUnknown, Plan: func(_ *forge.World, p *forge.Plan) { p.Feeds[0].Epoch = 2 }},
	{
		Number: 489, Slug: "wrong-audience", Defect: "a bundle in clear for another appliance", Code: code.WrongAudience, Mirror: OK,
		Plan: func(w *forge.World, p *forge.Plan) {
			p.Manifest = func(m *bundle.Manifest) { m.Audience = []string{w.Stranger.ID} }
		},
	},
	{
		Number: 490, Slug: "other-site", Defect: "a bundle in clear whose label is for another site too", Code: code.WrongAudience, Mirror: OK, Import: code.NothingForUs,
		Plan: func(w *forge.World, p *forge.Plan) { p.To = []*forge.Appliance{w.Stranger} },
	},
	{
		Number: 491, Slug: "origin-mismatch", Defect: "a feed of an appliance that did not sign", Code: code.OriginMismatch,
		Plan: func(w *forge.World, p *forge.Plan) {
			p.Manifest = func(m *bundle.Manifest) { m.Feeds[0].Origin = w.Stranger.ID }
		},
	},
	{Number: 492, Slug: "impostor", Defect: "a manifest in the name of another appliance", Code: code.KeyScope, Plan: impostor},
	{Number: 493, Slug: "other-tenant", Defect: "a manifest of a tenant the key may not speak for", Code: code.KeyScope, Plan: manifest(func(m *bundle.Manifest) { m.Tenant = "other" })},
	{Number: 494, Slug: "label-mismatch", Defect: "a label that says another kind of bundle", Code: code.LabelMismatch, Plan: label(func(l *bundle.Label) { l.Variant = "delta" })},
	{Number: 495, Slug: "label-bundle-id", Defect: "a label of another bundle id", Code: code.LabelMismatch, Plan: label(func(l *bundle.Label) { l.BundleID = other() })},
	{Number: 496, Slug: "volumes-of-another-label", Defect: "the volumes of one packing under the label of another", Code: code.VolumeDamaged, Input: otherLabel},
	{Number: 497, Slug: "snapshot-of-a-files-of-b", Defect: "the manifest of one bundle with the files of another", Code: code.EntrySize, Plan: otherFiles},
	{Number: 498, Slug: "rerun-hash", Defect: "a rerun hash of other contents", Code: code.RerunHashBad, Plan: func(_ *forge.World, p *forge.Plan) { p.Manifest = func(m *bundle.Manifest) { m.RerunHash = other() } }},
	{Number: 499, Slug: "state-root", Defect: "a state root of other records", Code: code.StateRootBad, Plan: manifest(func(m *bundle.Manifest) { m.Feeds[0].StateRoot = other() })},
	{Number: 440, Slug: "records", Defect: "one record more than there are", Code: code.StateRootBad, Plan: manifest(func(m *bundle.Manifest) { m.Feeds[0].Records++ })},
	{Number: 441, Slug: "index-leaves-out", Defect: "an index that leaves a line out", Code: code.IndexBad, Plan: index(func(ls []bundle.IndexLine) []bundle.IndexLine { return append(ls[:3:3], ls[4:]...) })},
	{Number: 442, Slug: "index-other-key", Defect: "an index that gives a line another key", Code: code.StateRootBad, Plan: index(func(ls []bundle.IndexLine) []bundle.IndexLine { ls[len(ls)-1].Key += "x"; return ls })},
	{Number: 443, Slug: "index-order", Defect: "an index that does not ascend", Code: code.IndexBad, Plan: index(func(ls []bundle.IndexLine) []bundle.IndexLine { ls[3], ls[4] = ls[4], ls[3]; return ls })},
	{Number: 444, Slug: "index-path", Defect: "an index that takes a record from the wrong file", Code: code.IndexBad, Plan: index(func(ls []bundle.IndexLine) []bundle.IndexLine { ls[3].Path = "mirror/README.md"; return ls })},
	{Number: 445, Slug: "index-line", Defect: "an index that names a line beyond the shard", Code: code.IndexBad, Plan: index(func(ls []bundle.IndexLine) []bundle.IndexLine { n := int64(math.MaxInt32); ls[3].Line = &n; return ls })},
	{Number: 446, Slug: "anchor-of-a-stranger", Defect: "a time anchor signed by nobody we know", Code: code.SignerUnknown, Plan: anchored(func(w *forge.World) ([]byte, error) { return w.Stranger.AnchorAt(forge.Epoch()) })},
	{
		Number: 447, Slug: "anchor-by-the-bundle-key", Defect: "a time anchor signed with the wrong key", Code: code.KeyRole,
		Plan: anchored(func(w *forge.World) ([]byte, error) {
			env, err := w.Hub.AnchorAt(forge.Epoch())
			if err != nil {
				return nil, err
			}
			c, err := attest.Inspect(env)
			if err != nil {
				return nil, err
			}
			return attest.Sign(attest.TypeAnchor, c.Payload, w.Hub.Bundle)
		}),
	},
	{Number: 448, Slug: "anchor-is-a-root", Defect: "a trust root where the time anchor should be", Code: code.PayloadType, Plan: anchored(func(w *forge.World) ([]byte, error) { return w.Hub.RootEnv, nil })},
	{Number: 449, Slug: "anchor-not-named", Defect: "a time anchor that the manifest does not name", Code: code.ManifestBad, Plan: manifest(func(m *bundle.Manifest) { m.Anchor = digest.Digest{} })},
	{
		Number: 450, Slug: "copy-differs", Defect: "the copy of the manifest for stock tools says something else", Code: code.ManifestBad,
		Plan: members(func(ms []forge.Member) []forge.Member {
			ms[1].Body = bytes.Replace(ms[1].Body, []byte(`"tenant":"acme"`), []byte(`"tenant":"evil"`), 1)
			return ms
		}),
	},
}
