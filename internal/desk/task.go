package desk

import (
	"context"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"sallyport/internal/job"
	"sallyport/internal/wire"
)

// task is an unfinished job in memory.
type task struct {
	id     string
	tenant string
	kind   Kind
	cancel context.CancelCauseFunc // nil while it waits; guarded by Desk.mu
	log    *logbook

	mu      sync.Mutex
	row     job.Job
	began   time.Duration
	latest  *wire.Progress
	steps   []wire.JobStep
	notes   []string
	entered time.Duration // the last step
	meter   meter
	changed bool   // since the watchers were told
	ender   string // who cancelled it
}

// hear takes in one report of an action. It is called as often as a room likes, from any goroutine.
func (t *task) hear(p wire.Progress, now time.Duration) {
	p.Subject, p.Note = cut(p.Subject, 500), cut(p.Note, 1000)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.enter(p, now) {
		t.meter = meter{}
		t.log.line(strings.TrimSpace(p.Stage + " " + p.Subject))
	}
	if p.Note != "" {
		t.log.line(p.Note)
		if len(t.notes) < maxNotes {
			t.notes = append(t.notes, clean(p.Note))
		}
	}
	s := &t.steps[len(t.steps)-1]
	s.Items, s.TotalItems, s.Bytes, s.TotalBytes, s.Subject = p.Items, p.TotalItems, p.Bytes, p.TotalBytes, p.Subject
	s.Seconds = int64((now - t.entered) / time.Second)
	rate, eta := t.meter.add(now, p)
	if p.Rate == 0 && p.Bytes > 0 {
		p.Rate = rate
	}
	if p.ETA == 0 {
		p.ETA = eta
	}
	t.latest, t.changed = &p, true
}

// enter opens a step when the report is of another stage than the last one, or announces another subject of it.
func (t *task) enter(p wire.Progress, now time.Duration) bool {
	if n := len(t.steps); n > 0 {
		s := &t.steps[n-1]
		if s.Stage == p.Stage && (s.Subject == p.Subject || p.Note == "") {
			return false
		}
		s.Done = true
	}
	if len(t.steps) == maxSteps {
		t.steps = append(t.steps[:0:0], t.steps[1:]...)
	}
	t.steps, t.entered = append(t.steps, wire.JobStep{Stage: p.Stage, Subject: p.Subject}), now
	return true
}

// told tells whether something was heard since it was asked last.
func (t *task) told() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.changed
	t.changed = false
	return was
}

// meter works out how fast a step goes from what was reported in the last ten seconds or so.
type meter struct {
	marks [10]mark
	n     int
}

type mark struct {
	at   time.Duration
	done int64
}

// add notes how far it is, and gives units a second and the seconds that are left; 0 while that is not known.
func (m *meter) add(now time.Duration, p wire.Progress) (rate, eta int64) {
	done, total := p.Bytes, p.TotalBytes
	if done == 0 && total == 0 {
		done, total = p.Items, p.TotalItems
	}
	if m.n == 0 || now-m.marks[m.n-1].at >= time.Second {
		if m.n == len(m.marks) {
			copy(m.marks[:], m.marks[1:])
			m.n--
		}
		m.marks[m.n] = mark{now, done}
		m.n++
	}
	first := m.marks[0]
	took, did := now-first.at, done-first.done
	if took < 500*time.Millisecond || did <= 0 {
		return 0, 0
	}
	rate = int64(float64(did) / took.Seconds())
	if rate > 0 && total > done {
		eta = max(1, (total-done)/rate)
	}
	return rate, eta
}

// cut shortens a text to at most n bytes of whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// clean makes foreign text one harmless line of at most 500 bytes.
func clean(s string) string {
	return cut(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s), 500)
}
