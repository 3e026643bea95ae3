package hostile

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/forge"
	"sallyport/internal/seal"
)

const (
	ageChunk = 64<<10 + 16
	ageNonce = 16
)

// sealed is a bundle for the site of several chunks, whose sealed bytes are edited.
func sealed(edit func([]byte) []byte) func(*forge.World, *forge.Plan) {
	return func(w *forge.World, p *forge.Plan) {
		p.To, p.Seal, p.SealBytes = []*forge.Appliance{w.Site}, bundle.SealAge, edit
		p.Feeds[0].Pad = 200 << 10
	}
}

// dare is the same with the shared AES key.
func dare(edit func([]byte) []byte) func(*forge.World, *forge.Plan) {
	return func(w *forge.World, p *forge.Plan) {
		p.To, p.Seal, p.Dare, p.SealBytes = []*forge.Appliance{w.Site}, bundle.SealDare, w.Dare, edit
	}
}

// headed puts another header before the chunks.
func headed(stanzas func() string) func(*forge.World, *forge.Plan) {
	return sealed(func(b []byte) []byte { return append(ageHeader(stanzas()), b[chunk(b, 0)-ageNonce:]...) })
}

// ageHeader is a header of our own making, with a MAC that proves nothing.
func ageHeader(stanzas string) []byte {
	return []byte("age-encryption.org/v1\n" + stanzas + "--- " + base64.RawStdEncoding.EncodeToString(make([]byte, 32)) + "\n")
}

func stanza(kind, args string, body int) string {
	s := base64.RawStdEncoding.EncodeToString(make([]byte, body))
	var b strings.Builder
	fmt.Fprintf(&b, "-> %s %s\n", kind, args)
	for ; len(s) >= 64; s = s[64:] {
		b.WriteString(s[:64] + "\n")
	}
	return b.String() + s + "\n"
}

// nobody is a well-formed stanza that nobody opens.
func nobody() string { return stanza("X25519", "CQ"+strings.Repeat("A", 41), 32) }

// chunk is where chunk n of a sealed stream begins.
func chunk(b []byte, n int) int {
	mac := bytes.Index(b, []byte("\n--- ")) + 1
	return mac + bytes.IndexByte(b[mac:], '\n') + 1 + ageNonce + n*ageChunk
}

// lastChunk is where the last one begins.
func lastChunk(b []byte) int {
	first := chunk(b, 0)
	return first + (len(b)-first-1)/ageChunk*ageChunk
}

func armored(b []byte) []byte {
	text := base64.StdEncoding.EncodeToString(b)
	var out strings.Builder
	out.WriteString("-----BEGIN AGE ENCRYPTED FILE-----\n")
	for ; len(text) > 64; text = text[64:] {
		out.WriteString(text[:64] + "\n")
	}
	return []byte(out.String() + text + "\n-----END AGE ENCRYPTED FILE-----\n")
}

// crowd seals to the site and 63 others, all hybrid: the most there may be.
func crowd(w *forge.World, p *forge.Plan) {
	var payload []byte
	recipients := []seal.Recipient{w.Site.Identity.Recipient()}
	for len(recipients) < 64 {
		recipients = append(recipients, must(seal.NewIdentity(true)).Recipient())
	}
	p.To, p.Seal = []*forge.Appliance{w.Site}, bundle.SealAge
	p.ZstdBytes = func(b []byte) []byte { payload = b; return b }
	p.SealBytes = func([]byte) []byte { return sealTo(payload, recipients...) }
	p.Label = func(l *bundle.Label) {
		l.Sealed.Recipients = nil
		for _, r := range recipients {
			l.Sealed.Recipients = append(l.Sealed.Recipients, seal.Tag(l.BundleID, r.String()))
		}
		slices.Sort(l.Sealed.Recipients)
	}
}

