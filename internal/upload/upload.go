// Package upload is the room where files that a browser sends become a medium that can be imported.
//
// Data, of its own, D/uploads/<id>/ for each upload:
//
//	upload.json   who it belongs to, and its files with their names and sizes; the upload is there with this file
//	data/<n>      file n; its blocks are allocated before the first byte is taken
//	have          a line for each chunk that is whole: index, SHA-256, time
//	medium/       the files under the names that a medium has: sallyport/{bundles/NAME,cards,roots,papers}/
//	done.json     the digest of each file, when and that it is complete
//
// What is sent is cut into chunks, numbered from 0 over all files; each file begins with a new one. What they hold is judged by
// nobody here: a complete upload is a medium, as hostile as a stick, and goes the way of a stick.
//
// Order: the room is reserved by the rules of the content store and allocated, then upload.json is written. A chunk is written to
// its place, synced, and then noted in have. A note may be lost by a crash, and the chunk is sent again; it never comes before
// its bytes. When all are noted, have is synced, every file is hashed again from the disk, moved to its place in medium, and
// done.json is written. A crash leaves a folder without upload.json, which the next Open removes, or an upload that goes on
// where it was, also in the middle of the move. Nothing here is a change of state: the timeline tells of the import.
//
// An upload is removed 72 hours after the last thing that happened to it, by trusted time, but not within the first hour of a
// daemon, so that a clock that was put right takes nothing away that is being used.
package upload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/wire"
)

// The limits.
const (
	maxFiles  = 4096
	maxChunks = 1 << 16  // of one upload
	stdChunk  = 8 << 20  // bytes
	minChunk  = 64 << 10 // bytes
	maxChunk  = 64 << 20 // bytes; larger ones only where maxChunks asks for it
	maxOpen   = 32       // uploads of one tenant
	keepFor   = 72 * time.Hour
	atLeast   = time.Hour // since the start of the daemon, or since something happened
)

// The states.
const (
	stateOpen     = "open"
	stateComplete = "complete"
)

// Owner is whose upload it is.
type Owner struct {
	Tenant string
	By     string // the person's name
}

// Deps is what the room works with. All are needed.
type Deps struct {
	DataDir string
	FS      durable.FS
	Clock   clock.Clock
	Random  io.Reader
	Log     *slog.Logger
	Now     func() time.Time                              // trusted time
	Reserve func(bytes int64) (release func(), err error) // of the content store
	Quota   int64                                         // bytes that the uploads of one tenant may take
	Fatal   func(error)                                   // a sync failed
}

// Room keeps uploads. Safe for concurrent use.
type Room struct {
	Deps
	mu    sync.Mutex
	items map[string]*item
	taken map[string]int64 // bytes promised to uploads that are being begun, by tenant
}

// meta is upload.json.
type meta struct {
	ID         string `json:"id"`
	Tenant     string `json:"tenant"`
	By         string `json:"by"`
	ChunkBytes int64  `json:"chunkBytes"` // 0: it came whole, as a form
	Files      []file `json:"files"`
	CreatedAt  string `json:"createdAt"`
}

// file is one file of an upload. Name is foreign.
type file struct {
	Name   string        `json:"name"`
	Size   int64         `json:"size"`
	Place  string        `json:"place,omitempty"`  // below medium; "": no part of a bundle
	Digest digest.Digest `json:"digest,omitzero"`  // as it was promised
	First  int64         `json:"first,omitempty"`  // chunk
	Chunks int64         `json:"chunks,omitempty"` // 0: not sent
}

// done is done.json.
type done struct {
	At      string   `json:"at"`
	Digests []string `json:"digests"` // by file; "" for one that was not sent
}

// item is one upload in memory.
type item struct {
	meta meta
	dir  string

	mu      sync.Mutex
	have    map[int64]digest.Digest
	busy    map[int64]chan struct{} // chunks that are being taken; closed when that ended
	closing bool                    // it is being completed or removed
	done    *done
	touched string        // RFC 3339
	idle    time.Duration // monotonic time of the last thing that happened
	holds   int           // what uses its medium now
	release func()        // gives back the promised room; nil when it is really allocated
}

