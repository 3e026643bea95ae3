package media

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
	"sallyport/internal/ident"
)

const (
	partial = ".partial" // ends the name of a file that is being written
	chunk   = 1 << 20    // bytes of one write
)

// WriteCard replaces cards/<appliance>.card.json. Like every small writer here: partial name, sync, rename, sync of the
// folder, read back; the old file stands until the rename. Call Sync when all is written.
func (m *Medium) WriteCard(dfs durable.FS, appliance string, envelope []byte) error {
	if err := ident.Name(appliance); err != nil {
		return fmt.Errorf("write card: %w", err)
	}
	return m.replace(dfs, Top+"/cards", appliance+".card.json", envelope)
}

// WriteRoot replaces roots/<first 16 hex of the root id>.<N>.root.json.
func (m *Medium) WriteRoot(dfs durable.FS, id digest.Digest, version int64, envelope []byte) error {
	return m.replace(dfs, Top+"/roots", fmt.Sprintf("%s.%d.root.json", id.Short(), version), envelope)
}

// WritePub replaces pub/<appliance>/tenants/<tenant>/export-center.pub, the tenant bundle key's public half in PEM.
func (m *Medium) WritePub(dfs durable.FS, appliance, tenant string, pem []byte) error {
	for _, n := range []string{appliance, tenant} {
		if err := ident.Name(n); err != nil {
			return fmt.Errorf("write pub: %w", err)
		}
	}
	return m.replace(dfs, Top+"/pub/"+appliance+"/tenants/"+tenant, "export-center.pub", pem)
}

// WriteMirror replaces bin/mirror by the program at file; one that is already there with the same bytes is left alone.
func (m *Medium) WriteMirror(ctx context.Context, dfs durable.FS, file string) error {
	d, n, err := sumFile(ctx, file)
	if err != nil {
		return fmt.Errorf("write mirror: %w", err)
	}
	c, err := m.copier(ctx, dfs, filepath.Dir(file), Top+"/bin", nil)
	if err != nil {
		return err
	}
	defer c.close()
	f := File{Name: "mirror", From: filepath.Base(file), Bytes: n, Digest: d, Exec: true}
	return c.run([]File{f})
}

func sumFile(ctx context.Context, file string) (digest.Digest, int64, error) {
	f, err := os.Open(file)
	if err != nil {
		return digest.Digest{}, 0, err
	}
	defer f.Close()
	r := digest.NewReader(ctxReader{ctx, f})
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, chunk))
	return r.Sum(), n, err
}

type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// Sync flushes the whole medium; after it nil means: safe to remove.
func (m *Medium) Sync(dfs durable.FS) error {
	if m.gone() {
		return code.New(code.MediumGone, "").In(m.path, "")
	}
	return m.writeFault(dfs.SyncTree(m.path), m.path)
}

// replace writes one small file whole or not at all and reads it back. The same bytes again are not written again.
func (m *Medium) replace(dfs durable.FS, dir, name string, data []byte) error {
	full := path.Join(dir, name)
	if have, err := m.slurp(full, int64(len(data))); err == nil && bytes.Equal(have, data) {
		return nil
	}
	if i, err := m.Info(); err != nil {
		return err
	} else if err := i.fits(Need{Bytes: i.round(int64(len(data))), MaxFile: int64(len(data))}, m.path); err != nil {
		return err
	}
	if err := m.mkdir(dfs, dir); err != nil {
		return err
	}
	if err := m.writeSmall(dfs, full, data); err != nil {
		return m.writeFault(err, full)
	}
	have, err := m.slurp(full, int64(len(data)))
	if err != nil {
		return m.fault(err, full, 0)
	}
	if !bytes.Equal(have, data) {
		return code.New(code.ReadBack, "").In(full, "").Want(digest.Of(data), digest.Of(have))
	}
	return nil
}

func (m *Medium) writeSmall(dfs durable.FS, full string, data []byte) error {
	f, err := m.openWrite(dfs, full+partial)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(0); err != nil {
		return err
	}
	if err := dfs.Write(f, data); err != nil {
		return err
	}
	if err := dfs.Sync(f); err != nil {
		return err
	}
	return m.rename(dfs, full+partial, full)
}

// slurp reads a small file past the page cache; more than limit bytes come back as limit+1.
func (m *Medium) slurp(name string, limit int64) ([]byte, error) {
	f, err := m.uncached(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// mkdir makes a folder and its missing parents below the medium's root, each synced into its parent; a link or file in
// the way is refused.
func (m *Medium) mkdir(dfs durable.FS, dir string) error {
	at := "."
	for part := range strings.SplitSeq(dir, "/") {
		parent := at
		at = path.Join(at, part)
		st, err := m.lstat("mkdir", at)
		if err == nil && st.IsDir() {
			continue
		}
		if err == nil {
			return code.New(code.MediumName, "a file stands where a folder must be").In(at, "")
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		err = dfs.Step("mkdir", m.abs(at), func() error { return m.root.Mkdir(at, 0o755) })
		if err == nil {
			err = m.syncDir(dfs, parent)
		}
		if err != nil {
			return m.writeFault(err, at)
		}
	}
	return nil
}

// openWrite opens a file for writing, making it when it is not there; only a regular file of the medium itself will do.
func (m *Medium) openWrite(dfs durable.FS, name string) (*os.File, error) {
	st, err := m.lstat("open", name)
	if errors.Is(err, fs.ErrNotExist) {
		var f *os.File
		err = dfs.Step("create", m.abs(name), func() (err error) {
			f, err = m.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
			return err
		})
		if err != nil && f != nil {
			f.Close()
			return nil, err
		}
		return f, err
	}
	if err != nil {
		return nil, err
	}
	f, err := m.root.OpenFile(name, os.O_RDWR|noBlock, 0)
	if err != nil {
		return nil, err
	}
	if got, err := f.Stat(); err != nil || !os.SameFile(st, got) || !got.Mode().IsRegular() {
		f.Close()
		return nil, code.Wrap(code.MediumName, err, "is not the regular file it was").In(name, "")
	}
	return f, nil
}

func (m *Medium) rename(dfs durable.FS, from, to string) error {
	err := dfs.Step("rename", m.abs(to), func() error { return m.root.Rename(from, to) })
	if err != nil {
		return err
	}
	return m.syncDir(dfs, path.Dir(to))
}

func (m *Medium) remove(dfs durable.FS, name string) error {
	err := dfs.Step("remove", m.abs(name), func() error {
		if err := m.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	return m.syncDir(dfs, path.Dir(name))
}

func (m *Medium) syncDir(dfs durable.FS, dir string) error {
	d, err := m.root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return dfs.Sync(d)
}

// abs names a file of the medium for messages and for the fault seam; nothing is opened by it.
func (m *Medium) abs(name string) string { return filepath.Join(m.path, filepath.FromSlash(name)) }

// round is n in whole blocks of the medium.
func (i Info) round(n int64) int64 { return (n + i.Block - 1) / i.Block * i.Block }
