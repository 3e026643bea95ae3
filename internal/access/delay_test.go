package access

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sallyport/internal/code"
)

func TestDelays(t *testing.T) {
	d := newDelays()
	mono := time.Hour
	for i, want := range []time.Duration{0, 0, 0, 1, 2, 4, 8, 16, 30, 30} {
		if left := d.begin(mono, "anna", ""); left != 0 {
			t.Fatalf("attempt %d waits %s", i, left)
		}
		if want > 0 {
			want *= time.Second
			if left := d.begin(mono+want-1, "anna", ""); left != 1 {
				t.Errorf("attempt %d came through %s before its time", i, left)
			}
		}
		mono += want
	}
	for i := range 10 {
		if left := d.begin(mono, fmt.Sprint("name", i), home); i < 4 && left != 0 || i == 9 && left == 0 {
			t.Errorf("attempt %d from one address at ten accounts: %s", i, left)
		}
		if i < 8 {
			mono += addressCap
		}
	}
	mono += forgetAfter
	if left := d.begin(mono, "anna", home); left != 0 {
		t.Errorf("never forgotten: %s", left)
	}
}

// Somebody who was let in before from an address is not kept out by failures from elsewhere.
func TestNobodyIsLockedOut(t *testing.T) {
	w := newWorld(t)
	_, p := w.admin("anna")
	for i := range 50 {
		_, err := w.SignIn(ctx, SignIn{Name: "anna", Password: other, Remote: fmt.Sprintf("203.0.113.%d", i)})
		if c := code.Of(err); c != code.SignInBad && c != code.SignInDelayed {
			t.Fatal(err)
		}
	}
	_, err := w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: p.shows(w.clock.Now(), 0), Remote: away})
	w.wants(err, code.SignInDelayed)
	if wait, ok := RetryAfter(err); !ok || wait > accountCap {
		t.Errorf("%s", wait)
	}
	_, err = w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: p.shows(w.clock.Now(), 0), Remote: home})
	w.must(err)
}

// Whatever is tried and whatever the wall clock does: nobody waits longer than the cap, an attempt in a delay makes it no longer,
// and after the time that was told the next one is looked at.
func TestDelaysUnderClockJumps(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDelays()
		mono := time.Duration(0)
		told := map[string]time.Duration{}
		for range rapid.IntRange(1, 200).Draw(rt, "attempts") {
			name := rapid.SampledFrom([]string{"anna", "bob", ""}).Draw(rt, "name")
			remote := rapid.SampledFrom([]string{home, away, "2001:db8::1", "2001:db8::2", ""}).Draw(rt, "remote")
			mono += time.Duration(rapid.IntRange(0, 20_000).Draw(rt, "ms")) * time.Millisecond
			left := d.begin(mono, name, remote)
			key := name + "|" + remote
			if left > addressCap || remote == "" && left > accountCap {
				rt.Fatalf("waits %s", left)
			}
			if left == 0 {
				delete(told, key)
				if rapid.IntRange(0, 9).Draw(rt, "right") == 0 {
					d.won(name, remote)
				}
				continue
			}
			if again := d.begin(mono, name, remote); again != left {
				rt.Fatalf("an attempt in a delay made %s of %s", again, left)
			}
			told[key] = mono + left
		}
	})
}

func TestAddress(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "": "", "what": "what",
	} {
		if got := address(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// The memory of the delays is bounded, and when it is full strangers share one delay.
func TestDelaysAreBounded(t *testing.T) {
	d := newDelays()
	for i := range maxWaits + 100 {
		d.begin(0, "", fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
	}
	if len(d.waits) > maxWaits+1 {
		t.Errorf("%d", len(d.waits))
	}
	if d.begin(0, "", "172.16.0.1") == 0 {
		t.Error("a stranger waits for nobody, though a hundred were counted as one")
	}
	if d.begin(0, "", "10.0.0.9") != 0 {
		t.Error("one that is known waits for strangers")
	}
	if left := d.begin(forgetAfter, "", "172.16.0.9"); left != 0 || len(d.waits) > 2 {
		t.Errorf("%s, %d", left, len(d.waits))
	}
}

// Whoever tries for ever fills neither log nor disk: entries are counted, in windows that grow.
func TestDenialsAreCounted(t *testing.T) {
	w := newWorld(t)
	w.admin("anna")
	names := []string{"anna", "correct horse battery staple", "root", "x"}
	for i := range 3000 {
		w.delays = newDelays()
		_, err := w.SignIn(ctx, SignIn{Name: names[i%len(names)], Password: "seeded-secret-" + fmt.Sprint(i), Remote: fmt.Sprintf("203.0.113.%d", i%250)})
		w.wants(err, code.SignInBad)
		w.clock.Advance(20 * time.Second)
		if i%3 == 0 {
			w.must(w.Tick(ctx))
		}
	}
	w.must(w.Close(ctx))
	n, text := w.events()
	if n["auth.denied"] < 10 || n["auth.denied"] > 100 {
		t.Errorf("%d entries for 3,000 refusals in 16 hours", n["auth.denied"])
	}
	attempts := 0
	for _, line := range strings.Split(text, "\n") {
		if _, after, ok := strings.Cut(line, "attempts="); ok && strings.HasPrefix(line, "auth.denied") {
			var k int
			if _, err := fmt.Sscan(after, &k); err != nil {
				t.Fatal(err)
			}
			attempts += k
		}
		for _, secret := range []string{"correct horse", "seeded-secret"} {
			if strings.Contains(line, secret) {
				t.Errorf("what was typed stands in the timeline: %s", line)
			}
		}
	}
	if attempts != 3000 {
		t.Errorf("%d of 3,000 refusals are counted", attempts)
	}
}
