package timeline

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"sallyport/internal/attest"
	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/state"
)

const originPrefix = "sallyport.timeline/"

// maxCheckpoint bounds a foreign note: three lines and a signature.
const maxCheckpoint = 4 << 10

// maxSize is the largest number in anything we sign.
const maxSize = 1<<53 - 1

// Origin is the checkpoint origin of a log: `sallyport.timeline/<appliance id>/<log number>`.
func Origin(appliance string, number int64) string {
	return originPrefix + appliance + "/" + strconv.FormatInt(number, 10)
}

// Checkpoint signs the head of the log with the appliance's Ed25519 key, as a C2SP signed note (tlog-checkpoint). An
// empty log is signed as number 1 of size 0.
func (l *Log) Checkpoint(tx *state.Tx, signer *attest.Signer) ([]byte, error) {
	in, err := l.current(tx)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	h, err := head(tx, in)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	origin := Origin(l.appliance, max(in.Number, 1))
	s, err := newNoteSigner(origin, signer)
	if err != nil {
		return nil, code.Wrap(code.SigningKey, err, "checkpoint")
	}
	return note.Sign(&note.Note{Text: checkpointText(origin, h)}, s)
}

func checkpointText(origin string, h bundle.Head) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, h.Size, base64.StdEncoding.EncodeToString(h.Root[:]))
}

// noteSigner lets a key of ours sign notes through its one door for them.
type noteSigner struct {
	name string
	hash uint32
	key  *attest.Signer
}

func (n noteSigner) Name() string                     { return n.name }
func (n noteSigner) KeyHash() uint32                  { return n.hash }
func (n noteSigner) Sign(text []byte) ([]byte, error) { return attest.SignNote(n.key, text) }

func newNoteSigner(origin string, signer *attest.Signer) (note.Signer, error) {
	v, err := verifier(origin, signer.Public())
	if err != nil {
		return nil, err
	}
	return noteSigner{origin, v.KeyHash(), signer}, nil
}

// verifier is the C2SP verifier of an Ed25519 key for one origin.
func verifier(origin string, key *attest.Key) (note.Verifier, error) {
	if key.Alg() != attest.Ed25519 {
		return nil, fmt.Errorf("a checkpoint needs an Ed25519 key, not %s", key.Alg())
	}
	vkey, err := note.NewEd25519VerifierKey(origin, key.Raw())
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(vkey)
}

// Section makes the `log` member of a bundle or receipt: a checkpoint of now, and the proof that it continues from, a
// head the other side is known to have (nil or empty: none). A head of an earlier log is left out. A head that is no
// beginning of a first log has code timeline: this log was rewritten.
func (l *Log) Section(tx *state.Tx, signer *attest.Signer, from *bundle.Head) (bundle.Log, error) {
	cp, err := l.Checkpoint(tx, signer)
	if err != nil {
		return bundle.Log{}, err
	}
	s := bundle.Log{Checkpoint: string(cp), Proof: []digest.Digest{}}
	if from == nil || from.Size == 0 {
		return s, nil
	}
	in, err := l.current(tx)
	if err != nil {
		return bundle.Log{}, err
	}
	if err := isBeginning(tx, in, *from); err != nil {
		if in.Number > 1 && code.Has(err, code.TimelineBroken) {
			return s, nil
		}
		return bundle.Log{}, fmt.Errorf("log section: %w", err)
	}
	proof, err := l.Consistency(tx, from.Size, in.Size)
	if err != nil {
		return bundle.Log{}, fmt.Errorf("log section: %w", err)
	}
	h := *from
	s.From, s.Proof = &h, proof
	return s, nil
}

