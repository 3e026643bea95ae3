package layer

import (
	"bufio"
	"bytes"
	"container/heap"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"sallyport/internal/durable"
	"sallyport/internal/pack"
)

// Sorter sorts byte strings of any number in bounded memory: what does not fit is spilled as sorted runs, packed, into a
// scratch directory, which belongs to the caller and is never synced. Not for concurrent use.
type Sorter struct {
	fs      durable.FS
	scratch string
	name    string
	limit   int

	arena []byte
	at    []span
	runs  []*os.File
	count int64
}

type span struct{ from, to uint32 }

// NewSorter keeps at most limit bytes of strings in memory. Run files in scratch begin with name.
func NewSorter(fs durable.FS, scratch, name string, limit int) *Sorter {
	return &Sorter{fs: fs, scratch: scratch, name: name, limit: limit}
}

// Add takes a copy of b, at most 1 MiB.
func (s *Sorter) Add(b []byte) error {
	if len(s.arena)+len(b)+8*len(s.at) > s.limit && len(s.at) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	from := len(s.arena)
	s.arena = append(s.arena, b...)
	s.at = append(s.at, span{uint32(from), uint32(len(s.arena))})
	s.count++
	return nil
}

// Count is how many strings were added.
func (s *Sorter) Count() int64 { return s.count }

func (s *Sorter) sort() {
	slices.SortFunc(s.at, func(a, b span) int { return bytes.Compare(s.arena[a.from:a.to], s.arena[b.from:b.to]) })
}

func (s *Sorter) spill() error {
	s.sort()
	f, err := os.CreateTemp(s.scratch, s.name+"-*")
	if err != nil {
		return fmt.Errorf("spill a run: %w", err)
	}
	s.runs = append(s.runs, f)
	w := newRunWriter(s.fs.Writer(f))
	for _, a := range s.at {
		if err := w.add(s.arena[a.from:a.to]); err != nil {
			return fmt.Errorf("spill a run: %w", err)
		}
	}
	if err := w.flush(); err != nil {
		return fmt.Errorf("spill a run: %w", err)
	}
	s.arena, s.at = s.arena[:0], s.at[:0]
	return nil
}

// All visits every string in bytewise order, equal ones each; a string is valid until the next. It may be called again,
// but not after another Add.
func (s *Sorter) All() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		s.sort()
		var m merge
		z := pack.NewDecompressor()
		for _, f := range s.runs {
			st, err := f.Stat()
			if err != nil {
				yield(nil, err)
				return
			}
			r := &run{r: bufio.NewReaderSize(io.NewSectionReader(f, 0, st.Size()), 1<<16), z: z}
			if !m.push(r, yield) {
				return
			}
		}
		if !m.push(&run{arena: s.arena, at: s.at}, yield) {
			return
		}
		for len(m) > 0 {
			r := m[0]
			if !yield(r.head, nil) {
				return
			}
			switch err := r.next(); err {
			case nil:
				heap.Fix(&m, 0)
			case io.EOF:
				heap.Pop(&m)
			default:
				yield(nil, fmt.Errorf("read a spilled run: %w", err))
				return
			}
		}
	}
}

// Close removes the runs. The sorter is empty afterwards.
func (s *Sorter) Close() {
	for _, f := range s.runs {
		f.Close()
		os.Remove(filepath.Join(s.scratch, filepath.Base(f.Name())))
	}
	s.runs, s.arena, s.at, s.count = nil, nil, nil, 0
}

type merge []*run

func (m *merge) push(r *run, yield func([]byte, error) bool) bool {
	switch err := r.next(); err {
	case nil:
		heap.Push(m, r)
	case io.EOF:
	default:
		yield(nil, fmt.Errorf("read a spilled run: %w", err))
		return false
	}
	return true
}

func (m merge) Len() int           { return len(m) }
func (m merge) Less(i, j int) bool { return bytes.Compare(m[i].head, m[j].head) < 0 }
func (m merge) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *merge) Push(x any)        { *m = append(*m, x.(*run)) }
func (m *merge) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}
