// Package blocklog records what a disk was told, write by write, and plays it back to any moment of it; tests alone use it.
//
// Data: a log in memory, kept in one file for the processes that play it back:
//
//	u8 kind ‖ u64be offset ‖ u32be length ‖ bytes      kind: 1 write, 2 flush
//
// and the bytes of the disk before the first entry. Disk is a FUSE file system with one file; a loop device on that file
// carries a real file system, so what the log says is what the kernel sent, in its order.
//
// Order: a flush makes every write before it lasting. A crash after entry n leaves all writes before the last flush up to n,
// and of those after it any part: all of them (Prefix), some (Half), some of them cut at a sector of 512 bytes (Torn). A
// crash of the recorder leaves mounts in its own mount namespace, which goes with it.
package blocklog

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
)

// Sector is what a disk writes whole or not at all.
const Sector = 512

// Entry is one thing the disk was told. A flush has no bytes.
type Entry struct {
	Offset int64
	Data   []byte
	Flush  bool
}

// Log is what a disk was told, in order.
type Log []Entry

const (
	kindWrite = 1
	kindFlush = 2
	headSize  = 13
)

// Write keeps the log.
func (l Log) Write(w io.Writer) error {
	b := bufio.NewWriterSize(w, 1<<20)
	var head [headSize]byte
	for _, e := range l {
		head[0] = kindWrite
		if e.Flush {
			head[0] = kindFlush
		}
		binary.BigEndian.PutUint64(head[1:], uint64(e.Offset))
		binary.BigEndian.PutUint32(head[9:], uint32(len(e.Data)))
		if _, err := b.Write(head[:]); err != nil {
			return err
		}
		if _, err := b.Write(e.Data); err != nil {
			return err
		}
	}
	return b.Flush()
}

// ReadLog reads a kept log from a file.
func ReadLog(path string) (l Log, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for len(b) > 0 {
		if len(b) < headSize {
			return nil, fmt.Errorf("read log %s: %w", path, io.ErrUnexpectedEOF)
		}
		n := int(binary.BigEndian.Uint32(b[9:]))
		if b[0] != kindWrite && b[0] != kindFlush || n > len(b)-headSize {
			return nil, fmt.Errorf("read log %s: not an entry", path)
		}
		l = append(l, Entry{Offset: int64(binary.BigEndian.Uint64(b[1:])), Data: b[headSize : headSize+n], Flush: b[0] == kindFlush})
		b = b[headSize+n:]
	}
	return l, nil
}

// Flushes counts them in part of a log.
func (l Log) Flushes() (n int) {
	for _, e := range l {
		if e.Flush {
			n++
		}
	}
	return n
}

// Variant says what becomes of the writes after the last flush.
type Variant string

// The variants.
const (
	Prefix Variant = "prefix" // all of them, as told
	Half   Variant = "half"   // each or not
	Torn   Variant = "torn"   // each, or not, or cut at a sector
)

// Variants are all.
func Variants() []Variant { return []Variant{Prefix, Half, Torn} }

// Point is one crash: after the first At entries, with a variant and the seed of its choices.
type Point struct {
	At      int     `json:"at"`
	Variant Variant `json:"variant"`
	Seed    uint64  `json:"seed"`
}

func (p Point) String() string {
	return fmt.Sprintf("%s after entry %d, seed %d", p.Variant, p.At, p.Seed)
}

// Player makes images of the disk at ascending points.
type Player struct {
	log     Log
	lasting []byte // the disk with all entries before flushed
	flushed int
	last    int
}

// NewPlayer plays log on a disk of these bytes, which it takes over.
func NewPlayer(base []byte, log Log) *Player { return &Player{log: log, lasting: base} }

// Image writes the whole disk as the crash p leaves it. Points must not descend. It returns how many writes came after the
// last flush, and how many of them were dropped or cut.
func (p *Player) Image(at Point, to io.WriterAt) (open, dropped int, err error) {
	if at.At < p.last || at.At > len(p.log) {
		return 0, 0, errors.New("blocklog: points must ascend within the log")
	}
	p.last = at.At
	edge := p.flushed
	for i := p.flushed; i < at.At; i++ {
		if p.log[i].Flush {
			edge = i + 1
		}
	}
	for ; p.flushed < edge; p.flushed++ {
		e := p.log[p.flushed]
		copy(p.lasting[e.Offset:], e.Data)
	}
	if _, err := to.WriteAt(p.lasting, 0); err != nil {
		return 0, 0, err
	}
	random := rand.New(rand.NewPCG(at.Seed, uint64(at.At)))
	for _, e := range p.log[edge:at.At] {
		open++
		from, upto := at.Variant.part(len(e.Data), random)
		if upto-from < len(e.Data) {
			dropped++
		}
		if _, err := to.WriteAt(e.Data[from:upto], e.Offset+int64(from)); err != nil {
			return open, dropped, err
		}
	}
	return open, dropped, nil
}

// part says which bytes of a write of n bytes reach the disk.
func (v Variant) part(n int, random *rand.Rand) (from, upto int) {
	sectors := n / Sector
	switch choice := random.IntN(6); {
	case v == Half && choice%2 == 0, v == Torn && choice < 2:
		return 0, 0
	case v == Torn && choice == 2 && sectors > 1:
		return 0, (1 + random.IntN(sectors-1)) * Sector
	case v == Torn && choice == 3 && sectors > 1:
		return (1 + random.IntN(sectors-1)) * Sector, n
	}
	return 0, n
}

// Spread chooses n points between two positions of a log, ascending and evenly: each after a write, with each variant in
// turns, so that something is open to be lost.
func (l Log) Spread(from, to, n int, seed uint64) (points []Point) {
	var writes []int
	for at := from + 1; at <= to; at++ {
		if !l[at-1].Flush {
			writes = append(writes, at)
		}
	}
	variants := Variants()
	for i := range n {
		if len(writes) == 0 {
			return nil
		}
		at := writes[int(int64(i)*int64(len(writes))/int64(n))]
		points = append(points, Point{At: at, Variant: variants[(i+int(seed%3))%len(variants)], Seed: seed + uint64(i)})
	}
	return points
}
