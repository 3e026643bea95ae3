package wire

import (
	"errors"
	"fmt"
	"testing"

	"sallyport/internal/code"
)

// An error crosses the socket and back without losing its code, its facts or the steps that led to it.
func TestErrorRoundTrip(t *testing.T) {
	inner := code.Wrap(code.EntryDigest, errors.New("cause"), "entry").In("a/b", "byte 7").Want("x", "y").Do("Do this.")
	for _, err := range []error{
		inner, fmt.Errorf("import stick: %w", inner), code.New(code.NoSpace, ""), errors.New("plain"), code.New(code.Missing, "no %q", "thing"),
	} {
		e := FromError(err)
		back := e.Err()
		if code.Of(back) != code.Of(err) || code.Exit(back) != code.Exit(err) || code.NextStep(back) != code.NextStep(err) {
			t.Errorf("%v became %v", err, back)
		}
		if again := FromError(back); *again != *e {
			t.Errorf("%+v became %+v", e, again)
		}
	}
	if e := FromError(fmt.Errorf("import stick: %w", inner)); e.Message != "import stick: entry: cause" || e.File != "a/b" {
		t.Errorf("%+v", e)
	}
	if FromError(nil) != nil || (*Error)(nil).Err() != nil {
		t.Error("nil is not nil")
	}
}
