package load

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/record"
)

// readerVersion is that of prepare: raise it when any bytes become another line, key or time of change, or are no longer
// rejected. Every member is then read anew.
const readerVersion = 1

// ledgerDir is the folder below D of the members files.
const ledgerDir = "loads"

// How a members file is looked up, and what is kept of one member.
const (
	heapBits  = 16
	heaps     = 1 << heapBits
	heapMax   = 256 << 10 // bytes; what is beyond is read anew: nobody makes us walk a long heap for each member
	maxNotes  = 4 << 10   // bytes of key and time of change
	entryHead = 3 * len(digest.Digest{})
)

// known is what one member of a dump became: prepare's answer, which depends on nothing but the member's bytes.
type known struct {
	packed   digest.Digest // of the member as it lies in the archive, see inflater.seek
	source   digest.Digest // of the bytes as received
	line     digest.Digest
	size     int64 // of the bytes as received
	length   int64 // of the line
	key      string
	modified string
}

// encode appends the sortable form.
func (k *known) encode(dst []byte) []byte {
	dst = append(append(append(dst, k.packed[:]...), k.source[:]...), k.line[:]...)
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(k.size)), uint64(k.length))
	for _, s := range [...]string{k.key, k.modified} {
		dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...)
	}
	return dst
}

var errTornMembers = errors.New("a torn members file")

// entryLen measures the entry at the head of b without taking it apart; io.ErrUnexpectedEOF when b does not hold all of it.
func entryLen(b []byte) (int, error) {
	at := entryHead
	for i := range 4 {
		v, w := binary.Uvarint(b[min(at, len(b)):])
		if w == 0 {
			return 0, io.ErrUnexpectedEOF
		}
		if at += w; w < 0 || i > 1 && v > maxNotes {
			return 0, errTornMembers
		}
		if i > 1 {
			at += int(v)
		}
	}
	if at > len(b) {
		return 0, io.ErrUnexpectedEOF
	}
	return at, nil
}

// decodeKnown reads what encode wrote; entryLen has measured it.
func decodeKnown(b []byte) (k known) {
	copy(k.packed[:], b)
	copy(k.source[:], b[len(k.packed):])
	copy(k.line[:], b[2*len(k.packed):])
	b = b[entryHead:]
	for _, to := range [...]*int64{&k.size, &k.length} {
		v, w := binary.Uvarint(b)
		*to, b = int64(v), b[w:]
	}
	for _, to := range [...]*string{&k.key, &k.modified} {
		v, w := binary.Uvarint(b)
		*to, b = string(b[w:w+int(v)]), b[w+int(v):]
	}
	return k
}

// membersHead begins a members file. What another version wrote is not read.
func membersHead() string { return fmt.Sprintf("sallyport/members.v1 reader %d\n", readerVersion) }

// members is the open members file of a feed: what the members of its dumps became, ascending by imprint. It says nothing of
// what the feed holds, and nothing is lost with it but time. Lookups are safe for concurrent use.
type members struct {
	f     *os.File
	size  int64
	at    [heaps + 1]int64 // offset where the imprints that begin with these 16 bits begin
	first [heaps]int64     // number of the first of them
	count int64
	used  []uint64 // bit by number: met in this load; of one goroutine
	hits  int64
}

// membersPath is where the file with these bytes lies.
func (op *operation) membersPath(d digest.Digest) string {
	return filepath.Join(op.room.DataDir, ledgerDir, op.ref.Dir(), d.Hex())
}

// openMembers opens the file that the active generation names; nil when there is none, or other bytes.
func (op *operation) openMembers() *members {
	if op.room.DataDir == "" || op.view == nil || op.from.Members.IsZero() {
		return nil
	}
	f, err := os.Open(op.membersPath(op.from.Members))
	if err == nil {
		m := &members{f: f}
		if err = m.survey(op.from.Members); err == nil {
			return m
		}
		f.Close()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		op.room.log().Info("every member is read anew", "feed", op.ref.Name, "why", err.Error())
	}
	return nil
}

