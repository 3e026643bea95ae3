package load

import (
	"sallyport/internal/layer"
	"sallyport/internal/pack"
	"sallyport/internal/record"
)

// piece is what one worker does at a time: the lines of one frame, or one document.
type piece struct {
	rows  []row
	reuse bool // the rows are all the lines of one old frame: its bytes are copied

	packed []byte // the result; nil for a document
	err    error
	done   chan *piece // holds one: no worker waits for the writer
}

// row is one live record on its way into the layer.
type row struct {
	kind, key string
	old       *layer.Item // nil: fresh
	fresh     *candidate
	same      *candidate    // has the line of old, whose shard is ill
	torn      bool          // the shard of old is ill
	last      bool          // old is the last line of its frame
	offset    int64         // inside the new frame
	fields    record.Fields // of fresh ones, set by the worker
}

func (r *row) length() int64 {
	if r.fresh != nil {
		return r.fresh.length
	}
	return r.old.Length
}

func (op *operation) rowOf(o *outcome) row {
	if o.fresh == nil {
		r := row{kind: o.kind, key: o.key, old: o.old, last: o.last, torn: op.hurt(o.old)}
		if r.torn && o.same != nil && !o.same.known {
			same := *o.same
			r.same = &same
		}
		return r
	}
	fresh := *o.fresh
	return row{kind: o.kind, key: o.key, fresh: &fresh}
}

// cutter groups live records into pieces, as 20 "Bodies" cuts frames.
type cutter struct {
	op    *operation
	cut   map[string]uint // n per kind
	send  func(*piece) error
	rows  []row
	bytes int64
	whole bool // the rows so far are an old frame from its first line, nothing left out or between
}

func (c *cutter) add(o *outcome) error {
	r := c.op.rowOf(o)
	if !record.IsLine(r.kind) {
		if err := c.flush(); err != nil {
			return err
		}
		return c.send(&piece{rows: []row{r}})
	}
	size := r.length() + 1
	if len(c.rows) > 0 && (c.rows[0].kind != r.kind || c.bytes+size > pack.FrameMax) {
		if err := c.flush(); err != nil {
			return err
		}
	}
	c.whole = c.follows(&r)
	r.offset = c.bytes
	c.rows, c.bytes = append(c.rows, r), c.bytes+size
	if pack.Cut(r.kind, r.key, c.cut[r.kind]) {
		return c.flush()
	}
	return nil
}

// follows tells whether r is where it was: the next line of the old frame that the rows so far began.
func (c *cutter) follows(r *row) bool {
	if r.old == nil || r.torn || r.old.Offset != c.bytes {
		return false
	}
	if len(c.rows) == 0 {
		return true
	}
	first := c.rows[0].old
	return c.whole && r.old.Entry.Shard == first.Entry.Shard && r.old.Frame == first.Frame
}

// flush ends the frame.
func (c *cutter) flush() error {
	if len(c.rows) == 0 {
		return nil
	}
	p := &piece{rows: c.rows, reuse: c.whole && c.rows[len(c.rows)-1].last}
	c.rows, c.bytes, c.whole = nil, 0, false
	return c.send(p)
}
