package api

import (
	"os"
	"path/filepath"
	"testing"

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