// VerifyCheckpoint checks a note that another appliance signed and tells its log number and head. The note is
// attacker-controlled; at most 4 KiB are looked at. Code timeline.
func VerifyCheckpoint(msg []byte, appliance string, key *attest.Key) (number int64, h bundle.Head, err error) {
	first, _, _ := bytes.Cut(msg[:min(len(msg), maxCheckpoint)], []byte("\n"))
	origin := string(first)
	digits, ok := strings.CutPrefix(origin, originPrefix+appliance+"/")
	number, err = strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || number < 1 || Origin(appliance, number) != origin || len(msg) > maxCheckpoint {
		return 0, h, broken("checkpoint is not of this appliance").Want(Origin(appliance, 1), fmt.Sprintf("%.80q", origin))
	}
	v, err := verifier(origin, key)
	if err != nil {
		return 0, h, broken("checkpoint key: %v", err)
	}
	n, err := note.Open(msg, note.VerifierList(v))
	if err != nil {
		return 0, h, broken("checkpoint: %v", err)
	}
	h, err = parseText(n.Text, origin)
	return number, h, err
}

// parseText reads the three lines we write, in exactly that form.
func parseText(text, origin string) (h bundle.Head, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 {
		return h, broken("checkpoint has %d lines", len(lines)-1)
	}
	if h.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || h.Size < 0 || h.Size > maxSize {
		return h, broken("checkpoint size %.40q", lines[1])
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != len(h.Root) {
		return h, broken("checkpoint root %.80q", lines[2])
	}
	copy(h.Root[:], root)
	if checkpointText(origin, h) != text {
		return h, broken("checkpoint is not in the one form we write")
	}
	return h, nil
}

// Seen is the newest head of another appliance's log that reached us.
type Seen struct {
	Number     int64       `json:"number"`
	Head       bundle.Head `json:"head"`
	Checkpoint string      `json:"checkpoint"`
}

var seen = state.Table[Seen]{Name: "timeline-seen"}

// LastSeen reads what Witness kept; nil when nothing did.
func LastSeen(tx *state.Tx, appliance string) (*Seen, error) {
	s, ok, err := seen.Get(tx, appliance)
	if err != nil || !ok {
		return nil, err
	}
	return &s, nil
}

// Witness keeps the newest head of another appliance's log, as VerifySection returned it.
func Witness(tx *state.Tx, appliance string, s Seen) error { return seen.Put(tx, appliance, s) }

// VerifySection checks the `log` member another appliance sent: signature, its own proof, and that it does not
// contradict last, the newest head seen before (nil: none). It returns the newer of the two. proven tells that
// everything up to last is known to be unchanged; it is false for the first section, one that comes out of order, one
// whose proof starts elsewhere, and a new log number, which a restore opens. Code timeline: forged, forked, cut short.
func VerifySection(s bundle.Log, appliance string, key *attest.Key, last *Seen) (newest Seen, proven bool, err error) {
	number, h, err := VerifyCheckpoint([]byte(s.Checkpoint), appliance, key)
	if err != nil {
		return Seen{}, false, err
	}
	if err := checkProof(s, h); err != nil {
		return Seen{}, false, err
	}
	now := Seen{number, h, s.Checkpoint}
	switch {
	case last == nil || last.Number < number:
		return now, false, nil
	case last.Number > number || last.Head.Size > h.Size:
		return *last, false, nil
	case last.Head.Size == h.Size && last.Head.Root != h.Root:
		return Seen{}, false, broken("two different logs of %d entries are signed by %s", h.Size, appliance)
	case last.Head.Size == h.Size:
		return now, true, nil
	}
	if s.From != nil && s.From.Size == last.Head.Size {
		if s.From.Root != last.Head.Root {
			return Seen{}, false, broken("the log does not continue from the %d entries we saw", last.Head.Size)
		}
		return now, true, nil
	}
	return now, false, nil
}

func checkProof(s bundle.Log, h bundle.Head) error {
	if s.From == nil {
		if len(s.Proof) != 0 {
			return broken("a proof from nowhere")
		}
		return nil
	}
	proof := make(tlog.TreeProof, len(s.Proof))
	for i, d := range s.Proof {
		proof[i] = tlog.Hash(d)
	}
	if err := tlog.CheckTree(proof, h.Size, tlog.Hash(h.Root), s.From.Size, tlog.Hash(s.From.Root)); err != nil {
		return broken("the consistency proof is wrong: %v", err)
	}
	return nil
}
