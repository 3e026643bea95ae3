package pack

import (
	"fmt"
	"strconv"
	"strings"
)

// The one form of a member's header (POSIX.1-1988 ustar, PAX of POSIX.1-2001). Writer and reader share it: the reader
// takes name and size out of what it read, makes this form of them and demands the same bytes.
const (
	blockSize = 512
	octalMax  = 1<<33 - 1 // what eleven octal digits hold
	paxName   = "PaxHeader"
	paxMax    = 1024 // bytes of PAX records: path and size need less
	nameMax   = 100
	prefixMax = 155
)

// A field of the ustar header.
type field struct {
	name     string
	off, len int
}

var fields = [...]field{
	{"name", 0, 100},
	{"mode", 100, 8},
	{"uid", 108, 8},
	{"gid", 116, 8},
	{"size", 124, 12},
	{"mtime", 136, 12},
	{"checksum", 148, 8},
	{"type", 156, 1},
	{"linkname", 157, 100},
	{"magic", 257, 8},
	{"uname", 265, 32},
	{"gname", 297, 32},
	{"devmajor", 329, 8},
	{"devminor", 337, 8},
	{"prefix", 345, 155},
	{"reserved", 500, 12},
}

// Places of the fields we read before we compare.
const (
	offSize     = 124
	offChecksum = 148
	offType     = 156
	offMagic    = 257
	offPrefix   = 345
)

// appendHeader appends every block in front of a member's bytes: one, or three when path or size needs PAX.
func appendHeader(dst []byte, name string, size int64) []byte {
	prefix, base, ok := splitName(name)
	if ok && size <= octalMax {
		return appendUstar(dst, prefix, base, size, '0')
	}
	var records []byte
	if !ok {
		records = appendRecord(records, "path", name)
		prefix, base = "", name[:nameMax]
	}
	if size > octalMax {
		records = appendRecord(records, "size", strconv.FormatInt(size, 10))
		size = 0
	}
	dst = appendUstar(dst, "", paxName, int64(len(records)), 'x')
	dst = append(dst, records...)
	dst = append(dst, make([]byte, padding(int64(len(records))))...)
	return appendUstar(dst, prefix, base, size, '0')
}

// splitName divides a name into prefix and base with the longest prefix that fits; false: only PAX can hold it.
func splitName(name string) (prefix, base string, ok bool) {
	if len(name) <= nameMax {
		return "", name, true
	}
	i := strings.LastIndexByte(name[:min(len(name), prefixMax+1)], '/')
	if i <= 0 || len(name)-i-1 > nameMax {
		return "", "", false
	}
	return name[:i], name[i+1:], true
}

func appendUstar(dst []byte, prefix, base string, size int64, kind byte) []byte {
	var b [blockSize]byte
	copy(b[:], base)
	copy(b[100:], "0000644\x000000000\x000000000\x00")
	copy(b[offSize:], fmt.Sprintf("%011o\x00", size))
	copy(b[136:], "00000000000\x00")
	b[offType] = kind
	copy(b[offMagic:], "ustar\x0000")
	copy(b[329:], "0000000\x000000000\x00")
	copy(b[offPrefix:], prefix)
	copy(b[offChecksum:], fmt.Sprintf("%06o\x00 ", checksum(&b)))
	return append(dst, b[:]...)
}

// checksum is the sum of all bytes with the field itself read as spaces.
func checksum(b *[blockSize]byte) int {
	sum := 8 * int(' ')
	for i, c := range b {
		if i < offChecksum || i >= offChecksum+8 {
			sum += int(c)
		}
	}
	return sum
}

// appendRecord appends `LENGTH key=value LF`, where LENGTH counts its own digits.
func appendRecord(dst []byte, key, value string) []byte {
	rest := len(" =\n") + len(key) + len(value)
	n := rest + len(strconv.Itoa(rest))
	if n = rest + len(strconv.Itoa(n)); n != rest+len(strconv.Itoa(n)) {
		n++
	}
	return fmt.Appendf(dst, "%d %s=%s\n", n, key, value)
}

// padding is how many zero bytes follow n bytes up to the next block.
func padding(n int64) int { return int(-n & (blockSize - 1)) }
