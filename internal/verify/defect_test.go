package verify_test

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/forge"
	"sallyport/internal/pack"
	"sallyport/internal/root"
	"sallyport/internal/verify"
)

// A defect is one thing wrong with an otherwise right bundle, and the code it must be refused with.
type defect struct {
	name string
	plan func(*forge.World, *forge.Plan)
	opts func(*forge.World, *verify.Options)
	want code.Code
}

func manifest(edit func(*bundle.Manifest)) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) { p.Manifest = edit }
}

func label(edit func(*bundle.Label)) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) { p.Label = edit }
}

func members(edit func([]forge.Member) []forge.Member) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) { p.Members = edit }
}

func files(edit func(dir string, f map[string][]byte)) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) { p.Files = edit }
}

// content edits the contents before their digests are made, so that the manifest vouches for the defect.
func content(find string, edit func(*forge.Member)) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) {
		p.Contents = func(ms []forge.Member) []forge.Member {
			hit := false
			for i := range ms {
				if strings.Contains(ms[i].Name, find) {
					edit(&ms[i])
					hit = true
				}
			}
			if !hit {
				panic("no content " + find)
			}
			return ms
		}
	}
}

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

func documents(edit func([]bundle.IndexLine) []bundle.IndexLine) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) {
		p.Index = func(ls []bundle.IndexLine) []bundle.IndexLine {
			if ls[0].Kind == "sbom" {
				return edit(ls)
			}
			return ls
		}
	}
}

// lines replaces the shard's lines, frame by frame.
func lines(frames ...string) func(*forge.World, *forge.Plan) {
	return content("data/raw/advisories", func(m *forge.Member) {
		m.Body = nil
		for _, f := range frames {
			m.Body = pack.EncodeFrame(m.Body, []byte(f))
		}
	})
}

func at(i int) int64 { return int64(i) }

