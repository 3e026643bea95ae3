package load

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"

	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// Limits of a dump: what any feed in the world stays far below.
const (
	maxMember  = 8 << 20  // inflated bytes of one member
	maxMembers = 10 << 20 // members of one zip
	maxName    = 1024     // bytes of a member's name
)

// archive reads a zip (APPNOTE 6.3) member by member from its central directory, so memory does not grow with their number.
// It takes plain members only: stored or deflated, not encrypted, one disk. Members may not overlap: all of them together
// are no longer than the file. Everything in it is attacker-controlled; names are text, never paths.
type archive struct {
	f       *os.File
	size    int64
	members int64
	dir     *io.SectionReader
}

// member is one entry of the central directory.
type member struct {
	name         string
	method       uint16
	crc          uint32
	packed, size int64
	offset       int64 // of its local header
}

func badZip(format string, args ...any) *code.Error { return code.New(code.ZipBad, format, args...) }

// openArchive finds the central directory of a file.
func openArchive(f *os.File, size int64) (*archive, error) {
	tail := make([]byte, min(size, 22+65535))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return nil, err
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || len(tail)-at < 22 {
		return nil, badZip("the end record is missing; the file is not complete")
	}
	end := tail[at:]
	le := binary.LittleEndian
	if comment := int(le.Uint16(end[20:])); 22+comment != len(end) {
		return nil, badZip("bytes after the end record").Want(comment, len(end)-22)
	}
	disk, count := le.Uint16(end[4:]), int64(le.Uint16(end[10:]))
	length, offset := int64(le.Uint32(end[12:])), int64(le.Uint32(end[16:]))
	stop := size - int64(len(tail)) + int64(at)
	if count == 0xffff || length == 0xffffffff || offset == 0xffffffff {
		var err error
		if count, length, offset, stop, err = end64(f, stop); err != nil {
			return nil, err
		}
	}
	if disk != 0 && disk != 0xffff {
		return nil, badZip("a part of a split archive")
	}
	if offset < 0 || length < 0 || offset+length != stop || count < 0 || count > maxMembers {
		return nil, badZip("the directory does not lie before the end record").Want(stop, offset+length)
	}
	return &archive{f: f, size: size, members: count, dir: io.NewSectionReader(f, offset, length)}, nil
}

// end64 reads the ZIP64 end record through its locator, which lies right before the end record at stop.
func end64(f *os.File, stop int64) (count, length, offset, begin int64, err error) {
	le := binary.LittleEndian
	var loc [20]byte
	if _, err := f.ReadAt(loc[:], stop-20); err != nil || string(loc[:4]) != "PK\x06\x07" {
		return 0, 0, 0, 0, badZip("the ZIP64 locator is missing")
	}
	begin = int64(le.Uint64(loc[8:]))
	var end [56]byte
	if begin < 0 || begin > stop-20-56 {
		return 0, 0, 0, 0, badZip("the ZIP64 end record lies outside")
	}
	if _, err := f.ReadAt(end[:], begin); err != nil || string(end[:4]) != "PK\x06\x06" {
		return 0, 0, 0, 0, badZip("the ZIP64 end record is missing")
	}
	return int64(le.Uint64(end[32:])), int64(le.Uint64(end[40:])), int64(le.Uint64(end[48:])), begin, nil
}

// each visits the members in the order of the directory.
func (a *archive) each(fn func(member) error) error {
	r := bufio.NewReaderSize(io.NewSectionReader(a.dir, 0, a.dir.Size()), 1<<18)
	var total int64
	for i := range a.members {
		m, err := readMember(r)
		if err != nil {
			return fmt.Errorf("member %d: %w", i, err)
		}
		if total += 30 + int64(len(m.name)) + m.packed; total > a.size || m.offset+m.packed > a.size {
			return badZip("members overlap").In("", fmt.Sprintf("member %d", i)).Want(fmt.Sprintf("at most %d bytes", a.size), total)
		}
		if err := fn(m); err != nil {
			return err
		}
	}
	if _, err := r.Peek(1); err != io.EOF {
		return badZip("more in the directory than it counts")
	}
	return nil
}

func readMember(r *bufio.Reader) (m member, err error) {
	var h [46]byte
	if _, err := io.ReadFull(r, h[:]); err != nil || string(h[:4]) != "PK\x01\x02" {
		return m, badZip("a torn directory entry")
	}
	le := binary.LittleEndian
	flags := le.Uint16(h[8:])
	m.method, m.crc = le.Uint16(h[10:]), le.Uint32(h[16:])
	m.packed, m.size, m.offset = int64(le.Uint32(h[20:])), int64(le.Uint32(h[24:])), int64(le.Uint32(h[42:]))
	name, extra, comment := int(le.Uint16(h[28:])), int(le.Uint16(h[30:])), int(le.Uint16(h[32:]))
	rest := make([]byte, name+extra+comment)
	if _, err := io.ReadFull(r, rest); err != nil {
		return m, badZip("a torn directory entry")
	}
	if name == 0 || name > maxName {
		return m, badZip("the length of a name").Want(fmt.Sprintf("1 to %d bytes", maxName), name)
	}
	m.name = string(rest[:name])
	if err := m.extra(rest[name : name+extra]); err != nil {
		return m, err
	}
	switch {
	case flags&0x2041 != 0:
		return m, badZip("an encrypted member %.80q", m.name)
	case m.method != 0 && m.method != 8:
		return m, badZip("the packing of member %.80q", m.name).Want("stored or deflated", m.method)
	case m.packed < 0 || m.size < 0 || m.offset < 0 || (m.method == 0 && m.packed != m.size):
		return m, badZip("the sizes of member %.80q", m.name)
	}
	return m, nil
}

