package upload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/ident"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

// Begin promises room for files and gives the upload they are sent to. The same person who begins the same files again gets the
// upload that is open for them: so a reload, another tab and another day go on. Codes usage, medium-name, medium-empty,
// upload-form, upload-quota, no-space.
func (r *Room) Begin(_ context.Context, o Owner, q wire.UploadRequest) (wire.Upload, error) {
	m, err := planned(o, q)
	if err != nil {
		return wire.Upload{}, err
	}
	if it := r.same(m); it != nil {
		it.mu.Lock()
		r.touch(it)
		it.mu.Unlock()
		return it.shown(true), nil
	}
	free, err := r.promise(o.Tenant, m.total())
	if err != nil {
		return wire.Upload{}, err
	}
	defer free()
	release, err := r.Reserve(m.total())
	if err != nil {
		return wire.Upload{}, fmt.Errorf("begin upload: %w", err)
	}
	it, err := r.make(m)
	if err != nil {
		release()
		return wire.Upload{}, r.watch(fmt.Errorf("begin upload: %w", err))
	}
	allocated, err := r.allocate(it)
	if err == nil {
		err = r.settle(it)
	}
	if err != nil {
		release()
		return wire.Upload{}, r.watch(errors.Join(fmt.Errorf("begin upload: %w", err), os.RemoveAll(it.dir)))
	}
	if allocated {
		release()
	} else {
		it.release = release
	}
	r.keep(it)
	return it.shown(true), nil
}

// planned checks what is asked for and cuts it into chunks.
func planned(o Owner, q wire.UploadRequest) (m meta, err error) {
	if err := ident.Name(o.Tenant); err != nil {
		return m, code.Wrap(code.BadUsage, err, "")
	}
	list := q.Files
	if len(list) == 0 {
		list = []wire.UploadFile{{Name: q.Name, Size: q.Size, Digest: q.Digest}}
	}
	if len(list) > maxFiles {
		return m, code.New(code.UploadForm, "too many files").Want(fmt.Sprintf("at most %d", maxFiles), len(list))
	}
	var names []string
	for _, f := range list {
		names = append(names, f.Name)
	}
	places, err := place(names)
	if err != nil {
		return m, err
	}
	m = meta{Tenant: o.Tenant, By: o.By}
	var total int64
	for i, f := range list {
		g := file{Name: f.Name, Size: f.Size, Place: places[i]}
		if f.Digest != "" {
			if g.Digest, err = digest.Parse(f.Digest); err != nil {
				return m, code.Wrap(code.UploadForm, err, "").In(fmt.Sprintf("%.120q", f.Name), "digest")
			}
		}
		if f.Size < 0 || f.Size > math.MaxInt64-total || g.Place != "" && f.Size == 0 {
			return m, code.New(code.UploadForm, "a size that no file of a bundle has").In(fmt.Sprintf("%.120q", f.Name), "size").Want("at least 1", f.Size)
		}
		if g.Place != "" {
			total += f.Size
		}
		m.Files = append(m.Files, g)
	}
	return m, m.slice(q.ChunkBytes, total)
}

// slice numbers the chunks: of the size that is wished for within the limits, larger where there would be too many.
func (m *meta) slice(wish, total int64) error {
	if wish == 0 {
		wish = stdChunk
	}
	m.ChunkBytes = max(minChunk, min(wish, maxChunk))
	if room := int64(maxChunks - len(m.Files)); total/m.ChunkBytes > room {
		m.ChunkBytes = (total/room/minChunk + 1) * minChunk
	}
	var next int64
	for i := range m.Files {
		f := &m.Files[i]
		if f.Place == "" {
			continue
		}
		f.First, f.Chunks = next, (f.Size-1)/m.ChunkBytes+1
		next += f.Chunks
	}
	return nil
}

// same finds the open upload of the same files by the same person.
func (r *Room) same(m meta) *item {
	for _, it := range r.of(m.Tenant) {
		it.mu.Lock()
		open := it.done == nil && !it.closing
		it.mu.Unlock()
		o := it.meta
		if open && o.By == m.By && slices.EqualFunc(o.Files, m.Files, func(a, b file) bool {
			return a.Name == b.Name && a.Size == b.Size && a.Digest == b.Digest
		}) {
			return it
		}
	}
	return nil
}

// of lists the uploads of a tenant, oldest first.
func (r *Room) of(tenant string) (list []*item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, it := range r.items {
		if it.meta.Tenant == tenant {
			list = append(list, it)
		}
	}
	slices.SortFunc(list, func(a, b *item) int { return strings.Compare(a.meta.ID, b.meta.ID) })
	return list
}

// used is how many bytes the uploads of a tenant take or were promised.
func (r *Room) used(tenant string) (n int64) {
	for _, it := range r.of(tenant) {
		n += it.meta.total()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return n + r.taken[tenant]
}

// promise counts bytes against the quota of a tenant until free is called. Code upload-quota.
func (r *Room) promise(tenant string, bytes int64) (free func(), err error) {
	used, n := r.used(tenant), len(r.of(tenant))
	if n >= maxOpen {
		return nil, code.New(code.UploadQuota, "%d uploads of this tenant are here already", n).Want(fmt.Sprintf("fewer than %d", maxOpen), n)
	}
	if bytes > r.Quota-used {
		return nil, code.New(code.UploadQuota, "the uploads of this tenant may take %s, of which %s are taken", units.Size(r.Quota), units.Size(used)).
			Want(fmt.Sprintf("at most %d bytes more", max(0, r.Quota-used)), bytes)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken[tenant] += bytes
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.taken[tenant] -= bytes; r.taken[tenant] == 0 {
			delete(r.taken, tenant)
		}
	}, nil
}

// make gives an upload its id and its folder.
func (r *Room) make(m meta) (*item, error) {
	now := r.Now()
	id, err := ident.New(now, r.Random)
	if err != nil {
		return nil, err
	}
	m.ID, m.CreatedAt = id, clock.Format(now)
	it := &item{meta: m, dir: filepath.Join(r.Dir(), id), have: map[int64]digest.Digest{}, busy: map[int64]chan struct{}{}}
	r.touch(it)
	return it, r.FS.Mkdir(filepath.Join(it.dir, "data"), 0o700)
}

// data is where file n lies until the upload is complete.
func (it *item) data(n int) string { return filepath.Join(it.dir, "data", strconv.Itoa(n)) }

// allocate makes the files, of real blocks where the file system can do that; else real is false, and the room stays promised.
func (r *Room) allocate(it *item) (real bool, err error) {
	real = true
	for n, f := range it.meta.Files {
		if f.Chunks == 0 {
			continue
		}
		ok, err := r.allocateOne(it.data(n), f.Size)
		if err != nil {
			return false, err
		}
		real = real && ok
	}
	return real, nil
}

func (r *Room) allocateOne(path string, size int64) (real bool, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return false, err
	}
	defer f.Close()
	err = r.FS.Allocate(f, size)
	if errors.Is(err, errors.ErrUnsupported) {
		return false, f.Truncate(size)
	}
	return err == nil, err
}

// settle makes the upload one that the next start finds.
func (r *Room) settle(it *item) error {
	b, err := json.Marshal(it.meta)
	if err != nil {
		return err
	}
	if err := r.FS.SyncDir(filepath.Join(it.dir, "data")); err != nil {
		return err
	}
	r.FS.Point("upload.allocated")
	return r.FS.WriteFile(filepath.Join(it.dir, "upload.json"), b, 0o600)
}

func (r *Room) keep(it *item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items[it.meta.ID] = it
}