// survey hashes the file and finds where each heap begins.
func (m *members) survey(want digest.Digest) error {
	h := digest.NewReader(m.f)
	r := bufio.NewReaderSize(h, 1<<20)
	head := make([]byte, len(membersHead()))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != membersHead() {
		return errors.New("another version wrote the members file")
	}
	m.size = int64(len(head))
	next := 0
	err := eachEntry(r, func(b []byte) error {
		heap := int(binary.BigEndian.Uint16(b))
		if heap < next-1 {
			return errTornMembers
		}
		for ; next <= heap; next++ {
			m.at[next], m.first[next] = m.size, m.count
		}
		m.size += int64(len(b))
		m.count++
		return nil
	})
	if err != nil {
		return err
	}
	for ; next < heaps; next++ {
		m.at[next], m.first[next] = m.size, m.count
	}
	m.at[heaps] = m.size
	if got := h.Sum(); got != want {
		return code.New(code.StoreCorrupt, "members file").Want(want, got)
	}
	m.used = make([]uint64, (m.count+63)/64)
	return nil
}

// eachEntry visits the entries to the end of r; the bytes are valid during fn.
func eachEntry(r *bufio.Reader, fn func([]byte) error) error {
	for {
		b, err := r.Peek(entryHead + 2*maxNotes + 4*binary.MaxVarintLen64)
		if len(b) == 0 && err == io.EOF {
			return nil
		}
		if err != nil && err != io.EOF {
			return err
		}
		n, err := entryLen(b)
		if err != nil {
			return errTornMembers
		}
		if err := fn(b[:n]); err != nil {
			return err
		}
		if _, err := r.Discard(n); err != nil {
			return err
		}
	}
}

// find looks a member up. number is that of its entry, from 0; buf is room to work in.
func (m *members) find(imprint digest.Digest, buf []byte) (k known, number int64, _ []byte, ok bool) {
	heap := binary.BigEndian.Uint16(imprint[:])
	n := m.at[int(heap)+1] - m.at[heap]
	if n == 0 || n > heapMax {
		return k, 0, buf, false
	}
	if int64(cap(buf)) < n {
		buf = make([]byte, 2*n)
	}
	b := buf[:n]
	if _, err := m.f.ReadAt(b, m.at[heap]); err != nil {
		return k, 0, buf, false
	}
	for number = m.first[heap]; len(b) > 0; number++ {
		n, err := entryLen(b)
		if err != nil {
			return k, 0, buf, false
		}
		if bytes.Equal(b[:len(imprint)], imprint[:]) {
			return decodeKnown(b[:n]), number, buf, true
		}
		b = b[n:]
	}
	return k, 0, buf, false
}

// use notes that an entry was met.
func (m *members) use(number int64) {
	if bit := uint64(1) << (number % 64); m.used[number/64]&bit == 0 {
		m.used[number/64] |= bit
		m.hits++
	}
}

func (m *members) close() { m.f.Close() }

// again is what prepare said of the same packed bytes in an earlier load, when the feed still has that line; else the imprint
// to remember them by. Nothing but a whole SHA-256 of the packed bytes decides.
func (h *harvest) again(kind string, z *inflater, p *prepared) bool {
	if h.members == nil || p.imprint.IsZero() {
		return false
	}
	k, number, buf, ok := h.members.find(p.imprint, z.heap)
	if z.heap = buf; !ok {
		return false
	}
	p.met = number + 1
	it, ok, err := h.op.view.Get(kind, k.key)
	if err != nil || !ok || it.Document || it.Digest != k.line || it.Length != k.length {
		return false
	}
	p.size, p.source, p.digest, p.length, p.known = k.size, k.source, k.line, k.length, true
	p.fields = record.Fields{ID: k.key, Modified: k.modified}
	return true
}

// remember keeps for later loads what a member became.
func (h *harvest) remember(p *prepared) error {
	if p.known {
		h.skipped++
	}
	switch {
	case p.met > 0:
		h.members.use(p.met - 1)
		return nil
	case p.imprint.IsZero() || h.op.room.DataDir == "" || len(p.fields.ID)+len(p.fields.Modified) > maxNotes:
		return nil
	}
	k := known{
		packed: p.imprint, source: p.source, line: p.digest, size: p.size, length: p.length, key: p.fields.ID, modified: p.fields.Modified,
	}
	h.buf = k.encode(h.buf[:0])
	return h.fresh.Add(h.buf)
}
