package load

import (
	"bytes"
	"encoding/binary"

	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// candidate is one accepted document or line, as it is sorted: first by kind, key and order of arrival.
type candidate struct {
	kind, key string
	seq       uint64 // order of arrival
	digest    digest.Digest
	document  bool
	known     bool  // the feed has exactly this already: no body was kept
	offset    int64 // of a line in the spool
	length    int64
	modified  string
	file      int // index in the request
	member    string
	name      string // documents
	mediaType string
}

// encode appends the sortable form. Kind and key hold no NUL.
func (c *candidate) encode(dst []byte) []byte {
	dst = append(append(append(append(dst, c.kind...), 0), c.key...), 0)
	dst = binary.BigEndian.AppendUint64(dst, c.seq)
	dst = append(dst, c.digest[:]...)
	var flags byte
	if c.document {
		flags |= 1
	}
	if c.known {
		flags |= 2
	}
	dst = append(dst, flags)
	for _, n := range [...]int64{c.offset, c.length, int64(c.file)} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	for _, s := range [...]string{c.modified, c.member, c.name, c.mediaType} {
		dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...)
	}
	return dst
}

// decodeCandidate reads what encode wrote; everything is copied. A run that was damaged on the disk is an error.
func decodeCandidate(b []byte) (c candidate, err error) {
	kind, rest, ok1 := bytes.Cut(b, []byte{0})
	key, rest, ok2 := bytes.Cut(rest, []byte{0})
	if !ok1 || !ok2 || len(rest) < 8+len(c.digest)+1 {
		return c, tornRun()
	}
	c.kind, c.key, c.seq = string(kind), string(key), binary.BigEndian.Uint64(rest)
	rest = rest[8:]
	copy(c.digest[:], rest)
	flags := rest[len(c.digest)]
	c.document, c.known = flags&1 != 0, flags&2 != 0
	rest = rest[len(c.digest)+1:]
	var n [3]int64
	for i := range n {
		v, w := binary.Uvarint(rest)
		if w <= 0 {
			return c, tornRun()
		}
		n[i], rest = int64(v), rest[w:]
	}
	c.offset, c.length, c.file = n[0], n[1], int(n[2])
	for _, to := range [...]*string{&c.modified, &c.member, &c.name, &c.mediaType} {
		v, w := binary.Uvarint(rest)
		if w <= 0 || v > uint64(len(rest)-w) {
			return c, tornRun()
		}
		*to, rest = string(rest[w:w+int(v)]), rest[w+int(v):]
	}
	return c, nil
}

func tornRun() error { return code.New(code.StoreCorrupt, "a spilled run came back damaged") }
