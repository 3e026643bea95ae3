package verify

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// A volume is read in pieces, hashed by one goroutine while the gate works on the pieces before.
const (
	pieceBytes = 512 << 10
	pieceRing  = 3
)

// volumes reads the outer bytes of a packing in order and judges each volume at its last byte. The first error sticks:
// whatever a layer above makes of it, settle gives it back.
type volumes struct {
	p      *Packing
	list   []bundle.Volume
	all    hash.Hash // over all volumes; nil when there is one, whose digest is the same
	full   chan piece
	free   chan []byte
	stop   chan struct{}
	ended  chan struct{}
	cur    []byte // rest of the piece being consumed
	whole  []byte // its buffer, to be given back
	judged bool   // the volume of that piece ended with it
	err    error
	report func(n int)
	at     int64 // of the volume that ended the reading; belongs to the reader once that was said
}

type piece struct {
	buf  []byte
	n    int
	last bool  // the volume ended with this piece and its digest is right
	err  error // nothing follows
}

// openVolumes starts reading the volumes of list in order, adding their bytes to all when it is not nil. The caller must close.
func openVolumes(ctx context.Context, p *Packing, list []bundle.Volume, all hash.Hash, report func(n int)) *volumes {
	v := &volumes{
		p: p, list: list, all: all, report: report,
		full: make(chan piece, pieceRing), free: make(chan []byte, pieceRing),
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
	size := int64(0)
	for _, vol := range list {
		size = max(size, vol.Bytes)
	}
	for range pieceRing {
		v.free <- make([]byte, min(size+1, pieceBytes))
	}
	go v.produce(ctx)
	return v
}

func (v *volumes) produce(ctx context.Context) {
	defer close(v.ended)
	defer close(v.full)
	for _, vol := range v.list {
		v.at = 0
		if err := v.one(ctx, vol); err != nil {
			v.send(piece{err: err})
			return
		}
	}
}

// sumOf is a hash over all volumes when there are several.
func sumOf(p *Packing) hash.Hash {
	if len(p.label.Volumes) < 2 {
		return nil
	}
	return digest.NewHash()
}

// checkSum compares all volumes together with the label, after the last was read.
func checkSum(p *Packing, all hash.Hash) error {
	want, got := p.label.Digest, p.label.Volumes[0].Digest
	if all != nil {
		got = digest.Sum(all)
	}
	if got != want {
		return code.New(code.LabelBad, "the volumes together have other bytes than the label says").In(p.dir, "digest").Want(want, got)
	}
	return nil
}

// one reads one volume to its end, hashing it on the way.
func (v *volumes) one(ctx context.Context, vol bundle.Volume) error {
	file, there := v.p.files[fold(vol.Name)]
	if !there {
		return missing(v.p, vol)
	}
	name := path.Join(v.p.dir, file)
	f, err := v.p.fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return missing(v.p, vol)
	}
	if err != nil {
		return readError(err, name, 0)
	}
	defer f.Close()
	h, at := digest.NewHash(), int64(0)
	for {
		if err := ctx.Err(); err != nil {
			return code.Wrap(code.Interrupted, err, "verify").In(name, "")
		}
		var buf []byte
		select {
		case buf = <-v.free:
		case <-v.stop:
			return errStopped
		}
		n, err := io.ReadFull(f, buf[:min(int64(len(buf)), vol.Bytes-at+1)])
		at += int64(n)
		h.Write(buf[:n])
		if v.all != nil {
			v.all.Write(buf[:n])
		}
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		switch {
		case err != nil && !end:
			v.at = at
			return v.place(readError(err, name, at), vol)
		case at > vol.Bytes:
			return damaged(v.p, vol).Want(fmt.Sprint(vol.Bytes, " bytes"), "more")
		case end && at < vol.Bytes:
			return resized(v.p, vol, at)
		case end && digest.Sum(h) != vol.Digest:
			return damaged(v.p, vol).Want(vol.Digest, digest.Sum(h))
		}
		if !v.send(piece{buf: buf, n: n, last: end}) {
			return errStopped
		}
		if end {
			return nil
		}
	}
}

// errStopped ends the producer when nobody reads any more; it never leaves this file.
var errStopped = errors.New("stopped")

func (v *volumes) send(p piece) bool {
	select {
	case v.full <- p:
		return true
	case <-v.stop:
		return false
	}
}

// place names the volume by its number, as the sentence for a bad stick does.
func (v *volumes) place(err error, vol bundle.Volume) error {
	var e *code.Error
	if errors.As(err, &e) {
		e.Place = fmt.Sprintf("volume %d of %d, %s", vol.N, len(v.p.label.Volumes), e.Place)
	}
	return err
}

func damaged(p *Packing, vol bundle.Volume) *code.Error {
	next := fmt.Sprintf("Ask for volume %d again", vol.N)
	if len(p.label.Volumes) > 1 {
		next += "; the others can stay"
	}
	next += "."
	return code.New(code.VolumeDamaged, "this volume has other bytes than were signed").
		In(path.Join(p.dir, vol.Name), fmt.Sprintf("volume %d of %d", vol.N, len(p.label.Volumes))).
		Do(next)
}

// resized is damage that the size alone shows.
func resized(p *Packing, vol bundle.Volume, got int64) *code.Error {
	e := damaged(p, vol).Want(fmt.Sprint(vol.Bytes, " bytes"), fmt.Sprint(got, " bytes"))
	if e.Msg = "this volume is too short: its copy was cut off"; got > vol.Bytes {
		e.Msg = "this volume is longer than was signed"
	}
	return e
}

func missing(p *Packing, vol bundle.Volume) *code.Error {
	return code.New(code.VolumeMissing, "this volume is missing").
		In(path.Join(p.dir, vol.Name), fmt.Sprintf("volume %d of %d", vol.N, len(p.label.Volumes))).Want(fmt.Sprint(vol.Bytes, " bytes"), "no plain file of this name")
}

// Read gives the outer bytes. After the last byte of a volume its digest has been judged.
func (v *volumes) Read(b []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	for len(v.cur) == 0 {
		if err := v.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, v.cur)
	v.cur = v.cur[n:]
	return n, nil
}

// next takes the next piece.
func (v *volumes) next() error {
	if v.whole != nil {
		v.free <- v.whole
		v.cur, v.whole = nil, nil
	}
	p, ok := <-v.full
	switch {
	case !ok:
		v.err = io.EOF
	case p.err != nil:
		v.err = p.err
	default:
		v.cur, v.whole, v.judged = p.buf[:p.n], p.buf, p.last
		if v.report != nil {
			v.report(p.n)
		}
	}
	return v.err
}

// settle explains an inner failure. Bytes that do not unpack may be a damaged volume: the one being read is read to its
// end, and if it is damaged or unreadable that is the more exact answer. Volumes before it have been judged already.
func (v *volumes) settle(inner error) error {
	for v.err == nil && !v.judged {
		v.next()
	}
	if v.err != nil && v.err != io.EOF {
		return v.err
	}
	return inner
}

// finish reads to the end, so that every volume is judged, and refuses bytes that nobody asked for only by their digest:
// the label signed them.
func (v *volumes) finish() error {
	for v.err == nil {
		v.next()
	}
	if v.err != io.EOF {
		return v.err
	}
	return nil
}

// close stops the producer and waits for it.
func (v *volumes) close() {
	close(v.stop)
	<-v.ended
}
