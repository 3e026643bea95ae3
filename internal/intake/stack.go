package intake

import (
	"os"

	"sallyport/internal/digest"
	"sallyport/internal/feed"
	"sallyport/internal/layer"
)

// piece is one layer of a generation: of one that is held here, or made by this import, sealed, and not installed yet.
type piece struct {
	layer  feed.Layer    // when it has its lasting name
	writer *layer.Writer // nil: of a held generation
	meta   layer.Meta    // of a made one, sealed
	size   int64         // of the file of a made one
	named  bool          // under its lasting name
}

func held(l feed.Layer) *piece { return &piece{layer: l, named: true} }

// seal finishes a layer that was built.
func (p *piece) seal(m layer.Meta) error {
	p.meta = m
	if err := p.writer.Seal(m); err != nil {
		return err
	}
	st, err := os.Stat(p.writer.Path())
	if err != nil {
		return err
	}
	p.size = st.Size()
	return nil
}

// install gives a made layer its lasting name, beside those that live names.
func (p *piece) install(dir *layer.Dir, live map[string]bool) error {
	if p.named {
		return nil
	}
	file, bytes, err := dir.InstallBeside(p.writer, p.meta, func(file string) bool { return live[file] })
	if err != nil {
		return err
	}
	p.named, p.layer = true, feed.Layer{File: file, Bytes: bytes}
	for _, s := range p.meta.Shards {
		p.layer.Shards = append(p.layer.Shards, s.Digest)
	}
	return nil
}

// drop removes a made layer that did not get its lasting name.
func (p *piece) drop() {
	if p.writer != nil && !p.named {
		p.writer.Abort()
	}
}

// stack is one generation as its layers: held here, or as an import is about to make it.
type stack struct {
	point    feed.Point
	root     digest.Digest
	records  int64
	counts   map[string]int64 // of a made one, by kind
	bytes    int64            // of a made one, of all live bodies
	since    string           // when its origin made it
	base     *piece
	over     *piece // nil: none
	vouchers []feed.Voucher
}

func stackOf(g feed.Generation) *stack {
	s := &stack{point: g.Point, root: g.Root, records: g.Records, since: g.GeneratedAt, base: held(g.Layers[0]), vouchers: g.Vouchers()}
	if len(g.Layers) > 1 {
		s.over = held(g.Layers[1])
	}
	return s
}

// pieces are its layers, base first.
func (s *stack) pieces() []*piece {
	if s.over == nil {
		return []*piece{s.base}
	}
	return []*piece{s.base, s.over}
}

// open opens the generation and tells how to close it.
func (s *stack) open(dir *layer.Dir) (*layer.View, func(), error) {
	var layers []*layer.Layer
	var free []func()
	closeAll := func() {
		for _, f := range free {
			f()
		}
	}
	for _, p := range s.pieces() {
		l, done, err := p.open(dir)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		layers, free = append(layers, l), append(free, done)
	}
	if len(layers) == 1 {
		layers = append(layers, nil)
	}
	return layer.NewView(layers[0], layers[1]), closeAll, nil
}

func (p *piece) open(dir *layer.Dir) (*layer.Layer, func(), error) {
	if p.named {
		return dir.Take(p.layer.File)
	}
	l, err := layer.Open(p.writer.Path())
	if err != nil {
		return nil, nil, err
	}
	return l, func() { l.Close() }, nil
}
