package verify_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/forge"
	"sallyport/internal/pack"
	"sallyport/internal/record"
	"sallyport/internal/root"
	"sallyport/internal/verify"
)

// Any bytes offered as a payload are refused with a code, or are the one bundle that was signed.
func FuzzPayload(f *testing.F) {
	w, b := fuzzBundle(f)
	o := verify.Options{Trust: verify.Trust{Keys: []*attest.Key{w.Hub.Bundle.Public()}}}
	f.Add(b.Payload)
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := verify.Payload(context.Background(), bytes.NewReader(in), "in", o)
		if err == nil && got.ID() != b.ID || err != nil && code.Of(err) == code.Bug {
			t.Fatalf("%v, %v", got, err)
		}
	})
}

// Any archive, rightly compressed, likewise.
func FuzzArchive(f *testing.F) {
	w, b := fuzzBundle(f)
	o := verify.Options{Trust: verify.Trust{Keys: []*attest.Key{w.Hub.Bundle.Public()}}}
	tar, err := forge.Tar(b.Members)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(tar)
	f.Fuzz(func(t *testing.T, in []byte) {
		z, err := forge.Zstd(in)
		if err != nil {
			t.Skip()
		}
		got, err := verify.Payload(context.Background(), bytes.NewReader(z), "in", o)
		if err == nil && got.ID() != b.ID || err != nil && code.Of(err) == code.Bug {
			t.Fatalf("%v, %v", got, err)
		}
	})
}

// Any bytes offered as a label likewise.
func FuzzLabel(f *testing.F) {
	w, b := fuzzBundle(f)
	o := verify.Options{Trust: verify.Trust{Keys: []*attest.Key{w.Hub.Bundle.Public()}}}
	name := find(b.Files, b.Dir, ".label.json")
	f.Add(b.Files[name])
	f.Fuzz(func(t *testing.T, in []byte) {
		fsys := b.FS()
		fsys[name] = &fstest.MapFile{Data: in, Mode: 0o644}
		got, err := verify.CheckLabel(context.Background(), fsys, b.Dir, o)
		if err == nil && got.ID() != b.LabelID || err != nil && code.Of(err) == code.Bug {
			t.Fatalf("%v, %v", got, err)
		}
	})
}

func fuzzBundle(f *testing.F) (*forge.World, *forge.Bundle) {
	f.Helper()
	w, err := forge.NewWorld(1)
	if err != nil {
		f.Fatal(err)
	}
	b, err := forge.Plan{From: w.Hub, Feeds: []forge.Feed{{Name: "f", Generation: 1, Epoch: 1, Lines: 2}}}.Build()
	if err != nil {
		f.Fatal(err)
	}
	return w, b
}

// Any bytes in the place of one of the four members in front of the contents: only the very bytes that were signed pass.
func FuzzFront(f *testing.F) {
	w, b := fuzzBundle(f)
	o := verify.Options{Trust: verify.Trust{Keys: []*attest.Key{w.Hub.Bundle.Public()}}}
	for i := range 4 {
		f.Add(uint8(i), b.Members[i].Body)
		f.Add(uint8(i), append(bytes.Clone(b.Members[i].Body), '\n'))
	}
	f.Fuzz(func(t *testing.T, n uint8, in []byte) {
		ms := slices.Clone(b.Members)
		ms[n%4].Body = in
		err := offered(t, ms, o)
		if same := bytes.Equal(in, b.Members[n%4].Body); same != (err == nil) {
			t.Fatalf("member %d, %v: %v", n%4, same, err)
		}
	})
}

// Any bytes as the index of a feed, signed by the right key: refused, or it names exactly the lines there are.
func FuzzIndex(f *testing.F) {
	w, b := fuzzBundle(f)
	o := verify.Options{Trust: verify.Trust{Keys: []*attest.Key{w.Hub.Bundle.Public()}}}
	at := slices.IndexFunc(b.Members, func(m forge.Member) bool { return m.Entry != nil && m.Entry.Role == bundle.RoleIndex })
	good := inflated(f, b.Members[at].Body)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(append(bytes.Clone(good), good...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, lines []byte) {
		body, ok := deflated(lines)
		if !ok {
			t.Skip()
		}
		err := offered(t, resigned(t, w, b, at, body), o)
		if same := bytes.Equal(lines, good); same != (err == nil) {
			t.Fatalf("%v: %v", same, err)
		}
	})
}

