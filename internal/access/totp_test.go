package access

import (
	"context"
	"encoding/base32"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/code"
	"sallyport/internal/marks"
)

// The vectors of RFC 6238, appendix B, SHA-1, cut to six digits.
func TestVectors(t *testing.T) {
	secret := base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))
	for unix, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := at(secret, unix/period); got != want {
			t.Errorf("%d: %s, want %s", unix, got, want)
		}
	}
}

// A doubtful machine finds two codes in a row years away, as the library makes them; one that knows the time does not look.
func TestSearch(t *testing.T) {
	secret, err := newSecret(clock.Random())
	if err != nil {
		t.Fatal(err)
	}
	wall := time.Unix(700, 0)
	trusted := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	now := moment{Reading: marks.Reading{Wall: wall, Trusted: trusted, Suspect: true}}
	gone, cancel := context.WithCancel(context.Background()) // a search that finds nothing ends after the first month
	cancel()
	for _, ahead := range []time.Duration{-23 * time.Hour, time.Minute, 400 * 24 * time.Hour} {
		p := phone{secret: secret, ahead: ahead}
		pair := p.shows(trusted, 0) + " " + p.shows(trusted, 1)
		want := steps(trusted.Add(ahead)) + 1
		if got := match(context.Background(), secret, drift{}, 0, pair, now); got != want {
			t.Errorf("%s ahead: step %d, want %d", ahead, got, want)
		}
		if got := match(gone, secret, drift{}, want, pair, now); got != 0 {
			t.Errorf("%s ahead: a used pair fits again at %d", ahead, got)
		}
		known := moment{Reading: marks.Reading{Wall: trusted, Trusted: trusted}}
		if got := match(context.Background(), secret, drift{}, 0, pair, known); got != 0 && ahead != time.Minute {
			t.Errorf("%s ahead: a machine that knows the time took it at %d", ahead, got)
		}
		known.AtLeast = true
		if got := match(context.Background(), secret, drift{}, 0, pair, known); (got != want) != (ahead > 24*time.Hour) {
			t.Errorf("%s ahead: without an anchor it is found at %d", ahead, got)
		}
	}
	p := phone{secret: secret, ahead: 400 * 24 * time.Hour}
	for name, typed := range map[string]string{
		"one code": p.shows(trusted, 0), "not in a row": p.shows(trusted, 0) + p.shows(trusted, 2), "the other way round": p.shows(trusted, 1) + p.shows(trusted, 0),
		"three": p.shows(trusted, 0) + p.shows(trusted, 1) + p.shows(trusted, 2), "letters": "a" + p.shows(trusted, 0)[1:], "nothing": "",
	} {
		if got := match(gone, secret, drift{}, 0, typed, now); got != 0 {
			t.Errorf("%s: fits at %d", name, got)
		}
	}
}

func TestCandidates(t *testing.T) {
	now := moment{Reading: marks.Reading{Wall: time.Unix(3000, 0), Trusted: time.Unix(3000, 0)}}
	if got := candidates(drift{}, now); len(got) != 2*first+1 || got[0] != 100 {
		t.Errorf("%v", got)
	}
	far := learn(now, 2100)
	got := candidates(far, now)
	if len(got) != 2*near+1+2*plain+1 || got[0] != 2100 {
		t.Errorf("%v", got)
	}
	for _, step := range candidates(drift{Known: true, Wall: -200, Trusted: -200}, now) {
		if step < 1 {
			t.Errorf("step %d", step)
		}
	}
}

func TestURI(t *testing.T) {
	secret, err := newSecret(clock.Random())
	if err != nil {
		t.Fatal(err)
	}
	text, err := uri(secret, "site-07", "anna")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Query().Get("secret") != secret || u.Query().Get("issuer") != "Sallyport site-07" ||
		!strings.HasSuffix(u.Path, ":anna") || u.Query().Get("period") != "30" || u.Query().Get("digits") != "6" {
		t.Errorf("%s: %v", text, err)
	}
}

