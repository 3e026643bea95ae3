package hostile

import (
	"bytes"
	"encoding/binary"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/forge"
	"sallyport/internal/pack"
)

// Frames by hand, RFC 8878: magic, descriptor, what follows it. 0x20 is one segment, 0x04 a checksum.
func frame(descriptor byte, rest ...[]byte) []byte {
	return append(append([]byte{0x28, 0xb5, 0x2f, 0xfd}, descriptor), bytes.Join(rest, nil)...)
}

func blockHead(kind, size int, last bool) []byte {
	v := size<<3 | kind<<1
	if last {
		v |= 1
	}
	return []byte{byte(v), byte(v >> 8), byte(v >> 16)}
}

func rawBlock(b []byte, last bool) []byte { return append(blockHead(0, len(b), last), b...) }

// zeros is an RLE block of 128 KiB.
func zeros(last bool) []byte { return append(blockHead(1, 128<<10, last), 0) }

func le(n int, v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v)[:n] }

// bomb is 1 GiB of zeros in 32 KiB.
func bomb() []byte {
	return frame(0x04, []byte{0x50}, bytes.Repeat(zeros(false), 8191), zeros(true), make([]byte, 4))
}

// emptyFrame is a right frame of nothing.
func emptyFrame() []byte {
	return frame(0x24, []byte{0}, rawBlock(nil, true), []byte{0x99, 0xe9, 0xd8, 0x51})
}

// stream replaces the outer stream.
func stream(make func(tar []byte) []byte) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) { p.Zstd = make }
}

// packed edits the outer stream.
func packed(edit func([]byte) []byte) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) { p.ZstdBytes = edit }
}

// one is the archive in one frame of one segment, the size in its header changed by a number of bytes.
func one(more int) func([]byte) []byte {
	return func(tar []byte) []byte {
		b := pack.EncodeFrame(nil, tar)
		switch b[4] >> 6 {
		case 1:
			binary.LittleEndian.PutUint16(b[5:], uint16(len(tar)-256+more))
		case 2:
			binary.LittleEndian.PutUint32(b[5:], uint32(len(tar)+more))
		}
		return b
	}
}

// content edits a content before its digest is made, so that the manifest vouches for the defect.
func content(find string, edit func(*forge.Member)) func(*forge.World, *forge.Plan) {
	return func(_ *forge.World, p *forge.Plan) {
		p.Contents = func(ms []forge.Member) []forge.Member {
			for i := range ms {
				if strings.Contains(ms[i].Name, find) {
					edit(&ms[i])
					return ms
				}
			}
			panic("no content " + find)
		}
	}
}

// shard replaces the frames of the one shard.
func shard(body func(old []byte) []byte) func(*forge.World, *forge.Plan) {
	return content("data/raw/advisories", func(m *forge.Member) { m.Body = body(m.Body) })
}

// lines are the lines of the one shard, in one frame.
func lines(text string) func(*forge.World, *forge.Plan) {
	return shard(func([]byte) []byte { return pack.EncodeFrame(nil, []byte(text)) })
}

