package hostile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/forge"
)

// The archive's form, written here a second time on purpose: what makes hostile archives must not share code with what reads them.
const (
	block       = 512
	offMode     = 100
	offUID      = 108
	offSize     = 124
	offMtime    = 136
	offChecksum = 148
	offType     = 156
	offLink     = 157
	front       = 4 // members before the contents
)

// header is the ustar header of a member, whatever its name.
func header(name string, size int64, kind byte) []byte {
	h := make([]byte, block)
	prefix := ""
	if len(name) > 100 {
		prefix, name = name[:min(155, len(name)-100)], name[min(155, len(name)-100):]
	}
	copy(h[:100], name)
	copy(h[offMode:], "0000644\x000000000\x000000000\x00")
	copy(h[offSize:], fmt.Sprintf("%011o\x00%011o\x00", size, 0))
	h[offType] = kind
	copy(h[257:], "ustar\x0000")
	copy(h[329:], "0000000\x000000000\x00")
	copy(h[345:500], prefix)
	return summed(h)
}

// summed makes the checksum of a header right.
func summed(h []byte) []byte {
	copy(h[offChecksum:], "        ")
	sum := 0
	for _, c := range h[:block] {
		sum += int(c)
	}
	copy(h[offChecksum:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

func padded(b []byte) []byte {
	return append(bytes.Clone(b), make([]byte, (block-len(b)%block)%block)...)
}

// pax are PAX records in front of the member then.
func pax(kind byte, then []byte, pairs ...string) []byte {
	var records []byte
	for i := 0; i < len(pairs); i += 2 {
		rest := len(pairs[i]) + len(pairs[i+1]) + 3 // a space, an equals sign and a newline
		total := rest + 1
		for total != rest+len(fmt.Sprint(total)) {
			total++
		}
		records = append(records, fmt.Sprintf("%d %s=%s\n", total, pairs[i], pairs[i+1])...)
	}
	return append(append(header("PaxHeader", int64(len(records)), kind), padded(records)...), then...)
}

// base256 is a number as GNU tar writes it.
func base256(n int64) string {
	b := make([]byte, 12)
	binary.BigEndian.PutUint64(b[4:], uint64(n))
	b[0] |= 0x80
	if n < 0 {
		copy(b, "\xff\xff\xff\xff")
	}
	return string(b)
}

// inserted is an archive with foreign blocks before its first content.
func inserted(blocks []byte) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) {
		p.Tar = func(ms []forge.Member) []byte {
			head, rest := must(forge.Tar(ms[:front])), must(forge.Tar(ms[front:]))
			return append(append(head[:len(head)-2*block:len(head)-2*block], blocks...), rest...)
		}
	}
}

// field writes into the header of the first content and makes its checksum right.
func field(at int, to string) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) {
		p.Tar = func(ms []forge.Member) []byte {
			tar := must(forge.Tar(ms))
			off := len(must(forge.Tar(ms[:front]))) - 2*block
			copy(tar[off+at:], to)
			summed(tar[off:])
			return tar
		}
	}
}

// archive edits the bytes of the whole archive.
func archive(edit func([]byte) []byte) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) { p.TarBytes = edit }
}

// members edits the list of members after the manifest was signed.
func members(edit func([]forge.Member) []forge.Member) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) { p.Members = edit }
}

func named(name string) func(*forge.World, *forge.Plan) { return inserted(header(name, 0, '0')) }

