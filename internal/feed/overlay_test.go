package feed

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/state"
	"sallyport/internal/statetest"
)

// over is a generation that is an overlay over the base of another.
func over(gen, base int64) Proposal {
	p := foreign("f", gen)
	b := foreign("f", base).Generation.Layers[0]
	p.Generation.Layers = append([]Layer{b}, p.Generation.Layers...)
	p.Uses = []string{b.File}
	p.Generation.Manifest = digest.Digest{}
	for _, n := range []int64{base, gen} {
		p.Generation.Manifests = append(p.Generation.Manifests, Voucher{Manifest: d(fmt.Sprint("manifest", n)), BundleID: d(fmt.Sprint("bundle", n)), Signer: "SHA256:x"})
	}
	return p
}

// A base outlives its own generation while a younger one lies over it, and nothing is built upon one that has gone.
func TestSharedBase(t *testing.T) {
	db := statetest.Open(t)
	must := func(p Proposal) Outcome {
		t.Helper()
		out, err := apply(t, db, p)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	must(foreign("f", 1))
	for gen := int64(2); gen <= 9; gen++ {
		for _, l := range must(over(gen, 1)).Dropped {
			if l.File == "f/1" {
				t.Fatalf("generation %d dropped the base it lies over", gen)
			}
		}
	}
	live := map[digest.Digest]bool{}
	view(t, db, func(tx *state.Tx) error { return Live(tx, func(d digest.Digest) { live[d] = true }) })
	if !live[d("manifest1")] || !live[d("shard1")] || !live[d("manifest9")] || live[d("manifest2")] {
		t.Errorf("%v", live)
	}
	var dropped []string
	for gen := int64(10); gen <= 14; gen++ {
		for _, l := range must(foreign("f", gen)).Dropped {
			dropped = append(dropped, l.File)
		}
	}
	if !slices.Contains(dropped, "f/1") {
		t.Errorf("the base stays for nobody: %v", dropped)
	}
	if _, err := apply(t, db, over(15, 1)); code.Of(err) != code.Conflict {
		t.Errorf("built upon a base that has gone: %v", err)
	}
}

// A generation that was written when there was one manifest to each is read.
func TestVouchersOfAnOlderState(t *testing.T) {
	m, b := d("manifest"), d("bundle")
	var g Generation
	old := fmt.Sprintf(`{"epoch":1,"generation":3,"root":%q,"records":1,"layers":[],"bytes":1,"bundleId":%q,"manifest":%q,"feedIndex":2,"signer":"SHA256:x","acceptedAt":""}`, d("r"), b, m)
	if err := json.Unmarshal([]byte(old), &g); err != nil {
		t.Fatal(err)
	}
	if got := g.Vouchers(); !slices.Equal(got, []Voucher{{m, 2, b, "SHA256:x"}}) {
		t.Errorf("%+v", got)
	}
	if got := (Generation{LoadedBy: "uid:1001"}).Vouchers(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
