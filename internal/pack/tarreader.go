package pack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"sallyport/internal/code"
)

// TarReader reads an archive that TarWriter could have written, byte for byte, and refuses every other.
// The archive is attacker-controlled; at most one block and 1 KiB of PAX records are held. Not for concurrent use.
// It does not know which members are due, or that one comes twice: that is the manifest's work.
// Codes: tar, tar-type, tar-name, tar-header, tar-end, each with member, offset, expected and got; errors of the source
// come through as they are.
type TarReader struct {
	r    io.Reader
	off  int64 // bytes read
	name string
	left int64
	pad  int
	hdr  [blockSize]byte
	form []byte
	copy []byte
	err  error // sticky, io.EOF after a proper end
}

// NewTarReader makes a TarReader; nothing is read before Next.
func NewTarReader(r io.Reader) *TarReader { return &TarReader{r: r} }

// Next goes to the next member; what is left of the one before is read and dropped. io.EOF comes only after the two zero
// blocks and the end of the source, so the whole stream below has been judged by then.
func (t *TarReader) Next() (name string, size int64, err error) {
	if t.err != nil {
		return "", 0, t.err
	}
	if name, size, err = t.next(); err != nil {
		t.err = err
		return "", 0, err
	}
	t.name, t.left, t.pad = name, size, padding(size)
	return name, size, nil
}

func (t *TarReader) next() (string, int64, error) {
	if err := t.finish(); err != nil {
		return "", 0, err
	}
	start := t.off
	if err := t.block(); err != nil {
		return "", 0, t.cut(err, code.TarEnd, "the archive has no end blocks", "a header or two zero blocks")
	}
	if t.hdr == [blockSize]byte{} {
		return "", 0, t.end()
	}
	t.name = "" // the next one is not known yet
	if err := t.judge(start); err != nil {
		return "", 0, err
	}
	if t.hdr[offType] == 'x' {
		return t.pax(start)
	}
	name := joinName(&t.hdr)
	size, err := t.octal(start)
	if err != nil {
		return "", 0, err
	}
	return name, size, t.same(start, t.hdr[:], name, size)
}

// finish passes what is left of the open member and its padding, which must be zero.
func (t *TarReader) finish() error {
	if t.left > 0 {
		if _, err := t.WriteTo(io.Discard); err != nil {
			return err
		}
	}
	if t.pad == 0 {
		return nil
	}
	at := t.off
	if err := t.full(t.hdr[:t.pad]); err != nil {
		return t.cut(err, code.TarBad, "the archive is cut in the padding", "zero bytes")
	}
	if i := bytes.IndexFunc(t.hdr[:t.pad], func(r rune) bool { return r != 0 }); i >= 0 {
		return code.New(code.TarBad, "padding that is not zero").In(t.name, place(at+int64(i))).Want("00", fmt.Sprintf("%02x", t.hdr[i]))
	}
	t.pad = 0
	return nil
}

func (t *TarReader) block() error { return t.full(t.hdr[:]) }

func (t *TarReader) full(b []byte) error {
	n, err := io.ReadFull(t.r, b)
	t.off += int64(n)
	return err
}

// cut turns an end of the source at a place where more is due into a code; other errors are the source's own.
func (t *TarReader) cut(err error, c code.Code, msg, want string) error {
	if err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	return code.New(c, "%s", msg).In(t.name, place(t.off)).Want(want, "the end")
}

// end is behind the first zero block.
func (t *TarReader) end() error {
	at := t.off
	if err := t.block(); err != nil {
		return t.cut(err, code.TarEnd, "the archive has one end block", "a second zero block")
	}
	if t.hdr != [blockSize]byte{} {
		return code.New(code.TarEnd, "the archive goes on behind a zero block").In("", place(at)).Want("a second zero block", "other bytes")
	}
	var one [1]byte
	n, err := io.ReadFull(t.r, one[:])
	if n > 0 {
		return code.New(code.TarEnd, "bytes behind the end of the archive").In("", place(t.off)).Want("the end", fmt.Sprintf("%02x", one[0]))
	}
	return err
}

