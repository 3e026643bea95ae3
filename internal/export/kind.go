package export

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"sallyport/internal/bundle"
	"sallyport/internal/canon"
	"sallyport/internal/cas"
	"sallyport/internal/digest"
	"sallyport/internal/job"
	"sallyport/internal/state"
)

// Profile says what a Kind makes.
type Profile struct {
	Name     string // "mirror:full"
	Kind     string // "mirror": K, the folder of export.json
	Variant  string // "full"
	Revision int64
	Internal bool // not to be submitted by a request
}

// Kind fills the payload of one profile. It may keep no state between calls.
type Kind interface {
	Profile() Profile
	// Pin fixes, in the planning transaction, what the run carries: run.Feeds, of a delta run.Bases, and run.Records. No
	// record at all is ERR_EXPORT_EMPTY unless the request allows it. The run keeps these generations from pruning.
	Pin(tx *state.Tx, run *job.Run) error
	// Members stages everything that is not in the content store yet and names all contents of the payload.
	Members(ctx context.Context, b *Build) (Contents, error)
}

// Contents is what a Kind puts into a payload; the order does not matter. Every digest must be openable in Build.Stage.
type Contents struct {
	Feeds   []bundle.FeedState // ascending by feed name
	Members []bundle.Content
	Records int64 // live records in all feeds; of a delta, what it changes

	Delta   *bundle.Delta // of a delta alone
	Changes *job.Changes
}

// Build is what a Kind works with during one attempt of a run.
type Build struct {
	*Room
	Run   job.Run
	Stage *cas.Stage
	Now   time.Time // the one reading of this attempt: what the manifest calls generatedAt
	// Advance hears how many items and bytes are done of how many.
	Advance func(items, totalItems, bytes, totalBytes int64)
}

// Put stages what write writes and names it as a content; Path, Role and ContentType come from c, records may be set.
func (b *Build) Put(c bundle.Content, write func(io.Writer) error) (bundle.Content, error) {
	w, err := b.Stage.Create()
	if err != nil {
		return c, fmt.Errorf("stage %q: %w", c.Path, err)
	}
	defer w.Abort()
	if err := write(w); err != nil {
		return c, fmt.Errorf("stage %q: %w", c.Path, err)
	}
	if c.Digest, c.Bytes, err = w.Close(); err != nil {
		return c, fmt.Errorf("stage %q: %w", c.Path, err)
	}
	return c, nil
}

// PutBytes stages data.
func (b *Build) PutBytes(c bundle.Content, data []byte) (bundle.Content, error) {
	return b.Put(c, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// PutJSON stages a value as canonical JSON and a line feed.
func (b *Build) PutJSON(c bundle.Content, v any) (bundle.Content, error) {
	data, err := canon.Marshal(v)
	if err != nil {
		return c, fmt.Errorf("stage %q: %w", c.Path, err)
	}
	return b.PutBytes(c, append(data, '\n'))
}

// Request is what the run was asked for.
func (b *Build) Request() (Request, error) { return RequestOf(b.Run) }

// RequestOf is what a run was asked for.
func RequestOf(run job.Run) (q Request, err error) {
	if err := json.Unmarshal(run.Request, &q); err != nil {
		return q, fmt.Errorf("request of run %s: %w", run.ID, err)
	}
	return q, nil
}

// open reads a content from the staging area or the store; whoever copies it hashes it again.
func (b *Build) open(d digest.Digest) (*cas.File, error) { return b.Stage.Open(d) }