// Any bytes as the shard of a feed, rightly signed and with an index that names each of its lines: refused, or every line is
// an object on one line, as everything that reads it later relies on.
func FuzzShard(f *testing.F) {
	w, b := fuzzBundle(f)
	o := verify.Options{Trust: verify.Trust{Keys: []*attest.Key{w.Hub.Bundle.Public()}}}
	at := slices.IndexFunc(b.Members, func(m forge.Member) bool { return m.Entry != nil && m.Entry.Role == bundle.RoleShard })
	idx := slices.IndexFunc(b.Members, func(m forge.Member) bool { return m.Entry != nil && m.Entry.Role == bundle.RoleIndex })
	good := inflated(f, b.Members[at].Body)
	f.Add(good)
	f.Add([]byte("{}\n{}\n"))
	f.Add([]byte("{}\r\n"))
	f.Add([]byte("{\"a\":\"\x7f\"}\n"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, lines []byte) {
		body, ok := deflated(lines)
		if !ok || len(lines) == 0 {
			t.Skip()
		}
		m := *b.Manifest
		m.Feeds, m.Contents = slices.Clone(m.Feeds), slices.Clone(m.Contents)
		ms := slices.Clone(b.Members)
		var named []bundle.IndexLine
		roots, n := &bundle.RootBuilder{}, int64(0)
		for l := range bytes.Lines(lines) {
			at, key := n, fmt.Sprintf("K%06d", n)
			d := digest.Of(bytes.TrimSuffix(l, []byte("\n")))
			named = append(named, bundle.IndexLine{Kind: "advisory", Key: key, Path: ms[slices.IndexFunc(ms, isShard)].Name, Line: &at, Digest: d})
			if err := roots.Add("advisory", key, d); err != nil {
				t.Fatal(err)
			}
			n++
		}
		index, err := forge.Index(0, named)
		if err != nil {
			t.Fatal(err)
		}
		ms[at].Body, ms[idx].Body = body, index.Body
		m.Feeds[0].Records, m.Feeds[0].StateRoot = n, roots.Root()
		err = offered(t, signed(t, w, &m, ms, func(*bundle.Content) int64 { return n }), o)
		if err != nil {
			return
		}
		for l := range bytes.Lines(lines) {
			l, ends := bytes.CutSuffix(l, []byte("\n"))
			if !ends || len(l) < 2 || l[0] != '{' || l[len(l)-1] != '}' || !utf8.Valid(l) || bytes.ContainsFunc(l, func(r rune) bool { return r < ' ' }) {
				t.Fatalf("%q was accepted", l)
			}
		}
	})
}

// Any bytes as what a delta removes, rightly signed and counted: refused, or they are keys in order, each once, in their one
// form. That none is brought by the same delta is for the layer to find, which merges the two.
func FuzzTombstones(f *testing.F) {
	w, err := forge.NewWorld(1)
	if err != nil {
		f.Fatal(err)
	}
	was, err := forge.Advisories(0, 6, 0)
	if err != nil {
		f.Fatal(err)
	}
	keys := slices.Sorted(maps.Keys(was[record.Advisory]))
	now := was
	for _, k := range keys[1:4] {
		now = now.With(record.Advisory, k, "")
	}
	now = now.With(record.Advisory, keys[5], was[record.Advisory][keys[4]])
	b, err := forge.Plan{From: w.Hub, Feeds: []forge.Feed{{Name: "f", Generation: 2, Epoch: 1, Records: now, Bases: []forge.Base{{Generation: 1, Records: was}}}}}.Build()
	if err != nil {
		f.Fatal(err)
	}
	o := verify.Options{Trust: verify.Trust{Keys: []*attest.Key{w.Hub.Bundle.Public()}}}
	at := slices.IndexFunc(b.Members, func(m forge.Member) bool { return m.Entry != nil && m.Entry.Role == bundle.RoleTombstones })
	good := inflated(f, b.Members[at].Body)
	f.Add(good)
	f.Add(append(bytes.Clone(good), good...))
	f.Add(bytes.ReplaceAll(good, []byte(keys[3]), []byte(keys[5]))) // removed and changed at once
	f.Add(bytes.ReplaceAll(good, []byte(keys[2]), []byte(keys[0])))
	f.Fuzz(func(t *testing.T, lines []byte) {
		body, ok := deflated(lines)
		n := int64(bytes.Count(lines, []byte("\n")))
		if !ok || n == 0 {
			t.Skip()
		}
		m := *b.Manifest
		m.Contents = slices.Clone(m.Contents)
		ms := slices.Clone(b.Members)
		ms[at].Body = body
		err := offered(t, signed(t, w, &m, ms, func(c *bundle.Content) int64 {
			if c.Role == bundle.RoleTombstones {
				return n
			}
			return *c.Records
		}), o)
		if err != nil {
			return
		}
		last := ""
		for l := range bytes.Lines(lines) {
			x, err := bundle.ParseTombstone(bytes.TrimSuffix(l, []byte("\n")))
			if err != nil || x.Key <= last || !bytes.Equal(bundle.EncodeTombstone(nil, x), l) {
				t.Fatalf("%q was accepted after %q: %v", l, last, err)
			}
			last = x.Key
		}
	})
}

