package load

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"sallyport/internal/digest"
)

// keepMembers writes the members file of the generation being made and tells its digest. It is never synced: the ledger says
// what its bytes must be, and whoever finds others reads every member anew. So an error costs later loads time and nothing
// else: it is logged, and the file there was goes on.
func (op *operation) keepMembers() digest.Digest {
	h := op.in
	if op.room.DataDir == "" || h.fresh.Count() == 0 && (h.members == nil || h.members.hits == h.members.count || !h.dumped()) {
		return op.from.Members
	}
	d, err := op.writeMembers()
	if err != nil {
		op.room.log().Warn("the next load will read every member anew", "feed", op.ref.Name, "err", err.Error())
		return op.from.Members
	}
	return d
}

// dumped tells that a dump said what all there is: what no member of it was is gone.
func (h *harvest) dumped() bool { return h.snapshots > 0 }

func (op *operation) writeMembers() (d digest.Digest, err error) {
	temp := op.stage.Path("members")
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return d, err
	}
	defer f.Close()
	sum := digest.NewWriter(op.room.FS.Writer(f))
	w := bufio.NewWriterSize(sum, 1<<20)
	if _, err := w.WriteString(membersHead()); err != nil {
		return d, err
	}
	if err := op.in.mergeMembers(w); err != nil {
		return d, err
	}
	if err := w.Flush(); err != nil {
		return d, err
	}
	d = sum.Sum()
	to := op.membersPath(d)
	return d, op.room.FS.Step("rename", to, func() error {
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		return os.Rename(temp, to)
	})
}

// mergeMembers writes the entries that stay and the new ones, ascending, one for each imprint, and no heap longer than is looked
// through.
func (h *harvest) mergeMembers(w io.Writer) error {
	next, stop := iter.Pull2(h.fresh.All())
	defer stop()
	o := heapWriter{w: w}
	head, err, ok := next()
	if m := h.members; m != nil {
		number := int64(0)
		kept := m.each(func(b []byte) error {
			stays := m.used[number/64]&(1<<(number%64)) != 0 || !h.dumped() && m.count < maxMembers
			if number++; !stays {
				return nil
			}
			for ok && err == nil && bytes.Compare(head, b) < 0 {
				if err := o.put(head); err != nil {
					return err
				}
				head, err, ok = next()
			}
			return o.put(b)
		})
		if kept != nil {
			return kept
		}
	}
	for ; ok && err == nil; head, err, ok = next() {
		if err := o.put(head); err != nil {
			return err
		}
	}
	return err
}

// each visits all entries, ascending.
func (m *members) each(fn func([]byte) error) error {
	from := int64(len(membersHead()))
	return eachEntry(bufio.NewReaderSize(io.NewSectionReader(m.f, from, m.size-from), 1<<20), fn)
}

// heapWriter drops repetitions and what goes beyond a heap.
type heapWriter struct {
	w    io.Writer
	last digest.Digest
	heap uint16
	n    int
}

func (o *heapWriter) put(b []byte) error {
	heap := binary.BigEndian.Uint16(b)
	if o.n > 0 && heap == o.heap {
		if bytes.Equal(o.last[:], b[:len(o.last)]) || o.n+len(b) > heapMax {
			return nil
		}
	} else {
		o.heap, o.n = heap, 0
	}
	copy(o.last[:], b)
	o.n += len(b)
	_, err := o.w.Write(b)
	return err
}

// tidyMembers removes the members files that the active generation does not name. It only tidies.
func (op *operation) tidyMembers(now digest.Digest) {
	if op.room.DataDir == "" {
		return
	}
	dir := filepath.Dir(op.membersPath(now))
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.Name() != now.Hex() && err == nil {
			err = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	if err != nil && !os.IsNotExist(err) {
		op.room.log().Warn("old members file not removed", "err", fmt.Errorf("tidy: %w", err).Error())
	}
}
