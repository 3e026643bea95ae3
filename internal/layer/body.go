package layer

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/pack"
)

// Opener makes Blobs of the Open method of a store or a staging area.
func Opener[B Blob](open func(digest.Digest) (B, error)) Blobs {
	return func(d digest.Digest) (Blob, error) {
		b, err := open(d)
		if err != nil {
			return nil, err
		}
		return b, nil
	}
}

// MaxBody is the largest document Body reads into memory, in bytes. Open larger ones as blobs.
const MaxBody = 256 << 20

// Body reads the bytes of one record and hashes them again: other bytes than e.Digest names are code.StoreCorrupt.
// A line comes without its LF.
func (l *Layer) Body(e Entry, open Blobs) ([]byte, error) {
	r := l.Reader(open)
	defer r.Close()
	body, err := r.Body(e)
	return bytes.Clone(body), err
}

// Reader reads many bodies of one layer; it keeps the last frame and the last shard open, so that records in key order cost
// one inflation a frame. Not for concurrent use.
type Reader struct {
	layer *Layer
	open  Blobs
	pack  *pack.Decompressor
	blob  Blob
	shard int
	frame int64
	text  []byte // the inflated frame; valid while frame ≥ 0
	raw   []byte
}

// Reader makes a Reader; close it.
func (l *Layer) Reader(open Blobs) *Reader {
	return &Reader{layer: l, open: open, pack: l.packs.Get().(*pack.Decompressor), shard: -1, frame: -1}
}

// Close gives back what the reader holds.
func (r *Reader) Close() {
	if r.blob != nil {
		r.blob.Close()
		r.blob = nil
	}
	if r.pack != nil {
		r.layer.packs.Put(r.pack)
		r.pack = nil
	}
}

// Body is Layer.Body; the bytes are valid until the next call.
func (r *Reader) Body(e Entry) ([]byte, error) {
	body, err := r.body(e)
	if err != nil {
		return nil, fmt.Errorf("read %s %q: %w", e.Kind, e.Key, err)
	}
	if got := digest.Of(body); got != e.Digest {
		return nil, fmt.Errorf("read %s %q: %w", e.Kind, e.Key, code.New(code.StoreCorrupt, "").Want(e.Digest, got))
	}
	return body, nil
}

func (r *Reader) body(e Entry) ([]byte, error) {
	switch {
	case e.Deleted:
		return nil, code.New(code.Missing, "the record was removed")
	case e.Document:
		return document(e, r.open)
	}
	text, err := r.Frame(e.Shard, e.Frame)
	if err != nil {
		return nil, err
	}
	if e.Offset < 0 || e.Length < 0 || e.Offset+e.Length > int64(len(text)) {
		return nil, code.New(code.StoreCorrupt, "the record lies outside its frame").Want(fmt.Sprintf("within %d", len(text)), e.Offset+e.Length)
	}
	return text[e.Offset : e.Offset+e.Length], nil
}

func document(e Entry, open Blobs) ([]byte, error) {
	blob, err := open(e.Digest)
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	n := blob.Size()
	if n > MaxBody {
		return nil, code.New(code.BadUsage, "the document is too large to be shown").Want(fmt.Sprintf("at most %d bytes", MaxBody), n)
	}
	body := make([]byte, n)
	if _, err := blob.ReadAt(body, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return body, nil
}

// Frame inflates one frame of a shard of the layer; the bytes are valid until the next call.
func (r *Reader) Frame(shard int, at int64) ([]byte, error) {
	if r.shard == shard && r.frame == at {
		return r.text, nil
	}
	r.frame = -1
	if err := r.use(shard); err != nil {
		return nil, err
	}
	packed, err := r.packed(at)
	if err != nil {
		return nil, err
	}
	text, err := r.pack.Frame(r.text[:0], packed)
	if err != nil {
		return nil, code.Wrap(code.StoreCorrupt, err, "a damaged frame").In(r.layer.meta.Shards[shard].Digest.String(), fmt.Sprint("byte ", at))
	}
	r.text, r.frame = text, at
	return text, nil
}

func (r *Reader) use(shard int) error {
	if r.shard == shard && r.blob != nil {
		return nil
	}
	if shard < 0 || shard >= len(r.layer.meta.Shards) {
		return code.New(code.StoreCorrupt, "the layer has no such shard").In(r.layer.path, "").Want(fmt.Sprintf("fewer than %d", len(r.layer.meta.Shards)), shard)
	}
	if r.blob != nil {
		r.blob.Close()
		r.blob = nil
	}
	blob, err := r.open(r.layer.meta.Shards[shard].Digest)
	if err != nil {
		return err
	}
	r.blob, r.shard, r.frame = blob, shard, -1
	return nil
}

// Packed reads one frame of a shard as it lies there; the bytes are valid until the next call.
func (r *Reader) Packed(shard int, at int64) ([]byte, error) {
	if err := r.use(shard); err != nil {
		return nil, err
	}
	return r.packed(at)
}

// packed reads the frame at an offset. Its length is not stored: it is read from the frame's own headers, in growing bites.
func (r *Reader) packed(at int64) ([]byte, error) {
	for size := 192 << 10; ; size *= 4 {
		if cap(r.raw) < size {
			r.raw = make([]byte, size)
		}
		n, err := r.blob.ReadAt(r.raw[:size], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		length, err := pack.NextFrame(r.raw[:n])
		if err == nil {
			return r.raw[:length], nil
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) || n < size || size > 2*pack.FrameMax {
			return nil, code.Wrap(code.StoreCorrupt, err, "a damaged frame").In("", fmt.Sprint("byte ", at))
		}
	}
}

// Line tells which line of its shard a record is, from 0: the number that the signed index gives it. Everything before it in
// the shard is inflated and counted.
func (l *Layer) Line(e Entry, open Blobs) (Shard, int64, error) {
	if e.Document || e.Deleted || e.Shard < 0 || e.Shard >= len(l.meta.Shards) {
		return Shard{}, 0, code.New(code.Missing, "%s %q is not a line of a shard", e.Kind, e.Key)
	}
	shard := l.meta.Shards[e.Shard]
	r := l.Reader(open)
	defer r.Close()
	if err := r.use(e.Shard); err != nil {
		return shard, 0, err
	}
	var line int64
	err := pack.Frames(io.NewSectionReader(r.blob, 0, r.blob.Size()), func(f pack.Frame) error {
		text, err := r.pack.Frame(r.text[:0], f.Packed)
		if err != nil {
			return err
		}
		r.text, r.frame = text, -1
		if f.Offset < e.Frame {
			line += int64(bytes.Count(text, []byte{'\n'}))
			return nil
		}
		if f.Offset > e.Frame || e.Offset > int64(len(text)) {
			return code.New(code.StoreCorrupt, "no frame begins there").In(shard.Digest.String(), fmt.Sprint("byte ", e.Frame))
		}
		line += int64(bytes.Count(text[:e.Offset], []byte{'\n'}))
		return ErrStop
	})
	if err != nil && !errors.Is(err, ErrStop) {
		return shard, 0, fmt.Errorf("find line of %s %q: %w", e.Kind, e.Key, err)
	}
	return shard, line, nil
}
