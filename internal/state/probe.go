package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"sallyport/internal/code"
)

// The layout of a bbolt file (version 2), in the byte order of the machine: a page is a header of 16 bytes (id u64,
// flags u16, count u16, overflow u32), elements of 16 bytes, then keys and values. Pages 0 and 1 hold the metas.
const (
	headerSize   = 16
	elementSize  = 16
	bucketSize   = 16
	metaSize     = 64
	branchPage   = 0x01
	leafPage     = 0x02
	metaPage     = 0x04
	freelistPage = 0x10
	boltMagic    = 0xED0CDAED
	boltVersion  = 2
	noFreelist   = ^uint64(0)
	minPage      = 512
	maxPage      = 1 << 16
	maxDepth     = 64
)

var order = binary.NativeEndian

type prober struct {
	f        *os.File
	path     string
	size     int64
	pageSize int64
	high     uint64 // pages at or above are unused
	seen     map[uint64]bool
}

type meta struct {
	pageSize             uint32
	root, freelist, high uint64
	txid                 uint64
}

// probe walks a bbolt file with plain reads: metas, every page that can be reached, element bounds and key order. It
// reads nothing it has not checked to be inside the file, so a damaged file ends in state-corrupt and never in a fault.
func probe(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return code.Wrap(code.Missing, err, "no state database").In(path, "")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := tryLock(f); err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	p := &prober{f: f, path: path, size: st.Size(), seen: map[uint64]bool{}}
	m, err := p.meta()
	if err != nil {
		return err
	}
	p.pageSize, p.high = int64(m.pageSize), m.high
	if err := p.freelist(m); err != nil {
		return err
	}
	return p.tree(m.root, nil, nil, 0)
}