var streamCases = []Case{
	{Number: 201, Slug: "rle-bomb", Defect: "an outer stream of 1 GiB in 32 KiB", Code: code.TarEnd, Plan: stream(func([]byte) []byte { return bomb() })},
	{Number: 202, Slug: "rle-bomb-behind", Defect: "1 GiB in 32 KiB behind the archive", Code: code.TarEnd, Plan: packed(func(b []byte) []byte { return append(b, bomb()...) })},
	{Number: 203, Slug: "shard-bomb", Defect: "a signed shard of 1 GiB in 32 KiB", Code: code.ZstdBomb, Plan: shard(func([]byte) []byte { return bomb() })},
	{Number: 204, Slug: "index-bomb", Defect: "a signed index of 1 GiB in 32 KiB", Code: code.LineLimit, Plan: content("indexes/0", func(m *forge.Member) { m.Body = bomb() })},
	{
		Number: 205, Slug: "double-zstd", Defect: "a shard of zstd in zstd: 1 GiB in less than 100 bytes", Code: code.LineBad,
		Plan: shard(func([]byte) []byte { return pack.EncodeFrame(nil, pack.EncodeFrame(nil, bomb())) }),
	},
	{Number: 206, Slug: "double-zstd-outside", Defect: "an outer stream of zstd in zstd", Code: code.TarEnd, Plan: stream(func([]byte) []byte { return must(forge.Zstd(pack.EncodeFrame(nil, bomb()))) })},
	{Number: 207, Slug: "window-512mib", Defect: "a frame that asks for a window of 512 MiB", Code: code.ZstdWindow, Plan: stream(func([]byte) []byte { return frame(0x04, []byte{19 << 3}, zeros(false), zeros(true), make([]byte, 4)) })},
	{Number: 208, Slug: "window-2-41", Defect: "a frame that asks for a window of 2^41 bytes", Code: code.ZstdWindow, Plan: stream(func([]byte) []byte { return frame(0x04, []byte{31 << 3}, zeros(true), make([]byte, 4)) })},
	{Number: 209, Slug: "segment-1gib", Defect: "one segment of 1 GiB", Code: code.ZstdWindow, Plan: stream(func([]byte) []byte { return frame(0xA4, le(4, 1<<30), zeros(true), make([]byte, 4)) })},
	{Number: 210, Slug: "content-size-low", Defect: "a frame that holds a byte more than it says", Code: code.ZstdBad, Plan: stream(one(-1))},
	{Number: 211, Slug: "content-size-high", Defect: "a frame that holds a byte less than it says", Code: code.ZstdBad, Plan: stream(one(1))},
	{Number: 212, Slug: "empty-frames", Defect: "a million empty frames in front", Code: code.ZstdForm, Big: true, Plan: packed(func(b []byte) []byte { return append(bytes.Repeat(emptyFrame(), 1<<20), b...) })},
	{Number: 213, Slug: "empty-frame-behind", Defect: "an empty frame behind", Code: code.ZstdForm, Plan: packed(func(b []byte) []byte { return append(b, emptyFrame()...) })},
	{Number: 214, Slug: "skippable", Defect: "a skippable frame that says it has 4 GiB", Code: code.ZstdForm, Plan: packed(func(b []byte) []byte { return append(append(le(4, 0x184D2A50), 0xff, 0xff, 0xff, 0xff), b...) })},
	{
		Number: 215, Slug: "skippable-behind", Defect: "something hidden in a skippable frame behind", Code: code.ZstdForm,
		Plan: packed(func(b []byte) []byte { return append(append(append(b, le(4, 0x184D2A53)...), le(4, 4)...), "evil"...) }),
	},
	{Number: 216, Slug: "dictionary", Defect: "a frame that needs a dictionary", Code: code.ZstdForm, Plan: stream(func([]byte) []byte {
		return frame(0x25, []byte{7}, le(1, 5), rawBlock([]byte("hello"), true), make([]byte, 4))
	})},
	{Number: 217, Slug: "checksum-wrong", Defect: "a frame with a wrong checksum", Code: code.ZstdBad, Plan: packed(func(b []byte) []byte { b[len(b)-1] ^= 1; return b })},
	{
		Number: 218, Slug: "checksum-absent", Defect: "a frame without a checksum", Code: code.ZstdForm,
		Plan: stream(func(tar []byte) []byte { return frame(0xA0, le(4, uint64(len(tar))), rawBlock(tar, true)) }),
	},
	{Number: 219, Slug: "cut-in-a-block-header", Defect: "a stream cut in a block header", Code: code.ZstdBad, Plan: packed(func(b []byte) []byte { return b[:10] })},
	{Number: 220, Slug: "cut-in-a-block", Defect: "a stream cut in a block", Code: code.ZstdBad, Plan: packed(func(b []byte) []byte { return b[:len(b)/2] })},
	{Number: 221, Slug: "bytes-behind", Defect: "bytes behind the last frame", Code: code.ZstdTrailing, Plan: packed(func(b []byte) []byte { return append(b, "more"...) })},
	{Number: 222, Slug: "gzip", Defect: "gzip where zstd is due", Code: code.ZstdBad, Plan: stream(func([]byte) []byte {
		return []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	})},
	{Number: 223, Slug: "reserved-block", Defect: "a block of the reserved type", Code: code.ZstdBad, Plan: stream(func([]byte) []byte { return frame(0x24, le(1, 5), blockHead(3, 5, true), make([]byte, 9)) })},
	{
		Number: 224, Slug: "empty-blocks", Defect: "a million empty blocks", Code: code.ZstdForm, Big: true,
		Plan: stream(func([]byte) []byte {
			return frame(0x04, []byte{0x50}, rawBlock([]byte("x"), false), bytes.Repeat(rawBlock(nil, false), 1<<20), rawBlock(nil, true), make([]byte, 4))
		}),
	},
	{Number: 225, Slug: "nothing", Defect: "an outer stream that is text", Code: code.ZstdBad, Plan: stream(func([]byte) []byte { return []byte("this is no stream at all\n") })},
	{Number: 231, Slug: "shard-frame-damaged", Defect: "a signed shard whose frame does not inflate", Code: code.ZstdBad, Plan: shard(func(b []byte) []byte { b = bytes.Clone(b); b[20] ^= 4; return b })},
	{Number: 232, Slug: "shard-bytes-behind", Defect: "a signed shard with bytes behind its last frame", Code: code.ZstdTrailing, Plan: shard(func(b []byte) []byte { return append(bytes.Clone(b), "more"...) })},
	{Number: 233, Slug: "shard-window", Defect: "a signed shard that asks for a window of 512 MiB", Code: code.ZstdWindow, Plan: shard(func([]byte) []byte { return frame(0x04, []byte{19 << 3}, zeros(true), make([]byte, 4)) })},
	{Number: 234, Slug: "line-not-json", Defect: "a line that is no JSON object", Code: code.LineBad, Plan: lines("hello\n")},
	{Number: 235, Slug: "line-without-end", Defect: "a shard whose last line does not end", Code: code.LineBad, Plan: lines("{}\n{}")},
	{Number: 236, Slug: "line-carriage-return", Defect: "lines that end as on Windows", Code: code.LineBad, Plan: lines("{}\r\n")},
	{Number: 237, Slug: "line-too-long", Defect: "a line of more than 1 MiB", Code: code.LineLimit, Plan: lines(`{"a":"` + strings.Repeat("a", pack.LineMax) + "\"}\n")},
	{Number: 238, Slug: "line-more", Defect: "a shard with a line more than the manifest says", Code: code.LineBad, Plan: shard(func(b []byte) []byte { return pack.EncodeFrame(bytes.Clone(b), []byte("{}\n")) })},
	{
		Number: 239, Slug: "line-not-indexed", Defect: "a line that the index does not name", Code: code.IndexBad,
		Plan: content("data/raw/advisories", func(m *forge.Member) {
			m.Body = pack.EncodeFrame(bytes.Clone(m.Body), []byte("{}\n"))
			*m.Entry.Records++
		}),
	},
}