// New makes the room. Nothing is read or written.
func New(d Deps) *Room { return &Room{Deps: d, items: map[string]*item{}, taken: map[string]int64{}} }

// Dir is the folder of all uploads.
func (r *Room) Dir() string { return filepath.Join(r.DataDir, "uploads") }

// Open reads what is there and drops what was never begun.
func (r *Room) Open() error {
	if err := r.FS.Mkdir(r.Dir(), 0o700); err != nil {
		return fmt.Errorf("open uploads: %w", err)
	}
	entries, err := os.ReadDir(r.Dir())
	if err != nil {
		return fmt.Errorf("open uploads: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range entries {
		dir := filepath.Join(r.Dir(), e.Name())
		it, err := r.load(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := os.RemoveAll(dir); err != nil { // needs no sync: what comes back is removed again
				return fmt.Errorf("open uploads: %w", err)
			}
		case err != nil:
			return fmt.Errorf("open upload %s: %w", e.Name(), err)
		default:
			r.items[it.meta.ID] = it
		}
	}
	return nil
}

// load reads one upload; fs.ErrNotExist when it was never begun, or not removed to the end.
func (r *Room) load(dir string) (*item, error) {
	it := &item{dir: dir, have: map[int64]digest.Digest{}, busy: map[int64]chan struct{}{}, idle: r.Clock.Mono()}
	b, err := os.ReadFile(filepath.Join(dir, "upload.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &it.meta); err != nil || it.meta.ID != filepath.Base(dir) {
		return nil, code.New(code.StateCorrupt, "an upload does not read").In(filepath.Join(dir, "upload.json"), "").Do("Remove this folder; the files can be sent again.")
	}
	it.touched = it.meta.CreatedAt
	if err := it.remember(); err != nil {
		return nil, err
	}
	b, err = os.ReadFile(filepath.Join(dir, "done.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return it, nil
	}
	if err != nil {
		return nil, err
	}
	it.done = &done{}
	if err := json.Unmarshal(b, it.done); err != nil || len(it.done.Digests) != len(it.meta.Files) {
		return nil, code.New(code.StateCorrupt, "an upload does not read").In(filepath.Join(dir, "done.json"), "").Do("Remove this folder; the files can be sent again.")
	}
	it.touched = max(it.touched, it.done.At)
	return it, nil
}

// remember reads the notes. The first line that is not one ends them: it was being written when the power went.
func (it *item) remember() error {
	b, err := os.ReadFile(filepath.Join(it.dir, "have"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for line := range strings.SplitAfterSeq(string(b), "\n") {
		var index int64
		var hex, at string
		if n, err := fmt.Sscanf(line, "%d %64s %s\n", &index, &hex, &at); n != 3 || err != nil || !strings.HasSuffix(line, "\n") {
			break
		}
		d, err := digest.Parse("sha256:" + hex)
		if err != nil || index < 0 || index >= it.meta.chunks() {
			break
		}
		it.have[index], it.touched = d, max(it.touched, at)
	}
	return nil
}

// chunks is how many an upload has.
func (m *meta) chunks() (n int64) {
	for _, f := range m.Files {
		n += f.Chunks
	}
	return n
}

// total is how many bytes are sent.
func (m *meta) total() (n int64) {
	for _, f := range m.Files {
		if f.Place != "" {
			n += f.Size
		}
	}
	return n
}

// find gives a tenant's upload; another's is not there. Code not-found.
func (r *Room) find(tenant, id string) (*item, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	it := r.items[id]
	if it == nil || it.meta.Tenant != tenant {
		return nil, code.New(code.Missing, "no upload %.40q", id).Do("Uploads are removed 72 hours after the last chunk. Begin a new one.")
	}
	return it, nil
}

// watch ends the daemon when a sync failed.
func (r *Room) watch(err error) error {
	if code.Has(err, code.FsyncFailed) {
		r.Fatal(err)
	}
	return err
}

// touch notes that something happened; it.mu is held.
func (r *Room) touch(it *item) {
	it.touched, it.idle = clock.Format(r.Now()), r.Clock.Mono()
}

// Show tells how far an upload is.
func (r *Room) Show(tenant, id string) (wire.Upload, error) {
	it, err := r.find(tenant, id)
	if err != nil {
		return wire.Upload{}, err
	}
	return it.shown(true), nil
}

// List tells of all uploads of a tenant, oldest first.
func (r *Room) List(tenant string) wire.Uploads {
	out := wire.Uploads{Uploads: []wire.Upload{}, Quota: r.Quota, Used: r.used(tenant)}
	for _, it := range r.of(tenant) {
		out.Uploads = append(out.Uploads, it.shown(true))
	}
	return out
}

// Hold keeps the upload whose medium lies at path until it is let go; a path that is none of ours needs no hold.
func (r *Room) Hold(path string) (release func()) {
	rel, err := filepath.Rel(r.Dir(), filepath.Clean(path))
	if err != nil || !filepath.IsLocal(rel) {
		return func() {}
	}
	id, _, _ := strings.Cut(filepath.ToSlash(rel), "/")
	r.mu.Lock()
	it := r.items[id]
	r.mu.Unlock()
	if it == nil {
		return func() {}
	}
	it.mu.Lock()
	it.holds++
	it.mu.Unlock()
	return func() {
		it.mu.Lock()
		it.holds--
		r.touch(it)
		it.mu.Unlock()
	}
}

// Remove throws an upload away. Code conflict while its medium is being imported.
func (r *Room) Remove(_ context.Context, tenant, id string) error {
	it, err := r.find(tenant, id)
	if err != nil {
		return err
	}
	it.mu.Lock()
	if it.holds > 0 || it.closing || len(it.busy) > 0 {
		it.mu.Unlock()
		return code.New(code.Conflict, "the upload is in use").Do("Wait until the import has ended, or cancel it.")
	}
	it.closing = true
	it.mu.Unlock()
	return r.watch(r.drop(it))
}

// drop removes an upload that is closing: first the file that makes it one.
func (r *Room) drop(it *item) error {
	if err := r.FS.Remove(filepath.Join(it.dir, "upload.json")); err != nil {
		it.mu.Lock()
		it.closing = false
		it.mu.Unlock()
		return fmt.Errorf("remove upload: %w", err)
	}
	r.mu.Lock()
	delete(r.items, it.meta.ID)
	r.mu.Unlock()
	if it.release != nil {
		it.release()
	}
	r.FS.Point("upload.dropped")
	if err := os.RemoveAll(it.dir); err != nil {
		return fmt.Errorf("remove upload: %w", err)
	}
	return nil
}

// Sweep removes uploads to which nothing happened for 72 hours.
func (r *Room) Sweep() (removed int, err error) {
	r.mu.Lock()
	var list []*item
	for _, it := range r.items {
		list = append(list, it)
	}
	r.mu.Unlock()
	var errs []error
	for _, it := range list {
		it.mu.Lock()
		since, perr := time.Parse(time.RFC3339, it.touched)
		stale := perr == nil && r.Now().Sub(since) >= keepFor && r.Clock.Mono()-it.idle >= atLeast && it.holds == 0 && !it.closing && len(it.busy) == 0
		it.closing = it.closing || stale
		it.mu.Unlock()
		if !stale {
			continue
		}
		if err := r.drop(it); err != nil {
			errs = append(errs, err)
			continue
		}
		removed++
	}
	return removed, r.watch(errors.Join(errs...))
}

// MaxBody is the longest body of a request with one chunk: base64, and what is said around it.
const MaxBody = 2 * maxChunk
