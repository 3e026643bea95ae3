package mirror

import (
	"bytes"
	"context"
	"sync"

	"sallyport/internal/bundle"
	"sallyport/internal/layer"
)

// deadBatch is how many tombstones make a piece.
const deadBatch = 1024

// piece is what one worker does at a time: the lines of one old frame that are in the delta, one document, or tombstones.
type piece struct {
	rows  []layer.Item
	whole bool // the rows are all lines of their frame: its bytes are copied
	kind  string
	dead  []bundle.Tombstone

	text   []byte // the result: the lines, each with its LF
	packed []byte // or the whole frame
	err    error
	done   chan *piece // holds one: no worker waits for the writer
}

// feeder hands out finished pieces in order.
type feeder struct {
	order chan chan *piece
	group sync.WaitGroup
}

func (s *feeder) wait() { s.group.Wait() }

// pieces groups the changes of a diff, has workers read the bodies, and gives the results in order. Every goroutine ends with
// the changes or with ctx. An error is the last piece.
func pieces(ctx context.Context, d *diff, open layer.Blobs, workers int) *feeder {
	s := &feeder{order: make(chan chan *piece, workers)}
	tasks := make(chan *piece)
	for range workers {
		s.group.Go(func() {
			b := d.now.Bodies(open)
			defer b.Close()
			for p := range tasks {
				p.err = p.read(b)
				p.done <- p
			}
		})
	}
	s.group.Go(func() {
		defer close(s.order)
		defer close(tasks)
		g := grouper{overlay: d.now.Overlay() != nil, send: func(p *piece) error {
			p.done = make(chan *piece, 1)
			if len(p.rows) == 0 || p.rows[0].Document {
				p.done <- p // nothing to read
			} else if err := offer(ctx, tasks, p); err != nil {
				return err
			}
			return offer(ctx, s.order, p.done)
		}}
		err := d.each(ctx, g.add)
		if err == nil {
			err = g.flush()
		}
		if err != nil {
			failed := make(chan *piece, 1)
			failed <- &piece{err: err}
			offer(ctx, s.order, failed)
		}
	})
	return s
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

// read fetches the bodies; each is hashed again. A whole frame is not: the gate reads all of it before the bundle is signed.
func (p *piece) read(b *layer.Bodies) error {
	if p.whole {
		packed, err := b.Packed(p.rows[0])
		p.packed = bytes.Clone(packed)
		return err
	}
	for _, it := range p.rows {
		body, err := b.Body(it)
		if err != nil {
			return err
		}
		p.text = append(append(p.text, body...), '\n')
	}
	return nil
}

// grouper makes pieces of changes. Tombstones are gathered beside the lines of a frame: they go into a file of their own.
type grouper struct {
	overlay bool // frames of two layers: none is whole for sure
	send    func(*piece) error
	rows    []layer.Item
	bytes   int64 // of rows, while they follow one another from the frame's beginning; else -1
	last    bool
	kind    string
	dead    []bundle.Tombstone
}

func (g *grouper) add(c *change) error {
	switch {
	case c.removed:
		if g.kind != c.Kind || len(g.dead) == deadBatch {
			if err := g.bury(); err != nil {
				return err
			}
		}
		g.kind, g.dead = c.Kind, append(g.dead, bundle.Tombstone{Key: c.Key, Was: c.was})
		return nil
	case c.Document:
		if err := g.frame(); err != nil {
			return err
		}
		return g.send(&piece{rows: []layer.Item{c.Item}})
	}
	if len(g.rows) > 0 && !together(g.rows[0], c.Item) {
		if err := g.frame(); err != nil {
			return err
		}
	}
	if c.Offset == g.bytes {
		g.bytes += c.Length + 1
	} else {
		g.bytes = -1
	}
	g.rows, g.last = append(g.rows, c.Item), c.last
	return nil
}

func together(a, b layer.Item) bool {
	return a.Kind == b.Kind && a.Entry.Shard == b.Entry.Shard && a.Frame == b.Frame
}

// frame ends the lines of one frame.
func (g *grouper) frame() error {
	if len(g.rows) == 0 {
		return nil
	}
	p := &piece{rows: g.rows, whole: g.last && g.bytes > 0 && !g.overlay}
	g.rows, g.bytes = nil, 0
	return g.send(p)
}

// bury ends a batch of tombstones.
func (g *grouper) bury() error {
	if len(g.dead) == 0 {
		return nil
	}
	p := &piece{kind: g.kind, dead: g.dead}
	g.dead = nil
	return g.send(p)
}

func (g *grouper) flush() error {
	if err := g.frame(); err != nil {
		return err
	}
	return g.bury()
}
