package export

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/pack"
	"sallyport/internal/seal"
	"sallyport/internal/verify"
)

// pack writes the payload into volumes below out: tar, zstd frames, seal, cut. What is sealed passes the gate unsealed at
// the same time: the very bytes that go into the seal run through a bounded pipe into verify.Payload, under our own public
// root, and no bundle comes out of here that the gate has not read to its last byte. That the seal gives these bytes back
// is the seal's promise (its tags), that the volumes hold the seal's bytes is checked by the label afterwards.
func (w *work) pack(b *Build, h *head, out string) ([]bundle.Volume, error) {
	list, err := w.stream(b, h, out)
	return list, w.blame(b, h, err)
}

func (w *work) stream(b *Build, h *head, out string) ([]bundle.Volume, error) {
	gate := newGate(w.ctx, w.run.Name+bundle.PayloadSuffix(bundle.SealNone), w.options())
	defer gate.abandon()
	vols := newVolumes(w.FS, out, w.volumeBytes())
	defer vols.abort()
	buf := bufio.NewWriterSize(vols, 1<<20)
	sealer, err := w.sealer(buf)
	if err != nil {
		return nil, err
	}
	outer := pack.NewOuterWriter(io.MultiWriter(sealer, gate), w.Workers)
	err = w.members(b, h, outer)
	if cerr := outer.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, w.packError(err, gate)
	}
	w.FS.Point("export.payload")
	if err := sealer.Close(); err != nil {
		return nil, w.packError(err, gate)
	}
	if err := buf.Flush(); err != nil {
		return nil, w.packError(err, gate)
	}
	if err := gate.verdict(h.id); err != nil {
		return nil, in("verify", code.Wrap(code.ExportVerify, err, "payload").In(w.run.Name, ""))
	}
	list, sum, err := vols.finish(w.run.Name, bundle.PayloadSuffix(w.sealMode()))
	h.outer = sum
	return list, in("storage", err)
}

// packError prefers what the gate said: it closes its end of the pipe when it refuses, and the writer only sees that.
func (w *work) packError(err error, g *gate) error {
	if !errors.Is(err, errGate) {
		return in("storage", err)
	}
	<-g.done
	if g.err == nil {
		return in("verify", code.New(code.Bug, "the gate left before the last byte"))
	}
	return in("verify", code.Wrap(code.ExportVerify, g.err, "payload").In(w.run.Name, ""))
}

// sealer is the seal the request asked for; strict: without a usable key nothing is written.
func (w *work) sealer(to io.Writer) (io.WriteCloser, error) {
	switch w.sealMode() {
	case bundle.SealNone:
		return open{to}, nil
	case bundle.SealDare:
		return seal.EncryptDARE(to, w.dare, w.Random)
	}
	rcpt, err := seal.ParseRecipient(w.peer.Recipient)
	if err != nil {
		return nil, code.Wrap(code.EncryptionRequired, err, "recipient of peer %q", w.peer.Name)
	}
	return seal.Encrypt(to, rcpt)
}

// open is the seal of a bundle that is not sealed.
type open struct{ io.Writer }

func (open) Close() error { return nil }

// members writes the archive: the signed head, then the contents in path order.
func (w *work) members(b *Build, h *head, outer *pack.OuterWriter) error {
	tw := pack.NewTarWriter(outer)
	for _, m := range h.first {
		if err := tw.Header(m.path, int64(len(m.data))); err != nil {
			return err
		}
		if _, err := tw.Write(m.data); err != nil {
			return err
		}
	}
	total := int64(0)
	for _, c := range h.manifest.Contents {
		total += c.Bytes
	}
	n, done := int64(len(h.manifest.Contents)), int64(0)
	buf := make([]byte, 1<<20)
	for i, c := range h.manifest.Contents {
		outer.Stored(packed(c))
		if err := w.member(b, c, tw, buf); err != nil {
			return fmt.Errorf("pack %q: %w", c.Path, err)
		}
		done += c.Bytes
		w.advance("running", int64(i+1), n, done, total)
	}
	return tw.Close()
}

