package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"os"
	"path/filepath"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/wire"
)

// Form takes a whole multipart form, as a browser without script sends it, and makes a medium of the files in it. Each part goes
// to the disk as it comes; length is what the request says of itself, and is reserved before the first byte. A form that breaks
// off leaves nothing. Codes as Begin, and interrupted.
func (r *Room) Form(ctx context.Context, o Owner, length int64, parts *multipart.Reader) (wire.Upload, error) {
	if length <= 0 {
		return wire.Upload{}, code.New(code.UploadForm, "the length of the form is not known").In("", "Content-Length").Want("at least 1", length)
	}
	free, err := r.promise(o.Tenant, length)
	if err != nil {
		return wire.Upload{}, err
	}
	defer free()
	release, err := r.Reserve(length)
	if err != nil {
		return wire.Upload{}, fmt.Errorf("upload: %w", err)
	}
	defer release()
	it, err := r.make(meta{Tenant: o.Tenant, By: o.By})
	if err == nil {
		err = r.form(ctx, it, length, parts)
	}
	if err != nil {
		if it != nil {
			err = errors.Join(err, os.RemoveAll(it.dir))
		}
		return wire.Upload{}, r.watch(fmt.Errorf("upload: %w", err))
	}
	r.keep(it)
	return it.shown(true), nil
}

func (r *Room) form(ctx context.Context, it *item, length int64, parts *multipart.Reader) error {
	var names []string
	var sizes []int64
	left := length
	for {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return gone(err)
		}
		name := nameOf(p)
		if name == "" {
			continue // a field of the form, or an input in which nothing was chosen
		}
		if err := check(name); err != nil {
			return err
		}
		if len(names) == maxFiles {
			return code.New(code.UploadForm, "too many files").Want(fmt.Sprintf("at most %d", maxFiles), "more")
		}
		n, err := r.part(ctx, it, len(names), name, left, p)
		if err != nil {
			return err
		}
		names, sizes, left = append(names, name), append(sizes, n), left-n
	}
	if len(names) == 0 {
		return code.New(code.MediumEmpty, "no file was chosen").Do("Choose the folder of the bundle on the stick: it has a file that ends in .label.json.")
	}
	places, err := place(names)
	if err != nil {
		return err
	}
	for i, name := range names {
		it.meta.Files = append(it.meta.Files, file{Name: name, Size: sizes[i], Place: places[i]})
		if places[i] == "" {
			if err := os.Remove(it.data(i)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	if err := r.settle(it); err != nil {
		return err
	}
	return r.complete(ctx, it, nil)
}

// nameOf is the name of the file of a part, with its folders, which the standard library would cut off.
func nameOf(p *multipart.Part) string {
	if p.FileName() == "" {
		return ""
	}
	_, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
	if err != nil {
		return p.FileName()
	}
	return params["filename"]
}

// part writes one file, and syncs it. What can be no part of a bundle is read over.
func (r *Room) part(ctx context.Context, it *item, n int, name string, most int64, body io.Reader) (size int64, err error) {
	if k, _ := judge(filepath.Base(name)); k == other {
		size, err = io.Copy(io.Discard, body)
		if err != nil {
			err = gone(err)
		}
		return size, err
	}
	f, err := os.OpenFile(it.data(n), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := digest.NewWriter(r.FS.Writer(f))
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return 0, gone(err)
		}
		k, rerr := body.Read(buf)
		if size += int64(k); size > most {
			return 0, code.New(code.UploadForm, "the form is longer than it said").In("", "Content-Length")
		}
		if k > 0 {
			if _, err := w.Write(buf[:k]); err != nil {
				return 0, err
			}
		}
		if errors.Is(rerr, io.EOF) {
			break
		}
		if rerr != nil {
			return 0, gone(rerr)
		}
	}
	if size == 0 {
		return 0, code.New(code.UploadForm, "an empty file").In(fmt.Sprintf("%.120q", name), "").Want("at least 1 byte", 0)
	}
	return size, r.FS.Sync(f)
}
