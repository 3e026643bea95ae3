package hostile

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"path"
	"strings"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/forge"
	"sallyport/internal/root"
)

// prefixed is a header whose name is put together from two fields.
func prefixed(prefix, name string) []byte {
	h := header(name, 0, '0')
	copy(h[345:500], prefix)
	return summed(h)
}

// zipped is a gzip stream of some bytes.
func zipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	must(w.Write(b))
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// crossed exchanges the manifest's two signatures: each is right, over what the other one is due for.
func crossed(inEnvelope bool) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) {
		p.Members = func(ms []forge.Member) []forge.Member {
			if inEnvelope {
				ms[0].Body = remade(func(d *dsse) { d.Signatures[0].Sig = string(ms[2].Body) })(ms[0].Body)
				return ms
			}
			var sig string
			remade(func(d *dsse) { sig = d.Signatures[0].Sig })(ms[0].Body)
			ms[2].Body = []byte(sig)
			return ms
		}
	}
}

// twoTenants is a root under which the hub may speak for a tenant that is not bound at the site.
func twoTenants(w *forge.World) ([][]byte, error) {
	_, env, err := w.Hub.NextRoot(func(d *root.Document) {
		for i := range d.Keys {
			d.Keys[i].Scope.Tenants = []string{"acme", "other"}
		}
	})
	return [][]byte{w.Hub.RootEnv, env}, err
}

