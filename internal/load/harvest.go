package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/canon"
	"sallyport/internal/cas"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/layer"
	"sallyport/internal/pack"
	"sallyport/internal/record"
)

// sortBytes is the memory for candidates before a run is spilled.
const sortBytes = 8 << 20

// membersBytes is the memory for new members before a run is spilled.
const membersBytes = 2 << 20

// maxSaved is how many rejected members of a snapshot keep their older record by name; more rejects than that fail the load.
const maxSaved = 100_000

// harvest gathers candidates from the files: sorted runs, a spool of canonical lines, documents in the staging area, and the
// load record that grows beside them.
type harvest struct {
	op    *operation
	runs  *layer.Sorter
	buf   []byte
	seq   uint64
	file  int // index of the file being read
	known *follower

	members   *members      // what earlier dumps were made of; nil: not known
	fresh     *layer.Sorter // of known: what no earlier dump held
	snapshots int           // dumps that say all there is
	skipped   int64         // members that were not inflated

	spool  *os.File
	spoolW *bufio.Writer
	spoolN int64

	blob   *cas.Writer // of the load record
	ledger io.WriteCloser

	taken, rejected int64
	rejects         []Reject
	snapshot        map[string]bool // kinds whose missing records are gone
	saved           map[string]bool // stems of rejected members: their older records stay
	items, bytes    int64
}

