package upload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/units"
	"sallyport/internal/wire"
)

// Complete makes a medium of an upload of which every chunk is there. said are digests by the name that was given ("": of the
// only file). It may be repeated. Codes not-found, conflict, upload-form, upload-incomplete, upload-digest.
func (r *Room) Complete(ctx context.Context, tenant, id string, said map[string]string) (wire.Upload, error) {
	it, err := r.find(tenant, id)
	if err != nil {
		return wire.Upload{}, err
	}
	it.mu.Lock()
	switch {
	case it.done != nil:
		it.mu.Unlock()
		return it.shown(true), nil
	case it.closing || len(it.busy) > 0:
		it.mu.Unlock()
		return wire.Upload{}, code.New(code.Conflict, "chunks of this upload are still being taken")
	}
	missing := it.missing()
	it.closing = len(missing) == 0
	it.mu.Unlock()
	if len(missing) > 0 {
		return wire.Upload{}, lacking(it, missing)
	}
	err = r.complete(ctx, it, said)
	it.mu.Lock()
	it.closing = false
	it.mu.Unlock()
	if err != nil {
		return wire.Upload{}, r.watch(fmt.Errorf("complete upload: %w", err))
	}
	return it.shown(true), nil
}

// missing lists the chunks that are not there; it.mu is held.
func (it *item) missing() (list []int64) {
	for i := range it.meta.chunks() {
		if _, ok := it.have[i]; !ok {
			list = append(list, i)
		}
	}
	return list
}

func lacking(it *item, missing []int64) error {
	text := spans(missing)
	return code.New(code.UploadIncomplete, "%s of this upload are missing", units.Plural(int64(len(missing)), "chunk", "chunks")).
		In("", "chunks "+text).Want(it.meta.chunks(), it.meta.chunks()-int64(len(missing)))
}

// complete does it: the item is closing, so nobody else touches its files.
func (r *Room) complete(ctx context.Context, it *item, said map[string]string) error {
	if it.meta.ChunkBytes > 0 {
		if err := r.syncNotes(it); err != nil {
			return err
		}
	}
	d := &done{At: clock.Format(r.Now()), Digests: make([]string, len(it.meta.Files))}
	for n, f := range it.meta.Files {
		if f.Place == "" {
			continue
		}
		sum, err := r.prove(ctx, it, n)
		if err != nil {
			return err
		}
		if err := f.matches(sum, said, len(it.meta.Files) == 1); err != nil {
			return err
		}
		d.Digests[n] = sum.String()
	}
	r.FS.Point("upload.proven")
	if err := r.lay(it); err != nil {
		return err
	}
	r.FS.Point("upload.laid")
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := r.FS.WriteFile(filepath.Join(it.dir, "done.json"), b, 0o600); err != nil {
		return err
	}
	it.mu.Lock()
	it.done = d
	r.touch(it)
	release := it.release
	it.release = nil
	it.mu.Unlock()
	if release != nil {
		release()
	}
	return nil
}

func (r *Room) syncNotes(it *item) error {
	f, err := os.Open(filepath.Join(it.dir, "have"))
	if err != nil {
		return err
	}
	return errors.Join(r.FS.Sync(f), f.Close(), r.FS.SyncDir(it.dir))
}

// prove hashes a file from the disk. A chunk that is not what was noted is forgotten, so that it is sent again.
func (r *Room) prove(ctx context.Context, it *item, n int) (digest.Digest, error) {
	f := it.meta.Files[n]
	path := it.data(n)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		path = it.placed(f) // a completion before this one came so far
	}
	var bad []int64
	sum, size, err := hashFile(ctx, path, it.meta.ChunkBytes, func(k int64, d digest.Digest) {
		if it.have[f.First+k] != d {
			bad = append(bad, f.First+k)
		}
	})
	if err != nil {
		return sum, err
	}
	if len(bad) > 0 || size != f.Size {
		return sum, r.forget(it, bad)
	}
	return sum, nil
}

