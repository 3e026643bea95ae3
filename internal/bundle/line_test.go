package bundle

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport/internal/canon"
	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// The fast writer writes what the slow one writes, and the fast reader reads it back.
func TestIndexLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := IndexLine{
			Kind: rapid.StringMatching(`[a-z]{1,16}`).Draw(t, "kind"), Key: rapid.StringN(1, 40, 1024).Filter(func(s string) bool { return CheckKey(s) == nil }).Draw(t, "key"),
			Path: rapid.StringMatching(`[a-z/.0-9-]{1,30}`).Draw(t, "path"), Digest: digest.Of([]byte(rapid.String().Draw(t, "body"))),
			Source: rapid.StringMatching(`[a-zA-Z"\\ é./]{0,20}`).Draw(t, "source"),
		}
		if rapid.Bool().Draw(t, "line") {
			l.Line = num(rapid.Int64Range(0, MaxNumber).Draw(t, "n"))
		}
		b := EncodeIndexLine(nil, l)
		want, err := canon.Marshal(l)
		if err != nil || !bytes.Equal(b, append(want, '\n')) {
			t.Fatalf("%s\n%s %v", b, want, err)
		}
		got, err := ParseIndexLine(b)
		if err != nil || !bytes.Equal(EncodeIndexLine(nil, got), b) || got.Key != l.Key || got.Source != l.Source {
			t.Fatalf("%s: %+v %v", b, got, err)
		}
		ts := EncodeTombstone(nil, Tombstone{Key: l.Key, Was: l.Digest})
		if want, _ := canon.Marshal(Tombstone{Key: l.Key, Was: l.Digest}); !bytes.Equal(ts, append(want, '\n')) {
			t.Fatalf("%s, want %s", ts, want)
		}
		if tomb, err := ParseTombstone(ts); err != nil || tomb.Key != l.Key || tomb.Was != l.Digest {
			t.Fatalf("%s: %+v %v", ts, tomb, err)
		}
	})
}

func TestBadLines(t *testing.T) {
	d := digest.Of(nil).String()
	good := `{"digest":"` + d + `","key":"K","kind":"advisory","line":0,"path":"p","source":"s"}`
	if _, err := ParseIndexLine([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]string{
		"space": {`,"key"`, `, "key"`}, "order": {`"key":"K","kind":"advisory"`, `"kind":"advisory","key":"K"`}, "unknown": {`"p"`, `"p","q":1`},
		"escape": {`"K"`, `"\u004b"`}, "slash": {`"K"`, `"\/"`}, "control": {`"K"`, "\"\x01\""}, "escaped control": {`"K"`, `"\n"`}, "utf-8": {`"K"`, "\"\xff\""},
		"leading zero": {`:0`, `:00`}, "negative": {`:0`, `:-1`}, "2^53": {`:0`, `:9007199254740992`}, "no number": {`:0`, `:`}, "fraction": {`:0`, `:0.0`},
		"upper case digest": {d, strings.ToUpper(d)}, "short digest": {d, d[:70]}, "duplicate": {`"path":"p"`, `"path":"p","path":"p"`},
		"empty source": {`"s"`, `""`}, "no path": {`,"path":"p"`, ``}, "trailing": {`"s"}`, `"s"}{}`}, "two line feeds": {`"s"}`, "\"s\"}\n\n"}, "cut": {`"s"}`, `"s`},
		"cut in an escape": {`"s"}`, `"s\`}, "null line": {`:0`, `:null`},
	} {
		bad := strings.Replace(good, c[0], c[1], 1)
		if bad == good {
			t.Fatalf("%s: nothing to replace", name)
		}
		if _, err := ParseIndexLine([]byte(bad)); code.Of(err) != code.IndexBad {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string][2]string{"empty key": {`"K"`, `""`}, "long key": {`"K"`, `"` + strings.Repeat("x", 1025) + `"`}, "C1 control": {`"K"`, "\"\u0085\""}, "kind": {`advisory`, `Advisory`}} {
		if _, err := ParseIndexLine([]byte(strings.Replace(good, c[0], c[1], 1))); code.Of(err) != code.LineBad {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseIndexLine(f *testing.F) {
	f.Add(EncodeIndexLine(nil, IndexLine{Kind: "advisory", Key: `a"\`, Path: "p", Line: num(7), Source: "é"}))
	f.Add(EncodeIndexLine(nil, IndexLine{Kind: "sbom", Key: "k", Path: "p"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseIndexLine(b)
		if err != nil {
			return
		}
		text := bytes.TrimSuffix(b, []byte("\n"))
		if again := EncodeIndexLine(nil, l); !bytes.Equal(bytes.TrimSuffix(again, []byte("\n")), text) || !json.Valid(text) {
			t.Fatalf("%q was read as %q", b, again)
		}
		if err := canon.Unmarshal(text, new(IndexLine)); err != nil {
			t.Fatalf("%q: the strict reader refuses it: %v", b, err)
		}
	})
}

func FuzzParseManifest(f *testing.F) {
	b, err := sampleManifest().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseManifest(b)
		if err != nil {
			return
		}
		if again, err := m.Encode(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q gives %q %v", b, again, err)
		}
	})
}

func BenchmarkIndexLine(b *testing.B) {
	line := EncodeIndexLine(nil, IndexLine{Kind: "advisory", Key: "GO-2026-1234", Path: "mirror/data/raw/advisories/0-0000.jsonl.zst", Line: num(123456), Digest: digest.Of(nil)})
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	var p LineParser
	for b.Loop() {
		if _, err := p.Index(line); err != nil {
			b.Fatal(err)
		}
	}
}
