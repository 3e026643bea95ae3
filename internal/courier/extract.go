package courier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/verify"
)

// list prints what is inside what was verified: entries when it was opened, volumes when it was not.
func (p Program) list(ctx context.Context, args []string) (int, error) {
	r, err := parse("list", args)
	if err != nil {
		return 0, err
	}
	rep, err := p.look(ctx, r, func(it *item, b *verify.Bundle, pk *verify.Packing) {
		if b == nil {
			for _, v := range pk.Label().Volumes {
				it.List = append(it.List, entry{v.Name, "volume", v.Bytes, v.Digest.String()})
			}
			return
		}
		for _, c := range b.Manifest().Contents {
			it.List = append(it.List, entry{c.Path, c.Role, c.Bytes, c.Digest.String()})
		}
	})
	if err != nil {
		return 0, err
	}
	if r.json {
		return rep.Exit, rep.print(p.Out, true)
	}
	for _, it := range rep.Items {
		for _, l := range it.List {
			if _, err := fmt.Fprintf(p.Out, "%s %12d %-10s %s\n", l.Digest, l.Bytes, l.Role, clean(l.Path)); err != nil {
				return 0, err
			}
		}
	}
	return rep.Exit, rep.print(p.Err, false)
}

// extract writes one verified bundle into a new directory.
func (p Program) extract(ctx context.Context, args []string) (int, error) {
	r, err := parse("extract", args)
	if err != nil {
		return 0, err
	}
	r.to = filepath.Clean(r.to)
	if _, err := os.Lstat(r.to); !errors.Is(err, fs.ErrNotExist) {
		return 0, code.New(code.BadUsage, "there is something already").In(r.to, "").Do("Name a directory that does not exist yet.")
	}
	e, err := p.prepare(r)
	if err != nil {
		return 0, err
	}
	defer e.tree.close()
	x := &extraction{to: r.to}
	defer x.drop()
	e.o.Sink = x
	var done *verify.Bundle
	items, err := e.items(ctx, func(_ *item, b *verify.Bundle, _ *verify.Packing) { done = b })
	if err != nil {
		return 0, err
	}
	rep := &report{Trust: e.trust.how, Warnings: append([]string{}, e.trust.warnings...), Items: items}
	e.lonely(rep)
	rep.sum()
	if rep.Exit == 0 && done == nil {
		return 0, code.New(code.IdentityMissing, "nothing was opened, so there is nothing to extract").In(r.path, "")
	}
	if rep.Exit == 0 {
		if err := x.finish(done); err != nil {
			return 0, err
		}
	}
	return rep.Exit, rep.print(p.Out, r.json)
}

// extraction is the sink of extract: a directory beside the wanted one, which gets its name when everything was verified.
type extraction struct {
	to   string
	temp string
	root *os.Root
	open *os.File
}

// Begin refuses a second bundle, so that the files of two never mix.
func (x *extraction) Begin(*verify.Bundle) error {
	if x.root != nil {
		return code.New(code.Ambiguous, "more than one bundle here can be opened").Do("Name one bundle's directory.")
	}
	var err error
	if x.temp, err = os.MkdirTemp(filepath.Dir(x.to), "."+filepath.Base(x.to)+".partial-*"); err != nil {
		return write(err, x.to)
	}
	x.root, err = os.OpenRoot(x.temp)
	return err
}

// Entry creates a file. Paths of a verified manifest hold no dot parts and no characters outside A-Z a-z 0-9 . _ - /, and
// the opened directory lets nothing out of it whatever they hold.
func (x *extraction) Entry(c bundle.Content) (io.Writer, error) { return x.create(c.Path) }

func (x *extraction) create(name string) (io.WriteCloser, error) {
	if dir := path.Dir(name); dir != "." {
		if err := x.root.MkdirAll(filepath.FromSlash(dir), 0o755); err != nil {
			return nil, write(err, name)
		}
	}
	f, err := x.root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, write(err, name)
	}
	x.open = f
	return f, nil
}

// finish adds the signatures and gives the directory its name.
func (x *extraction) finish(b *verify.Bundle) error {
	for _, m := range b.Front() {
		f, err := x.create(m.Name)
		if err != nil {
			return err
		}
		_, err = f.Write(m.Body)
		if err = errors.Join(err, f.Close()); err != nil {
			return write(err, m.Name)
		}
	}
	x.root.Close()
	if err := os.Chmod(x.temp, 0o755); err != nil {
		return write(err, x.to)
	}
	if err := os.Rename(x.temp, x.to); err != nil {
		return write(err, x.to)
	}
	x.temp = ""
	return nil
}

// drop removes what was not finished.
func (x *extraction) drop() {
	if x.open != nil {
		x.open.Close()
	}
	if x.root != nil {
		x.root.Close()
	}
	if x.temp != "" {
		os.RemoveAll(x.temp)
	}
}