// typed is a member of another type; links lead to target.
func typed(name string, kind byte, target string) func(*forge.World, *forge.Plan) {
	h := header(name, 0, kind)
	copy(h[offLink:], target)
	return inserted(summed(h))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var containerCases = []Case{
	{Number: 1, Slug: "name-dotdot", Defect: "a member named ../x", Code: code.TarName, Plan: named("../x")},
	{Number: 2, Slug: "name-absolute", Defect: "a member with an absolute name", Code: code.TarName, Plan: named("/etc/passwd")},
	{Number: 3, Slug: "name-up-and-out", Defect: "a member named a/../../x", Code: code.TarName, Plan: named("a/../../x")},
	{Number: 4, Slug: "name-backslash", Defect: "a backslash in a member's name", Code: code.TarName, Plan: named(`..\..\x`)},
	{Number: 5, Slug: "name-drive", Defect: "a drive letter in a member's name", Code: code.TarName, Plan: named("C:x")},
	{Number: 6, Slug: "name-empty", Defect: "a member without a name", Code: code.TarName, Plan: named("")},
	{Number: 7, Slug: "name-dot", Defect: "a member named .", Code: code.TarName, Plan: named(".")},
	{Number: 8, Slug: "name-trailing-slash", Defect: "a plain file whose name ends with a slash", Code: code.TarName, Plan: named("mirror/x/")},
	{Number: 9, Slug: "pax-nul", Defect: "a NUL in a PAX path", Code: code.TarName, Plan: inserted(pax('x', header("a", 0, '0'), "path", "mirror/a\x00b"))},
	{Number: 10, Slug: "pax-newline", Defect: "a newline in a PAX path", Code: code.TarName, Plan: inserted(pax('x', header("a", 0, '0'), "path", "mirror/a\nb"))},
	{Number: 11, Slug: "pax-escape", Defect: "a terminal escape sequence in a PAX path", Code: code.TarName, Plan: inserted(pax('x', header("a", 0, '0'), "path", "mirror/\x1b[2J\x1b]0;owned\x07"))},
	{Number: 12, Slug: "component-255", Defect: "a signed path with a part of 255 bytes, which is allowed", Code: OK, Plan: added("mirror/" + strings.Repeat("c", 255))},
	{Number: 13, Slug: "path-4k", Defect: "a path of 4 KiB", Code: code.TarHeader, Plan: inserted(pax('x', header("a", 0, '0'), "path", strings.Repeat("abcdefg/", 512)+"x"))},
	{Number: 14, Slug: "levels-10000", Defect: "a path of 10,000 levels", Code: code.TarHeader, Plan: inserted(pax('x', header("a", 0, '0'), "path", strings.Repeat("a/", 10000)+"x"))},
	{Number: 15, Slug: "symlink-inside", Defect: "a symbolic link to another member", Code: code.TarType, Plan: typed("mirror/x", '2', "export.json")},
	{Number: 16, Slug: "symlink-outside", Defect: "a symbolic link out of the tree", Code: code.TarType, Plan: typed("mirror/x", '2', "/etc/shadow")},
	{
		Number: 17, Slug: "file-through-symlink", Defect: "a symbolic link to a directory and a file below it", Code: code.TarType,
		Plan: inserted(append(must(symlink("mirror/d", "/tmp")), header("mirror/d/x", 0, '0')...)),
	},
	{Number: 18, Slug: "hardlink", Defect: "a hard link", Code: code.TarType, Plan: typed("mirror/x", '1', "mirror/export.json")},
	{Number: 19, Slug: "character-device", Defect: "a character device", Code: code.TarType, Plan: typed("mirror/x", '3', "")},
	{Number: 20, Slug: "block-device", Defect: "a block device", Code: code.TarType, Plan: typed("mirror/x", '4', "")},
	{Number: 21, Slug: "fifo", Defect: "a FIFO", Code: code.TarType, Plan: typed("mirror/x", '6', "")},
	{Number: 22, Slug: "directory", Defect: "a directory", Code: code.TarType, Plan: typed("mirror/x", '5', "")},
	{Number: 23, Slug: "unknown-type", Defect: "a member of a type nobody defined", Code: code.TarType, Plan: typed("mirror/x", 'Z', "")},
	{Number: 24, Slug: "setuid", Defect: "a content with the setuid bit", Code: code.TarHeader, Plan: field(offMode, "0004755")},
	{Number: 25, Slug: "odd-uid", Defect: "a content with an owner", Code: code.TarHeader, Plan: field(offUID, "0001750")},
	{Number: 26, Slug: "negative-mtime", Defect: "a content made before 1970", Code: code.TarHeader, Plan: field(offMtime, base256(-1))},
	{Number: 27, Slug: "sparse-old", Defect: "an old GNU sparse file", Code: code.TarType, Plan: typed("mirror/x", 'S', "")},
	{
		Number: 28, Slug: "sparse-new", Defect: "a new GNU sparse file", Code: code.TarHeader,
		Plan: inserted(pax('x', header("a", 0, '0'), "GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name", "x")),
	},
	{
		Number: 29, Slug: "sparse-million", Defect: "a GNU sparse map of a million regions", Code: code.TarHeader,
		Plan: inserted(pax('x', header("a", 0, '0'), "GNU.sparse.map", strings.Repeat("0,1,", 1<<20))),
	},
	{
		Number: 30, Slug: "pax-1mib", Defect: "PAX records of more than 1 MiB", Code: code.TarHeader,
		Plan: inserted(pax('x', header("a", 0, '0'), "comment", strings.Repeat("x", 1<<20))),
	},
	{Number: 31, Slug: "pax-global", Defect: "global PAX records", Code: code.TarType, Plan: inserted(pax('g', nil, "path", "mirror/x"))},
	{Number: 32, Slug: "pax-linkpath", Defect: "PAX records that turn a file into a link", Code: code.TarHeader, Plan: inserted(pax('x', header("mirror/x", 0, '0'), "linkpath", "/etc/shadow"))},
	{
		Number: 33, Slug: "member-twice", Defect: "a content twice", Code: code.TarDuplicate,
		Plan: members(func(ms []forge.Member) []forge.Member { return append(ms[:front+1:front+1], ms[front:]...) }),
	},
	{
		Number: 34, Slug: "member-twice-folded", Defect: "a content again with a name that differs in case", Code: code.TarDuplicate,
		Plan: members(func(ms []forge.Member) []forge.Member { return append(ms, forge.Member{Name: "mirror/readme.MD"}) }),
	},
	{
		Number: 35, Slug: "manifest-twice", Defect: "a second envelope behind the contents", Code: code.TarDuplicate,
		Plan: members(func(ms []forge.Member) []forge.Member { return append(ms, ms[0]) }),
	},
	{
		Number: 36, Slug: "entry-extra", Defect: "a member that is not in the manifest", Code: code.EntryExtra,
		Plan: members(func(ms []forge.Member) []forge.Member {
			return append(ms, forge.Member{Name: "mirror/zz", Body: []byte("x")})
		}),
	},
	{
		Number: 37, Slug: "entry-missing", Defect: "an entry of the manifest without its member", Code: code.EntryMissing,
		Plan: members(func(ms []forge.Member) []forge.Member { return append(ms[:front+1:front+1], ms[front+2:]...) }),
	},
	{
		Number: 38, Slug: "last-entry-missing", Defect: "the last entry of the manifest without its member", Code: code.EntryMissing,
		Plan: members(func(ms []forge.Member) []forge.Member { return ms[:len(ms)-1] }),
	},
	{
		Number: 39, Slug: "members-swapped", Defect: "two contents in another order than signed", Code: code.TarOrder,
		Plan: members(func(ms []forge.Member) []forge.Member { ms[front], ms[front+1] = ms[front+1], ms[front]; return ms }),
	},
	{
		Number: 40, Slug: "signatures-swapped", Defect: "the Sigstore bundle before the raw signature", Code: code.TarOrder,
		Plan: members(func(ms []forge.Member) []forge.Member { ms[2], ms[3] = ms[3], ms[2]; return ms }),
	},
	{
		Number: 41, Slug: "nothing-inside", Defect: "an archive without members", Code: code.EntryMissing,
		Plan: members(func([]forge.Member) []forge.Member { return nil }),
	},
	{Number: 42, Slug: "no-end-blocks", Defect: "an archive without its end blocks", Code: code.TarEnd, Plan: archive(func(b []byte) []byte { return b[:len(b)-2*block] })},
	{Number: 43, Slug: "garbage-behind", Defect: "bytes behind the archive", Code: code.TarEnd, Plan: archive(func(b []byte) []byte { return append(b, "#!/bin/sh\n"...) })},
	{Number: 44, Slug: "second-archive", Defect: "a second archive behind the first", Code: code.TarEnd, Plan: archive(func(b []byte) []byte { return append(b, b...) })},
	{Number: 45, Slug: "base256-size", Defect: "a size as GNU tar writes big ones", Code: code.TarHeader, Plan: field(offSize, base256(5))},
	{Number: 46, Slug: "overflowing-size", Defect: "a size of 2^62", Code: code.TarHeader, Plan: field(offSize, base256(1<<62))},
	{Number: 47, Slug: "negative-size", Defect: "a negative size", Code: code.TarHeader, Plan: field(offSize, base256(-1))},
	{Number: 48, Slug: "size-8gib", Defect: "a size of 8 GiB − 1 in a small archive", Code: code.EntrySize, Plan: field(offSize, "77777777777")},
	{Number: 49, Slug: "cut-in-a-member", Defect: "an archive cut in the middle of a content", Code: code.TarBad, Plan: archive(func(b []byte) []byte { return b[:len(b)-2*block-300] })},
	{Number: 50, Slug: "header-checksum", Defect: "a header with a wrong checksum", Code: code.TarBad, Plan: archive(func(b []byte) []byte { b[offChecksum] ^= 1; return b })},
	{
		Number: 51, Slug: "padding-not-zero", Defect: "something hidden in the padding", Code: code.TarBad,
		Plan: archive(func(b []byte) []byte { b[len(b)-2*block-1] = 'x'; return b }),
	},
}

func symlink(name, target string) ([]byte, error) {
	h := header(name, 0, '2')
	copy(h[offLink:], target)
	return summed(h), nil
}

// added is one more signed content for people.
func added(name string) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) {
		p.Contents = func(ms []forge.Member) []forge.Member {
			return append(ms, forge.Info(name, "text/plain", []byte("x\n")))
		}
	}
}

// manifest edits the manifest before it is signed and makes its rerun hash right again.
func manifest(edit func(*bundle.Manifest)) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) {
		p.Manifest = func(m *bundle.Manifest) {
			edit(m)
			m.RerunHash = bundle.RerunHash(m.Contents)
		}
	}
}

// label edits the label before it is signed.
func label(edit func(*bundle.Label)) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) { p.Label = edit }
}

func other() digest.Digest { return digest.Of([]byte("something else")) }
