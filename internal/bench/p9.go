package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"sallyport/internal/cas"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
)

// The store that is scrubbed: shards of 32 MiB, documents between, as a site has them.
const (
	bigBlob   = 32 << 20
	smallBlob = 24 << 10
)

// scrub measures P9. Both sides read what the kernel has cached: the disk is the same for both, hashing is not.
func (l *lab) scrub() error {
	dir := l.path("scrub")
	if _, _, err := l.step("blobs", dir, strconv.FormatInt(l.Mixed, 10)); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var ours, theirs []Cost
	for range l.Rounds {
		c, _, err := l.step("scrub", dir)
		if err != nil {
			return err
		}
		ours = append(ours, c)
		if c, err = l.shell(`find "$S/sha256" -type f | xargs sha256sum >/dev/null`, "S="+dir); err != nil {
			return err
		}
		theirs = append(theirs, c)
	}
	a, b := median(ours), median(theirs)
	faster := ratio(b.Wall, a.Wall)
	l.row(Row{
		ID: "P9", Work: fmt.Sprintf("scrub a store of %s", mb(l.Mixed)), Ours: a.String(), Reference: b.String() + " (find | xargs sha256sum)",
		Ratio: times(faster) + " as fast", Goal: "≥ 2×", Verdict: atLeast(faster, 2),
	})
	return nil
}

// blobsOf makes a content store of about that many bytes.
func blobsOf(dir string, bytes int64) error {
	if err := cas.Create(dir, durable.FS{}, "bench"); err != nil {
		return err
	}
	s, err := cas.Open(dir, durable.FS{}, "bench")
	if err != nil {
		return err
	}
	st, err := s.Stage()
	if err != nil {
		return err
	}
	defer st.Discard()
	random := rand.NewChaCha8([32]byte{9})
	buf := make([]byte, bigBlob)
	var all []digest.Digest
	for left, i := bytes, 0; left > 0; i++ {
		n := int64(smallBlob)
		if i%200 == 0 {
			n = min(bigBlob, max(left/2, smallBlob))
		}
		if _, err := random.Read(buf[:n]); err != nil {
			return err
		}
		w, err := st.Create()
		if err != nil {
			return err
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		d, _, err := w.Close()
		if err != nil {
			return err
		}
		all, left = append(all, d), left-n
	}
	return st.Commit(all...)
}

// scrubbed proves every blob of a store, as `sallyport store scrub --all` does.
func scrubbed(dir string) error {
	s, err := cas.Open(filepath.Clean(dir), durable.FS{}, "bench")
	if err != nil {
		return err
	}
	var first error
	_, err = s.Scrub(context.Background(), cas.Scrub{Workers: runtime.NumCPU()}, func(_ digest.Digest, _ int64, err error) {
		if first == nil {
			first = err
		}
	})
	if err == nil {
		err = first
	}
	return err
}
