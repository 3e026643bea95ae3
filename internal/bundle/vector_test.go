package bundle

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/units"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorDir = "../../testdata/vectors"

// file writes v when asked to, and reads into v what stands in the file.
func file[T any](t *testing.T, name string, made T) (read T) {
	t.Helper()
	path := filepath.Join(vectorDir, name)
	if *update {
		b, err := json.MarshalIndent(made, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(vectorDir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &read); err != nil {
		t.Fatal(err)
	}
	return read
}

type stateVector struct {
	Records   int           `json:"records"`
	Kind      string        `json:"kind"`
	Key       string        `json:"key"`  // printf format of the record's number
	Body      string        `json:"body"` // printf format of the record's number: the digest is its SHA-256
	StateRoot digest.Digest `json:"stateRoot"`
	Entry     string        `json:"lastEntry,omitempty"` // hex
}

// State roots of 0, 1, 2, 3 and 10,000 records, ascending by key.
func TestStateRoots(t *testing.T) {
	var made []stateVector
	for _, n := range []int{0, 1, 2, 3, 10_000} {
		v := stateVector{Records: n, Kind: "advisory", Key: "EX-%05d", Body: `{"id":"EX-%05d"}`}
		v.StateRoot, v.Entry = stateRoot(t, v)
		made = append(made, v)
	}
	for _, v := range file(t, "state-roots.json", made) {
		if root, entry := stateRoot(t, v); root != v.StateRoot || entry != v.Entry {
			t.Errorf("%d records: %v, want %v", v.Records, root, v.StateRoot)
		}
	}
	if made[0].StateRoot != digest.Of(nil) {
		t.Error("the empty state root is not the hash of nothing")
	}
}

func stateRoot(t *testing.T, v stateVector) (digest.Digest, string) {
	var b RootBuilder
	var last []byte
	for i := range v.Records {
		key, d := fmt.Sprintf(v.Key, i), digest.Of(fmt.Appendf(nil, v.Body, i))
		last = Entry(nil, v.Kind, key, d)
		if err := b.Add(v.Kind, key, d); err != nil {
			t.Fatal(err)
		}
	}
	if b.Count() != int64(v.Records) {
		t.Errorf("count %d", b.Count())
	}
	return b.Root(), hex.EncodeToString(last)
}

func TestRootBuilderRefuses(t *testing.T) {
	var b RootBuilder
	d := digest.Of(nil)
	for _, c := range []struct {
		kind, key string
		want      code.Code
	}{
		{"advisory", "b", ""},
		{"advisory", "b", code.IndexBad},
		{"advisory", "a", code.IndexBad},
		{"aaa", "z", code.IndexBad},
		{"sbom", "a", ""},
		{"sbom", "", code.LineBad},
		{"sbom", "x\n", code.LineBad},
		{"sbom", "\xff", code.LineBad},
		{"SBOM", "z", code.LineBad},
		{"", "z", code.LineBad},
	} {
		before := b.Root()
		err := b.Add(c.kind, c.key, d)
		if code.Of(err) != c.want || err != nil && b.Root() != before {
			t.Errorf("%s %q: %v, want %q", c.kind, c.key, err, c.want)
		}
	}
}

type wordVector struct {
	Fingerprint string `json:"fingerprint"` // 64 hex
	Words       string `json:"words"`
}

func TestWords(t *testing.T) {
	var made []wordVector
	for _, d := range []digest.Digest{{}, digest.Of(nil), digest.Of([]byte("sallyport")), allOnes()} {
		made = append(made, wordVector{d.Hex(), units.Words(d)})
	}
	for _, v := range file(t, "words.json", made) {
		d, err := digest.ParseHex(v.Fingerprint)
		if err != nil || units.Words(d) != v.Words {
			t.Errorf("%s: %q, want %q (%v)", v.Fingerprint, units.Words(d), v.Words, err)
		}
		if same, err := units.MatchWords(d, v.Words); !same || err != nil {
			t.Errorf("%s does not match its own words: %v", v.Fingerprint, err)
		}
	}
}

func allOnes() (d digest.Digest) {
	for i := range d {
		d[i] = 0xff
	}
	return d
}

type spokenVector struct {
	Challenge string          `json:"challenge"`
	BundleID  digest.Digest   `json:"bundleId"`
	Decision  string          `json:"decision"`
	Roots     []digest.Digest `json:"stateRoots"`
	Words     string          `json:"words"`
}

func TestSpokenWords(t *testing.T) {
	made := []spokenVector{
		{Challenge: "000102030405060708090a0b0c0d0e0f", BundleID: of("bundle"), Decision: Activated, Roots: []digest.Digest{of("a"), of("b")}},
		{Challenge: "ffffffffffffffffffffffffffffffff", BundleID: of("bundle"), Decision: HeldBack, Roots: []digest.Digest{}},
	}
	for i := range made {
		made[i].Words, _ = SpokenWords(made[i].Challenge, made[i].BundleID, made[i].Decision, made[i].Roots...)
	}
	for _, v := range file(t, "spoken.json", made) {
		got, err := SpokenWords(v.Challenge, v.BundleID, v.Decision, v.Roots...)
		if err != nil || got != v.Words || got == "" {
			t.Errorf("%q, want %q (%v)", got, v.Words, err)
		}
	}
	for _, bad := range []string{"", "00", "zz0102030405060708090a0b0c0d0e0f"} {
		if _, err := SpokenWords(bad, of("x"), Activated); err == nil {
			t.Errorf("challenge %q was taken", bad)
		}
	}
}

type nameVector struct {
	Kind    string `json:"kind"`
	Day     string `json:"day"`
	Variant string `json:"variant"`
	Peer    string `json:"peer,omitempty"`
	N       int    `json:"n,omitempty"`
	Seal    string `json:"seal"`
	Volumes int    `json:"volumes"`
	Name    string `json:"name"`
	Last    string `json:"lastVolume"`
}

func TestNameVectors(t *testing.T) {
	made := []nameVector{
		{Kind: "mirror", Day: "2025-10-29", Variant: "full", Seal: SealNone, Volumes: 1},
		{Kind: "mirror", Day: "2025-10-29", Variant: "delta", Peer: "site-07", Seal: SealAge, Volumes: 3},
		{Kind: "outbound", Day: "2026-01-02", Variant: "full", Peer: "a-name-of-sixteen"[:16], N: 12, Seal: SealDare, Volumes: 4096},
	}
	fill := func(v *nameVector) error {
		day, err := time.Parse(time.DateOnly, v.Day)
		v.Name = Name(v.Kind, day, v.Variant, v.Peer, v.N)
		v.Last = VolumeName(v.Name, PayloadSuffix(v.Seal), v.Volumes, v.Volumes)
		return err
	}
	for i := range made {
		if err := fill(&made[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range file(t, "names.json", made) {
		got := v
		if err := fill(&got); err != nil || got != v || CheckName(v.Name) != nil || len(v.Last) > 64 {
			t.Errorf("%+v, want %+v (%v)", got, v, err)
		}
	}
}

// One good document of each kind, byte for byte.
func TestDocumentVectors(t *testing.T) {
	made := map[string]string{}
	for name, encode := range map[string]func() ([]byte, error){
		"manifest": sampleManifest().Encode, "label": sampleLabel().Encode, "card": sampleCard(t).Encode,
		"inventory": sampleInventory().Encode, "receipt": sampleReceipt().Encode, "anchor": sampleAnchor().Encode,
	} {
		b, err := encode()
		if err != nil {
			t.Fatal(err)
		}
		made[name] = string(b)
	}
	read := file(t, "documents.json", made)
	for name, text := range made {
		if read[name] != text {
			t.Errorf("%s: the bytes changed:\n%s\n%s", name, read[name], text)
		}
	}
}
