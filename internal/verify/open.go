package verify

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/pack"
	"sallyport/internal/seal"
)

// sealBuffer is what stands in front of the unsealer, in bytes.
const sealBuffer = 256 << 10

// Open reads a bundle once, from the first outer byte to the last, and checks everything: each volume and all together,
// the seal, the compression, the archive, the manifest's signature and what it says, every content, every line, the
// index, the state roots, and that label and manifest say the same. The Bundle comes back only when all of it holds.
//
// An error inside the payload is given only after the volume it came from was found as signed; otherwise the error is
// volume-damaged or medium-read and names the volume.
func Open(ctx context.Context, p *Packing, o Options) (*Bundle, error) {
	ids, keys, err := p.keysFor(o)
	if err != nil {
		return nil, err
	}
	var done int64
	all := sumOf(p)
	vs := openVolumes(ctx, p, p.label.Volumes, all, o.report(&done, p.label.Bytes))
	defer vs.close()
	name := bundle.VolumeName(p.label.Name, bundle.PayloadSuffix(p.label.Sealed.Mode), 1, 1)
	b, err := unpack(vs, p.label.Sealed.Mode, ids, keys, &pass{o: o, p: p, name: name})
	if err != nil {
		err = vs.settle(err)
		if code.Of(err) == code.NotForUs {
			return nil, code.Wrap(code.SealDamaged, err, "the label says it is encrypted for this key, but it does not open").In(name, "")
		}
		return nil, err
	}
	if err := vs.finish(); err != nil {
		return nil, err
	}
	if err := checkSum(p, all); err != nil {
		return nil, err
	}
	b.done = true
	return b, nil
}

// keysFor are the secrets the label lists; none of ours is a refusal before a byte is read.
func (p *Packing) keysFor(o Options) ([]seal.Identity, []seal.DareKey, error) {
	sealed := p.label.Sealed
	switch sealed.Mode {
	case bundle.SealNone:
		return nil, nil, nil
	case bundle.SealAge:
		if len(o.Identities) == 0 {
			return nil, nil, code.New(code.IdentityMissing, "").In(p.dir, "")
		}
		if ids := p.opens(o.Identities); len(ids) > 0 {
			return ids, nil, nil
		}
	case bundle.SealDare:
		if len(o.Dare) == 0 {
			return nil, nil, code.New(code.IdentityMissing, "the bundle is encrypted with a shared AES key and none was given").In(p.dir, "")
		}
		for _, k := range o.Dare {
			if tag := seal.Tag(p.label.BundleID, k.ID()); len(sealed.Recipients) == 1 && sealed.Recipients[0] == tag {
				return nil, []seal.DareKey{k}, nil
			}
		}
	}
	return nil, nil, code.New(code.NotForUs, "this bundle is encrypted%s, not for the key that was given", p.addressees()).In(p.dir, "").
		Want(fmt.Sprint("one of ", sealed.Recipients), "none of them")
}

// addressees is " for site-07 and site-12", or nothing when the label names nobody. Names in a verified label are checked.
func (p *Packing) addressees() string {
	if len(p.label.For) == 0 {
		return ""
	}
	names := make([]string, len(p.label.For))
	for i, a := range p.label.For {
		names[i] = a.Name
	}
	return " for " + strings.Join(names, " and ")
}

// Payload reads a bare payload file, sealed or not, from r; name is used in messages. The whole inner check is made;
// without a label there is nothing to compare the outer bytes, the packer or the addressee with.
//
// BUG: of several shared AES keys only the first is tried, because only a label says which one it is.
func Payload(ctx context.Context, r io.Reader, name string, o Options) (*Bundle, error) {
	src := &source{ctx: ctx, r: r, name: name}
	if o.Progress != nil {
		var done int64
		src.report = o.report(&done, 0)
	}
	br := bufio.NewReaderSize(src, sealBuffer)
	mode, err := sniff(br, name)
	if err == nil {
		switch {
		case mode == bundle.SealAge && len(o.Identities) == 0, mode == bundle.SealDare && len(o.Dare) == 0:
			err = code.New(code.IdentityMissing, "").In(name, "")
		}
	}
	if err != nil {
		return nil, src.settle(err)
	}
	b, err := unpack(br, mode, o.Identities, o.Dare, &pass{o: o, name: name})
	if err != nil {
		return nil, src.settle(err)
	}
	if _, err := br.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, src.settle(code.New(code.ZstdTrailing, "bytes after the end of the payload").In(name, ""))
	}
	b.done = true
	return b, nil
}

// source remembers the first error of a bare file, so that a bad medium is not reported as bad data.
type source struct {
	ctx    context.Context
	r      io.Reader
	name   string
	at     int64
	err    error
	report func(int)
}

func (s *source) Read(b []byte) (int, error) {
	if s.err == nil {
		if err := s.ctx.Err(); err != nil {
			s.err = code.Wrap(code.Interrupted, err, "verify").In(s.name, "")
		}
	}
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(b)
	s.at += int64(n)
	if s.report != nil {
		s.report(n)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = readError(err, s.name, s.at)
		return n, s.err
	}
	return n, err
}

func (s *source) settle(inner error) error {
	if s.err != nil {
		return s.err
	}
	return inner
}

// sniff tells from the first bytes how a bare file is sealed.
func sniff(br *bufio.Reader, name string) (string, error) {
	head, err := br.Peek(22)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	switch {
	case bytes.HasPrefix(head, []byte("age-encryption.org/")), bytes.HasPrefix(head, []byte("-----BEGIN AGE")):
		return bundle.SealAge, nil
	case len(head) > 0 && head[0] == 0x20:
		return bundle.SealDare, nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return bundle.SealNone, nil
	}
	return "", code.New(code.ZstdBad, "this file is not a bundle").In(name, "byte 0").
		Want("zstd or age", fmt.Sprintf("%q", head[:min(len(head), 8)]))
}

// unpack takes the layers off and runs the pass over what is inside.
func unpack(r io.Reader, mode string, ids []seal.Identity, keys []seal.DareKey, ps *pass) (*Bundle, error) {
	plain := r
	var err error
	switch mode {
	case bundle.SealNone:
	case bundle.SealAge:
		plain, err = seal.Decrypt(bufio.NewReaderSize(r, sealBuffer), ids...)
	case bundle.SealDare:
		plain, err = seal.DecryptDARE(bufio.NewReaderSize(r, sealBuffer), keys[0])
	default:
		err = code.New(code.LabelBad, "unknown sealing mode").Want("none, age or dare", mode)
	}
	if err != nil {
		return nil, in(err, ps.name)
	}
	z := pack.NewReader(plain)
	defer z.Close()
	ps.tar = pack.NewTarReader(z)
	defer ps.close()
	b, err := ps.run()
	if err != nil {
		return nil, in(err, ps.name)
	}
	return b, nil
}