func sealTo(plain []byte, rs ...seal.Recipient) []byte {
	var b bytes.Buffer
	s := must(seal.Encrypt(&b, rs...))
	must(s.Write(plain))
	if err := s.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// forgedAddress is sealed to a stranger while the label says it is for the site.
func forgedAddress(w *forge.World, p *forge.Plan) {
	var payload []byte
	p.To, p.Seal = []*forge.Appliance{w.Site}, bundle.SealAge
	p.ZstdBytes = func(b []byte) []byte { payload = b; return b }
	p.SealBytes = func([]byte) []byte { return sealTo(payload, w.Stranger.Identity.Recipient()) }
}

// nested seals twice.
func nested(w *forge.World, p *forge.Plan) {
	p.To, p.Seal = []*forge.Appliance{w.Site}, bundle.SealAge
	p.SealBytes = func(b []byte) []byte { return sealTo(b, w.Site.Identity.Recipient()) }
}

// otherDare is sealed with a key nobody shares while the label names ours.
func otherDare(w *forge.World, p *forge.Plan) {
	var payload []byte
	dare(nil)(w, p)
	p.ZstdBytes = func(b []byte) []byte { payload = b; return b }
	p.SealBytes = func([]byte) []byte {
		var b bytes.Buffer
		s := must(seal.EncryptDARE(&b, must(seal.NewDareKey(forge.Random(321))), forge.Random(322)))
		must(s.Write(payload))
		if err := s.Close(); err != nil {
			panic(err)
		}
		return b.Bytes()
	}
}

var sealCases = []Case{
	{Number: 301, Slug: "sealed", Defect: "a sealed bundle without any defect", Code: OK, Big: true, Plan: sealed(nil)},
	{Number: 302, Slug: "hybrid-64", Defect: "64 hybrid stanzas, the most there may be", Code: OK, Big: true, Hybrid: true, Plan: crowd},
	{Number: 303, Slug: "header-100mib", Defect: "a header of 100 MiB", Code: code.SealLimit, Big: true, Plan: headed(func() string { return stanza("X25519", "A", 75<<20) })},
	{
		Number: 304, Slug: "header-one-byte-over", Defect: "a header one byte over the limit", Code: code.SealLimit, Big: true,
		Plan: headed(func() string {
			s := stanza("X25519", "A", 90<<10)
			return stanza("X25519", "A"+strings.Repeat("A", 128<<10+1-len(ageHeader(s))), 90<<10)
		}),
	},
	{Number: 305, Slug: "stanzas-10000", Defect: "10,000 stanzas", Code: code.SealLimit, Big: true, Plan: headed(func() string { return strings.Repeat(nobody(), 10000) })},
	{Number: 306, Slug: "stanzas-65", Defect: "one stanza over the limit", Code: code.SealLimit, Big: true, Plan: headed(func() string { return strings.Repeat(nobody(), 65) })},
	{Number: 307, Slug: "scrypt-30", Defect: "a passphrase stanza with work factor 30", Code: code.SealForm, Big: true, Plan: headed(func() string { return stanza("scrypt", strings.Repeat("A", 22)+" 30", 32) })},
	{
		Number: 308, Slug: "scrypt-beside-x25519", Defect: "a passphrase stanza beside a native one", Code: code.SealForm, Big: true,
		Plan: headed(func() string { return nobody() + stanza("scrypt", strings.Repeat("A", 22)+" 10", 32) }),
	},
	{Number: 309, Slug: "plugin", Defect: "a plugin's stanza", Code: code.SealForm, Big: true, Plan: headed(func() string { return stanza("yubikey", "AAAA BBBB", 32) })},
	{Number: 310, Slug: "ssh", Defect: "an ssh-rsa stanza", Code: code.SealForm, Big: true, Plan: headed(func() string { return stanza("ssh-rsa", "AAAA", 256) })},
	{Number: 311, Slug: "mixed", Defect: "classical and post-quantum stanzas in one header", Code: code.SealForm, Big: true, Plan: headed(func() string { return nobody() + stanza("mlkem768x25519", "A", 32) })},
	{Number: 312, Slug: "no-stanza", Defect: "a header without stanzas", Code: code.SealDamaged, Big: true, Plan: headed(func() string { return "" })},
	{Number: 313, Slug: "version-2", Defect: "age of another version", Code: code.SealForm, Big: true, Plan: sealed(func(b []byte) []byte { return bytes.Replace(b, []byte("/v1\n"), []byte("/v2\n"), 1) })},
	{Number: 314, Slug: "armored", Defect: "an armored file", Code: code.SealForm, Big: true, Plan: sealed(armored)},
	{
		Number: 315, Slug: "clear-labelled-sealed", Defect: "a payload in clear under a label that says it is sealed", Code: code.SealForm, Big: true,
		Plan: sealed(func([]byte) []byte { return must(forge.Zstd([]byte("clear"))) }),
	},
	{
		Number: 321, Slug: "for-someone-else", Defect: "a bundle sealed to someone else", Code: code.NotForUs, Import: code.NothingForUs, Big: true,
		Plan: func(w *forge.World, p *forge.Plan) { p.To, p.Seal = []*forge.Appliance{w.Stranger}, bundle.SealAge },
	},
	{Number: 322, Slug: "forged-address", Defect: "a bundle sealed to someone else under a label that names us", Code: code.SealDamaged, Big: true, Plan: forgedAddress},
	{
		Number: 323, Slug: "attacker", Defect: "a bundle sealed to us and signed by nobody we know", Code: code.SignerUnknown, Big: true,
		Plan: func(w *forge.World, p *forge.Plan) {
			p.From, p.To, p.Seal = w.Stranger, []*forge.Appliance{w.Site}, bundle.SealAge
		},
	},
	{Number: 324, Slug: "cut-at-a-chunk", Defect: "a sealed stream cut at the end of its first chunk", Code: code.SealDamaged, Big: true, Plan: sealed(func(b []byte) []byte { return b[:chunk(b, 1)] })},
	{Number: 325, Slug: "last-chunk-gone", Defect: "a sealed stream without its last chunk", Code: code.SealDamaged, Big: true, Plan: sealed(func(b []byte) []byte { return b[:lastChunk(b)] })},
	{Number: 326, Slug: "two-last-chunks", Defect: "a sealed stream with its last chunk twice", Code: code.SealDamaged, Big: true, Plan: sealed(func(b []byte) []byte { return append(b, b[lastChunk(b):]...) })},
	{
		Number: 327, Slug: "chunks-swapped", Defect: "a sealed stream with two chunks swapped", Code: code.SealDamaged, Big: true,
		Plan: sealed(func(b []byte) []byte {
			return slices.Concat(b[:chunk(b, 0)], b[chunk(b, 1):chunk(b, 2)], b[chunk(b, 0):chunk(b, 1)], b[chunk(b, 2):])
		}),
	},
	{Number: 328, Slug: "trailing-byte", Defect: "one byte behind a sealed stream", Code: code.SealDamaged, Big: true, Plan: sealed(func(b []byte) []byte { return append(b, 0) })},
	{Number: 329, Slug: "chunk-flipped", Defect: "one bit of the last chunk is wrong, and the label vouches for it", Code: code.SealDamaged, Big: true, Plan: sealed(func(b []byte) []byte { b[len(b)-5] ^= 1; return b })},
	{Number: 330, Slug: "header-mac", Defect: "a header whose MAC is wrong", Code: code.SealDamaged, Big: true, Plan: sealed(func(b []byte) []byte { b[chunk(b, 0)-ageNonce-10] ^= 1; return b })},
	{Number: 331, Slug: "sealed-twice", Defect: "age in age", Code: code.ZstdBad, Big: true, Plan: nested},
	{
		Number: 332, Slug: "recipients-without-us", Defect: "a label that names us and lists no recipient of ours", Code: code.NotForUs, Big: true,
		Plan: func(w *forge.World, p *forge.Plan) {
			sealed(nil)(w, p)
			p.Label = func(l *bundle.Label) { l.Sealed.Recipients = []string{"0000000000000000"} }
		},
	},
	{Number: 341, Slug: "dare", Defect: "a bundle under the shared AES key without any defect", Code: OK, Big: true, Plan: dare(nil)},
	{Number: 342, Slug: "dare-flipped", Defect: "one bit of a DARE stream is wrong", Code: code.SealDamaged, Big: true, Plan: dare(func(b []byte) []byte { b[len(b)/2] ^= 1; return b })},
	{Number: 343, Slug: "dare-cut", Defect: "a DARE stream cut in its last package", Code: code.SealDamaged, Big: true, Plan: dare(func(b []byte) []byte { return b[:len(b)-20] })},
	{Number: 344, Slug: "dare-version-1", Defect: "DARE of version 1.0", Code: code.SealForm, Big: true, Plan: dare(func(b []byte) []byte { b[0] = 0x10; return b })},
	{Number: 345, Slug: "dare-chacha", Defect: "DARE with another cipher", Code: code.SealForm, Big: true, Plan: dare(func(b []byte) []byte { b[1] = 1; return b })},
	{Number: 346, Slug: "dare-other-key", Defect: "a DARE stream under another key than the label says", Code: code.SealDamaged, Big: true, Plan: otherDare},
	{Number: 347, Slug: "dare-trailing", Defect: "bytes behind a DARE stream", Code: code.SealDamaged, Big: true, Plan: dare(func(b []byte) []byte { return append(b, 0, 0, 0) })},
}