func defects() []defect {
	other := digest.Of([]byte("other"))
	rerun := func(m *bundle.Manifest) { m.RerunHash = bundle.RerunHash(m.Contents) }
	return []defect{
		// who may speak
		{"stranger signs manifest", func(w *forge.World, p *forge.Plan) { p.Signers = []*attest.Signer{w.Stranger.Bundle} }, nil, code.SignerUnknown},
		{"stranger signs label", func(w *forge.World, p *forge.Plan) { p.Labelers = []*attest.Signer{w.Stranger.Bundle} }, nil, code.SignerUnknown},
		{"whole bundle by a stranger", func(w *forge.World, p *forge.Plan) { p.From = w.Stranger }, nil, code.SignerUnknown},
		{"appliance key signs manifest", func(w *forge.World, p *forge.Plan) { p.Signers = []*attest.Signer{w.Hub.Key} }, nil, code.KeyRole},
		{"appliance key signs label", func(w *forge.World, p *forge.Plan) { p.Labelers = []*attest.Signer{w.Hub.Key} }, nil, code.KeyRole},
		{"other tenant", manifest(func(m *bundle.Manifest) { m.Tenant = "other" }), nil, code.KeyScope},
		{"label of other tenant", label(func(l *bundle.Label) { l.Tenant = "other" }), nil, code.KeyScope},
		{"label packed by another", func(w *forge.World, p *forge.Plan) { p.Label = func(l *bundle.Label) { l.Packer.ID = w.Site.ID } }, nil, code.KeyScope},
		{"speaks for another appliance", func(w *forge.World, p *forge.Plan) {
			p.Manifest = func(m *bundle.Manifest) {
				m.Appliance.ID = w.Site.ID
				m.Feeds[0].Origin, m.Feeds[1].Origin = w.Site.ID, w.Site.ID
			}
		}, nil, code.KeyScope},
		{"feed of another origin", func(w *forge.World, p *forge.Plan) {
			p.Manifest = func(m *bundle.Manifest) { m.Feeds[0].Origin = w.Site.ID }
		}, nil, code.OriginMismatch},
		{"unknown root", manifest(func(m *bundle.Manifest) { m.TrustRoot.ID = other }), nil, code.RootUnknown},
		{"nobody trusted", nil, func(_ *forge.World, o *verify.Options) { o.Trust = verify.Trust{} }, code.SignerUnknown},
		{"other root trusted", nil, func(w *forge.World, o *verify.Options) { o.Trust.Roots = []*root.Trusted{w.Site.Root} }, code.SignerUnknown},
		{"other key trusted", nil, func(w *forge.World, o *verify.Options) {
			o.Trust = verify.Trust{Keys: []*attest.Key{w.Site.Bundle.Public()}}
		}, code.SignerUnknown},
		{"revoked key", nil, func(w *forge.World, o *verify.Options) {
			o.Trust.Roots[0] = next(w.Hub, func(d *root.Document) {
				d.Revoked = []root.Revocation{{KeyID: w.Hub.Bundle.Public().ID(), From: clock.Format(forge.Epoch().AddDate(0, 0, -1))}}
			})
		}, code.KeyRevoked},
		{"threshold of two", nil, func(w *forge.World, o *verify.Options) {
			o.Trust.Roots[0] = next(w.Hub, func(d *root.Document) {
				d.Keys = append(d.Keys, root.Entry(w.Site.Bundle.Public(), d.Keys[0].Scope, forge.Epoch().AddDate(-1, 0, 0), forge.Epoch().AddDate(1, 0, 0)))
				d.Roles[root.RoleBundle] = root.Role{Threshold: 2, KeyIDs: []string{w.Hub.Bundle.Public().ID(), w.Site.Bundle.Public().ID()}}
				d.Roles[root.RolePack] = root.Role{Threshold: 1, KeyIDs: []string{w.Hub.Bundle.Public().ID()}}
			})
		}, code.Threshold},
		{"wrong audience", func(w *forge.World, p *forge.Plan) {
			p.Manifest = func(m *bundle.Manifest) { m.Audience = []string{w.Hub.ID} }
			p.Label = func(l *bundle.Label) { l.For = nil }
		}, nil, code.WrongAudience},

		// dates
		{
			"expired", manifest(func(m *bundle.Manifest) { m.NotAfter = clock.Format(forge.Epoch().Add(time.Minute)) }),
			func(_ *forge.World, o *verify.Options) { o.Now = forge.Epoch().Add(time.Hour) }, code.Expired,
		},
		{"expired by its own anchor", func(w *forge.World, p *forge.Plan) {
			p.Anchor, _ = w.Hub.AnchorAt(forge.Epoch().Add(time.Hour))
			p.Manifest = func(m *bundle.Manifest) { m.NotAfter = clock.Format(forge.Epoch().Add(time.Minute)) }
		}, func(_ *forge.World, o *verify.Options) { o.Now = time.Time{} }, code.Expired},
		{"made after its anchor", func(w *forge.World, p *forge.Plan) {
			p.Manifest = func(m *bundle.Manifest) { m.GeneratedAt = clock.Format(forge.Epoch().AddDate(0, 0, 3)) }
		}, nil, code.NotYetValid},
		{"key ended", nil, func(_ *forge.World, o *verify.Options) { o.Now = forge.Epoch().AddDate(11, 0, 0) }, code.RootExpired},
		{"key not begun", func(w *forge.World, p *forge.Plan) {
			p.At = forge.Epoch().AddDate(-2, 0, 0)
		}, func(_ *forge.World, o *verify.Options) { o.Now = time.Time{} }, code.KeyExpired},
		{"anchor by the wrong key", func(w *forge.World, p *forge.Plan) { p.Anchor, _ = w.Stranger.AnchorAt(forge.Epoch()) }, nil, code.SignerUnknown},
		{"anchor is a card", func(w *forge.World, p *forge.Plan) { p.Anchor = w.Hub.CardEnv }, nil, code.PayloadType},
		{"anchor not named", manifest(func(m *bundle.Manifest) { m.Anchor = digest.Digest{} }), nil, code.ManifestBad},
		{"anchor named, not there", func(_ *forge.World, p *forge.Plan) {
			p.NoAnchor = true
			p.Manifest = func(m *bundle.Manifest) { m.Anchor = other }
		}, nil, code.ManifestBad},

		// label against manifest
		{"label of another bundle", label(func(l *bundle.Label) { l.BundleID = other }), nil, code.NotForUs},
		{"label variant", label(func(l *bundle.Label) { l.Variant = "delta" }), nil, code.LabelMismatch},
		{"label appliance name", label(func(l *bundle.Label) { l.Appliance.Name = "hubb" }), nil, code.LabelMismatch},
		{"label notAfter", label(func(l *bundle.Label) { l.NotAfter = clock.Format(forge.Epoch().AddDate(0, 0, 9)) }), nil, code.LabelMismatch},
		{"label for another", func(w *forge.World, p *forge.Plan) { p.Label = func(l *bundle.Label) { l.For[0].ID = w.Stranger.ID } }, nil, code.LabelMismatch},
		{"label says unsealed", label(func(l *bundle.Label) { l.Sealed = bundle.Sealed{Mode: "none", Recipients: []string{}} }), nil, code.LabelBad},
		{"recipients without us", label(func(l *bundle.Label) { l.Sealed.Recipients = []string{"0000000000000000"} }), nil, code.NotForUs},
		{"sealed to another, label says us", func(w *forge.World, p *forge.Plan) {
			p.SealBytes = func([]byte) []byte {
				b, err := forge.Plan{From: w.Hub, To: []*forge.Appliance{w.Stranger}, Seal: bundle.SealAge}.Build()
				if err != nil {
					panic(err)
				}
				return b.Outer
			}
		}, nil, code.SealDamaged},
		{"whole digest", label(func(l *bundle.Label) { l.Digest = other }), nil, code.LabelBad},

		// files on the medium
		{"no label", files(func(dir string, f map[string][]byte) { delete(f, find(f, dir, ".label.json")) }), nil, code.LabelMissing},
		{"two labels", files(func(dir string, f map[string][]byte) { f[dir+"/zzz.label.json"] = f[find(f, dir, ".label.json")] }), nil, code.LabelBad},
		{"label renamed", files(func(dir string, f map[string][]byte) { rename(f, find(f, dir, ".label.json"), dir+"/other.label.json") }), nil, code.LabelBad},
		{"volume missing", files(func(dir string, f map[string][]byte) { delete(f, find(f, dir, ".002")) }), nil, code.VolumeMissing},
		{"volume extra", files(func(dir string, f map[string][]byte) {
			n := find(f, dir, ".002")
			f[strings.TrimSuffix(n, "2")+"9"] = f[n]
		}), nil, code.VolumeExtra},
		{"whole file beside volumes", files(func(dir string, f map[string][]byte) {
			n := find(f, dir, ".002")
			f[strings.TrimSuffix(n, ".002")] = f[n]
		}), nil, code.VolumeExtra},
		{"volume longer", files(func(dir string, f map[string][]byte) { n := find(f, dir, ".002"); f[n] = append(f[n], 0) }), nil, code.VolumeDamaged},
		{"volume shorter", files(func(dir string, f map[string][]byte) { n := find(f, dir, ".002"); f[n] = f[n][1:] }), nil, code.VolumeDamaged},
		{"volumes swapped", files(func(dir string, f map[string][]byte) {
			a, b := find(f, dir, ".001"), find(f, dir, ".002")
			f[a], f[b] = f[b], f[a]
		}), nil, code.VolumeDamaged},
		{"sheet missing", files(func(dir string, f map[string][]byte) { delete(f, dir+"/SHA256SUMS") }), nil, code.SheetBad},
		{"cover changed", files(func(dir string, f map[string][]byte) { f[dir+"/COVER.txt"] = append(f[dir+"/COVER.txt"], '\n') }), nil, code.SheetBad},
		{"names that differ in case", files(func(dir string, f map[string][]byte) {
			n := find(f, dir, ".002")
			f[dir+"/"+strings.ToUpper(path.Base(n))] = f[n]
		}), nil, code.MediumName},

		// copies of the manifest
		{"copy differs", members(func(ms []forge.Member) []forge.Member {
			ms[1].Body = bytes.Replace(ms[1].Body, []byte("hub"), []byte("bub"), 1)
			return ms
		}), nil, code.ManifestBad},
		{"copy shorter", members(func(ms []forge.Member) []forge.Member { ms[1].Body = ms[1].Body[:100]; return ms }), nil, code.ManifestBad},
		{"raw signature of something else", func(w *forge.World, p *forge.Plan) {
			p.Members = func(ms []forge.Member) []forge.Member {
				ms[2].Body, _ = attest.SignRaw(w.Hub.Bundle, []byte("{}"))
				return ms
			}
		}, nil, code.RawSignature},
		{"raw signature with newline", members(func(ms []forge.Member) []forge.Member { ms[2].Body = append(ms[2].Body, '\n'); return ms }), nil, code.RawSignature},
		{"raw signature by another key", func(w *forge.World, p *forge.Plan) {
			p.Members = func(ms []forge.Member) []forge.Member {
				ms[2].Body, _ = attest.SignRaw(w.Site.Bundle, ms[1].Body)
				return ms
			}
		}, nil, code.RawSignature},
		{"manifest by an Ed25519 key", func(w *forge.World, p *forge.Plan) {
			p.Signers, p.Labelers = []*attest.Signer{w.Hub.Key}, []*attest.Signer{w.Hub.Key}
		}, func(w *forge.World, o *verify.Options) {
			o.Trust = verify.Trust{Keys: []*attest.Key{w.Hub.Key.Public()}}
		}, code.RawSignature},
		{"sigstore bundle changed", members(func(ms []forge.Member) []forge.Member { ms[3].Body = append(ms[3].Body, '\n'); return ms }), nil, code.SigstoreBad},
		{"sigstore bundle missing", members(func(ms []forge.Member) []forge.Member { return slices.Delete(ms, 3, 4) }), nil, code.EntryMissing},
		{"copy before envelope", members(func(ms []forge.Member) []forge.Member { ms[0], ms[1] = ms[1], ms[0]; return ms }), nil, code.EntryMissing},
		{"signatures swapped", members(func(ms []forge.Member) []forge.Member { ms[2], ms[3] = ms[3], ms[2]; return ms }), nil, code.TarOrder},
		{"nothing inside", members(func(ms []forge.Member) []forge.Member { return nil }), nil, code.EntryMissing},
		{"envelope without signature", func(_ *forge.World, p *forge.Plan) {
			p.Envelope = func(env []byte) []byte {
				i := bytes.Index(env, []byte(`"signatures":[`))
				return append(env[:i:i], []byte(`"signatures":[]}`)...)
			}
		}, nil, code.NoSignature},
		{"payload not canonical", func(_ *forge.World, p *forge.Plan) {
			p.Payload = func(b []byte) []byte { return append(b, ' ') }
			p.SkipRaw = true
		}, nil, code.NotCanonical},
		{"unknown member", func(_ *forge.World, p *forge.Plan) {
			p.Payload = func(b []byte) []byte { return bytes.Replace(b, []byte(`{"acks"`), []byte(`{"aaaa":1,"acks"`), 1) }
			p.Manifest = func(m *bundle.Manifest) { m.Acks = []digest.Digest{other} }
		}, nil, code.JSONUnknown},
		{"version 2", manifest(func(m *bundle.Manifest) { m.Version = 2 }), nil, code.BadVersion},
		{"critical extension", manifest(func(m *bundle.Manifest) { m.Critical = []string{"x"} }), nil, code.ReaderTooOld},
		{"manifest is a label", func(w *forge.World, p *forge.Plan) {
			p.Members = func(ms []forge.Member) []forge.Member {
				ms[0].Body, _ = attest.Sign(attest.TypeLabel, ms[1].Body, w.Hub.Bundle)
				return ms
			}
		}, nil, code.PayloadType},

		// contents
		{"rerun hash", manifest(func(m *bundle.Manifest) { m.RerunHash = other }), nil, code.RerunHashBad},
		{"content digest", manifest(func(m *bundle.Manifest) { m.Contents[0].Digest = other; rerun(m) }), nil, code.EntryDigest},
		{"content one byte longer", manifest(func(m *bundle.Manifest) { m.Contents[0].Bytes--; rerun(m) }), nil, code.EntrySize},
		{"content one byte shorter", manifest(func(m *bundle.Manifest) { m.Contents[0].Bytes++; rerun(m) }), nil, code.EntrySize},
		{"content changed", members(func(ms []forge.Member) []forge.Member {
			ms[4].Body = slices.Clone(ms[4].Body)
			ms[4].Body[0] ^= 1
			return ms
		}), nil, code.EntryDigest},
		{"content missing", members(func(ms []forge.Member) []forge.Member { return slices.Delete(ms, 5, 6) }), nil, code.EntryMissing},
		{"last content missing", members(func(ms []forge.Member) []forge.Member { return ms[:len(ms)-1] }), nil, code.EntryMissing},
		{"contents swapped", members(func(ms []forge.Member) []forge.Member { ms[5], ms[6] = ms[6], ms[5]; return ms }), nil, code.TarOrder},
		{"content twice", members(func(ms []forge.Member) []forge.Member { return slices.Insert(ms, 5, ms[4]) }), nil, code.TarDuplicate},
		{"content twice at the end", members(func(ms []forge.Member) []forge.Member { return append(ms, ms[4]) }), nil, code.TarDuplicate},
		{"content twice in other case", members(func(ms []forge.Member) []forge.Member { return append(ms, forge.Member{Name: "mirror/readme.MD"}) }), nil, code.TarDuplicate},
		{"content unsigned", members(func(ms []forge.Member) []forge.Member {
			return slices.Insert(ms, 5, forge.Member{Name: "mirror/extra"})
		}), nil, code.EntryExtra},
		{"content unsigned at the end", members(func(ms []forge.Member) []forge.Member { return append(ms, forge.Member{Name: "zzz"}) }), nil, code.EntryExtra},
		{"second archive behind", func(_ *forge.World, p *forge.Plan) { p.TarBytes = func(b []byte) []byte { return append(b, b...) } }, nil, code.TarEnd},
		{"no end", func(_ *forge.World, p *forge.Plan) { p.TarBytes = func(b []byte) []byte { return b[:len(b)-1024] } }, nil, code.TarEnd},
		{"second stream behind", func(_ *forge.World, p *forge.Plan) {
			p.ZstdBytes = func(b []byte) []byte { return pack.EncodeFrame(b, []byte("x")) }
		}, nil, code.TarEnd},
		{"bytes after the stream", func(_ *forge.World, p *forge.Plan) { p.ZstdBytes = func(b []byte) []byte { return append(b, 0) } }, nil, code.ZstdTrailing},
		{"bytes after the seal", func(_ *forge.World, p *forge.Plan) { p.SealBytes = func(b []byte) []byte { return append(b, 0) } }, nil, code.SealDamaged},
		{"seal cut", func(_ *forge.World, p *forge.Plan) { p.SealBytes = func(b []byte) []byte { return b[:len(b)-1] } }, nil, code.SealDamaged},
		{"feed out of range", manifest(func(m *bundle.Manifest) { n := int64(2); m.Contents[1].Feed = &n }), nil, code.ManifestBad},
		{"limit of entries", nil, func(_ *forge.World, o *verify.Options) { o.Limits.Entries = 3 }, code.ManifestLimit},
		{"limit of bytes", nil, func(_ *forge.World, o *verify.Options) { o.Limits.Bytes = 30 }, code.ManifestLimit},

		// lines
		{"lines not JSON", lines("hello\n"), nil, code.LineBad},
		{"line with CR", lines("{}\r\n"), nil, code.LineBad},
		{"empty line", lines("{}\n\n"), nil, code.LineBad},
		{"line without end", lines("{}\n{}"), nil, code.LineBad},
		{"line with tab", lines("{\"aaaaaaaaaaaaaaa\t\":1}\n"), nil, code.LineBad},
		{"line not UTF-8", lines("{\"\xff\":1}\n"), nil, code.LineBad},
		{"line too long", lines("{\"" + strings.Repeat("a", pack.LineMax-6) + "\":1}\n"), nil, code.LineLimit},
		{"one line more", content("data/raw/advisories", func(m *forge.Member) { m.Body = pack.EncodeFrame(m.Body, []byte("{}\n")) }), nil, code.LineBad},
		{"one line more, counted", content("data/raw/advisories", func(m *forge.Member) {
			m.Body = pack.EncodeFrame(m.Body, []byte("{}\n"))
			*m.Entry.Records++
		}), nil, code.IndexBad},
		{"frames swapped", content("data/raw/advisories", func(m *forge.Member) {
			n, err := pack.NextFrame(m.Body)
			if err != nil {
				panic(err)
			}
			m.Body = append(slices.Clone(m.Body[n:]), m.Body[:n]...)
		}), nil, code.IndexBad},
		{"shard frame damaged", content("data/raw/advisories", func(m *forge.Member) { m.Body = slices.Clone(m.Body); m.Body[20] ^= 4 }), nil, code.ZstdBad},

		// index
		{"index leaves a line out", index(func(ls []bundle.IndexLine) []bundle.IndexLine { return slices.Delete(slices.Clone(ls), 7, 8) }), nil, code.IndexBad},
		{"index names a line twice", index(func(ls []bundle.IndexLine) []bundle.IndexLine { return slices.Insert(slices.Clone(ls), 7, ls[7]) }), nil, code.IndexBad},
		{"index not ascending", index(func(ls []bundle.IndexLine) []bundle.IndexLine { ls[3], ls[4] = ls[4], ls[3]; return ls }), nil, code.IndexBad},
		{"index wrong digest", index(func(ls []bundle.IndexLine) []bundle.IndexLine { ls[3].Digest = other; return ls }), nil, code.IndexBad},
		{"index wrong line", index(func(ls []bundle.IndexLine) []bundle.IndexLine { n := at(900); ls[3].Line = &n; return ls }), nil, code.IndexBad},
		{"index without line", index(func(ls []bundle.IndexLine) []bundle.IndexLine { ls[3].Line = nil; return ls }), nil, code.IndexBad},
		{"index wrong key", index(func(ls []bundle.IndexLine) []bundle.IndexLine { ls[len(ls)-1].Key += "x"; return ls }), nil, code.StateRootBad},
		{"index wrong kind", index(func(ls []bundle.IndexLine) []bundle.IndexLine { ls[len(ls)-1].Kind = "finding"; return ls }), nil, code.IndexBad},
		{"index path of nothing", index(func(ls []bundle.IndexLine) []bundle.IndexLine { ls[3].Path = "mirror/README.md"; return ls }), nil, code.IndexBad},
		{"index adds a ghost", index(func(ls []bundle.IndexLine) []bundle.IndexLine {
			n := at(40)
			return append(slices.Clone(ls), bundle.IndexLine{Kind: "advisory", Key: "ZZZ", Path: ls[0].Path, Line: &n, Digest: other})
		}), nil, code.IndexBad},
		{"document not named", documents(func(ls []bundle.IndexLine) []bundle.IndexLine { return ls[:1] }), nil, code.IndexBad},
		{"document named twice", documents(func(ls []bundle.IndexLine) []bundle.IndexLine {
			l := ls[1]
			l.Key += "x"
			return append(slices.Clone(ls), l)
		}), nil, code.IndexBad},
		{"document other digest", documents(func(ls []bundle.IndexLine) []bundle.IndexLine { ls[1].Digest = other; return ls }), nil, code.IndexBad},
		{"document with line", documents(func(ls []bundle.IndexLine) []bundle.IndexLine { n := at(0); ls[1].Line = &n; return ls }), nil, code.IndexBad},
		{"documents swapped", documents(func(ls []bundle.IndexLine) []bundle.IndexLine {
			ls[0].Path, ls[1].Path, ls[0].Digest, ls[1].Digest = ls[1].Path, ls[0].Path, ls[1].Digest, ls[0].Digest
			return ls
		}), nil, code.StateRootBad},
		{"state root", manifest(func(m *bundle.Manifest) { m.Feeds[0].StateRoot = other }), nil, code.StateRootBad},
		{"records", manifest(func(m *bundle.Manifest) { m.Feeds[0].Records++ }), nil, code.StateRootBad},
		{"tombstones in a full", manifest(func(m *bundle.Manifest) { m.Contents[1].Role = bundle.RoleTombstones }), nil, code.ManifestBad},
	}
}

