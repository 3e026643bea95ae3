package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"sallyport/internal/digest"
	"sallyport/internal/record"
	"sallyport/internal/units"
)

// The folders and names of the payload that every bundle has.
const (
	EnvelopePath = "signatures/export.dsse.json"
	RawSigPath   = "signatures/export.sig"
	SigstorePath = "signatures/export.sigstore.json"
)

// The names of the sheets.
const (
	SumsName  = "SHA256SUMS"
	CoverName = "COVER.txt"
)

// maxName leaves room for the longest suffix of a volume inside the 64 characters a medium allows.
const maxName = 64 - len(".tar.zst.dare.0001")

var nameRE = regexp.MustCompile(`^[a-z]{1,16}-[0-9]{8}-[a-z0-9][a-z0-9-]*$`)

// Front lists the first four members of a payload, in order, before the contents.
func Front(kind string) []string {
	return []string{EnvelopePath, ManifestPath(kind), RawSigPath, SigstorePath}
}

// ManifestPath is the member that holds the envelope's payload again, for people and stock tools.
func ManifestPath(kind string) string { return kind + "/export.json" }

// Name is the name of a run: `<kind>-<YYYYMMDD>-<variant>[-for-<peer>][-N]`; peer "" and n < 2 leave their part out.
func Name(kind string, day time.Time, variant, peer string, n int) string {
	name := kind + "-" + day.UTC().Format("20060102") + "-" + variant
	if peer != "" {
		name += "-for-" + peer
	}
	if n > 1 {
		name += fmt.Sprintf("-%d", n)
	}
	return name
}

// CheckName refuses what Name would not write, and what would not fit a medium with its suffixes.
func CheckName(name string) error {
	if len(name) > maxName || !nameRE.MatchString(name) {
		return fmt.Errorf("bundle name %.80q: want kind-YYYYMMDD-variant of a-z 0-9 -, at most %d characters", name, maxName)
	}
	return nil
}

// DocumentPath is the member that holds one document: its folder is the digest of its key, so no foreign name decides where.
func DocumentPath(profileKind, kind, key, name string) string {
	sum := sha256.Sum256([]byte(key))
	return profileKind + "/data/raw/" + record.Folder(kind) + "/" + hex.EncodeToString(sum[:]) + "/" + SafeName(name)
}

// ShardPath is the member of the n-th shard of a feed (positions from 0) in a mirror.
func ShardPath(kind string, feed, n int) string {
	return fmt.Sprintf("mirror/data/raw/%s/%d-%04d.jsonl.zst", record.Folder(kind), feed, n)
}

// UpsertPath is the member of the n-th shard of changed lines of a feed and kind (positions from 0) in a delta.
func UpsertPath(kind string, feed, n int) string {
	return fmt.Sprintf("mirror/delta/upserts/%d/%s/%04d.jsonl.zst", feed, kind, n)
}

// TombstonesPath is the member that names what a delta removes of a feed and kind.
func TombstonesPath(kind string, feed int) string {
	return fmt.Sprintf("mirror/delta/tombstones/%d/%s.jsonl.zst", feed, kind)
}

// IndexPath is the member of a feed's index in a mirror.
func IndexPath(feed int) string { return fmt.Sprintf("mirror/indexes/%d.index.jsonl.zst", feed) }

// SafeName is a file's name with every character outside `[A-Za-z0-9._-]` as `_`, at most 64 bytes, never a dot part.
func SafeName(name string) string {
	out := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '_'
	}, name)
	out = out[:min(len(out), 64)]
	if strings.Trim(out, ".") == "" {
		return "_" + out[:min(len(out), 63)]
	}
	return out
}

// BundleDir is NAME-<8 hex of label id>, the directory below sallyport/bundles.
func BundleDir(name string, labelID digest.Digest) string { return name + "-" + labelID.Hex()[:8] }

// LabelName is NAME.label.json.
func LabelName(name string) string { return name + ".label.json" }

// PayloadSuffix is ".tar.zst", ".tar.zst.age" or ".tar.zst.dare".
func PayloadSuffix(mode string) string {
	if mode == SealAge || mode == SealDare {
		return ".tar.zst." + mode
	}
	return ".tar.zst"
}

// VolumeName is NAME + suffix + ".001" (from 1; four digits when total > 999; none when total is 1).
func VolumeName(name, suffix string, i, total int) string {
	switch {
	case total <= 1:
		return name + suffix
	case total > 999:
		return fmt.Sprintf("%s%s.%04d", name, suffix, i)
	}
	return fmt.Sprintf("%s%s.%03d", name, suffix, i)
}

// SpokenWords is the spoken receipt: six words over challenge (32 hex), bundle id, decision and resulting state roots in `feeds[]`
// order.
func SpokenWords(challenge string, bundleID digest.Digest, decision string, roots ...digest.Digest) (string, error) {
	raw, err := hex.DecodeString(challenge)
	if err != nil || len(raw) != 16 {
		return "", fmt.Errorf("challenge %.40q: want 32 hex digits", challenge)
	}
	h := sha256.New()
	h.Write(raw)
	fmt.Fprintf(h, "%s\x00%s\x00", bundleID, decision)
	for _, r := range roots {
		h.Write(r[:])
	}
	return units.Spoken(digest.Sum(h)), nil
}
