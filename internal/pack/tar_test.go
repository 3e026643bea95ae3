package pack

import (
	stdtar "archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"sallyport/internal/code"
)

type member struct {
	name string
	body []byte
}

func archive(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewTarWriter(&b)
	for _, m := range members {
		if err := w.Header(m.name, int64(len(m.body))); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// unpack reads a whole archive, at most 1 MiB of each member.
func unpack(r io.Reader) (members []member, err error) {
	t := NewTarReader(r)
	for {
		name, _, err := t.Next()
		if err == io.EOF {
			return members, nil
		}
		if err != nil {
			return members, err
		}
		body, err := io.ReadAll(io.LimitReader(t, 1<<20))
		if err != nil {
			return members, err
		}
		members = append(members, member{name, body})
	}
}

// long makes a valid name of n bytes: parts of at most 40 bytes.
func long(n int) string {
	s := strings.Repeat(strings.Repeat("a", 40)+"/", n/41+1)[:n]
	return strings.TrimSuffix(s, "/") + strings.Repeat("b", len(s)-len(strings.TrimSuffix(s, "/")))
}

func goodMembers() []member {
	return []member{
		{"signatures/export.dsse.json", []byte("{}")},
		{"empty", nil},
		{"block", make([]byte, 512)},
		{"block-1", make([]byte, 511)},
		{"block+1"[:5] + "x", make([]byte, 513)},
		{long(99), []byte("99")},
		{long(100), []byte("100")},
		{long(101), []byte("101")},
		{long(155), []byte("155")},
		{long(256), []byte("256")},
		{long(257), []byte("257")},
		{long(512), []byte("512")},
		{strings.Repeat("n", 101), []byte("no slash to split at")},
		{strings.Repeat("p", 156) + "/x", []byte("prefix too long")},
		{"d/" + strings.Repeat("n", 101), []byte("base too long")},
		{strings.Repeat("c", 255), []byte("a part of 255 bytes")},
		{strings.Repeat("p/", 15) + "x", text(1, 100000)},
	}
}

func TestTarRoundTrip(t *testing.T) {
	in := goodMembers()
	b := archive(t, in...)
	for name, r := range map[string]io.Reader{"": bytes.NewReader(b), "by one": iotest.OneByteReader(bytes.NewReader(b)), "EOF with data": iotest.DataErrReader(bytes.NewReader(b))} {
		out, err := unpack(r)
		if err != nil || len(out) != len(in) {
			t.Fatalf("%s: %d of %d members: %v", name, len(out), len(in), err)
		}
		for i := range in {
			if out[i].name != in[i].name || !bytes.Equal(out[i].body, in[i].body) {
				t.Errorf("%s: member %d: %q, %d bytes", name, i, out[i].name, len(out[i].body))
			}
		}
	}
	std := stdtar.NewReader(bytes.NewReader(b))
	for _, m := range in {
		h, err := std.Next()
		if err != nil || h.Name != m.name || h.Size != int64(len(m.body)) || h.Mode != 0o644 || h.Uid+h.Gid != 0 || h.ModTime.Unix() != 0 || h.Typeflag != '0' {
			t.Fatalf("archive/tar sees %+v, %v", h, err)
		}
	}
	list := strings.Fields(string(stock(t, b, "tar", "-t")))
	for i, m := range in {
		if i >= len(list) || list[i] != m.name {
			t.Errorf("tar -t sees other names: %v", list)
			break
		}
	}
}

// TestTarUsesPAXOnlyWhereDue counts the blocks in front of a member.
func TestTarUsesPAXOnlyWhereDue(t *testing.T) {
	for _, row := range []struct {
		name   string
		size   int64
		blocks int
	}{
		{"a", 0, 1},
		{long(100), 1, 1},
		{long(156), 1, 1},
		{strings.Repeat("n", 100), 1, 1},
		{strings.Repeat("n", 101), 1, 3},
		{long(300), 1, 3},
		{long(512), 1, 4},
		{"a", octalMax, 1},
		{"a", octalMax + 1, 3},
		{long(512), 1 << 50, 4},
	} {
		if got := len(appendHeader(nil, row.name, row.size)) / blockSize; got != row.blocks {
			t.Errorf("%d bytes of name, size %d: %d blocks, want %d", len(row.name), row.size, got, row.blocks)
		}
	}
}

func TestTarBigSizes(t *testing.T) {
	for _, size := range []int64{octalMax, octalMax + 1, 1 << 50} {
		for _, name := range []string{"a", long(512)} {
			r := NewTarReader(bytes.NewReader(appendHeader(nil, name, size)))
			if got, n, err := r.Next(); err != nil || got != name || n != size {
				t.Errorf("%q %d bytes: %d, %v", got, size, n, err)
			}
			h, err := stdtar.NewReader(bytes.NewReader(appendHeader(nil, name, size))).Next()
			if err != nil || h.Size != size || h.Name != name {
				t.Errorf("archive/tar: %+v, %v", h, err)
			}
		}
	}
}

func TestTarRecordLength(t *testing.T) {
	for n := 1; n < 1200; n++ {
		r := appendRecord(nil, "path", strings.Repeat("x", n))
		var said int
		if fmt.Sscan(string(r), &said); said != len(r) {
			t.Fatalf("a record of %d bytes says %d", len(r), said)
		}
	}
}

func TestTarWriterRefuses(t *testing.T) {
	w := NewTarWriter(io.Discard)
	if err := w.Header("../x", 1); code.Of(err) != code.TarName {
		t.Errorf("%v", err)
	}
	for name, f := range map[string]func(*TarWriter) error{
		"too much":         func(w *TarWriter) error { _, err := w.Write(make([]byte, 11)); return err },
		"close too early":  (*TarWriter).Close,
		"header too early": func(w *TarWriter) error { return w.Header("b", 1) },
		"negative":         func(w *TarWriter) error { w.left = 0; return w.Header("b", -1) },
	} {
		w := NewTarWriter(io.Discard)
		if err := w.Header("a", 10); err != nil {
			t.Fatal(err)
		}
		if f(w) == nil {
			t.Errorf("%s: no error", name)
		}
		if w.Close() == nil {
			t.Errorf("%s: the error is not kept", name)
		}
	}
	w = NewTarWriter(&failing{})
	if err := w.Header("a", 0); !errors.Is(err, errDisk) {
		t.Errorf("%v", err)
	}
}

func TestTarSkipsWhatIsNotRead(t *testing.T) {
	b := archive(t, member{"a", text(1, 100000)}, member{"b", []byte("b")})
	r := NewTarReader(bytes.NewReader(b))
	r.Next()
	r.Read(make([]byte, 10))
	if name, _, err := r.Next(); name != "b" || err != nil {
		t.Fatalf("%q %v", name, err)
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Errorf("%v", err)
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Errorf("again: %v", err)
	}
}

func TestTarErrorsOfTheSource(t *testing.T) {
	b := archive(t, member{long(300), text(1, 5000)}, member{"b", []byte("b")})
	for n := 0; n <= len(b); n += 100 {
		if _, err := unpack(io.MultiReader(bytes.NewReader(b[:n]), iotest.ErrReader(errDisk))); !errors.Is(err, errDisk) {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
}

// TestPayloadRoundTrip is the whole outer stream: tar in zstd, both ways, ours and stock.
func TestPayloadRoundTrip(t *testing.T) {
	in := append(goodMembers(), member{"big.jsonl.zst", noise(3, 3<<20)}, member{"big.json", text(4, 5<<20)})
	var packed bytes.Buffer
	o := NewOuterWriter(&packed, 2)
	w := NewTarWriter(o)
	for _, m := range in {
		o.Stored(strings.HasSuffix(m.name, ".zst"))
		if err := w.Header(m.name, int64(len(m.body))); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), o.Close()); err != nil {
		t.Fatal(err)
	}
	z := NewReader(bytes.NewReader(packed.Bytes()))
	defer z.Close()
	r := NewTarReader(z)
	for _, m := range in {
		name, size, err := r.Next()
		if err != nil || name != m.name || size != int64(len(m.body)) {
			t.Fatalf("%q %d: %v", name, size, err)
		}
		var got bytes.Buffer
		if n, err := io.Copy(&got, r); n != size || err != nil || !bytes.Equal(got.Bytes(), m.body) {
			t.Errorf("%q: %d bytes, %v", name, n, err)
		}
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Errorf("end: %v", err)
	}
	plain := stock(t, packed.Bytes(), "zstd", "-dc")
	dir := t.TempDir()
	stock(t, plain, "tar", "-x", "-C", dir)
	for _, m := range in {
		if b, err := os.ReadFile(filepath.Join(dir, m.name)); err != nil || !bytes.Equal(b, m.body) {
			t.Errorf("tar -x %q: %d bytes, %v", m.name, len(b), err)
		}
	}
}

// edit changes bytes of the header block at off and makes its checksum right again.
func edit(b []byte, off, at int, to string) []byte {
	b = bytes.Clone(b)
	copy(b[off+at:], to)
	return seal(b, off)
}

func seal(b []byte, off int) []byte {
	h := (*[blockSize]byte)(b[off : off+blockSize])
	copy(h[offChecksum:], fmt.Sprintf("%06o\x00 ", checksum(h)))
	return b
}

// pax puts PAX records in front of a member, as any writer might.
func pax(records string, kind byte, then []byte) []byte {
	b := appendUstar(nil, "", paxName, int64(len(records)), kind)
	b = append(b, records...)
	b = append(b, make([]byte, padding(int64(len(records))))...)
	return append(b, then...)
}

func record(key, value string) string { return string(appendRecord(nil, key, value)) }

// named is a one-member archive whose name nobody checked.
func named(name string) []byte {
	b := appendHeader(nil, name, 0)
	return append(b, make([]byte, 2*blockSize)...)
}

func base256(n int64) string {
	b := make([]byte, 12)
	binary.BigEndian.PutUint64(b[4:], uint64(n))
	b[0] |= 0x80
	if n < 0 {
		copy(b, "\xff\xff\xff\xff")
	}
	return string(b)
}

func TestHostileTar(t *testing.T) {
	one := archive(t, member{"mirror/export.json", []byte("hello")})
	end := make([]byte, 2*blockSize)
	link := func(kind string, to string) []byte {
		return seal(edit(edit(one, 0, offType, kind), 0, 157, to), 0)
	}
	longName := append(appendHeader(nil, long(300), 5), one[blockSize:]...)
	for _, row := range []struct {
		name string
		file []byte
		want code.Code
	}{
		{"as it must be", one, ""},
		{"with PAX as it must be", longName, ""},
		{"../x", named("../x"), code.TarName},
		{"absolute", named("/etc/passwd"), code.TarName},
		{"a/../../x", named("a/../../x"), code.TarName},
		{"backslash", named(`a\x`), code.TarName},
		{"drive", named("C:x"), code.TarName},
		{"empty", named(""), code.TarName},
		{"dot", named("."), code.TarName},
		{"dot part", named("a/./b"), code.TarName},
		{"two slashes", named("a//b"), code.TarName},
		{"trailing slash", named("a/"), code.TarName},
		{"17 parts", named(strings.Repeat("a/", 16) + "x"), code.TarName},
		{"10,000 levels", named(strings.Repeat("a/", 120) + "x"), code.TarName},
		{"513 bytes", named(long(513)), code.TarName},
		{"10,000 levels in PAX", pax(record("path", strings.Repeat("a/", 10000)+"x"), 'x', one), code.TarHeader},
		{"4 KiB path", pax(record("path", strings.Repeat("a", 4096)), 'x', one), code.TarHeader},
		{"NUL in a PAX path", pax(record("path", "a\x00b"), 'x', one), code.TarName},
		{"newline in a PAX path", pax(record("path", "a\nb"), 'x', one), code.TarName},
		{"ESC in a PAX path", pax(record("path", "a\x1b[2Jb"), 'x', one), code.TarName},
		{"a space", named("a b"), code.TarName},
		{"UTF-8", named("ä"), code.TarName},
		{"invalid UTF-8", named("a\xff"), code.TarName},
		{"symlink in", link("2", "export.json"), code.TarType},
		{"symlink out", link("2", "/etc/shadow"), code.TarType},
		{"hardlink", link("1", "mirror/export.json"), code.TarType},
		{"char device", link("3", ""), code.TarType},
		{"block device", link("4", ""), code.TarType},
		{"directory", link("5", ""), code.TarType},
		{"FIFO", link("6", ""), code.TarType},
		{"contiguous", link("7", ""), code.TarType},
		{"unknown type", link("Z", ""), code.TarType},
		{"old GNU sparse", link("S", ""), code.TarType},
		{"GNU long name", link("L", ""), code.TarType},
		{"multi-volume", link("M", ""), code.TarType},
		{"old regular file", edit(one, 0, offType, "\x00"), code.TarHeader},
		{"link name of a file", edit(one, 0, 157, "x"), code.TarHeader},
		{"setuid", edit(one, 0, 100, "0004755"), code.TarHeader},
		{"mode 0600", edit(one, 0, 100, "0000600"), code.TarHeader},
		{"odd uid", edit(one, 0, 108, "0001750"), code.TarHeader},
		{"odd gid", edit(one, 0, 116, "0001750"), code.TarHeader},
		{"negative mtime", edit(one, 0, 136, base256(-1)), code.TarHeader},
		{"an mtime", edit(one, 0, 136, "14000000000"), code.TarHeader},
		{"user name", edit(one, 0, 265, "root"), code.TarHeader},
		{"group name", edit(one, 0, 297, "root"), code.TarHeader},
		{"device number", edit(one, 0, 329, "0000001"), code.TarHeader},
		{"reserved bytes", edit(one, 0, 500, "x"), code.TarHeader},
		{"bytes behind the name's NUL", edit(one, 0, 60, "x"), code.TarHeader},
		{"GNU magic", edit(one, 0, offMagic, "ustar  \x00"), code.TarHeader},
		{"no magic", edit(one, 0, offMagic, "\x00\x00\x00\x00\x00\x00\x00\x00"), code.TarHeader},
		{"base-256 size", edit(one, 0, offSize, base256(5)), code.TarHeader},
		{"negative size", edit(one, 0, offSize, base256(-5)), code.TarHeader},
		{"overflowing size", edit(one, 0, offSize, base256(1<<62)), code.TarHeader},
		{"size with spaces", edit(one, 0, offSize, "         5 \x00"), code.TarHeader},
		{"size with a sign", edit(one, 0, offSize, "+0000000005"), code.TarHeader},
		{"size without NUL", edit(one, 0, offSize, "000000000005"), code.TarHeader},
		{"a size of 8 GiB − 1 in a short file", edit(one, 0, offSize, "77777777777"), code.TarBad},
		{"size one low", edit(one, 0, offSize, "00000000004"), code.TarBad},
		{"wrong checksum", func() []byte { b := bytes.Clone(one); b[offChecksum] ^= 1; return b }(), code.TarBad},
		{"new GNU sparse", pax(record("GNU.sparse.major", "1")+record("GNU.sparse.minor", "0")+record("GNU.sparse.name", "x"), 'x', one), code.TarHeader},
		{"a million sparse regions", pax(record("GNU.sparse.map", strings.Repeat("0,1,", 1<<20)), 'x', one), code.TarHeader},
		{"PAX over 1 MiB", pax(record("comment", strings.Repeat("x", 1<<20)), 'x', one), code.TarHeader},
		{"PAX said to be 8 GiB", edit(pax(record("path", "a"), 'x', one), 0, offSize, "77777777777"), code.TarHeader},
		{"global PAX", pax(record("path", "a"), 'g', one), code.TarType},
		{"PAX before PAX", pax(record("path", long(300)), 'x', pax(record("path", long(301)), 'x', one)), code.TarHeader},
		{"PAX with an mtime", pax(record("mtime", "1.5"), 'x', one), code.TarHeader},
		{"PAX with a link", pax(record("linkpath", "/etc"), 'x', one), code.TarHeader},
		{"PAX without need", pax(record("path", "mirror/export.json"), 'x', one), code.TarHeader},
		{"PAX size without need", pax(record("size", "5"), 'x', one), code.TarHeader},
		{"PAX negative size", pax(record("size", "-5"), 'x', one), code.TarHeader},
		{"PAX overflowing size", pax(record("size", "9223372036854775808"), 'x', one), code.TarHeader},
		{"PAX path twice", pax(record("path", long(300))+record("path", long(300)), 'x', one), code.TarHeader},
		{"PAX in other order", pax(record("size", "8589934592")+record("path", long(300)), 'x', one), code.TarHeader},
		{"PAX empty", pax("", 'x', one), code.TarHeader},
		{"PAX length 0", pax("0 path=a\n", 'x', one), code.TarHeader},
		{"PAX length high", pax("99 path=a\n", 'x', one), code.TarHeader},
		{"PAX length low", pax("9 path=a\n", 'x', one), code.TarHeader},
		{"PAX length negative", pax("-9 path=a\n", 'x', one), code.TarHeader},
		{"PAX length with zeros", pax("0010 path=a\n"[:12], 'x', one), code.TarHeader},
		{"PAX without a header", pax(record("path", long(300)), 'x', nil), code.TarBad},
		{"PAX before the end", pax(record("path", long(300)), 'x', end), code.TarBad},
		{"PAX before a symlink", pax(record("path", long(300)), 'x', link("2", "x")), code.TarType},
		{"PAX padding", func() []byte { b := bytes.Clone(longName); b[2*blockSize-1] = 1; return b }(), code.TarHeader},
		{"PAX other base name", edit(longName, 2*blockSize, 0, "x"), code.TarHeader},
		{"prefix where the name fits", edit(one, 0, offPrefix, "x"), code.TarHeader},
		{"no end blocks", one[:2*blockSize], code.TarEnd},
		{"one end block", one[:3*blockSize], code.TarEnd},
		{"a header behind one zero block", append(bytes.Clone(one[:3*blockSize]), one...), code.TarEnd},
		{"garbage after", append(bytes.Clone(one), 'x'), code.TarEnd},
		{"a third zero block", append(bytes.Clone(one), make([]byte, blockSize)...), code.TarEnd},
		{"a second tar behind", append(bytes.Clone(one), one...), code.TarEnd},
		{"nothing", nil, code.TarEnd},
		{"cut in a header", one[:100], code.TarEnd},
		{"cut in a member", one[:blockSize+3], code.TarBad},
		{"cut in the padding", one[:blockSize+100], code.TarBad},
		{"padding not zero", func() []byte { b := bytes.Clone(one); b[blockSize+9] = 'x'; return b }(), code.TarBad},
		{"no tar at all", text(1, 4096), code.TarBad},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := unpack(bytes.NewReader(row.file))
			if code.Of(err) != row.want {
				t.Errorf("code %q, want %q: %v", code.Of(err), row.want, err)
			}
			var e *code.Error
			if errors.As(err, &e) && (e.Place == "" || e.Expected == "" || e.Got == "") {
				t.Errorf("offset, expected or got is missing: %+v", e)
			}
		})
	}
}

func TestTarErrorNamesTheField(t *testing.T) {
	b := archive(t, member{"a", []byte("hello")}, member{"mirror/x", []byte("hello")})
	_, err := unpack(bytes.NewReader(edit(b, 2*blockSize, 108, "0001750")))
	var e *code.Error
	if !errors.As(err, &e) || e.File != "mirror/x" || e.Place != fmt.Sprintf("offset %d", 2*blockSize+108) || !strings.Contains(e.Msg, "uid") || !strings.Contains(e.Got, "1750") {
		t.Errorf("%+v", e)
	}
}

func TestCheckPath(t *testing.T) {
	for _, good := range []string{"a", "a/b", "README.md", ".hidden", "a..b", "...", "-x", "_", strings.Repeat("a", 512), strings.Repeat("a/", 15) + "b", strings.Repeat("c", 255)} {
		if err := CheckPath(good); err != nil {
			t.Errorf("%.30q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "./a", "a/.", "a/..", "a/../b", "a b", "a\x00", "a\n", "ä", "a:b", `a\b`, "a*", strings.Repeat("a", 513), strings.Repeat("a/", 16) + "b", "\u212a", "a\u202eb", "a\u200b"} {
		if err := CheckPath(bad); code.Of(err) != code.TarName {
			t.Errorf("%.30q: %v", bad, err)
		}
	}
}

// FuzzTar: whatever is accepted is, byte for byte, what our writer makes of what was read.
func FuzzTar(f *testing.F) {
	f.Add(archive(f, goodMembers()[:4]...))
	f.Add(archive(f, member{long(257), []byte("x")}))
	f.Add(archive(f))
	f.Add(pax(record("path", long(300)), 'x', archive(f, member{"a", []byte("b")})))
	f.Fuzz(func(t *testing.T, b []byte) {
		members, err := unpack(bytes.NewReader(b))
		if err != nil {
			switch code.Of(err) {
			case code.TarBad, code.TarType, code.TarName, code.TarHeader, code.TarEnd:
			default:
				t.Errorf("no code of ours: %v", err)
			}
			return
		}
		if !bytes.Equal(archive(t, members...), b) {
			t.Error("an archive was accepted that our writer would not write")
		}
	})
}
