package cli

import (
	"bytes"
	"testing"

	"sallyport/internal/wire"
)

// A way home that failed half way shows what was written, and no line that says nothing.
func TestOutboundSaysNothingEmpty(t *testing.T) {
	var out bytes.Buffer
	a := &app{}
	a.outbound(&out, &wire.Outbound{})
	if out.Len() != 0 {
		t.Errorf("%q", out.String())
	}
	a.outbound(&out, &wire.Outbound{Written: []wire.Written{{For: "hub", Name: "outbound-1", Bytes: 10}}, Sentence: "Done."})
	if want := "for hub: outbound-1, 10 B\nDone.\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
