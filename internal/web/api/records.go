package api

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/cas"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/layer"
	"sallyport/internal/web"
	"sallyport/internal/wire"
)

// maxList bounds one answer.
const maxList = 1000

// view is an open active generation.
type view struct {
	active
	*layer.View
}

// views opens the active generations of a tenant's feeds, or of the one that is named. Close all of them.
func (a *API) views(tenant, name string) (list []view, err error) {
	actives, err := a.actives(tenant, name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			closeAll(list)
			list = nil
		}
	}()
	for _, at := range actives {
		v, err := a.Layers.Open(at.files...)
		if err != nil {
			return list, fmt.Errorf("feed %s: %w", at.feed.FullName, err)
		}
		list = append(list, view{at, v})
	}
	return list, nil
}

func closeAll(list []view) {
	for _, v := range list {
		_ = v.Close() // gives layers back, which cannot fail
	}
}

func (a *API) blobs() layer.Blobs {
	return layer.Opener(func(d digest.Digest) (*cas.File, error) { return a.CAS.Open(d) })
}

// ask completes a request and opens what it is about.
func (a *API) ask(q wire.RecordRequest) (_ wire.RecordRequest, list []view, err error) {
	if q.Tenant, err = a.tenant(q.Tenant); err != nil {
		return q, nil, err
	}
	if q.Limit <= 0 {
		q.Limit = page
	}
	q.Limit = min(q.Limit, maxList)
	list, err = a.views(q.Tenant, q.Feed)
	return q, list, err
}

// hit is one record and the feed it was found in.
type hit struct {
	view view
	item layer.Item
}

func (a *API) recordsShow(ctx context.Context, _ *web.Call, q wire.RecordRequest) (wire.Record, error) {
	q, list, err := a.ask(q)
	if err != nil {
		return wire.Record{}, err
	}
	defer closeAll(list)
	if q.Key == "" {
		return wire.Record{}, code.New(code.BadUsage, "which record?").Do("Name its key or an alias.")
	}
	var hits []hit
	for _, v := range list {
		items, err := v.Show(q.Kind, q.Key)
		if err != nil {
			return wire.Record{}, fmt.Errorf("feed %s: %w", v.feed.FullName, err)
		}
		for _, it := range items {
			hits = append(hits, hit{v, it})
		}
	}
	byKey := func(h hit) bool { return h.item.Key == q.Key }
	if slices.ContainsFunc(hits, byKey) { // a key says more than the alias of another record
		hits = slices.DeleteFunc(hits, func(h hit) bool { return !byKey(h) })
	}
	switch {
	case len(hits) == 0:
		return wire.Record{}, a.unknownRecord(list, q)
	case len(hits) > 1:
		return wire.Record{}, ambiguous(hits, q.Key)
	}
	r, err := a.record(hits[0], true)
	if err != nil || !q.Proof {
		return r, err
	}
	p, err := a.Intake.Proof(ctx, hits[0].view.ref.Ref, r.Kind, r.Key)
	if err != nil {
		return wire.Record{}, err
	}
	proof, err := recode[wire.Proof](p)
	r.Proof = &proof
	return r, err
}

func ambiguous(hits []hit, key string) error {
	var list []string
	for i, h := range hits {
		if i == 8 {
			list = append(list, "…")
			break
		}
		list = append(list, fmt.Sprintf("--feed %s --kind %s %q", h.view.feed.FullName, h.item.Kind, h.item.Key))
	}
	return code.New(code.Ambiguous, "%.100q is %d records", key, len(hits)).Do("Say which: " + strings.Join(list, " · "))
}

// unknownRecord suggests keys that begin like the one that was asked for.
func (a *API) unknownRecord(list []view, q wire.RecordRequest) error {
	err := code.New(code.Missing, "no record %.200q", q.Key)
	if len(list) == 0 {
		return err.Do("No feed has records yet: load some, or import a stick.")
	}
	var close []string
	for cut := len(q.Key); cut >= 3 && len(close) == 0; cut-- {
		for _, v := range list {
			close = append(close, prefixed(v, q.Kind, q.Key[:cut], 4-len(close))...)
		}
	}
	if len(close) > 0 {
		return err.Do(fmt.Sprintf("Similar: %s. Or search: sallyport records search TEXT.", strings.Join(close, ", ")))
	}
	return err.Do("Search for it: sallyport records search TEXT.")
}

func prefixed(v view, kind, prefix string, limit int) (keys []string) {
	for _, k := range v.Kinds() {
		if kind != "" && k != kind || limit <= 0 {
			continue
		}
		err := v.Scan(k, before(prefix), func(it layer.Item) error {
			if !strings.HasPrefix(it.Key, prefix) || len(keys) >= limit {
				return layer.ErrStop
			}
			keys = append(keys, it.Key)
			return nil
		})
		if err != nil {
			return keys // a suggestion is not worth an error
		}
	}
	return keys
}

// before is a key right before all that begin with prefix.
func before(prefix string) string {
	if prefix == "" {
		return ""
	}
	last := len(prefix) - 1
	return prefix[:last] + string([]byte{prefix[last] - 1}) + "\xff"
}

