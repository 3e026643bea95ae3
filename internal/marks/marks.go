// Package marks keeps what may never go back: the highest states, versions, counters and time ever accepted.
//
// Data: one small file D/marks, two lines: the JSON of Set, and the digest of that line (`sha256:…`). It lives beside
// the state database; a restore keeps the one it finds and never lowers it, and takes the backup's only where there is
// none, so that restoring rolls nothing back. It is replaced whole.
//
// Order: a room commits its state transaction and then raises the marks; at start the daemon raises them again from the
// ledger, which closes the gap a crash leaves between the two. Every value only rises (a root document's time epoch may
// set the time back, and nothing else may). After a failed write the risen values count in memory at once and are
// written again with the next Raise: a mark that is too high refuses too much, one that is too low lets the past in.
// A missing or damaged file is an error, never a new start.
package marks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
)

// Mark is the highest state of a feed ever accepted, ordered by (epoch, generation).
type Mark struct {
	Epoch      int64         `json:"epoch"`
	Generation int64         `json:"generation"`
	Root       digest.Digest `json:"root"`
}

// Less orders marks by (epoch, generation).
func (m Mark) Less(o Mark) bool {
	return m.Epoch < o.Epoch || m.Epoch == o.Epoch && m.Generation < o.Generation
}

// Set is everything that is kept. Feeds is keyed by FeedRef.Key(), Roots by the text of the root id, Anchors by keyid,
// Counters by CounterKey.
type Set struct {
	Instance   string            `json:"instance"`
	Feeds      map[string]Mark   `json:"feeds"`
	Roots      map[string]int64  `json:"roots"`
	Anchors    map[string]int64  `json:"anchors"`
	Counters   map[string]int64  `json:"counters"`
	Accepted   map[string][]Pair `json:"accepted,omitempty"` // by FeedRef.Key(): the last of them, ascending
	Trusted    time.Time         `json:"trustedTime"`        // the high-water mark of time
	Source     string            `json:"source"`             // where Trusted came from: build, anchor, operator
	AnchorTime time.Time         `json:"anchorTime,omitzero"`
	Jumped     int64             `json:"jumpedSeconds"` // by anchors, in sum, since the last one a person confirmed
	TimeEpoch  int64             `json:"timeEpoch"`
}

// Pair is a generation of a foreign feed that was accepted, and the bundle that brought it.
type Pair struct {
	Epoch      int64         `json:"epoch"`
	Generation int64         `json:"generation"`
	Bundle     digest.Digest `json:"bundle"`
}

// MaxPairs is how many are kept of each feed.
const MaxPairs = 64

// CounterKey names a counter. what is card, receipt or inventory for things taken in from the appliance id who, and
// own-card, own-receipt, own-inventory, own-anchor for things given out (who: the addressee, "" for all).
func CounterKey(what, who string) string { return what + "/" + who }

// Marks is the open file. Safe for concurrent use.
type Marks struct {
	path  string
	fs    durable.FS
	clock clock.Clock

	mu       sync.Mutex
	set      Set
	unsaved  bool          // set holds more than the file may
	base     time.Time     // trusted time at baseMono
	baseMono time.Duration // a reading of clock.Mono
	anchored bool          // an anchor was applied since Open
}

// Create writes the first file. build is the build date of the binary: the first trusted time. An existing file has
// code conflict.
func Create(path string, fs durable.FS, instance string, build time.Time) error {
	if _, err := os.Lstat(path); err == nil {
		return code.New(code.Conflict, "create marks: the file exists").In(path, "")
	}
	set := Set{Instance: instance, Trusted: build.UTC(), Source: "build"}
	set.fill()
	return write(path, fs, set)
}

// Open reads the file. Codes not-found, state-corrupt.
func Open(path string, fs durable.FS, c clock.Clock) (*Marks, error) {
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, code.Wrap(code.Missing, err, "open marks").In(path, "")
	}
	if err != nil {
		return nil, fmt.Errorf("open marks: %w", err)
	}
	line, sum, _ := bytes.Cut(b, []byte("\n"))
	if want := digest.Of(line).String() + "\n"; string(sum) != want {
		return nil, code.New(code.StateCorrupt, "open marks: the checksum does not fit").In(path, "line 2").Want(want, sum)
	}
	m := &Marks{path: path, fs: fs, clock: c}
	if err := json.Unmarshal(line, &m.set); err != nil {
		return nil, code.Wrap(code.StateCorrupt, err, "open marks").In(path, "line 1")
	}
	m.set.fill()
	for key, f := range m.set.Feeds {
		if f.Root.IsZero() || f.Generation < 0 || f.Epoch < 0 {
			return nil, code.New(code.StateCorrupt, "open marks: a feed without a state root").In(path, "line 1").Want("a mark of "+key, f)
		}
	}
	m.base, m.baseMono = m.set.Trusted, c.Mono()
	return m, nil
}