// forget takes back the notes of chunks whose bytes on the disk are not those that came. A file that was moved already is moved
// back, so that they can be written.
func (r *Room) forget(it *item, bad []int64) error {
	it.mu.Lock()
	defer it.mu.Unlock()
	for _, k := range bad {
		delete(it.have, k)
	}
	var notes strings.Builder
	for k, d := range it.have {
		fmt.Fprintf(&notes, "%d %s %s\n", k, d.Hex(), it.touched)
	}
	if err := r.FS.WriteFile(filepath.Join(it.dir, "have"), []byte(notes.String()), 0o600); err != nil {
		return err
	}
	for n, f := range it.meta.Files {
		if _, err := os.Lstat(it.data(n)); f.Place == "" || err == nil {
			continue
		}
		if err := r.FS.Rename(it.placed(f), it.data(n)); err != nil {
			return err
		}
	}
	return lacking(it, bad)
}

// matches holds the digest of a file against what was said of it, when it was begun and now.
func (f file) matches(sum digest.Digest, said map[string]string, only bool) error {
	want := f.Digest
	text := said[f.Name]
	if text == "" && only {
		text = said[""]
	}
	if text != "" {
		d, err := digest.Parse(text)
		if err != nil {
			return code.Wrap(code.UploadForm, err, "").In(fmt.Sprintf("%.120q", f.Name), "digest")
		}
		if want.IsZero() {
			want = d
		}
		if d != want {
			sum = d // two promises that contradict each other
		}
	}
	if !want.IsZero() && sum != want {
		return code.New(code.UploadDigest, "the whole file has another digest than was said").In(fmt.Sprintf("%.120q", f.Name), "").Want(want, sum)
	}
	return nil
}

// placed is where a file lies in the medium.
func (it *item) placed(f file) string {
	return filepath.Join(it.dir, "medium", filepath.FromSlash(f.Place))
}

// lay moves the files to their places. It goes on where a crash stopped it.
func (r *Room) lay(it *item) error {
	for n, f := range it.meta.Files {
		if f.Place == "" {
			continue
		}
		to := it.placed(f)
		if err := r.FS.Mkdir(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if _, err := os.Lstat(it.data(n)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := r.FS.Rename(it.data(n), to); err != nil {
			return err
		}
	}
	return nil
}

// Medium is where a complete upload can be imported from.
func (it *item) medium() string { return filepath.Join(it.dir, "medium") }

// shown is an upload as others see it; files only when they are asked for.
func (it *item) shown(files bool) wire.Upload {
	it.mu.Lock()
	defer it.mu.Unlock()
	m := it.meta
	w := wire.Upload{
		ID: m.ID, Tenant: m.Tenant, By: m.By, State: stateOpen, ChunkBytes: m.ChunkBytes, Chunks: m.chunks(), Have: ranges(it.have), Total: m.total(), CreatedAt: m.CreatedAt,
	}
	for i := range it.have {
		if _, _, size, err := m.where(i); err == nil {
			w.Bytes += size
		}
	}
	if since, err := time.Parse(time.RFC3339, it.touched); err == nil {
		w.Expires = clock.Format(since.Add(keepFor))
	}
	w.Sentence = fmt.Sprintf("%s of %s are here.", units.Size(w.Bytes), units.Size(w.Total))
	if it.done != nil {
		w.State, w.Bytes, w.Path = stateComplete, w.Total, it.medium()
		w.Sentence = fmt.Sprintf("All %s are here. Nothing of it was opened yet.", units.Size(w.Total))
	}
	if !files {
		return w
	}
	for n, f := range m.Files {
		u := wire.UploadFile{N: n, Name: f.Name, Size: f.Size, First: f.First, Chunks: f.Chunks, Ignored: f.Place == ""}
		if d := f.Digest; !d.IsZero() {
			u.Digest = d.String()
		}
		if it.done != nil && it.done.Digests[n] != "" {
			u.Digest = it.done.Digests[n]
		}
		w.Files = append(w.Files, u)
	}
	return w
}
