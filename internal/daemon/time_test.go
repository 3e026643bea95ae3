package daemon

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/clock"
	"sallyport/internal/config"
	"sallyport/internal/durable"
	"sallyport/internal/wire"
)

// The time that people set counts after a crash between its event and the marks.
func TestTimeSetSurvivesACrash(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if _, err := Init(InitOptions{DataDir: dir, Name: "site", Tenant: "acme", Actor: "test", SingleOperator: true}, Deps{}); err != nil {
		t.Fatal(err)
	}
	told := false
	r, err := Start(context.Background(), config.New(dir), Deps{FS: durable.WithHook(func(op durable.Op) durable.Verdict {
		told = told || op.Verb == "point" && op.Path == "time.told"
		if told && op.Verb != "point" {
			return durable.Lose
		}
		return durable.Do
	})})
	if err != nil {
		t.Fatal(err)
	}
	at := clock.System().Now().UTC().AddDate(0, 2, 0).Truncate(time.Second)
	q := wire.TimeRequest{At: clock.Format(at), Reason: "a test"}
	if err := r.Client().Call(context.Background(), "time/set", q, nil); err == nil || !told {
		t.Errorf("the marks were written: %v", err)
	}
	_ = r.Stop() // it may have ended by itself
	r = start(t, dir, Deps{})
	defer r.Stop()
	if now := r.Daemon().marks.Now(); now.Trusted.Before(at) || now.Source != "operator" {
		t.Errorf("after the crash it is %s by %s", now.Trusted, now.Source)
	}
}