func newHarvest(op *operation) (*harvest, error) {
	h := &harvest{
		op: op, runs: layer.NewSorter(op.room.FS, op.scratch(), "candidates", sortBytes), known: &follower{view: op.view},
		snapshot: map[string]bool{}, saved: map[string]bool{},
		members: op.openMembers(), fresh: layer.NewSorter(op.room.FS, op.scratch(), "members", membersBytes),
	}
	if len(op.ill) > 0 {
		h.forget()
	}
	var err error
	if h.spool, err = os.OpenFile(op.stage.Path("lines"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, err
	}
	h.spoolW = bufio.NewWriterSize(op.room.FS.Writer(h.spool), 1<<20)
	if h.blob, err = op.stage.Create(); err != nil {
		return nil, err
	}
	if h.ledger, err = pack.EncodeStream(h.blob); err != nil {
		return nil, err
	}
	return h, nil
}

// scratch is the directory for runs: the staging area's own.
func (op *operation) scratch() string { return filepath.Dir(op.stage.Path("runs")) }

// forget makes every member be read and every line be kept.
func (h *harvest) forget() {
	h.known.view = nil
	if h.members != nil {
		h.members.close()
		h.members = nil
	}
}

func (h *harvest) close() {
	h.runs.Close()
	h.fresh.Close()
	if h.members != nil {
		h.members.close()
	}
	if h.spool != nil {
		h.spool.Close()
		os.Remove(h.spool.Name())
	}
	if h.blob != nil {
		h.blob.Abort()
	}
}

// note writes one line of the load record.
func (h *harvest) note(v any) error {
	b, err := canon.Marshal(v)
	if err != nil {
		return err
	}
	_, err = h.ledger.Write(append(b, '\n'))
	return err
}

// noteMember writes the line of one member: its bytes, digest and name. There are as many as members: no reflection.
func (h *harvest) noteMember(p *prepared) error {
	b := strconv.AppendInt(append(h.buf[:0], `{"bytes":`...), p.size, 10)
	b = canon.AppendString(append(b, `,"digest":`...), p.source.String())
	b = canon.AppendString(append(b, `,"member":`...), strings.ToValidUTF8(p.member, "\uFFFD"))
	h.buf = append(b, '}', '\n')
	_, err := h.ledger.Write(h.buf)
	return err
}

// The lines of a load record. Names are foreign.
type (
	recordHead struct {
		Schema string `json:"schema"`
		ID     string `json:"id"`
		At     string `json:"at"`
		Actor  string `json:"actor,omitempty"`
		Feed   string `json:"feed"`
		Files  int    `json:"files"`
	}
	recordFile struct {
		File    string        `json:"file"`
		Bytes   int64         `json:"bytes"`
		Digest  digest.Digest `json:"digest"`
		Format  string        `json:"format"`
		Members int64         `json:"members,omitempty"`
	}
)

// recordSchema is the first member of a load record.
const recordSchema = "sallyport/load.v1"

// read takes in every file of the request.
func (op *operation) read(ctx context.Context) error {
	h := op.in
	err := h.note(recordHead{
		Schema: recordSchema, ID: op.res.ID, At: op.now, Actor: op.req.Actor, Feed: op.ref.Name, Files: len(op.req.Files),
	})
	if err != nil {
		return err
	}
	inputs, err := op.open()
	defer func() {
		for _, in := range inputs {
			in.f.Close()
		}
	}()
	if err != nil {
		return err
	}
	if op.release, err = op.reserve(inputs); err != nil {
		return err
	}
	for i, in := range inputs {
		h.file = i
		if err := h.take(ctx, in); err != nil {
			return fmt.Errorf("file %q: %w", in.path, err)
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	if err := h.spoolW.Flush(); err != nil {
		return err
	}
	h.report(true)
	return h.ledger.Close()
}

// take reads one file by its format.
func (h *harvest) take(ctx context.Context, in *input) error {
	switch in.format {
	case record.FormatOSVZip:
		return h.dump(ctx, in)
	case formatLines:
		return h.lines(ctx, in)
	case record.FormatOSV:
		return h.single(in)
	}
	return h.document(in)
}

// line accepts one canonical line.
func (h *harvest) line(kind string, l *prepared) error {
	c := candidate{
		kind: kind, key: l.fields.ID, digest: l.digest, length: l.length, modified: l.fields.Modified, member: l.member, known: l.known,
	}
	if !c.known {
		known, err := h.known.has(kind, c.key, c.digest)
		if err != nil {
			return err
		}
		c.known = known
	}
	if !c.known {
		c.offset = h.spoolN
		if _, err := h.spoolW.Write(l.line); err != nil {
			return err
		}
		h.spoolN += int64(len(l.line))
	}
	return h.add(&c)
}

// add sorts a candidate in.
func (h *harvest) add(c *candidate) error {
	h.seq++
	c.seq, c.file = h.seq, h.file
	h.buf = c.encode(h.buf[:0])
	h.taken++
	h.items++
	h.bytes += c.length
	h.report(false)
	return h.runs.Add(h.buf)
}

func (h *harvest) report(always bool) {
	if always || h.items%256 == 0 {
		h.op.progress(Progress{Stage: "read", File: h.op.req.Files[h.file], Items: h.items, Bytes: h.bytes})
	}
}

// reject lists a document that does not go in. It fails only when there are too many to remember.
func (h *harvest) reject(file int, member string, err error) error {
	h.rejected++
	if len(h.rejects) < MaxRejects {
		h.rejects = append(h.rejects, Reject{File: h.op.req.Files[file], Member: member, Code: string(code.Of(err)), Reason: err.Error()})
	}
	if member != "" {
		base := filepath.Base(filepath.ToSlash(member))
		h.saved[strings.TrimSuffix(base, filepath.Ext(base))] = true
	}
	if len(h.saved) > maxSaved {
		return code.Wrap(code.LoadRejects, err, "more than %d documents were rejected", maxSaved)
	}
	return nil
}

// rejectable tells a fault of the document from one of ours (disk, memory, cancel).
func rejectable(err error) bool {
	var e *code.Error
	if !errors.As(err, &e) {
		return false
	}
	switch code.Of(err) {
	case code.NoSpace, code.FsyncFailed, code.StoreCorrupt, code.Cancelled, code.Bug:
		return false
	}
	return true
}

// prepared is one line ready to be accepted, or the reason why not.
type prepared struct {
	member string
	size   int64
	source digest.Digest // of the bytes as received
	line   []byte
	length int64 // of line
	digest digest.Digest
	fields record.Fields
	skip   bool
	known  bool // the feed has this line: there is no need of its bytes
	err    error

	imprint digest.Digest // of a dump's member; zero: not taken
	met     int64         // number in the members file, from 1; 0: not there
}

// prepare turns one foreign JSON document into a canonical line.
func prepare(member string, body []byte) prepared {
	p := prepared{member: member, size: int64(len(body)), source: digest.Of(body)}
	if p.line, p.err = canon.Line(body); p.err != nil {
		return p
	}
	if len(p.line) > pack.LineMax {
		p.err = code.New(code.LineLimit, "").Want(fmt.Sprintf("at most %d bytes", pack.LineMax), len(p.line))
		return p
	}
	if p.fields, p.err = record.Scan(p.line); p.err != nil {
		return p
	}
	if p.err = bundle.CheckKey(p.fields.ID); p.err == nil {
		p.digest, p.length = digest.Of(p.line), int64(len(p.line))
	}
	return p
}

// single takes one JSON document as a line.
func (h *harvest) single(in *input) error {
	if err := h.noteFile(in, 0); err != nil {
		return err
	}
	body, err := in.all(maxMember)
	if err != nil {
		return h.orReject(err)
	}
	p := prepare("", body)
	if p.err != nil {
		return h.reject(h.file, "", p.err)
	}
	return h.line(in.kind, &p)
}

func (h *harvest) orReject(err error) error {
	if rejectable(err) {
		return h.reject(h.file, "", err)
	}
	return err
}

// lines takes a file of one JSON document a line.
func (h *harvest) lines(ctx context.Context, in *input) error {
	if err := h.noteFile(in, 0); err != nil {
		return err
	}
	r := bufio.NewScanner(io.NewSectionReader(in.f, 0, in.size))
	r.Buffer(make([]byte, 1<<16), maxMember)
	for n := 1; r.Scan(); n++ {
		if len(strings.TrimSpace(r.Text())) == 0 {
			continue
		}
		member := fmt.Sprint("line ", n)
		p := prepare(member, r.Bytes())
		var err error
		if p.err != nil {
			err = h.reject(h.file, member, p.err)
		} else {
			err = h.line(in.kind, &p)
		}
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
	if errors.Is(r.Err(), bufio.ErrTooLong) {
		return h.reject(h.file, "", code.New(code.LineLimit, "the document is too long").Want(fmt.Sprintf("at most %d bytes", maxMember), "more"))
	}
	return r.Err()
}

// document takes one file byte for byte.
func (h *harvest) document(in *input) error {
	if err := h.noteFile(in, 0); err != nil {
		return err
	}
	w, err := h.op.stage.Create()
	if err != nil {
		return err
	}
	defer w.Abort()
	var d record.Document
	if in.kind == record.Artifact || in.kind == record.Policy {
		d, err = record.ParseDocument(in.path, in.kind, nil)
		if err == nil {
			_, err = io.Copy(w, io.NewSectionReader(in.f, 0, in.size))
		}
	} else {
		var body []byte
		if body, err = in.all(record.MaxDocument); err == nil {
			d, err = record.ParseDocument(in.path, in.kind, body)
		}
		if err == nil {
			_, err = w.Write(body)
		}
	}
	if err == nil {
		err = bundle.CheckKey(d.Key)
	}
	if err != nil {
		return h.orReject(err)
	}
	got, n, err := w.Close()
	if err != nil {
		return err
	}
	if got != in.digest {
		return code.New(code.Conflict, "the file changed while it was read").Want(in.digest, got)
	}
	h.want(d.Kind, false)
	return h.add(&candidate{
		kind: d.Kind, key: d.Key, digest: got, document: true, length: n, name: d.Name, mediaType: d.MediaType,
	})
}

// want notes whether records of a kind that are in no file are gone.
func (h *harvest) want(kind string, standard bool) {
	if s := h.op.req.Snapshot; s != nil {
		standard = *s
	}
	h.snapshot[kind] = h.snapshot[kind] || standard
}

func (h *harvest) noteFile(in *input, members int64) error {
	if record.IsLine(in.kind) && in.format != record.FormatOSVZip {
		h.want(in.kind, false)
	}
	return h.note(recordFile{File: in.path, Bytes: in.size, Digest: in.digest, Format: in.format, Members: members})
}

// follower tells cheaply whether the feed already has a line, as long as lines come in key order (dumps do).
type follower struct {
	view *layer.View
	kind string
	cur  *layer.Cursor
	it   layer.Item
	more bool
	last string
}

func (f *follower) has(kind, key string, d digest.Digest) (bool, error) {
	if f.view == nil {
		return false, nil
	}
	if f.kind != kind {
		*f = follower{view: f.view, kind: kind, cur: f.view.Cursor(kind, ""), more: true}
		if err := f.step(); err != nil {
			return false, err
		}
	}
	if key < f.last { // out of order: not worth a search, the line is kept in the spool
		return false, nil
	}
	f.last = key
	for f.more && f.it.Key < key {
		if err := f.step(); err != nil {
			return false, err
		}
	}
	return f.more && f.it.Key == key && f.it.Digest == d, nil
}

func (f *follower) step() (err error) {
	f.it, f.more, err = f.cur.Next()
	return err
}