// Any names on a medium: whatever is found is a path of this medium, and nothing is found twice.
func FuzzNames(f *testing.F) {
	f.Add("sallyport/bundles/x/a.label.json", "sallyport/bundles/x/a.tar.zst.001", "SALLYPORT/cards/hub.CARD.json")
	f.Add("._a.label.json", "a\x1b[2J.root.json", "..label.json/x.pub")
	f.Add("a/b/c/d/e/f/g/h.label.json", "\xff.label.json", "CON.label.json")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		fsys := fstest.MapFS{}
		for _, n := range []string{a, b, c} {
			if fs.ValidPath(n) && n != "." {
				fsys[n] = &fstest.MapFile{Data: []byte("x"), Mode: 0o644}
			}
		}
		m, err := verify.Find(fsys)
		if err != nil {
			if code.Of(err) == "" || code.Of(err) == code.Bug {
				t.Fatalf("no code of ours: %v", err)
			}
			return
		}
		seen := map[string]bool{}
		for _, n := range slices.Concat(m.Bundles, m.Unfinished, m.Cards, m.Roots, m.Pubs, m.Loose) {
			if _, err := fs.Stat(fsys, n); err != nil || seen[n] {
				t.Fatalf("%q: %v", n, err)
			}
			seen[n] = true
		}
	})
}

// Any bytes as one signed paper: only those that were signed are taken.
func FuzzPaper(f *testing.F) {
	w, _ := fuzzBundle(f)
	anchor, err := w.Hub.AnchorAt(forge.Epoch())
	if err != nil {
		f.Fatal(err)
	}
	signed := map[digest.Digest]bool{}
	for _, env := range [][]byte{w.Hub.RootEnv, anchor} { // no card: its recipient differs from process to process
		c, err := attest.Inspect(env)
		if err != nil {
			f.Fatal(err)
		}
		signed[digest.Of(c.Payload)] = true
		f.Add(env)
	}
	f.Add(w.Stranger.RootEnv)
	f.Add([]byte(`{"payload":"e30=","payloadType":"application/vnd.sallyport.card.v1+json","signatures":[]}`))
	o := verify.Options{Trust: verify.Trust{Roots: []*root.Trusted{w.Hub.Root}}, Now: forge.Epoch()}
	f.Fuzz(func(t *testing.T, env []byte) {
		got, err := verify.Document(env, o)
		if err == nil && !signed[got.ID()] || err != nil && (code.Of(err) == "" || code.Of(err) == code.Bug) {
			t.Fatalf("%v, %v", got, err)
		}
	})
}

func isShard(m forge.Member) bool { return m.Entry != nil && m.Entry.Role == bundle.RoleShard }

// offered packs members and leads them through the gate.
func offered(t *testing.T, ms []forge.Member, o verify.Options) error {
	t.Helper()
	tar, err := forge.Tar(ms)
	if err != nil {
		t.Skip()
	}
	z, err := forge.Zstd(tar)
	if err != nil {
		t.Fatal(err)
	}
	_, err = verify.Payload(context.Background(), bytes.NewReader(z), "in", o)
	if c := code.Of(err); err != nil && (c == "" || c == code.Bug) {
		t.Fatalf("no code of ours: %v", err)
	}
	return err
}

// resigned gives one content other bytes and signs the manifest again.
func resigned(t *testing.T, w *forge.World, b *forge.Bundle, at int, body []byte) []forge.Member {
	t.Helper()
	m := *b.Manifest
	m.Contents = slices.Clone(m.Contents)
	ms := slices.Clone(b.Members)
	ms[at].Body = body
	return signed(t, w, &m, ms, func(*bundle.Content) int64 { return 2 })
}

// signed brings the manifest's entries up to the members, and the four members in front up to the manifest; records counts those
// of an entry.
func signed(t *testing.T, w *forge.World, m *bundle.Manifest, ms []forge.Member, records func(*bundle.Content) int64) []forge.Member {
	t.Helper()
	for i := range m.Contents {
		c := &m.Contents[i]
		at := slices.IndexFunc(ms, func(x forge.Member) bool { return x.Name == c.Path })
		c.Digest, c.Bytes = digest.Of(ms[at].Body), int64(len(ms[at].Body))
		if c.Records != nil {
			n := records(c)
			c.Records = &n
		}
	}
	m.RerunHash = bundle.RerunHash(m.Contents)
	text, err := m.Encode()
	if err != nil {
		t.Skip() // two contents became the same bytes, for example
	}
	env, err := attest.Sign(attest.TypeManifest, text, w.Hub.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := attest.SignRaw(w.Hub.Bundle, text)
	if err != nil {
		t.Fatal(err)
	}
	der, err := attest.DecodeRaw(sig)
	if err != nil {
		t.Fatal(err)
	}
	store, err := attest.SigstoreBundle(w.Hub.Bundle.Public(), digest.Of(text), der)
	if err != nil {
		t.Fatal(err)
	}
	for i, body := range [][]byte{env, text, sig, store} {
		ms[i].Body = body
	}
	return ms
}

func inflated(f *testing.F, body []byte) []byte {
	f.Helper()
	b, err := pack.DecodeFrame(nil, body)
	if err != nil {
		f.Fatal(err)
	}
	return b
}

func deflated(lines []byte) ([]byte, bool) {
	if len(lines) == 0 {
		return nil, true
	}
	if len(lines) > pack.FrameMax {
		return nil, false
	}
	return pack.EncodeFrame(nil, lines), true
}
