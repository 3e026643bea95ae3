package verify_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"testing"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/forge"
	"sallyport/internal/root"
	"sallyport/internal/verify"
)

// A member at the wrong place with more bytes than anyone signed is not inflated only to be skipped: a few bytes can stand
// for terabytes.
func TestMisplacedBombIsNotSkipped(t *testing.T) {
	w := world(t)
	big := make([]byte, 24<<20)
	rand.NewChaCha8([32]byte{}).Read(big)
	b := build(t, forge.Plan{From: w.Hub, Members: func(ms []forge.Member) []forge.Member {
		last := ms[len(ms)-1]
		last.Body = big
		return append(append([]forge.Member{}, ms[:4]...), last)
	}})
	src := &counter{r: bytes.NewReader(b.Payload)}
	_, err := verify.Payload(context.Background(), src, "a.tar.zst", options(w))
	if code.Of(err) != code.EntryMissing {
		t.Errorf("got %v", err)
	}
	if src.n > 16<<20 {
		t.Errorf("read %d of %d bytes", src.n, len(b.Payload))
	}
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// A revoked key is not believed as a bare key either, not even for a document that names another root.
func TestRevokedBareKey(t *testing.T) {
	w := world(t)
	next, _, err := w.Hub.NextRoot(func(d *root.Document) {
		d.Revoked = []root.Revocation{{KeyID: w.Hub.Bundle.Public().ID(), From: "2026-01-01T00:00:00Z"}}
	})
	if err != nil {
		t.Fatal(err)
	}
	b := build(t, forge.Plan{From: w.Hub, NoAnchor: true, Manifest: func(m *bundle.Manifest) { m.TrustRoot.ID = digest.Of([]byte("another root")) }})
	o := options(w)
	o.Trust = verify.Trust{Keys: []*attest.Key{w.Hub.Bundle.Public()}}
	if _, err := verify.Payload(context.Background(), bytes.NewReader(b.Payload), "a.tar.zst", o); err != nil {
		t.Fatalf("the key alone: %v", err)
	}
	o.Trust.Roots = []*root.Trusted{next}
	if _, err := verify.Payload(context.Background(), bytes.NewReader(b.Payload), "a.tar.zst", o); err == nil {
		t.Error("a revoked key was believed")
	}
}