// extra takes the ZIP64 sizes out of the extra fields where the plain ones are full.
func (m *member) extra(b []byte) error {
	le := binary.LittleEndian
	for len(b) >= 4 {
		id, n := le.Uint16(b), int(le.Uint16(b[2:]))
		if b = b[4:]; n > len(b) {
			return nil // other writers' padding; nothing in it is needed
		}
		field := b[:n]
		b = b[n:]
		if id != 1 {
			continue
		}
		for _, v := range [...]*int64{&m.size, &m.packed, &m.offset} {
			if *v != 0xffffffff {
				continue
			}
			if len(field) < 8 {
				return badZip("the ZIP64 sizes of member %.80q", m.name)
			}
			*v, field = int64(le.Uint64(field)), field[8:]
		}
	}
	return nil
}

// inflater reads members; it keeps its tables between them. Not for concurrent use.
type inflater struct {
	flate   io.ReadCloser
	packed  []byte // how the member is packed, and the packed bytes behind it
	in      bytes.Reader
	out     []byte
	imprint digest.Digest // of packed
	heap    []byte        // for lookups of imprints
}

// imprintHead is how many bytes of packed say how the member is packed.
const imprintHead = 2 + 8 + 4

// maxPacked is how many packed bytes a member may have: deflate makes nothing much longer than it was.
const maxPacked = maxMember + maxMember/8

// seek reads the packed bytes of a member and takes their imprint: the digest of how the member is packed, its size and
// CRC-32 as the directory says them, and every packed byte. Members with equal imprints inflate to equal bytes.
func (z *inflater) seek(f io.ReaderAt, m member) error {
	if m.size > maxMember || m.packed > maxPacked {
		return code.New(code.LineLimit, "the document is too long").Want(fmt.Sprintf("at most %d bytes", maxMember), max(m.size, m.packed))
	}
	var h [30]byte
	if _, err := f.ReadAt(h[:], m.offset); err != nil || string(h[:4]) != "PK\x03\x04" {
		return badZip("the header before the member is missing")
	}
	le := binary.LittleEndian
	if int(le.Uint16(h[26:])) != len(m.name) || le.Uint16(h[8:]) != m.method {
		return badZip("the header before the member says something else than the directory")
	}
	from := m.offset + 30 + int64(le.Uint16(h[26:])) + int64(le.Uint16(h[28:]))
	z.packed = le.AppendUint32(le.AppendUint64(le.AppendUint16(z.packed[:0], m.method), uint64(m.size)), m.crc)
	z.packed = slices.Grow(z.packed, int(m.packed))[:imprintHead+int(m.packed)]
	if n, err := f.ReadAt(z.packed[imprintHead:], from); int64(n) != m.packed {
		return code.Wrap(code.ZipBad, err, "a torn member")
	}
	z.imprint = digest.Of(z.packed)
	return nil
}

// read inflates the member that seek found: exactly the size and the CRC-32 that the directory says, at most maxMember
// bytes. The bytes are valid until the next call.
func (z *inflater) read(m member) ([]byte, error) {
	z.in.Reset(z.packed[imprintHead:])
	var r io.Reader = &z.in
	if m.method == 8 {
		if z.flate == nil {
			z.flate = flate.NewReader(&z.in)
		} else if err := z.flate.(flate.Resetter).Reset(&z.in, nil); err != nil {
			return nil, err
		}
		r = z.flate
	}
	if int64(cap(z.out)) < m.size+1 {
		z.out = make([]byte, 0, m.size+1)
	}
	n, err := io.ReadFull(r, z.out[:m.size+1])
	if err != io.ErrUnexpectedEOF && err != io.EOF {
		if err == nil {
			return nil, badZip("more bytes than the directory says").Want(m.size, "more")
		}
		return nil, code.Wrap(code.ZipBad, err, "a damaged member")
	}
	if int64(n) != m.size {
		return nil, badZip("fewer bytes than the directory says").Want(m.size, n)
	}
	if crc := crc32.ChecksumIEEE(z.out[:n]); crc != m.crc {
		return nil, badZip("the checksum of the member").Want(fmt.Sprintf("%08x", m.crc), fmt.Sprintf("%08x", crc))
	}
	return z.out[:n], nil
}
