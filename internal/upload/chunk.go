package upload

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/wire"
)

// Chunk takes one chunk. The same bytes for an index that is there change nothing; others have code upload-chunk. Other codes:
// not-found, upload-form (index or length), interrupted (the sender went away: nothing was taken).
func (r *Room) Chunk(ctx context.Context, tenant, id string, index int64, body io.Reader) (wire.Upload, error) {
	it, err := r.find(tenant, id)
	if err != nil {
		return wire.Upload{}, err
	}
	n, off, size, err := it.meta.where(index)
	if err != nil {
		return wire.Upload{}, err
	}
	free, err := it.claim(ctx, index)
	if err != nil {
		return wire.Upload{}, err
	}
	defer free()
	it.mu.Lock()
	known, there := it.have[index]
	it.mu.Unlock()
	if there {
		err = repeated(body, index, size, known)
	} else {
		err = r.take(it, n, index, off, size, body)
	}
	if err != nil {
		return wire.Upload{}, r.watch(fmt.Errorf("chunk %d: %w", index, err))
	}
	it.mu.Lock()
	r.touch(it)
	it.mu.Unlock()
	return it.shown(false), nil
}

// Check holds what a sender says of an upload against what is known. Code upload-form.
func (r *Room) Check(tenant, id string, chunks int64) error {
	it, err := r.find(tenant, id)
	if err != nil {
		return err
	}
	if want := it.meta.chunks(); chunks != 0 && chunks != want {
		return code.New(code.UploadForm, "the number of chunks is not that of this upload").In("", "total_chunks").Want(want, chunks)
	}
	return nil
}

// where finds the place of a chunk: its file, its offset in it, and its length. Code upload-form.
func (m *meta) where(index int64) (n int, off, size int64, err error) {
	for n, f := range m.Files {
		if index >= f.First && index < f.First+f.Chunks {
			off = (index - f.First) * m.ChunkBytes
			return n, off, min(m.ChunkBytes, f.Size-off), nil
		}
	}
	return 0, 0, 0, code.New(code.UploadForm, "there is no chunk with this index").In("", "index").Want(fmt.Sprintf("0 to %d", m.chunks()-1), index)
}

// claim keeps others away from a chunk until free is called; whoever comes second waits, and then finds it there.
func (it *item) claim(ctx context.Context, index int64) (free func(), err error) {
	for {
		it.mu.Lock()
		if it.closing {
			it.mu.Unlock()
			return nil, code.New(code.Conflict, "the upload is being completed or removed")
		}
		other := it.busy[index]
		if other == nil {
			mine := make(chan struct{})
			it.busy[index] = mine
			it.mu.Unlock()
			return func() {
				it.mu.Lock()
				delete(it.busy, index)
				it.mu.Unlock()
				close(mine)
			}, nil
		}
		it.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, code.Wrap(code.Interrupted, context.Cause(ctx), "wait for the same chunk")
		case <-other:
		}
	}
}

// length is a body of another length than its chunk has: it would overlap the next one, or leave a gap.
func length(size int64, got string) error {
	return code.New(code.UploadForm, "a chunk of another length").In("", "body").Want(fmt.Sprintf("%d bytes", size), got)
}

// repeated compares a body with a chunk that is there.
func repeated(body io.Reader, index, size int64, known digest.Digest) error {
	w := digest.NewWriter(io.Discard)
	n, err := io.Copy(w, io.LimitReader(body, size+1))
	if err != nil {
		return gone(err)
	}
	if n != size {
		return length(size, fmt.Sprintf("%d", n))
	}
	if got := w.Sum(); got != known {
		return code.New(code.UploadChunk, "chunk %d is here already, with other bytes", index).Want(known, got)
	}
	return nil
}

// gone is a body that ended in the middle.
func gone(err error) error {
	return code.Wrap(code.Interrupted, err, "the sender went away").Do("Send this chunk again: what came before it is kept.")
}

// take writes a chunk to its place, syncs it, and notes it.
func (r *Room) take(it *item, n int, index, off, size int64, body io.Reader) (err error) {
	f, err := os.OpenFile(it.data(n), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Seek(off, io.SeekStart); err != nil {
		return err
	}
	w := digest.NewWriter(r.FS.Writer(f))
	if err := pour(w, body, size); err != nil {
		return err
	}
	if err := r.FS.Sync(f); err != nil {
		return err
	}
	r.FS.Point("upload.chunk")
	d := w.Sum()
	it.mu.Lock()
	defer it.mu.Unlock()
	r.touch(it)
	if err := r.note(it, fmt.Sprintf("%d %s %s\n", index, d.Hex(), it.touched)); err != nil {
		return err
	}
	it.have[index] = d
	return nil
}

// pour copies exactly size bytes; a body that is shorter or longer is refused, and no byte more is written.
func pour(w io.Writer, body io.Reader, size int64) error {
	buf := make([]byte, min(size+1, 256<<10))
	for left := size; left > 0; {
		k, err := body.Read(buf[:min(left, int64(len(buf)))])
		if k > 0 {
			if _, werr := w.Write(buf[:k]); werr != nil {
				return werr
			}
			left -= int64(k)
		}
		if left == 0 {
			break
		}
		if errors.Is(err, io.EOF) {
			return length(size, fmt.Sprintf("%d", size-left))
		}
		if err != nil {
			return gone(err)
		}
	}
	if k, err := io.ReadFull(body, buf[:1]); k > 0 {
		return length(size, "more")
	} else if !errors.Is(err, io.EOF) {
		return gone(err)
	}
	return nil
}

// note appends to have; it.mu is held. It is not synced: a note that is lost costs one chunk.
func (r *Room) note(it *item, line string) error {
	f, err := os.OpenFile(filepath.Join(it.dir, "have"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(r.FS.Write(f, []byte(line)), f.Close())
}

// ranges writes numbers as "0-41,43".
func ranges(have map[int64]digest.Digest) string {
	list := make([]int64, 0, len(have))
	for n := range have {
		list = append(list, n)
	}
	slices.Sort(list)
	return spans(list)
}

// spans writes ascending numbers as ranges.
func spans(list []int64) string {
	var b strings.Builder
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		if fmt.Fprint(&b, list[i]); j > i {
			fmt.Fprintf(&b, "-%d", list[j])
		}
		i = j + 1
	}
	return b.String()
}

// hashFile reads a file and gives its digest; each is called with the digest of every chunk of that many bytes (0: none).
func hashFile(ctx context.Context, path string, chunk int64, each func(k int64, d digest.Digest)) (digest.Digest, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return digest.Digest{}, 0, err
	}
	defer f.Close()
	whole, piece := sha256.New(), sha256.New()
	var k, in, total int64
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return digest.Digest{}, 0, code.Wrap(code.Interrupted, err, "complete upload")
		}
		want := int64(len(buf))
		if chunk > 0 {
			want = min(want, chunk-in)
		}
		n, err := f.Read(buf[:want])
		whole.Write(buf[:n])
		total += int64(n)
		if chunk > 0 {
			piece.Write(buf[:n])
			if in += int64(n); in == chunk || errors.Is(err, io.EOF) && in > 0 {
				each(k, digest.Sum(piece))
				piece.Reset()
				k, in = k+1, 0
			}
		}
		if errors.Is(err, io.EOF) {
			return digest.Sum(whole), total, nil
		}
		if err != nil {
			return digest.Digest{}, 0, err
		}
	}
}
