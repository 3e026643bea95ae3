package access

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"sallyport/internal/code"
)

// The delays after failed attempts: free ones first, then twice as long each time up to a limit, forgotten after a while. They
// go by the monotonic clock, are never written, and lock nobody out: an attempt during a delay is not looked at and makes it
// no longer, and where an account was signed in from before, failures from elsewhere do not delay it.
const (
	freeTries   = 3
	accountCap  = 30 * time.Second
	addressCap  = time.Minute
	forgetAfter = 15 * time.Minute
	maxWaits    = 10_000
	maxHomes    = 8
)

// delays counts failed attempts. Keys are "n:" and what was typed as a name, or "a:" and an address.
type delays struct {
	mu    sync.Mutex
	waits map[string]*wait
	homes map[string][]string // account → addresses it was signed in from, the newest last
}

type wait struct {
	fails int
	last  time.Duration // Clock.Mono of the last attempt
	until time.Duration // Clock.Mono before which none is looked at
}

func newDelays() *delays { return &delays{waits: map[string]*wait{}, homes: map[string][]string{}} }

// begin counts an attempt as failed before it is looked at, so that many at once are no way around. left > 0: it comes too
// early, was not counted, and must not be looked at. won tells that it was right after all.
func (d *delays) begin(mono time.Duration, name, remote string) (left time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	keys := d.keys(name, remote)
	for _, k := range keys {
		if w := d.find(mono, k); w != nil && w.until > mono {
			left = max(left, w.until-mono)
		}
	}
	if left > 0 {
		return left
	}
	for _, k := range keys {
		w := d.wait(mono, k)
		if mono-w.last >= forgetAfter {
			w.fails = 0
		}
		w.fails++
		w.last, w.until = mono, mono+penalty(w.fails, k)
	}
	return 0
}

func penalty(fails int, key string) time.Duration {
	if fails <= freeTries {
		return 0
	}
	most := addressCap
	if key[0] == 'n' {
		most = accountCap
	}
	return min(most, time.Second<<min(fails-freeTries-1, 10))
}

func (d *delays) keys(name, remote string) (keys []string) {
	remote = address(remote)
	if name != "" && !d.home(name, remote) {
		keys = append(keys, "n:"+name)
	}
	if remote != "" {
		keys = append(keys, "a:"+remote)
	}
	return keys
}

func (d *delays) home(name, remote string) bool {
	for _, h := range d.homes[name] {
		if h == remote {
			return true
		}
	}
	return false
}

// find is the counter of a key, nil where there is none yet. Where there are too many, all others share one.
func (d *delays) find(mono time.Duration, key string) *wait {
	w := d.waits[key]
	if w != nil || len(d.waits) < maxWaits {
		return w
	}
	for k, old := range d.waits {
		if mono-old.last >= forgetAfter {
			delete(d.waits, k)
		}
	}
	if len(d.waits) < maxWaits {
		return nil
	}
	shared := key[:2] + "*"
	if d.waits[shared] == nil {
		d.waits[shared] = &wait{last: mono}
	}
	return d.waits[shared]
}

func (d *delays) wait(mono time.Duration, key string) *wait {
	w := d.find(mono, key)
	if w == nil {
		w = &wait{last: mono}
		d.waits[key] = w
	}
	return w
}

// won takes back what begin counted, and all earlier failures of the account.
func (d *delays) won(name, remote string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	remote = address(remote)
	if w := d.waits["a:"+remote]; w != nil {
		w.fails, w.until = max(w.fails-1, 0), 0
	}
	delete(d.waits, "n:"+name)
	if name != "" && remote != "" && !d.home(name, remote) {
		list := append(d.homes[name], remote)
		d.homes[name] = list[max(0, len(list)-maxHomes):]
	}
}

// address is what one guesser has: an IPv4 address, or the network of an IPv6 one.
func address(remote string) string {
	a, err := netip.ParseAddr(remote)
	if err != nil {
		return remote
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		p, err := a.Prefix(64)
		if err == nil {
			return p.String()
		}
	}
	return a.String()
}

// tooEarly is how long somebody must wait.
type tooEarly struct{ left time.Duration }

func (e tooEarly) Error() string { return fmt.Sprintf("wait %d s", seconds(e.left)) }

func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// delayed refuses an attempt that comes too early. Code sign-in-delayed.
func delayed(left time.Duration, why string) error {
	return code.Wrap(code.SignInDelayed, tooEarly{left}, "%s", why).
		Do(fmt.Sprintf("Wait %d s, then try again. Nothing is locked.", seconds(left)))
}

// RetryAfter is how long an error asks to wait, for the header of that name.
func RetryAfter(err error) (time.Duration, bool) {
	var e tooEarly
	if errors.As(err, &e) {
		return e.left, true
	}
	return 0, false
}

// attempt begins an attempt of somebody at something that can be guessed.
func (d *Desk) attempt(now moment, name, remote string) error {
	if left := d.delays.begin(now.mono, name, remote); left > 0 {
		return delayed(left, "too many failed attempts in a row")
	}
	return nil
}