// judge looks at what every header must have before its fields mean anything.
func (t *TarReader) judge(at int64) error {
	want := fmt.Sprintf("%06o\x00 ", checksum(&t.hdr))
	if got := string(t.hdr[offChecksum : offChecksum+8]); got != want {
		return code.New(code.TarBad, "a header with a wrong checksum").In(clip(joinName(&t.hdr)), place(at+offChecksum)).Want(strconv.Quote(want), strconv.Quote(got))
	}
	switch k := t.hdr[offType]; k {
	case '0', 'x', 0:
		return nil
	default:
		return code.New(code.TarType, "not a regular file: %s", typeWord(k)).In(clip(joinName(&t.hdr)), place(at+offType)).Want(`"0"`, fmt.Sprintf("%q", string(k)))
	}
}

func typeWord(k byte) string {
	words := map[byte]string{
		'1': "a hard link", '2': "a symbolic link", '3': "a character device", '4': "a block device",
		'5': "a directory", '6': "a FIFO", '7': "a contiguous file", 'g': "global PAX records", 'L': "a GNU long name",
		'K': "a GNU long link", 'S': "a GNU sparse file",
	}
	if w := words[k]; w != "" {
		return w
	}
	return "an unknown type"
}

// clip keeps foreign names in errors short.
func clip(s string) string { return s[:min(len(s), 128)] }

func joinName(b *[blockSize]byte) string {
	name, prefix := cstring(b[:nameMax]), cstring(b[offPrefix:offPrefix+prefixMax])
	if prefix == "" {
		return name
	}
	return prefix + "/" + name
}

