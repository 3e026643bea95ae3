// Package verify is the gate: the one piece of code that turns untrusted bytes into a verified bundle.
//
// Data: none that lasts. A Packing is a label whose signature, sheets and list of volumes hold; a Bundle is a manifest
// whose signature holds and, once Done, whose every byte was read and found as signed. Both have unexported fields and
// only the gate makes them, so a room that takes a *Bundle cannot be handed anything unverified.
//
//	CheckLabel ─► Packing ─► Outer: every volume hashed, nothing opened            INTACT, SEALED
//	                    └──► Open:  volumes ► unseal ► inflate ► tar ► contents    VERIFIED
//	Payload: a bare FILE without a label, the inner half of Open alone             VERIFIED
//	Document: one signed paper (card, root, receipt, inventory, anchor)            VERIFIED
//	Fetch: one volume copied out while it is judged, for a reader that keeps the good ones
//	Sums: a label nobody can check for want of a key; gives a Loose, which opens no door
//
// Order: label, then volumes, then payload; inside the payload the envelope first, and nothing is parsed before its
// signature held. All dates of one operation are judged with one reading: the later of Options.Now and the bundle's own
// verified time anchor. What is judged before the anchor has arrived is only what a later reading cannot mend. The gate
// works on an fs.FS, writes nothing and reads no clock; a Sink receives bytes while they pass and must not make them
// visible before Open has returned. A crash leaves whatever the sink staged.
//
// Lines of a shard are not parsed again: the gate checks length, line ends, UTF-8, control characters, braces and every
// digest. That the origin wrote canonical JSON is what its signature says, and whoever parses a line later meets the
// guards of canon; encoding every line again would take ten times as long as all other work.
package verify

import (
	"io"
	"time"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/digest"
	"sallyport/internal/root"
	"sallyport/internal/seal"
)

// Trust is whom to believe. Roots judge role, scope, dates and revocation; Keys (key mode) are believed for everything
// they sign, without scope, dates, revocation or marks. Both empty: nothing can be verified.
type Trust struct {
	Roots []*root.Trusted
	Keys  []*attest.Key
}

// Limits lowers what the gate reads. Zero means the limit of 20-bundle-format; a higher value changes nothing.
type Limits struct {
	Entries int   // manifest entries, at most 50,000
	Bytes   int64 // sum of all contents; zero: as signed
}

// Options are the arguments of one operation. The zero value verifies nothing, because Trust is empty.
type Options struct {
	Trust      Trust
	Identities []seal.Identity
	Dare       []seal.DareKey
	Now        time.Time               // trusted time; zero: dates are judged by the bundle's own anchor alone
	Audience   string                  // own appliance id; "" leaves the audience unjudged
	Sink       Sink                    // nil discards
	Progress   func(done, total int64) // outer bytes read; total 0: not known. One call at a time, from any goroutine
	Limits     Limits
	// SheetsMayLack lets a signed sheet be missing, for a reader that needs none of them; a changed one is refused all the same.
	// Packing.Lacking names it.
	SheetsMayLack bool
}

// Sink takes the contents while they are verified. What it got is not to be believed before Open has returned without
// an error. Calls come from one goroutine.
type Sink interface {
	// Begin is called once, when the manifest is verified and nothing else. It may refuse: tenant, marks, space.
	Begin(*Bundle) error
	// Entry is called for each content in order; a nil writer discards its bytes. The writer has got all bytes before the
	// next call. It is an io.Closer where the sink wants to know.
	Entry(c bundle.Content) (io.Writer, error)
}

// Stats counts what was read.
type Stats struct {
	Entries int   `json:"entries"` // contents, the four signature members not counted
	Bytes   int64 `json:"bytes"`   // of the contents
	Records int64 `json:"records"` // named by the indexes
}

// Bundle is a verified manifest and, once Done, verified contents. Only Open and Payload make one.
type Bundle struct {
	manifest *bundle.Manifest
	envelope []byte
	id       digest.Digest
	packing  *Packing
	voice    voice
	anchor   *bundle.Anchor
	now      time.Time
	front    []Member
	done     bool
	rooted   bool
	stats    Stats
}

// Manifest is what the origin signed. Names in it are checked, texts are attacker-controlled.
func (b *Bundle) Manifest() *bundle.Manifest { return b.manifest }

// Envelope is the DSSE envelope as received, for keeping as proof.
func (b *Bundle) Envelope() []byte { return b.envelope }

// ID is the bundle id: the digest of the manifest payload.
func (b *Bundle) ID() digest.Digest { return b.id }

// Member is one of the four members in front of the contents.
type Member struct {
	Name string
	Body []byte
}

// Front are the four members in front of the contents: envelope, manifest, raw signature, Sigstore bundle.
func (b *Bundle) Front() []Member { return b.front }

// Packing is the label the bundle came under, nil for a bare payload file.
func (b *Bundle) Packing() *Packing { return b.packing }

// Signer is the origin's bundle key: the one that also made the raw signature.
func (b *Bundle) Signer() *attest.Key { return b.voice.keys[0] }

// Root is the trust root the signer counts under, nil in key mode.
func (b *Bundle) Root() *root.Trusted { return b.voice.root }

// Anchor is the bundle's verified time anchor, nil when it carries none, before Done, and in key mode when its key is unknown.
func (b *Bundle) Anchor() *bundle.Anchor { return b.anchor }

// Now is the reading its dates were judged with: the later of Options.Now and the anchor; zero when there was neither.
func (b *Bundle) Now() time.Time { return b.now }

// Done tells that the last byte was read and everything is as signed. Before, only the manifest is.
func (b *Bundle) Done() bool { return b.done }

// Rooted tells that the state roots of all feeds were computed and are the signed ones. For a delta they can only be
// computed on its base.
func (b *Bundle) Rooted() bool { return b.rooted }

// Stats counts what was read.
func (b *Bundle) Stats() Stats { return b.stats }
