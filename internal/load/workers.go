package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/layer"
	"sallyport/internal/pack"
	"sallyport/internal/record"
)

// pieces runs the second merge: it cuts, hands pieces to workers, and gives the results in order. Every goroutine ends with the
// merge or with ctx, and is waited for by wait. An error of the merge is the last piece.
func (op *operation) pieces(ctx context.Context, wait *sync.WaitGroup) <-chan chan *piece {
	workers := op.room.workers()
	tasks, order := make(chan *piece), make(chan chan *piece, workers)
	shards := &verified{op: op, seen: map[digest.Digest]bool{}}
	for range workers {
		wait.Go(func() {
			w := worker{op: op, shards: shards, pack: pack.NewCompressor()}
			defer w.close()
			for p := range tasks {
				p.err = w.run(p)
				p.done <- p
			}
		})
	}
	wait.Go(func() {
		defer close(order)
		defer close(tasks)
		c := cutter{op: op, cut: op.sum.cut, send: func(p *piece) error {
			p.done = make(chan *piece, 1)
			if err := offer(ctx, tasks, p); err != nil {
				return err
			}
			return offer(ctx, order, p.done)
		}}
		err := op.merge(ctx, false, func(o *outcome) error {
			if o.removed {
				return nil
			}
			return c.add(o)
		})
		if err == nil {
			err = c.flush()
		}
		if err != nil {
			failed := make(chan *piece, 1)
			failed <- &piece{err: err}
			offer(ctx, order, failed)
		}
	})
	return order
}

// verified hashes each old shard once before anything of it is built upon: a blob is not trusted for its name.
type verified struct {
	op   *operation
	mu   sync.Mutex
	seen map[digest.Digest]bool
}

func (v *verified) check(it *layer.Item) error {
	s, ok := it.Shard()
	if !ok {
		return code.New(code.StoreCorrupt, "%s %q lies in no shard", it.Kind, it.Key)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seen[s.Digest] {
		return nil
	}
	r, err := v.op.room.CAS.OpenVerified(s.Digest)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, make([]byte, 1<<20)); err != nil {
		return err
	}
	v.seen[s.Digest] = true
	return nil
}

// worker makes frames. Not for concurrent use.
type worker struct {
	op     *operation
	shards *verified
	pack   *pack.Compressor
	old    *layer.Bodies
	text   []byte
}

func (w *worker) close() {
	if w.old != nil {
		w.old.Close()
	}
}

func (w *worker) run(p *piece) error {
	if !record.IsLine(p.rows[0].kind) {
		return w.document(&p.rows[0])
	}
	if w.old == nil && w.op.view != nil {
		w.old = w.op.view.Bodies(layer.Opener(w.op.room.CAS.Open))
	}
	if p.reuse {
		if err := w.shards.check(p.rows[0].old); err != nil {
			return err
		}
		packed, err := w.old.Packed(*p.rows[0].old)
		p.packed = bytes.Clone(packed)
		return err
	}
	w.text = w.text[:0]
	for i := range p.rows {
		if err := w.line(&p.rows[i]); err != nil {
			return err
		}
	}
	p.packed = w.pack.Frame(nil, w.text)
	return nil
}

// line appends one line to the frame, hashed again, and finds the fields of a fresh one.
func (w *worker) line(r *row) error {
	if r.old != nil && r.same == nil {
		if err := w.check(r); err != nil {
			return err
		}
		body, err := w.old.Body(*r.old)
		w.text = append(append(w.text, body...), '\n')
		return err
	}
	c := r.fresh
	if c == nil {
		c = r.same
	}
	from := len(w.text)
	w.text = append(w.text, make([]byte, c.length+1)...)
	body := w.text[from : len(w.text)-1]
	if _, err := w.op.in.spool.ReadAt(body, c.offset); err != nil {
		return fmt.Errorf("read the spool: %w", err)
	}
	if got := digest.Of(body); got != c.digest {
		return code.New(code.StoreCorrupt, "the spool came back damaged").Want(c.digest, got)
	}
	w.text[len(w.text)-1] = '\n'
	if r.old != nil {
		return nil
	}
	var err error
	r.fields, err = record.Scan(body)
	return err
}

// check proves the shard of an old line; one that is known to be ill is read all the same, and each line proves itself.
func (w *worker) check(r *row) error {
	if r.torn {
		return nil
	}
	return w.shards.check(r.old)
}

// document finds the fields of a fresh document.
func (w *worker) document(r *row) error {
	if r.fresh == nil {
		return nil
	}
	blob, err := w.op.stage.Open(r.fresh.digest)
	if err != nil {
		return err
	}
	defer blob.Close()
	r.fields, err = layer.DocumentFields(r.entry(), blob)
	return err
}

// entry is the row without its place in a shard.
func (r *row) entry() layer.Entry {
	if r.old != nil {
		return r.old.Entry
	}
	return layer.Entry{
		Kind: r.kind, Key: r.key, Digest: r.fresh.digest, Document: r.fresh.document, Length: r.fresh.length,
		Name: r.fresh.name, MediaType: r.fresh.mediaType,
	}
}