func cstring(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// octal reads the size: eleven octal digits and a NUL, nothing else.
func (t *TarReader) octal(at int64) (int64, error) {
	f := t.hdr[offSize : offSize+12]
	n, err := strconv.ParseUint(string(f[:11]), 8, 63)
	if err != nil || f[11] != 0 {
		return 0, code.New(code.TarHeader, "a size that is not eleven octal digits").In(clip(joinName(&t.hdr)), place(at+offSize)).
			Want("eleven octal digits and NUL", fmt.Sprintf("%q", f))
	}
	return int64(n), nil
}

// pax reads PAX records and the header they belong to.
func (t *TarReader) pax(start int64) (string, int64, error) {
	n, err := t.octal(start)
	if err != nil {
		return "", 0, err
	}
	if n > paxMax {
		return "", 0, code.New(code.TarHeader, "PAX records over the limit").In("", place(start+offSize)).Want(fmt.Sprintf("≤ %d bytes", paxMax), n)
	}
	got := append([]byte(nil), t.hdr[:]...)
	records := make([]byte, n+int64(padding(n)))
	at := t.off
	if err := t.full(records); err != nil {
		return "", 0, t.cut(err, code.TarBad, "the archive is cut in PAX records", fmt.Sprintf("%d bytes", len(records)))
	}
	path, size, err := parseRecords(records[:n], at)
	if err != nil {
		return "", 0, err
	}
	head := t.off
	if err := t.block(); err != nil {
		return "", 0, t.cut(err, code.TarBad, "PAX records without a header", "a header")
	}
	if err := t.judge(head); err != nil {
		return "", 0, err
	}
	if path == "" {
		path = joinName(&t.hdr)
	}
	if size < 0 {
		if size, err = t.octal(head); err != nil {
			return "", 0, err
		}
	}
	got = append(append(got, records...), t.hdr[:]...)
	return path, size, t.same(start, got, path, size)
}

// parseRecords takes path ("" when absent) and size (-1) out of PAX records that hold nothing else.
func parseRecords(b []byte, at int64) (path string, size int64, err error) {
	size = -1
	for rest := string(b); rest != ""; {
		bad := code.New(code.TarHeader, "PAX records that are malformed").In("", place(at+int64(len(b)-len(rest)))).Want("LENGTH path=… or size=…", fmt.Sprintf("%.64q", rest))
		digits, _, ok := strings.Cut(rest, " ")
		n, err := strconv.Atoi(digits)
		if !ok || err != nil || n <= len(digits)+1 || n > len(rest) || rest[n-1] != '\n' {
			return "", 0, bad
		}
		key, value, ok := strings.Cut(rest[len(digits)+1:n-1], "=")
		switch {
		case ok && key == "path":
			path = value
		case ok && key == "size":
			if size, err = strconv.ParseInt(value, 10, 64); err != nil || size < 0 {
				return "", 0, bad
			}
		default:
			bad.Msg = "a PAX record that our writer does not write"
			return "", 0, bad
		}
		rest = rest[n:]
	}
	return path, size, nil
}

// same demands that the bytes read are what our writer makes of name and size.
func (t *TarReader) same(start int64, got []byte, name string, size int64) error {
	if err := CheckPath(name); err != nil {
		var e *code.Error
		if errors.As(err, &e) {
			e.Place = place(start)
		}
		return err
	}
	t.form = appendHeader(t.form[:0], name, size)
	if bytes.Equal(t.form, got) {
		return nil
	}
	if len(t.form) != len(got) {
		return code.New(code.TarHeader, "PAX records where none are due, or none where they are").In(name, place(start)).
			Want(fmt.Sprintf("%d header bytes", len(t.form)), len(got))
	}
	return t.difference(start, got, name)
}

// difference names the first field that makes a header differ. The checksum is never it: it only follows the others.
func (t *TarReader) difference(start int64, got []byte, name string) error {
	for base := 0; base < len(got); base += blockSize {
		row := fields[:]
		if base > 0 && base < len(got)-blockSize {
			row = []field{{"the PAX records", 0, blockSize}}
		}
		for _, f := range row {
			a, b := base+f.off, base+f.off+f.len
			if f.off != offChecksum && !bytes.Equal(got[a:b], t.form[a:b]) {
				return t.differs(start, got, name, f, base)
			}
		}
	}
	return code.New(code.TarHeader, "a header that our writer does not write").In(name, place(start))
}

func (t *TarReader) differs(start int64, got []byte, name string, f field, base int) error {
	a, b := base+f.off, base+f.off+f.len
	return code.New(code.TarHeader, "%s is not as our writer writes it", f.name).In(name, place(start+int64(a))).
		Want(fmt.Sprintf("%.40q", t.form[a:b]), fmt.Sprintf("%.40q", got[a:b]))
}

// Read gives bytes of the member Next went to; io.EOF behind its last.
func (t *TarReader) Read(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	if t.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > t.left {
		p = p[:t.left]
	}
	n, err := t.r.Read(p)
	return n, t.passed(n, err)
}

// passed counts bytes of the member and judges the source's error.
func (t *TarReader) passed(n int, err error) error {
	t.off += int64(n)
	t.left -= int64(n)
	if err == nil || err == io.EOF && t.left == 0 {
		return nil
	}
	t.err = t.cut(err, code.TarBad, "the archive is cut in a member", fmt.Sprintf("%d more bytes", t.left))
	return t.err
}

// WriteTo writes the rest of the member to w; on top of a Reader without copying.
func (t *TarReader) WriteTo(w io.Writer) (total int64, err error) {
	for t.err == nil && t.left > 0 {
		b, err := t.some()
		if len(b) > 0 {
			n, err := w.Write(b)
			total += int64(n)
			if err != nil {
				t.err = fmt.Errorf("copy tar member: %w", err) // the place in the archive is lost
				return total, err
			}
		}
		if err != nil {
			return total, err
		}
	}
	if t.err == io.EOF {
		return total, nil
	}
	return total, t.err
}

// some takes the next bytes of the member, valid until the next call.
func (t *TarReader) some() ([]byte, error) {
	if r, ok := t.r.(*Reader); ok {
		b, err := r.peek(int(min(t.left, FrameMax)))
		r.skip(len(b))
		return b, t.passed(len(b), err)
	}
	if t.copy == nil {
		t.copy = make([]byte, bufferSize)
	}
	n, err := t.r.Read(t.copy[:min(t.left, bufferSize)])
	return t.copy[:n], t.passed(n, err)
}
