package verify_test

import (
	"testing"

	"sallyport/internal/bundle"
	"sallyport/internal/forge"
)

func BenchmarkGateSmall(b *testing.B) {
	w, err := forge.NewWorld(1)
	if err != nil {
		b.Fatal(err)
	}
	f, err := forge.Plan{From: w.Hub, To: []*forge.Appliance{w.Site}, Seal: bundle.SealAge}.Build()
	if err != nil {
		b.Fatal(err)
	}
	o := options(w)
	for b.Loop() {
		if _, err := gate(f, o); err != nil {
			b.Fatal(err)
		}
	}
}