func (a *API) record(h hit, body bool) (wire.Record, error) {
	r := wire.Record{
		Kind: h.item.Kind, Key: h.item.Key, Digest: h.item.Digest.String(), Bytes: h.item.Length, Document: h.item.Document, Name: h.item.Name,
		MediaType: h.item.MediaType, Feed: h.view.feed.Name, Origin: h.view.feed.Origin, OriginName: h.view.feed.OriginName, Generation: h.view.feed.Generation,
	}
	if !body {
		return r, nil
	}
	b, err := h.view.Body(h.item, a.blobs())
	if err != nil {
		return r, fmt.Errorf("record %s %q: %w", r.Kind, r.Key, err)
	}
	r.Body = b
	return r, nil
}

// recordsSearch looks for a key, an alias, a package (name, or ecosystem/name), and at last keys that begin so.
func (a *API) recordsSearch(ctx context.Context, _ *web.Call, q wire.RecordRequest) (wire.Records, error) {
	q, list, err := a.ask(q)
	if err != nil {
		return wire.Records{}, err
	}
	defer closeAll(list)
	if q.Query == "" {
		return wire.Records{}, code.New(code.BadUsage, "search for what?").Do("Name a key, an alias or a package.")
	}
	out := wire.Records{Records: []wire.Record{}}
	seen := map[string]bool{}
	for _, look := range []func(view, string, int) ([]layer.Item, error){exact, packages, beginning} {
		for _, v := range list {
			items, err := look(v, q.Query, q.Limit)
			if err != nil {
				return wire.Records{}, fmt.Errorf("feed %s: %w", v.feed.FullName, err)
			}
			for _, it := range items {
				id := v.feed.FullName + "\x00" + it.Kind + "\x00" + it.Key
				if seen[id] || q.Kind != "" && it.Kind != q.Kind || len(out.Records) == q.Limit {
					continue
				}
				seen[id] = true
				r, err := a.record(hit{v, it}, q.Body)
				if err != nil {
					return wire.Records{}, err
				}
				out.Records = append(out.Records, r)
			}
		}
	}
	return out, ctx.Err()
}

func exact(v view, text string, _ int) ([]layer.Item, error) { return v.Show("", text) }

func packages(v view, text string, limit int) ([]layer.Item, error) {
	found, err := v.Search("", text, layer.Ref{}, limit)
	if err != nil || len(found) > 0 {
		return found, err
	}
	ecosystem, name, ok := strings.Cut(text, "/")
	if !ok {
		return nil, nil
	}
	return v.Search(ecosystem, name, layer.Ref{}, limit)
}

func beginning(v view, text string, limit int) (items []layer.Item, err error) {
	for _, kind := range v.Kinds() {
		err := v.Scan(kind, before(text), func(it layer.Item) error {
			if !strings.HasPrefix(it.Key, text) || len(items) >= limit {
				return layer.ErrStop
			}
			items = append(items, it)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return items, nil
}

// recordsList pages through records in the order of feed, kind and key; the cursor is the last of these three.
func (a *API) recordsList(ctx context.Context, _ *web.Call, q wire.RecordRequest) (wire.Records, error) {
	q, list, err := a.ask(q)
	if err != nil {
		return wire.Records{}, err
	}
	defer closeAll(list)
	from, err := place(q.After)
	if err != nil {
		return wire.Records{}, err
	}
	p := &pager{api: a, q: q, from: from, resume: q.After != "", out: wire.Records{Records: []wire.Record{}}}
	for _, v := range list {
		if err := p.walk(v); err != nil {
			return wire.Records{}, err
		}
	}
	return p.out, ctx.Err()
}

// cursor names the last record of a page, in letters that a shell leaves alone.
func cursor(r wire.Record) string {
	return base64.RawURLEncoding.EncodeToString([]byte(r.OriginName + "/" + r.Feed + "\x00" + r.Kind + "\x00" + r.Key))
}

// place is where a cursor points: feed, kind and key; "" is the beginning.
func place(cursor string) ([]string, error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	from := strings.SplitN(string(text), "\x00", 3)
	if err != nil || cursor != "" && len(from) != 3 {
		return nil, code.New(code.BadUsage, "not a cursor of an answer").Do("Give the cursor as it was printed.")
	}
	return from, nil
}

// pager is one page under way.
type pager struct {
	api    *API
	q      wire.RecordRequest
	from   []string
	resume bool // the cursor's place was not reached yet
	out    wire.Records
}

func (p *pager) walk(v view) error {
	for _, kind := range v.Kinds() {
		if p.q.Kind != "" && kind != p.q.Kind || p.out.Next != "" {
			continue
		}
		after := ""
		if p.resume {
			if v.feed.FullName != p.from[0] || kind != p.from[1] {
				continue
			}
			after, p.resume = p.from[2], false
		}
		err := v.Scan(kind, after, func(it layer.Item) error {
			if n := len(p.out.Records); n == p.q.Limit {
				last := p.out.Records[n-1]
				p.out.Next = cursor(last)
				return layer.ErrStop
			}
			r, err := p.api.record(hit{v, it}, p.q.Body)
			if err != nil {
				return err
			}
			p.out.Records = append(p.out.Records, r)
			return nil
		})
		if err != nil && !errors.Is(err, layer.ErrStop) {
			return err
		}
	}
	return nil
}
