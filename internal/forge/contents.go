package forge

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/canon"
	"sallyport/internal/digest"
	"sallyport/internal/pack"
)

const framesEvery = 16 // lines in a frame of a small feed

// contents makes the records of all feeds, and what stands beside them, sorted by path.
func (p *Plan) contents() ([]bundle.FeedState, []Member, error) {
	var states []bundle.FeedState
	var members []Member
	for i, f := range p.Feeds {
		state, ms, err := p.feed(int64(i), f)
		if err != nil {
			return nil, nil, err
		}
		states, members = append(states, state), append(members, ms...)
	}
	members = append(members, Info(p.Kind+"/README.md", "text/markdown", []byte("# A forged bundle\n")))
	if !p.NoAnchor {
		env := p.Anchor
		if env == nil {
			var err error
			if env, err = p.From.AnchorAt(p.At); err != nil {
				return nil, nil, err
			}
		}
		m := Info(p.Kind+"/time-anchor.json", "application/json", env)
		m.Entry.Role = bundle.RoleAnchor
		members = append(members, m)
	}
	if p.Contents != nil {
		members = p.Contents(members)
	}
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	for i := range members {
		m := &members[i]
		m.Entry.Path, m.Entry.Digest, m.Entry.Bytes = m.Name, digest.Of(m.Body), int64(len(m.Body))
	}
	return states, members, nil
}

// Info is a volatile content for people.
func Info(path, contentType string, body []byte) Member {
	return Member{Name: path, Body: body, Entry: &bundle.Content{Role: bundle.RoleInfo, ContentType: contentType, Volatile: true}}
}

// feed makes shard, documents and index of one feed.
func (p *Plan) feed(n int64, f Feed) (bundle.FeedState, []Member, error) {
	if f.Records != nil {
		return p.records(n, f)
	}
	var members []Member
	var lines []bundle.IndexLine
	if f.Lines > 0 {
		var err error
		if members, lines, err = Shards(n, f); err != nil {
			return bundle.FeedState{}, nil, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(f.Documents)) {
		body := []byte(f.Documents[key])
		path := bundle.DocumentPath(p.Kind, "sbom", key, "sbom.json")
		members = append(members, Member{Name: path, Body: body, Entry: &bundle.Content{Role: bundle.RoleDocument, Kind: "sbom", Feed: &n, ContentType: "application/json"}})
		lines = append(lines, bundle.IndexLine{Kind: "sbom", Key: key, Path: path, Digest: digest.Of(body)})
	}
	state := bundle.FeedState{Feed: f.Name, Origin: p.From.ID, Epoch: f.Epoch, Generation: f.Generation, Records: int64(len(lines))}
	roots := &bundle.RootBuilder{}
	for _, l := range lines {
		if err := roots.Add(l.Kind, l.Key, l.Digest); err != nil {
			return state, nil, err
		}
	}
	state.StateRoot = roots.Root()
	if p.Index != nil {
		lines = p.Index(lines)
	}
	index, err := Index(n, lines)
	return state, append(members, index), err
}

// Advisory is a made-up advisory line, without LF: canonical JSON, with pad bytes of text that hardly shrinks.
func Advisory(i, pad int) (key string, line []byte, err error) {
	key = fmt.Sprintf("FORGE-2026-%07d", i)
	a := map[string]any{
		"id": key, "modified": "2026-02-01T00:00:00Z", "summary": fmt.Sprintf("made-up advisory %d é", i),
		"affected": []any{map[string]any{"package": map[string]any{"ecosystem": "Go", "name": fmt.Sprintf("example.com/m%d", i%7)}}},
	}
	if pad > 0 {
		text := make([]byte, pad/8)
		if _, err := Random(uint64(i)).Read(text); err != nil {
			return "", nil, err
		}
		a["details"] = strings.Repeat("lorem ipsum ", pad/16) + hex.EncodeToString(text)
	}
	line, err = canon.Marshal(a)
	return key, line, err
}

// Shards makes shards of made-up advisories and the index lines that name them.
func Shards(feed int64, f Feed) (members []Member, named []bundle.IndexLine, err error) {
	z := pack.NewCompressor()
	var body, frame []byte
	var count int64
	path := bundle.ShardPath("advisory", int(feed), 0)
	for i := range f.Lines {
		key, line, err := Advisory(i, f.Pad)
		if err != nil {
			return nil, nil, err
		}
		at := count
		named = append(named, bundle.IndexLine{Kind: "advisory", Key: key, Path: path, Line: &at, Digest: digest.Of(line)})
		frame, count = append(append(frame, line...), '\n'), count+1
		last := i == f.Lines-1
		if full := len(frame) > 512<<10 || f.Lines < 1000 && (i+1)%framesEvery == 0; full || last {
			body, frame = z.Frame(body, frame), frame[:0]
		}
		if len(body) >= pack.ShardMax || last {
			n := count
			members = append(members, Member{Name: path, Body: body, Entry: &bundle.Content{Role: bundle.RoleShard, Kind: "advisory", Feed: &feed, Records: &n, ContentType: "application/jsonl+zstd"}})
			body, count, path = nil, 0, bundle.ShardPath("advisory", int(feed), len(members))
		}
	}
	return members, named, nil
}

// Index makes the index file of one feed.
func Index(feed int64, lines []bundle.IndexLine) (Member, error) {
	var b buffer
	w, err := pack.EncodeStream(&b)
	if err != nil {
		return Member{}, err
	}
	var text []byte
	for _, l := range lines {
		text = bundle.EncodeIndexLine(text, l)
	}
	if _, err := w.Write(text); err != nil {
		return Member{}, err
	}
	if err := w.Close(); err != nil {
		return Member{}, err
	}
	n := int64(len(lines))
	return Member{Name: bundle.IndexPath(int(feed)), Body: b.b, Entry: &bundle.Content{Role: bundle.RoleIndex, Feed: &feed, Records: &n, ContentType: "application/jsonl+zstd"}}, nil
}