func (s *Set) fill() {
	if s.Feeds == nil {
		s.Feeds = map[string]Mark{}
	}
	for _, p := range []*map[string]int64{&s.Roots, &s.Anchors, &s.Counters} {
		if *p == nil {
			*p = map[string]int64{}
		}
	}
}

func (s Set) clone() Set {
	s.Feeds, s.Roots = maps.Clone(s.Feeds), maps.Clone(s.Roots)
	s.Anchors, s.Counters = maps.Clone(s.Anchors), maps.Clone(s.Counters)
	s.Accepted = maps.Clone(s.Accepted)
	return s
}

func write(path string, fs durable.FS, set Set) error {
	b, err := json.Marshal(set)
	if err != nil {
		return fmt.Errorf("write marks: %w", err)
	}
	b = append(b, "\n"+digest.Of(b).String()+"\n"...)
	if err := fs.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("write marks: %w", err)
	}
	return nil
}

// Instance is the id Create was given.
func (m *Marks) Instance() string { return m.set.Instance }

// Get returns a copy of everything.
func (m *Marks) Get() Set {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.set.clone()
}

// Feed is the mark of one feed, by FeedRef.Key().
func (m *Marks) Feed(key string) (Mark, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.set.Feeds[key]
	return f, ok
}

// Raise lets fn change a copy, keeps the greater of old and new for each value, and writes the file if anything rose.
// Lower values and deletions are ignored. The same (epoch, generation) with another root has code fork.
func (m *Marks) Raise(fn func(*Set) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.raise(fn)
}

func (m *Marks) raise(fn func(*Set) error) error {
	next := m.set.clone()
	if err := fn(&next); err != nil {
		return err
	}
	merged, rose, err := merge(m.set, next)
	if err != nil {
		return fmt.Errorf("raise marks: %w", err)
	}
	if !rose && !m.unsaved {
		return nil
	}
	if now := m.now(); merged.TimeEpoch > m.set.TimeEpoch || merged.Trusted.After(now) {
		m.base, m.baseMono = merged.Trusted, m.clock.Mono()
	}
	m.set, m.unsaved = merged, true
	if err := write(m.path, m.fs, merged); err != nil {
		return err
	}
	m.unsaved = false
	return nil
}

// merge takes the greater of each value.
func merge(old, next Set) (merged Set, rose bool, err error) {
	merged = old.clone()
	for k, n := range next.Feeds {
		o, ok := old.Feeds[k]
		if ok && !o.Less(n) && !n.Less(o) && o.Root != n.Root {
			return merged, false, code.New(code.Fork, "feed %q generation %d", k, n.Generation).Want(o.Root, n.Root)
		}
		if !ok || o.Less(n) {
			merged.Feeds[k], rose = n, true
		}
	}
	for _, p := range []struct{ to, from map[string]int64 }{
		{merged.Roots, next.Roots}, {merged.Anchors, next.Anchors}, {merged.Counters, next.Counters},
	} {
		for k, n := range p.from {
			if o, ok := p.to[k]; !ok || n > o {
				p.to[k], rose = n, true
			}
		}
	}
	rose = mergePairs(&merged, next) || rose
	return merged, mergeTime(&merged, next) || rose, nil
}

func mergeTime(merged *Set, next Set) (rose bool) {
	epoch := next.TimeEpoch > merged.TimeEpoch
	if epoch || next.Trusted.After(merged.Trusted) {
		merged.TimeEpoch = max(merged.TimeEpoch, next.TimeEpoch)
		merged.Trusted, merged.Source, rose = next.Trusted.UTC(), next.Source, true
	}
	if epoch || next.AnchorTime.After(merged.AnchorTime) {
		merged.AnchorTime, rose = next.AnchorTime.UTC(), true
	}
	if next.Jumped != merged.Jumped {
		merged.Jumped, rose = next.Jumped, true
	}
	return rose
}

// Issue raises a counter of ours by one and returns it. It is durable before it returns; after an error the number is
// used up, so that no number is ever given out twice.
func (m *Marks) Issue(what, who string) (n int64, err error) {
	key := CounterKey(what, who)
	err = m.Raise(func(s *Set) error {
		n = max(s.Counters[key], s.Counters[Floor]) + 1
		s.Counters[key] = n
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("issue %s: %w", what, err)
	}
	return n, nil
}

// Floor is the counter above which each of ours begins: a restore raises it, because what the lost future gave out to whom is
// not known.
const Floor = "own-floor"

// Own tells whether a counter, by its CounterKey, counts what is given out here.
func Own(key string) bool { return strings.HasPrefix(key, "own-") }
