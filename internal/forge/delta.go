package forge

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"sallyport/internal/bundle"
	"sallyport/internal/digest"
	"sallyport/internal/pack"
	"sallyport/internal/record"
)

// Records are the records of a feed: kind, key, body. Bodies of advisories and findings are lines without LF.
type Records map[string]map[string]string

// Base is a state that a delta may be applied to.
type Base struct {
	Generation int64
	Records    Records
}

// Advisories are n made-up advisories from number from on, as Advisory makes them.
func Advisories(from, n, pad int) (Records, error) {
	lines := map[string]string{}
	for i := from; i < from+n; i++ {
		key, line, err := Advisory(i, pad)
		if err != nil {
			return nil, err
		}
		lines[key] = string(line)
	}
	return Records{record.Advisory: lines}, nil
}

// With is a copy in which the record has another body; "" removes it.
func (r Records) With(kind, key, body string) Records {
	out := Records{}
	for k, of := range r {
		out[k] = maps.Clone(of)
	}
	if out.set(kind, key, body); body == "" {
		delete(out[kind], key)
	}
	return out
}

func (r Records) set(kind, key, body string) {
	if r[kind] == nil {
		r[kind] = map[string]string{}
	}
	r[kind][key] = body
}

// Count is the number of records.
func (r Records) Count() (n int64) {
	for _, of := range r {
		n += int64(len(of))
	}
	return n
}

// Root is the state root. It panics on a kind or key that no feed can have.
func (r Records) Root() digest.Digest {
	var b bundle.RootBuilder
	for _, kind := range slices.Sorted(maps.Keys(r)) {
		for _, key := range slices.Sorted(maps.Keys(r[kind])) {
			if err := b.Add(kind, key, digest.Of([]byte(r[kind][key]))); err != nil {
				panic(err)
			}
		}
	}
	return b.Root()
}

// Difference is what leads from any of the bases to r: the records that differ from one of them, and by kind what one of
// them has and r has not.
func (r Records) Difference(bases ...Base) (upserts Records, tombstones map[string][]bundle.Tombstone) {
	upserts, tombstones = Records{}, map[string][]bundle.Tombstone{}
	gone := map[string]map[string]digest.Digest{}
	for _, b := range bases {
		for kind, of := range r {
			for key, body := range of {
				if old, ok := b.Records[kind][key]; !ok || old != body {
					upserts.set(kind, key, body)
				}
			}
		}
		for kind, of := range b.Records {
			for key, body := range of {
				if _, ok := r[kind][key]; ok {
					continue
				}
				if gone[kind] == nil {
					gone[kind] = map[string]digest.Digest{}
				}
				gone[kind][key] = digest.Of([]byte(body))
			}
		}
	}
	for kind, of := range gone {
		for _, key := range slices.Sorted(maps.Keys(of)) {
			tombstones[kind] = append(tombstones[kind], bundle.Tombstone{Key: key, Was: of[key]})
		}
	}
	return upserts, tombstones
}

// Delta tells that the plan makes a delta: a feed has bases.
func (p *Plan) Delta() bool {
	return slices.ContainsFunc(p.Feeds, func(f Feed) bool { return len(f.Bases) > 0 })
}

// records makes the contents of a feed whose records were given one by one: all of them, or what leads to them from its bases.
func (p *Plan) records(n int64, f Feed) (bundle.FeedState, []Member, error) {
	state := bundle.FeedState{
		Feed: f.Name, Origin: p.From.ID, Epoch: f.Epoch, Generation: f.Generation, Records: f.Records.Count(), StateRoot: f.Records.Root(),
	}
	all, gone := f.Records, map[string][]bundle.Tombstone{}
	if len(f.Bases) > 0 && !p.Reset {
		all, gone = f.Records.Difference(f.Bases...)
	}
	for _, b := range f.Bases {
		state.Bases = append(state.Bases, bundle.Base{Generation: b.Generation, StateRoot: b.Records.Root()})
	}
	slices.SortFunc(state.Bases, func(a, b bundle.Base) int { return cmp.Compare(a.Generation, b.Generation) })
	var members []Member
	var lines []bundle.IndexLine
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		ms, ls := p.kind(n, kind, all[kind], len(f.Bases) > 0)
		members, lines = append(members, ms...), append(lines, ls...)
	}
	if p.Tombstones != nil {
		gone = p.Tombstones(gone)
	}
	for _, kind := range slices.Sorted(maps.Keys(gone)) {
		m, err := TombstoneFile(n, kind, gone[kind])
		if err != nil {
			return state, nil, err
		}
		members = append(members, m)
	}
	if p.Index != nil {
		lines = p.Index(lines)
	}
	index, err := Index(n, lines)
	return state, append(members, index), err
}

// kind makes one shard of the lines of a kind, or its documents.
func (p *Plan) kind(n int64, kind string, of map[string]string, delta bool) (members []Member, lines []bundle.IndexLine) {
	keys := slices.Sorted(maps.Keys(of))
	if kind != record.Advisory && kind != record.Finding {
		for _, key := range keys {
			body := []byte(of[key])
			path := bundle.DocumentPath(p.Kind, kind, key, kind+".json")
			members = append(members, Member{Name: path, Body: body, Entry: &bundle.Content{Role: bundle.RoleDocument, Kind: kind, Feed: &n, ContentType: "application/json"}})
			lines = append(lines, bundle.IndexLine{Kind: kind, Key: key, Path: path, Digest: digest.Of(body)})
		}
		return members, lines
	}
	path := bundle.ShardPath(kind, int(n), 0)
	if delta {
		path = bundle.UpsertPath(kind, int(n), 0)
	}
	z := pack.NewCompressor()
	var body, frame []byte
	for i, key := range keys {
		at := int64(i)
		lines = append(lines, bundle.IndexLine{Kind: kind, Key: key, Path: path, Line: &at, Digest: digest.Of([]byte(of[key]))})
		frame = append(append(frame, of[key]...), '\n')
		if (i+1)%framesEvery == 0 || i == len(keys)-1 {
			body, frame = z.Frame(body, frame), frame[:0]
		}
	}
	if count := int64(len(keys)); count > 0 {
		members = append(members, Member{Name: path, Body: body, Entry: &bundle.Content{Role: bundle.RoleShard, Kind: kind, Feed: &n, Records: &count, ContentType: "application/jsonl+zstd"}})
	}
	return members, lines
}

// TombstoneFile makes the member that names what a delta removes of one kind.
func TombstoneFile(feed int64, kind string, list []bundle.Tombstone) (Member, error) {
	var b buffer
	w, err := pack.EncodeStream(&b)
	if err != nil {
		return Member{}, err
	}
	var text []byte
	for _, t := range list {
		text = bundle.EncodeTombstone(text, t)
	}
	if _, err := w.Write(text); err != nil {
		return Member{}, err
	}
	if err := w.Close(); err != nil {
		return Member{}, fmt.Errorf("tombstones of %s: %w", kind, err)
	}
	n := int64(len(list))
	return Member{Name: bundle.TombstonesPath(kind, int(feed)), Body: b.b, Entry: &bundle.Content{Role: bundle.RoleTombstones, Kind: kind, Feed: &feed, Records: &n, ContentType: "application/jsonl+zstd"}}, nil
}