func next(a *forge.Appliance, edit func(*root.Document)) *root.Trusted {
	t, _, err := a.NextRoot(edit)
	if err != nil {
		panic(err)
	}
	return t
}

func find(f map[string][]byte, dir, suffix string) string {
	for name := range f {
		if strings.HasPrefix(name, dir+"/") && strings.HasSuffix(name, suffix) {
			return name
		}
	}
	panic("no file " + suffix)
}

func rename(f map[string][]byte, from, to string) { f[to] = f[from]; delete(f, from) }

// Every defect is refused with its own code, and no sink has seen an end.
func TestDefects(t *testing.T) {
	w := world(t)
	for _, d := range defects() {
		t.Run(strings.ReplaceAll(d.name, " ", "-"), func(t *testing.T) {
			p := forge.Plan{From: w.Hub, To: []*forge.Appliance{w.Site}, Seal: bundle.SealAge, Cut: 3000}
			o := options(w)
			if d.plan != nil {
				d.plan(w, &p)
			}
			if d.opts != nil {
				d.opts(w, &o)
			}
			got, err := gate(build(t, p), o)
			if got != nil || code.Of(err) != d.want {
				t.Fatalf("got %v, %q: %v; want %s", got != nil, code.Of(err), err, d.want)
			}
			if testing.Verbose() {
				fmt.Println("   ", err)
			}
		})
	}
	if _, err := gate(build(t, forge.Plan{From: w.Hub, To: []*forge.Appliance{w.Site}, Seal: bundle.SealAge, Cut: 3000}), options(w)); err != nil {
		t.Fatalf("without a defect: %v", err)
	}
}