// moreCases are later finds: what the sections name in passing, or in more than one form.
var moreCases = []Case{
	{Number: 52, Slug: "gnu-long-name", Defect: "a GNU long name before a content", Code: code.TarType, Plan: typed("././@LongLink", 'L', "")},
	{Number: 53, Slug: "gnu-long-link", Defect: "a GNU long link before a content", Code: code.TarType, Plan: typed("././@LongLink", 'K', "")},
	{Number: 54, Slug: "gnu-volume", Defect: "a GNU volume header", Code: code.TarType, Plan: typed("mirror", 'V', "")},
	{Number: 55, Slug: "name-dot-inside", Defect: "a member named mirror/./x", Code: code.TarName, Plan: named("mirror/./x")},
	{Number: 56, Slug: "name-double-slash", Defect: "a member named mirror//x", Code: code.TarName, Plan: named("mirror//x")},
	{Number: 57, Slug: "name-split", Defect: "a name that climbs only when its two fields are put together", Code: code.TarName, Plan: inserted(prefixed("mirror/..", "../x"))},
	{Number: 58, Slug: "pax-size", Defect: "PAX records for a size that needs none", Code: code.TarHeader, Plan: inserted(pax('x', header("mirror/x", 0, '0'), "size", "5"))},
	{
		Number: 59, Slug: "pax-path-twice", Defect: "PAX records with two paths", Code: code.TarHeader,
		Plan: inserted(pax('x', header("mirror/x", 0, '0'), "path", "mirror/a", "path", "mirror/b")),
	},
	{Number: 60, Slug: "pax-length", Defect: "a PAX record that says it is longer than it is", Code: code.TarHeader, Plan: inserted(append(append(header("PaxHeader", 20, 'x'), padded([]byte("999 path=mirror/x\nzz"))...), header("a", 0, '0')...))},
	{Number: 61, Slug: "magic", Defect: "a header without the magic of ustar", Code: code.TarHeader, Plan: field(257, "\x00\x00\x00\x00\x00\x00\x00\x00")},
	{Number: 62, Slug: "owner-name", Defect: "a content that names its owner", Code: code.TarHeader, Plan: field(265, "root")},
	{Number: 63, Slug: "levels-17", Defect: "a signed path of 17 levels, one over the limit", Code: code.TarName, Plan: manifest(func(m *bundle.Manifest) { m.Contents[0].Path = "mirror/" + strings.Repeat("a/", 16) + "x" })},
	{Number: 64, Slug: "path-513", Defect: "a signed path of 513 bytes, one over the limit", Code: code.TarName, Plan: manifest(func(m *bundle.Manifest) { m.Contents[0].Path = "mirror/" + strings.Repeat("p", 506) })},
	{
		Number: 110, Slug: "folder-lower-and-upper", Defect: "the folder of bundles in two spellings, the bundle in one", Code: OK, Big: true,
		Input: medium(func(m *Medium) { m.Dirs = append(m.Dirs, "SALLYPORT/Bundles") }),
	},
	{Number: 119, Slug: "volume-partial", Defect: "a volume that still has the name of an unfinished copy", Code: code.VolumeMissing, Input: renamed(func(s string) string { return s + ".partial" })},
	{Number: 120, Slug: "full-width", Defect: "a volume whose name is written in full-width letters", Code: code.VolumeMissing, Big: true, Input: renamed(func(s string) string { return strings.Replace(s, "m", "\uff4d", 1) })},
	{
		Number: 147, Slug: "sheet-symlink", Defect: "a sheet is a symbolic link, which is not followed: an import needs none", Code: code.SheetBad, Import: OK, Big: true,
		Input: medium(func(m *Medium) {
			v := m.Volume("SHA256SUMS")
			m.Move(v, "elsewhere")
			m.Links[v] = "../../../elsewhere"
		}),
	},
	{
		Number: 148, Slug: "folder-symlink", Defect: "the bundle lies behind a symbolic link, which is not followed; what it leads to is found where it is", Code: OK, Big: true,
		Input: medium(func(m *Medium) {
			for name := range bytesOf(m.Files) {
				m.Move(name, path.Join("kept", path.Base(name)))
			}
			m.Links[m.Dir] = "../../kept"
			m.Dir = "kept"
		}),
	},
	{Number: 149, Slug: "label-in-another-folder", Defect: "a bundle in a folder of another name, which changes no verdict", Code: OK, Input: medium(func(m *Medium) {
		for name := range bytesOf(m.Files) {
			m.Move(name, path.Join("sallyport/bundles/x", path.Base(name)))
		}
		m.Dir = "sallyport/bundles/x"
	})},
	{Number: 226, Slug: "magicless", Defect: "a frame without its magic number", Code: code.ZstdBad, Plan: packed(func(b []byte) []byte { return b[4:] })},
	{Number: 227, Slug: "legacy-frame", Defect: "a frame of a version before the standard", Code: code.ZstdBad, Plan: packed(func(b []byte) []byte { return append([]byte{0x27, 0xb5, 0x2f, 0xfd}, b[4:]...) })},
	{Number: 228, Slug: "reserved-bit", Defect: "a frame that uses the reserved bit", Code: code.ZstdForm, Plan: packed(func(b []byte) []byte { b[4] |= 8; return b })},
	{Number: 229, Slug: "block-over-the-limit", Defect: "a block larger than the format allows", Code: code.ZstdBad, Plan: stream(func([]byte) []byte {
		return frame(0x04, []byte{0x50}, blockHead(1, 1<<21-1, true), []byte{0}, make([]byte, 4))
	})},
	{Number: 240, Slug: "shard-gzip", Defect: "a signed shard in gzip", Code: code.ZstdBad, Big: true, Plan: shard(func([]byte) []byte { return zipped([]byte("{}\n")) })},
	{Number: 241, Slug: "shard-gzip-1032", Defect: "a signed shard in gzip that inflates 1032 to 1", Code: code.ZstdBad, Big: true, Plan: shard(func([]byte) []byte { return zipped(make([]byte, 16<<20)) })},
	{Number: 242, Slug: "shard-control", Defect: "a line with a control character", Code: code.LineBad, Plan: lines("{\"a\":\"\x1b[2J\"}\n")},
	{Number: 243, Slug: "shard-utf8", Defect: "a line that is no UTF-8", Code: code.LineBad, Plan: lines("{\"a\":\"\xff\"}\n")},
	{Number: 244, Slug: "shard-blank", Defect: "a blank line in a shard", Code: code.LineBad, Plan: lines("{}\n\n{}\n")},
	{Number: 245, Slug: "index-bytes-behind", Defect: "a signed index with bytes behind its last frame", Code: code.ZstdTrailing, Plan: content("indexes/0", func(m *forge.Member) { m.Body = append(bytes.Clone(m.Body), "more"...) })},
	{Number: 427, Slug: "raw-in-envelope", Defect: "the raw signature of the manifest where the envelope's is due", Code: code.SignatureBad, Plan: crossed(true)},
	{Number: 428, Slug: "payload-empty", Defect: "an envelope around nothing", Code: code.JSONSyntax, Plan: envelopeOf("")},
	{Number: 429, Slug: "payload-array", Defect: "an envelope around a list of manifests", Code: code.JSONType, Plan: envelopeOf("[]")},
	{Number: 430, Slug: "label-version", Defect: "a label of format version 2", Code: code.BadVersion, Plan: label(func(l *bundle.Label) { l.Version = 2 })},
	{Number: 500, Slug: "tenant-not-bound", Defect: "a bundle of a tenant the hub may speak for and the site has not bound", Code: OK, Import: code.WrongTenant, Trust: twoTenants, Plan: func(_ *forge.World, p *forge.Plan) {
		p.Manifest = func(m *bundle.Manifest) { m.Tenant = "other" }
		p.Label = func(l *bundle.Label) { l.Tenant = "other" }
	}},
	{Number: 514, Slug: "envelope-in-raw", Defect: "the envelope's signature where the raw one is due", Code: code.RawSignature, Plan: crossed(false)},
	{
		Number: 515, Slug: "signature-padded", Defect: "a signature with a zero in front of a number", Code: code.SignatureBad,
		Plan: envelope(remade(func(d *dsse) { d.Signatures[0].Sig = stretched(d.Signatures[0].Sig) })),
	},
	{
		Number: 516, Slug: "root-version", Defect: "a manifest whose trust root says another version than there is", Code: OK,
		Plan: manifest(func(m *bundle.Manifest) { m.TrustRoot.Version = 9 }),
	},
}

// envelopeOf signs other bytes as a manifest.
func envelopeOf(text string) func(*forge.World, *forge.Plan) {
	return resigned(func(w *forge.World, _ []byte) ([]byte, error) {
		return attest.Sign(attest.TypeManifest, []byte(text), w.Hub.Bundle)
	})
}

// stretched writes the first number of a DER signature one byte longer than it must be.
func stretched(sig string) string {
	der := must(base64.StdEncoding.DecodeString(sig))
	n := int(der[3])
	out := append([]byte{0x30, der[1] + 1, 0x02, byte(n + 1), 0}, der[4:]...)
	return base64.StdEncoding.EncodeToString(out)
}
