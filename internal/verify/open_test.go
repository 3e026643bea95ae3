package verify_test

import (
	"context"
	"testing"

	"sallyport/internal/bundle"
	"sallyport/internal/forge"
	"sallyport/internal/root"
	"sallyport/internal/seal"
	"sallyport/internal/verify"
)

func world(t *testing.T) *forge.World {
	t.Helper()
	w, err := forge.NewWorld(1)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func build(t *testing.T, p forge.Plan) *forge.Bundle {
	t.Helper()
	b, err := p.Build()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func options(w *forge.World) verify.Options {
	return verify.Options{
		Trust: verify.Trust{Roots: []*root.Trusted{w.Hub.Root}}, Identities: []seal.Identity{w.Site.Identity},
		Dare: []seal.DareKey{w.Dare}, Now: forge.Epoch(), Audience: w.Site.ID,
	}
}

// gate takes a bundle all the way through.
func gate(b *forge.Bundle, o verify.Options) (*verify.Bundle, error) {
	p, err := verify.CheckLabel(context.Background(), b.FS(), b.Dir, o)
	if err != nil {
		return nil, err
	}
	return verify.Open(context.Background(), p, o)
}

func TestOpen(t *testing.T) {
	w := world(t)
	for _, mode := range []string{bundle.SealNone, bundle.SealAge, bundle.SealDare} {
		for _, cut := range []int64{0, 700} {
			b := build(t, forge.Plan{From: w.Hub, To: []*forge.Appliance{w.Site}, Seal: mode, Dare: w.Dare, Cut: cut})
			got, err := gate(b, options(w))
			if err != nil {
				t.Fatalf("%s cut at %d: %v", mode, cut, err)
			}
			if !got.Done() || !got.Rooted() || got.ID() != b.ID || got.Stats().Records != 42 {
				t.Errorf("%s cut at %d: done %v rooted %v stats %+v", mode, cut, got.Done(), got.Rooted(), got.Stats())
			}
		}
	}
}
