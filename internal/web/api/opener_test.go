package api

import (
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/web"
)

// A caller who is not the administrator gets no file out of a folder it may not search, also not by a link.
func TestOpenerAsTheCaller(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs to be somebody else's files")
	}
	open, err := os.MkdirTemp("/tmp", "opener")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(open)
	closed := filepath.Join(open, "closed")
	file, inside, link := filepath.Join(open, "a.json"), filepath.Join(closed, "b.json"), filepath.Join(open, "link.json")
	for _, err := range []error{
		os.Chmod(open, 0o755), os.Mkdir(closed, 0o700), os.WriteFile(file, nil, 0o644), os.WriteFile(inside, nil, 0o644), os.Symlink(inside, link),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	as := opener(web.Actor{UID: 4242, GID: 4242})
	for path, want := range map[string]bool{file: true, inside: false, link: false} {
		f, err := as(path)
		if (err == nil) != want {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
		if f != nil {
			f.Close()
		}
	}
}

// A card is written for others only where they could write themselves.
func TestCardsAreWrittenAsTheCaller(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs to be somebody else's folders")
	}
	top, err := os.MkdirTemp("/tmp", "mayWrite")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(top)
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	dir := func(mode os.FileMode, parts ...string) string {
		path := filepath.Join(append([]string{top}, parts...)...)
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	open, shut := dir(0o777, "open"), dir(0o755, "shut")
	hidden := dir(0o777, "hidden", "stick")
	dir(0o700, "hidden")
	mixed := dir(0o777, "mixed")
	ours := dir(0o755, "mixed", "sallyport")
	link := filepath.Join(open, "link")
	if err := os.Symlink(shut, link); err != nil {
		t.Fatal(err)
	}
	who := web.Actor{UID: 4242, GID: 4242}
	for path, want := range map[string]code.Code{
		open: "", shut: code.Denied, hidden: code.Denied, mixed: code.Denied, ours: code.Denied, link: code.Denied,
		filepath.Join(open, "none"): code.Missing,
	} {
		if err := mayWrite(who, path); code.Of(err) != want {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
	if err := mayWrite(web.Actor{Admin: true}, shut); err != nil {
		t.Errorf("root: %v", err)
	}
}
