package state

import (
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sallyport/internal/durable"
)

// TestModel drives a table and a plain map with the same random operations, in committed and in failed transactions,
// across reopenings, and compares every way of reading.
func TestModel(t *testing.T) {
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		path := filepath.Join(dir, fmt.Sprint(runs, ".db"))
		if err := Create(path, durable.FS{}, "i"); err != nil {
			rt.Fatal(err)
		}
		m := &model{path: path, want: map[string]int{}}
		m.open(rt)
		defer func() { m.close(rt) }()
		rt.Repeat(map[string]func(*rapid.T){
			"update": m.update,
			"reopen": func(rt *rapid.T) { m.close(rt); m.open(rt) },
			"drain":  m.drain,
			"":       m.compare,
		})
	})
}

type model struct {
	path string
	db   *DB
	want map[string]int
}

func (m *model) open(rt *rapid.T) {
	db, err := Open(m.path, durable.FS{})
	if err != nil {
		rt.Fatal(err)
	}
	db.bolt.NoSync = true // nobody cuts the power here
	m.db = db
}

func (m *model) close(rt *rapid.T) {
	if err := m.db.Check(); err != nil {
		rt.Fatal(err)
	}
	if err := m.db.Close(); err != nil {
		rt.Fatal(err)
	}
}

var keys = rapid.StringMatching(`[ab]{1,3}(\x00[ab\xff]{0,2})?`)

func (m *model) update(rt *rapid.T) {
	next := map[string]int{}
	for k, v := range m.want {
		next[k] = v
	}
	no := errors.New("no")
	fail := rapid.Bool().Draw(rt, "fail")
	type op struct {
		key string
		n   int // 0 deletes
	}
	ops := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) op {
		return op{keys.Draw(rt, "key"), rapid.IntRange(0, 9).Draw(rt, "n")}
	}), 1, 20).Draw(rt, "ops")
	err := m.db.Update(rt.Context(), func(tx *Tx) error {
		for _, o := range ops {
			if o.n == 0 {
				delete(next, o.key)
				if err := items.Delete(tx, o.key); err != nil {
					return err
				}
				continue
			}
			next[o.key] = o.n
			if err := items.Put(tx, o.key, item{o.n}); err != nil {
				return err
			}
		}
		if fail {
			return no
		}
		return nil
	})
	if fail != errors.Is(err, no) || !fail && err != nil {
		rt.Fatalf("update: %v", err)
	}
	if !fail {
		m.want = next
	}
}

// drain deletes while it scans, as pruning does.
func (m *model) drain(rt *rapid.T) {
	odd := rapid.Bool().Draw(rt, "odd")
	err := m.db.Update(rt.Context(), func(tx *Tx) error {
		return items.Scan(tx, "", func(k string, v item) error {
			if (v.N%2 == 1) == odd {
				return items.Delete(tx, k)
			}
			return items.Put(tx, k, item{v.N})
		})
	})
	if err != nil {
		rt.Fatal(err)
	}
	for k, n := range m.want {
		if (n%2 == 1) == odd {
			delete(m.want, k)
		}
	}
}

func (m *model) compare(rt *rapid.T) {
	prefix := rapid.SampledFrom([]string{"", "a", "ab", "b\x00"}).Draw(rt, "prefix")
	from := rapid.SampledFrom([]string{"", "a", "aa", "ab\x00a", "zz"}).Draw(rt, "from")
	var up, down []string
	for k := range m.want {
		if strings.HasPrefix(k, prefix) && (from == "" || k > from) {
			up = append(up, k)
		}
		if strings.HasPrefix(k, prefix) && (from == "" || k < from) {
			down = append(down, k)
		}
	}
	sort.Strings(up)
	sort.Sort(sort.Reverse(sort.StringSlice(down)))
	err := m.db.View(func(tx *Tx) error {
		for k, n := range m.want {
			if v, ok, err := items.Get(tx, k); err != nil || !ok || v.N != n {
				rt.Errorf("get %q: %v %v %v, want %d", k, v, ok, err, n)
			}
		}
		var got []string
		collect := func(k string, _ item) error { got = append(got, k); return nil }
		if err := items.ScanFrom(tx, prefix, from, collect); err != nil {
			return err
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", up) {
			rt.Errorf("up from %q in %q: %q, want %q", from, prefix, got, up)
		}
		got = nil
		if err := items.ScanBack(tx, prefix, from, collect); err != nil {
			return err
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", down) {
			rt.Errorf("down from %q in %q: %q, want %q", from, prefix, got, down)
		}
		k, _, ok, err := items.Last(tx, "")
		if ok != (len(m.want) > 0) || ok && k < maxKey(m.want) {
			rt.Errorf("last: %q %v", k, ok)
		}
		return err
	})
	if err != nil {
		rt.Fatal(err)
	}
}

func maxKey(m map[string]int) (k string) {
	for o := range m {
		k = max(k, o)
	}
	return k
}
