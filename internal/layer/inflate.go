package layer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/pack"
	"sallyport/internal/record"
)

// job is one frame on its way through a worker.
type job struct {
	shard  int
	offset int64
	packed []byte
	out    chan frame // holds one: no worker waits for the reader
}

// inflate reads the frames of all shards in order and hands them to workers; results come in order. Every goroutine ends when
// the shards do or ctx is done, and is waited for by wait. The first error is the last result.
func inflate(ctx context.Context, src Source, wait *sync.WaitGroup) <-chan chan frame {
	workers := max(src.Workers, 0)
	if workers == 0 {
		workers = 2
	}
	jobs, order := make(chan job), make(chan chan frame, workers)
	for range workers {
		wait.Go(func() {
			dec := pack.NewDecompressor()
			var text []byte
			for j := range jobs {
				text = j.run(dec, text)
			}
		})
	}
	wait.Go(func() {
		defer close(order)
		defer close(jobs)
		for i, s := range src.Shards {
			if err := feed(ctx, src.Open, i, s, jobs, order); err != nil {
				failed := make(chan frame, 1)
				failed <- frame{shard: i, err: err}
				offer(ctx, order, failed)
				return
			}
		}
	})
	return order
}

// offer sends unless ctx is done first.
func offer[T any](ctx context.Context, to chan<- T, v T) error {
	select {
	case to <- v:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// feed sends the frames of one shard: to a worker first, then to the reader, who so never waits for a frame nobody has.
func feed(ctx context.Context, open Blobs, i int, s Shard, jobs chan<- job, order chan<- chan frame) error {
	blob, err := open(s.Digest)
	if err != nil {
		return err
	}
	defer blob.Close()
	err = pack.Frames(io.NewSectionReader(blob, 0, blob.Size()), func(f pack.Frame) error {
		j := job{shard: i, offset: f.Offset, packed: bytes.Clone(f.Packed), out: make(chan frame, 1)}
		if err := offer(ctx, jobs, j); err != nil {
			return err
		}
		return offer(ctx, order, j.out)
	})
	if err != nil {
		return fmt.Errorf("shard %s: %w", s.Digest.Short(), err)
	}
	return nil
}

func (j job) run(dec *pack.Decompressor, text []byte) []byte {
	f := frame{shard: j.shard, offset: j.offset}
	if text, f.err = dec.Frame(text[:0], j.packed); f.err == nil {
		f.lines, f.err = split(text)
	}
	if f.err != nil {
		f.err = fmt.Errorf("frame at byte %d: %w", j.offset, f.err)
	}
	j.out <- f
	return text
}

// split finds, hashes and scans the lines of an inflated frame. A line whose fields cannot be found fails when it is reached.
func split(text []byte) ([]line, error) {
	lines := make([]line, 0, bytes.Count(text, []byte{'\n'}))
	for at := 0; at < len(text); {
		n := bytes.IndexByte(text[at:], '\n')
		if n < 1 || n > pack.LineMax {
			return nil, code.New(code.LineBad, "").In("", fmt.Sprint("byte ", at)).Want(fmt.Sprintf("a line of at most %d bytes and LF", pack.LineMax), "none")
		}
		body := text[at : at+n]
		l := line{offset: int64(at), length: int64(n), digest: digest.Of(body)}
		l.fields, l.err = record.Scan(body)
		lines = append(lines, l)
		at += n + 1
	}
	return lines, nil
}
