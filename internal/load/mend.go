package load

import (
	"bytes"
	"context"
	"fmt"

	"sallyport/internal/cas"
	"sallyport/internal/digest"
	"sallyport/internal/layer"
	"sallyport/internal/pack"
)

// findIll notes what the active generation names and the content store has not: missing, or condemned by a scrub. Then every
// line of the files is kept, for what the feed has is no longer as good as what the files have.
func (op *operation) findIll() error {
	if op.view == nil {
		return nil
	}
	op.ill = map[digest.Digest]bool{}
	note := func(d digest.Digest) error {
		if !op.room.CAS.Has(d) {
			op.ill[d] = true
		}
		return nil
	}
	if err := op.view.Blobs(note); err != nil {
		return err
	}
	if op.from.LoadRecord.IsZero() {
		return nil
	}
	return note(op.from.LoadRecord)
}

// hurt tells whether the shard of a line is ill: its lines are still read when their own digests hold, its frames are not copied.
func (op *operation) hurt(it *layer.Item) bool {
	if it == nil || len(op.ill) == 0 {
		return false
	}
	s, ok := it.Shard()
	return ok && op.ill[s.Digest]
}

// mend writes again what is ill and whose bytes these files, with what can still be read, give: the very same bytes, so
// that every generation which names them is whole again. whole tells that a shard could not be made although all of its
// lines are there: another version packed it otherwise.
func (op *operation) mend(ctx context.Context) (whole bool, err error) {
	if len(op.ill) == 0 {
		return false, nil
	}
	var need int64
	for _, s := range op.view.Shards() {
		if op.ill[s.Digest] {
			need += s.Bytes
		}
	}
	release, err := op.room.CAS.Reserve(need)
	if err != nil {
		return false, err
	}
	defer release()
	m := &mender{op: op, bodies: op.view.Bodies(layer.Opener(op.room.CAS.Open)), pack: pack.NewCompressor()}
	defer m.close()
	if err := op.merge(ctx, false, m.take); err != nil {
		return false, fmt.Errorf("mend: %w", err)
	}
	if err := m.end(); err != nil {
		return false, fmt.Errorf("mend: %w", err)
	}
	if err := op.stage.Commit(m.done...); err != nil {
		return false, err
	}
	op.room.FS.Point("load.mended")
	for _, d := range m.done {
		delete(op.ill, d)
	}
	op.res.Mended = int64(len(m.done))
	return m.other, nil
}

// mender makes shards again, frame by frame as the layer has them.
type mender struct {
	op     *operation
	bodies *layer.Bodies
	pack   *pack.Compressor
	done   []digest.Digest
	seen   map[digest.Digest]bool // documents

	shard layer.Shard
	w     *cas.Writer // nil: no shard is being made, or a line of it is lost
	first *layer.Item // of the frame
	text  []byte
	other bool
}

// take is called with every record in order.
func (m *mender) take(o *outcome) error {
	switch {
	case o.old == nil:
		return nil
	case o.old.Document:
		return m.document(o)
	case !m.op.hurt(o.old):
		return m.end()
	}
	s, _ := o.old.Shard()
	if s.Digest != m.shard.Digest {
		if err := m.begin(s); err != nil {
			return err
		}
	}
	if m.first == nil || m.first.Frame != o.old.Frame {
		if err := m.frame(); err != nil {
			return err
		}
		m.first = o.old
	}
	if m.w != nil && (o.old.Offset != int64(len(m.text)) || !m.line(o)) {
		m.lose()
	}
	return nil
}

// document takes one that was offered and lies in the staging area.
func (m *mender) document(o *outcome) error {
	d := o.old.Digest
	if m.op.ill[d] && !m.seen[d] && o.same != nil && m.op.stage.Has(d) {
		if m.seen == nil {
			m.seen = map[digest.Digest]bool{}
		}
		m.seen[d] = true
		m.done = append(m.done, d)
	}
	return m.end()
}

// line appends a line from the files, else from what is left of the shard; false when it is in neither.
func (m *mender) line(o *outcome) bool {
	if o.same != nil && !o.same.known {
		n := len(m.text)
		m.text = append(m.text, make([]byte, o.same.length+1)...)
		body := m.text[n : len(m.text)-1]
		if _, err := m.op.in.spool.ReadAt(body, o.same.offset); err != nil || digest.Of(body) != o.old.Digest {
			return false
		}
		m.text[len(m.text)-1] = '\n'
		return true
	}
	body, err := m.bodies.Body(*o.old)
	if err != nil {
		return false
	}
	m.text = append(append(m.text, body...), '\n')
	return true
}

func (m *mender) begin(s layer.Shard) (err error) {
	if err := m.end(); err != nil {
		return err
	}
	m.shard = s
	m.w, err = m.op.stage.Create()
	return err
}

// frame writes the frame that is complete: as it lies in the shard where that holds the same lines, else packed again.
func (m *mender) frame() error {
	first, text := m.first, m.text
	m.first, m.text = nil, m.text[:0]
	if m.w == nil || first == nil {
		return nil
	}
	if old, err := m.bodies.Packed(*first); err == nil {
		if was, err := pack.DecodeFrame(nil, old); err == nil && bytes.Equal(was, text) {
			_, err := m.w.Write(old)
			return err
		}
	}
	_, err := m.w.Write(m.pack.Frame(nil, text))
	return err
}

// end ends the shard; it counts only when it has its name again.
func (m *mender) end() error {
	if err := m.frame(); err != nil {
		return err
	}
	w, want := m.w, m.shard.Digest
	m.w, m.shard = nil, layer.Shard{}
	if w == nil {
		return nil
	}
	got, _, err := w.Close()
	if err != nil {
		return err
	}
	if got != want {
		m.other = true
		return nil
	}
	m.done = append(m.done, want)
	return nil
}

// lose gives the shard up: one of its lines is nowhere.
func (m *mender) lose() {
	m.w.Abort()
	m.w = nil
}

func (m *mender) close() {
	m.bodies.Close()
	if m.w != nil {
		m.w.Abort()
	}
}
