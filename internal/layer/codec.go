package layer

import (
	"encoding/binary"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/digest"
)

// The buckets of a layer file.
const (
	metaBucket    = "meta"
	kindPrefix    = "kind/"
	aliasBucket   = "alias"
	packageBucket = "package"
)

// The flags of a stored entry.
const (
	flagDeleted = 1 << iota
	flagDocument
	flagNames // name, media type and source follow
)

// encodeEntry appends the value of an entry: flags, digest, four numbers as uvarints, and names where there are any.
func encodeEntry(dst []byte, e *Entry) []byte {
	var flags byte
	if e.Deleted {
		flags |= flagDeleted
	}
	if e.Document {
		flags |= flagDocument
	}
	if e.Name != "" || e.MediaType != "" || e.Source != "" {
		flags |= flagNames
	}
	dst = append(append(dst, flags), e.Digest[:]...)
	for _, n := range [...]int64{int64(e.Shard), e.Frame, e.Offset, e.Length} {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	if flags&flagNames != 0 {
		for _, s := range [...]string{e.Name, e.MediaType, e.Source} {
			dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...)
		}
	}
	return dst
}

// decodeEntry reads what encodeEntry wrote; everything is copied.
func decodeEntry(kind string, key, b []byte) (Entry, error) {
	e := Entry{Kind: kind, Key: string(key)}
	if len(b) < 1+len(e.Digest) {
		return e, torn(kind, key)
	}
	flags := b[0]
	e.Deleted, e.Document = flags&flagDeleted != 0, flags&flagDocument != 0
	e.Digest = digest.Digest(b[1 : 1+len(e.Digest)])
	b = b[1+len(e.Digest):]
	var n [4]int64
	for i := range n {
		v, w := binary.Uvarint(b)
		if w <= 0 || v > 1<<53-1 {
			return e, torn(kind, key)
		}
		n[i], b = int64(v), b[w:]
	}
	e.Shard, e.Frame, e.Offset, e.Length = int(n[0]), n[1], n[2], n[3]
	if flags&flagNames == 0 {
		return e, nil
	}
	for _, to := range [...]*string{&e.Name, &e.MediaType, &e.Source} {
		v, w := binary.Uvarint(b)
		if w <= 0 || v > uint64(len(b)-w) {
			return e, torn(kind, key)
		}
		*to, b = string(b[w:w+int(v)]), b[w+int(v):]
	}
	return e, nil
}

func torn(kind string, key []byte) error {
	return code.New(code.StoreCorrupt, "a torn entry in a layer").In("", kind+" "+string(key))
}

// The longest parts of a lookup, in bytes. What is longer, empty or has a control character is not looked up.
const (
	maxAlias     = 512
	maxEcosystem = 128
	maxName      = 2048
)

func indexable(s string, limit int) bool {
	return s != "" && len(s) <= limit && strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }) < 0
}

// aliasKey is the lookup of one alias; people do not remember case.
func aliasKey(dst []byte, alias, kind, key string) []byte {
	return refPart(append(append(dst, strings.ToLower(alias)...), 0), kind, key)
}

func packageKey(dst []byte, ecosystem, name, kind, key string) []byte {
	dst = append(append(dst, ecosystem...), 0)
	return refPart(append(append(dst, name...), 0), kind, key)
}

func refPart(dst []byte, kind, key string) []byte {
	return append(append(append(dst, kind...), 0), key...)
}

// refOf reads the record at the end of a lookup whose first parts are parts many.
func refOf(lookup []byte, parts int) (Ref, bool) {
	s := string(lookup)
	for range parts {
		_, rest, ok := strings.Cut(s, "\x00")
		if !ok {
			return Ref{}, false
		}
		s = rest
	}
	kind, key, ok := strings.Cut(s, "\x00")
	return Ref{kind, key}, ok
}