// member copies one content from the store. It is hashed by the gate, which reads the same bytes behind the packer: what the
// manifest says is what goes in, or nothing goes out.
func (w *work) member(b *Build, c bundle.Content, tw *pack.TarWriter, buf []byte) error {
	f, err := b.open(c.Digest)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := tw.Header(c.Path, c.Bytes); err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{tw}, struct{ io.Reader }{patient{w.ctx, f}}, buf)
	if err != nil {
		return err
	}
	if n != c.Bytes {
		return corrupt(c, n, c.Digest)
	}
	return nil
}

func corrupt(c bundle.Content, n int64, d digest.Digest) error {
	return code.New(code.StoreCorrupt, "").In(c.Digest.String(), "").Want(fmt.Sprintf("%d bytes %s", c.Bytes, c.Digest), fmt.Sprintf("%d bytes %s", n, d))
}

// blame finds the blob in our own store when the gate met other bytes than the manifest names.
func (w *work) blame(b *Build, h *head, err error) error {
	if !code.Has(err, code.EntryDigest) {
		return err
	}
	for _, c := range h.manifest.Contents {
		f, oerr := b.open(c.Digest)
		if oerr != nil {
			return errors.Join(err, oerr)
		}
		r := digest.NewReader(f)
		n, cerr := io.Copy(io.Discard, struct{ io.Reader }{patient{w.ctx, r}})
		f.Close()
		switch {
		case cerr != nil:
			return errors.Join(err, cerr)
		case n != c.Bytes || r.Sum() != c.Digest:
			return in("storage", fmt.Errorf("pack %q: %w", c.Path, corrupt(c, n, r.Sum())))
		}
	}
	return err
}

// patient ends a long copy when its run is cancelled.
type patient struct {
	ctx context.Context
	r   io.Reader
}

func (p patient) Read(b []byte) (int, error) {
	if p.ctx.Err() != nil {
		return 0, context.Cause(p.ctx)
	}
	return p.r.Read(b)
}

// packed tells whether a content was compressed before and is only stored.
func packed(c bundle.Content) bool {
	switch c.ContentType {
	case "application/zstd", "application/x-ndjson+zstd", "application/gzip", "application/zip":
		return true
	}
	switch strings.ToLower(path.Ext(c.Path)) {
	case ".zst", ".gz", ".tgz", ".zip", ".xz", ".bz2", ".png", ".jpg", ".jpeg", ".jar", ".whl", ".deb", ".rpm", ".apk", ".age", ".br":
		return true
	}
	return false
}

// gate runs verify.Payload over a copy of the payload while it is written.
type gate struct {
	pipe   *pipe
	cancel context.CancelFunc
	done   chan struct{}
	bundle *verify.Bundle
	err    error
}

func newGate(ctx context.Context, name string, o verify.Options) *gate {
	ctx, cancel := context.WithCancel(ctx)
	g := &gate{pipe: newPipe(4, 512<<10), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(g.done)
		g.bundle, g.err = verify.Payload(ctx, g.pipe, name, o)
		g.pipe.closeRead()
	}()
	return g
}

func (g *gate) Write(p []byte) (int, error) { return g.pipe.Write(p) }

// verdict ends the payload and waits for the gate: everything was read, and it is the bundle we meant.
func (g *gate) verdict(id digest.Digest) error {
	g.pipe.closeWrite(nil)
	<-g.done
	switch {
	case g.err != nil:
		return g.err
	case !g.bundle.Done():
		return code.New(code.Bug, "the gate stopped before the last byte")
	case g.bundle.ID() != id:
		return code.New(code.EntryDigest, "another manifest came out").Want(id, g.bundle.ID())
	}
	return nil
}

// abandon ends the gate's goroutine, whatever it is doing, and waits for it.
func (g *gate) abandon() {
	g.pipe.closeWrite(context.Canceled)
	g.cancel()
	<-g.done
}