// The clock is at 1970 from the first boot: set-up learns the drift from two codes, and from then on one is enough: while the
// clock stays wrong, when it is set right, and when it jumps to 2099.
func TestClockAt1970FromTheFirstBoot(t *testing.T) {
	w := newWorld(t)
	truth := w.clock.Now().Add(200 * 24 * time.Hour) // the kit lay in a drawer
	start := w.clock.Mono()
	now := func() time.Time { return truth.Add(w.clock.Mono() - start) }
	w.clock.Set(time.Unix(720, 0))
	one, err := w.SetupCode(ctx, host())
	w.must(err)
	e, err := w.Enrol(ctx, one.Code, "anna", home)
	w.must(err)
	p := phone{secret: e.Secret}
	if doubt := w.Reads().Doubt; !strings.Contains(doubt, "1970-01-01 00:12") || !strings.Contains(doubt, "sallyport users recover") {
		t.Errorf("%q", doubt)
	}
	q := SetUp{Code: one.Code, Name: "anna", Password: good, TOTP: p.shows(now(), 0), Remote: home}
	_, err = w.SetUp(ctx, q)
	w.wants(err, code.TOTPBad)
	if next := code.NextStep(err); !strings.Contains(next, "two codes in a row") {
		t.Errorf("%q", next)
	}
	q.TOTP = p.shows(now(), 0) + " " + p.shows(now(), 1)
	_, err = w.SetUp(ctx, q)
	w.must(err)
	sign := func(typed string) error {
		w.delays = newDelays()
		_, err := w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: typed, Remote: home})
		return err
	}
	w.clock.Advance(2 * time.Minute)
	w.must(sign(p.shows(now(), 0))) // the clock is still in 1970
	w.clock.Set(now())
	w.clock.Advance(time.Minute)
	w.must(sign(p.shows(now(), 0))) // somebody set it right
	w.clock.Set(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC))
	w.clock.Advance(time.Minute)
	w.must(sign(p.shows(now(), 0))) // its battery died
	// Off for a month, and no clock: neither knows. Two codes in a row do, and then one does again.
	truth = truth.Add(30 * 24 * time.Hour)
	w.clock.Set(time.Unix(60, 0))
	w.clock.Advance(time.Minute)
	w.wants(sign(p.shows(now(), 0)), code.SignInBad)
	w.must(sign(p.shows(now(), 0) + p.shows(now(), 1)))
	w.clock.Advance(2 * time.Minute)
	w.must(sign(p.shows(now(), 0)))
}

// A phone that was years ahead when its app was set up, and is put right, is no dead end: a new app begins with its own codes.
func TestAPhoneThatWasAhead(t *testing.T) {
	w := newWorld(t)
	w.clock.Set(time.Unix(0, 0))
	one, err := w.SetupCode(ctx, host())
	w.must(err)
	e, err := w.Enrol(ctx, one.Code, "anna", home)
	w.must(err)
	now := w.reading().Trusted
	p := phone{secret: e.Secret, ahead: 3 * 365 * 24 * time.Hour}
	in, err := w.SetUp(ctx, SetUp{Code: one.Code, Name: "anna", Password: good, TOTP: p.shows(now, 0) + p.shows(now, 1), Remote: home})
	w.must(err)
	p.ahead = 0
	_, err = w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: p.shows(now, 0), Remote: home})
	w.wants(err, code.SignInBad)
	_, err = w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: in.Recovery[0], Remote: home})
	w.must(err)
	if e, err = w.BeginTOTP(ctx, in.Token); err != nil {
		t.Fatal(err)
	}
	p.secret = e.Secret
	_, err = w.ConfirmTOTP(ctx, in.Token, p.shows(now, 0)+" "+p.shows(now, 1), home)
	w.must(err)
	w.clock.Advance(2 * time.Minute)
	_, err = w.SignIn(ctx, SignIn{Name: "anna", Password: good, Code: p.shows(w.reading().Trusted, 0), Remote: home})
	w.must(err)
}