// tryLock takes and keeps (until the file is closed) a shared lock, so that a file in use is not judged in mid-write.
func tryLock(f *os.File) error {
	deadline := time.Now().Add(lockTimeout)
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
		if time.Now().After(deadline) {
			return code.New(code.Locked, "").In(f.Name(), "")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p *prober) bad(id uint64, format string, args ...any) error {
	return corrupt(p.path, fmt.Sprintf("page %d", id), format, args...)
}

// meta finds the newest valid meta. The second one lies at a page size that only the first one tells, so sizes are tried.
func (p *prober) meta() (best meta, err error) {
	found := false
	for at := int64(0); at <= maxPage; at = max(minPage, at*2) {
		m, ok := p.metaAt(at)
		if ok && (at == 0 || int64(m.pageSize) == at) && (!found || m.txid > best.txid) {
			best, found = m, true
		}
	}
	if !found {
		return best, corrupt(p.path, "", "neither of the two meta pages is valid")
	}
	if best.high < 2 || best.high > uint64(p.size)/uint64(best.pageSize) {
		return best, corrupt(p.path, "meta", "%d pages do not fit into %d bytes", best.high, p.size)
	}
	return best, nil
}

func (p *prober) metaAt(at int64) (m meta, ok bool) {
	b := make([]byte, headerSize+metaSize)
	if _, err := p.f.ReadAt(b, at); err != nil {
		return m, false
	}
	if order.Uint16(b[8:]) != metaPage {
		return m, false
	}
	b = b[headerSize:]
	sum := fnv.New64a()
	sum.Write(b[:56])
	m = meta{
		pageSize: order.Uint32(b[8:]), root: order.Uint64(b[16:]), freelist: order.Uint64(b[32:]),
		high: order.Uint64(b[40:]), txid: order.Uint64(b[48:]),
	}
	ok = order.Uint32(b) == boltMagic && order.Uint32(b[4:]) == boltVersion && order.Uint64(b[56:]) == sum.Sum64() &&
		m.pageSize >= minPage && m.pageSize <= maxPage && m.pageSize&(m.pageSize-1) == 0
	return m, ok
}

// page reads a page with its overflow; each page may be reached once.
func (p *prober) page(id uint64) (b []byte, flags uint16, count int, err error) {
	if id < 2 || id >= p.high {
		return nil, 0, 0, p.bad(id, "outside of the %d pages", p.high)
	}
	head := make([]byte, headerSize)
	if _, err := p.f.ReadAt(head, int64(id)*p.pageSize); err != nil {
		return nil, 0, 0, p.unread(id, err)
	}
	overflow := uint64(order.Uint32(head[12:]))
	if got := order.Uint64(head); got != id {
		return nil, 0, 0, p.bad(id, "says it is page %d", got)
	}
	if overflow >= p.high-id {
		return nil, 0, 0, p.bad(id, "%d more pages do not fit", overflow)
	}
	for i := id; i <= id+overflow; i++ {
		if p.seen[i] {
			return nil, 0, 0, p.bad(i, "is used twice")
		}
		p.seen[i] = true
	}
	b = make([]byte, int64(overflow+1)*p.pageSize)
	if _, err := p.f.ReadAt(b, int64(id)*p.pageSize); err != nil {
		return nil, 0, 0, p.unread(id, err)
	}
	return b, order.Uint16(head[8:]), int(order.Uint16(head[10:])), nil
}

func (p *prober) unread(id uint64, err error) error {
	if errors.Is(err, io.EOF) {
		return p.bad(id, "the file ends inside it")
	}
	return err
}

// freelist checks the stored list of free pages; only a database that was never written to has one.
func (p *prober) freelist(m meta) error {
	if m.freelist == noFreelist {
		return nil
	}
	b, flags, count, err := p.page(m.freelist)
	if err != nil {
		return err
	}
	if flags != freelistPage || count == 0xFFFF || headerSize+8*count > len(b) {
		return p.bad(m.freelist, "is no list of free pages")
	}
	for i := range count {
		if id := order.Uint64(b[headerSize+8*i:]); id < 2 || id >= p.high {
			return p.bad(m.freelist, "lists page %d of %d", id, p.high)
		}
	}
	return nil
}

// tree walks the page and everything below it; its keys lie in [low, high), nil being no bound.
func (p *prober) tree(id uint64, low, high []byte, depth int) error {
	if depth > maxDepth {
		return p.bad(id, "lies too deep")
	}
	b, flags, count, err := p.page(id)
	if err != nil {
		return err
	}
	switch flags {
	case leafPage:
		return p.leaf(id, b, count, low, high, depth)
	case branchPage:
		return p.branch(id, b, count, low, high, depth)
	}
	return p.bad(id, "is neither branch nor leaf (flags %#x)", flags)
}

// cut gives key and value of an element; pos counts from the element itself.
func cut(b []byte, at, pos, ksize, vsize uint32) (key, value []byte, ok bool) {
	from := uint64(at) + uint64(pos)
	if ksize == 0 || from+uint64(ksize)+uint64(vsize) > uint64(len(b)) {
		return nil, nil, false
	}
	return b[from : from+uint64(ksize)], b[from+uint64(ksize) : from+uint64(ksize)+uint64(vsize)], true
}

func (p *prober) leaf(id uint64, b []byte, count int, low, high []byte, depth int) error {
	if headerSize+elementSize*count > len(b) {
		return p.bad(id, "%d elements do not fit", count)
	}
	for i := range count {
		at := uint32(headerSize + elementSize*i)
		e := b[at:]
		key, value, ok := cut(b, at, order.Uint32(e[4:]), order.Uint32(e[8:]), order.Uint32(e[12:]))
		if !ok {
			return p.bad(id, "element %d points outside of it", i)
		}
		if !inOrder(key, low, high, i == 0) {
			return p.bad(id, "element %d is out of order", i)
		}
		low = key
		if order.Uint32(e)&1 == 0 {
			continue
		}
		if err := p.bucket(id, value, depth); err != nil {
			return err
		}
	}
	return nil
}

// inOrder: a key follows the one before it, may equal the bound its parent gives, and stays below the next bound.
func inOrder(key, low, high []byte, first bool) bool {
	c := bytes.Compare(low, key)
	if low != nil && (c > 0 || c == 0 && !first) {
		return false
	}
	return high == nil || bytes.Compare(key, high) < 0
}

// bucket walks a bucket inside a leaf element; a small one is stored inline as a page of its own without an id.
func (p *prober) bucket(id uint64, value []byte, depth int) error {
	if len(value) < bucketSize {
		return p.bad(id, "a bucket of %d bytes", len(value))
	}
	if root := order.Uint64(value); root != 0 {
		return p.tree(root, nil, nil, depth+1)
	}
	b := value[bucketSize:]
	if len(b) < headerSize || order.Uint16(b[8:]) != leafPage {
		return p.bad(id, "an inline bucket that is no leaf")
	}
	return p.leaf(id, b, int(order.Uint16(b[10:])), nil, nil, depth+1)
}

func (p *prober) branch(id uint64, b []byte, count int, low, high []byte, depth int) error {
	if count == 0 || headerSize+elementSize*count > len(b) {
		return p.bad(id, "%d elements do not fit", count)
	}
	keys, children := make([][]byte, count+1), make([]uint64, count)
	for i := range count {
		at := uint32(headerSize + elementSize*i)
		e := b[at:]
		key, _, ok := cut(b, at, order.Uint32(e), order.Uint32(e[4:]), 0)
		if !ok || !inOrder(key, low, high, i == 0) {
			return p.bad(id, "element %d is out of bounds or order", i)
		}
		low, keys[i], children[i] = key, key, order.Uint64(e[8:])
	}
	keys[count] = high
	for i, child := range children {
		if err := p.tree(child, keys[i], keys[i+1], depth+1); err != nil {
			return err
		}
	}
	return nil
}
