package media

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"sallyport/internal/code"
	"sallyport/internal/digest"
	"sallyport/internal/durable"
)

func TestFS(t *testing.T) {
	stick := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	for name, data := range map[string]string{"a/b/c.txt": "hello", "a/d": "x", outside: "secret"} {
		if !filepath.IsAbs(name) {
			name = filepath.Join(stick, name)
		}
		os.MkdirAll(filepath.Dir(name), 0o755)
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := open(t, stick)
	if err := fstest.TestFS(m.FS(), "a/b/c.txt", "a/d"); err != nil {
		t.Error(err)
	}
	os.Symlink("b/c.txt", filepath.Join(stick, "a", "in"))
	os.Symlink("b", filepath.Join(stick, "a", "dir"))
	os.Symlink(outside, filepath.Join(stick, "a", "out"))
	if err := syscall.Mkfifo(filepath.Join(stick, "a", "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a/in", "a/dir", "a/dir/c.txt", "a/out", "a/fifo"} {
		for op, do := range map[string]func(string) error{
			"open": func(n string) error { _, err := m.FS().Open(n); return err },
			"stat": func(n string) error { _, err := fs.Stat(m.FS(), n); return err },
		} {
			if err := do(name); !code.Has(err, code.MediumName) {
				t.Errorf("%s %s: %v", op, name, err)
			}
		}
	}
	for _, name := range []string{"../x", "/etc/passwd", "a/../a/d", "a/b/nothing"} {
		if _, err := m.FS().Open(name); err == nil || (!errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrNotExist)) {
			t.Errorf("open %s: %v", name, err)
		}
	}
	entries, err := fs.ReadDir(m.FS(), "a")
	if err != nil || len(entries) != 6 {
		t.Fatalf("entries %v, %v", entries, err)
	}
	f, err := m.FS().Open("a/b/c.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || string(b) != "hello" {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestPreflight(t *testing.T) {
	i := Info{FSType: "vfat", Free: 1000, MaxFile: maxFile("vfat"), Block: 512}
	for _, tc := range []struct {
		name string
		info func(Info) Info
		need Need
		want code.Code
	}{
		{"fits to the byte", nil, Need{1000, 900}, ""},
		{"one byte over", nil, Need{1001, 900}, code.NoSpace},
		{"4 GiB - 1 on FAT", func(i Info) Info { i.Free = 1 << 40; return i }, Need{1 << 33, 1<<32 - 1}, ""},
		{"4 GiB on FAT", func(i Info) Info { i.Free = 1 << 40; return i }, Need{1 << 33, 1 << 32}, code.FileTooBig},
		{"read-only", func(i Info) Info { i.ReadOnly = true; return i }, Need{1, 1}, code.MediumReadOnly},
		{"nothing to write on read-only", func(i Info) Info { i.ReadOnly = true; return i }, Need{}, ""},
	} {
		in := i
		if tc.info != nil {
			in = tc.info(i)
		}
		err := in.fits(tc.need, "stick")
		if code.Of(err) != tc.want {
			t.Errorf("%s: %v, want %s", tc.name, err, tc.want)
		}
		if tc.want == code.NoSpace && !strings.Contains(err.Error(), "want 1001 bytes free, got 1000 bytes") {
			t.Errorf("no exact need and have in %q", err)
		}
	}
	if got := i.round(513); got != 1024 {
		t.Errorf("513 bytes in blocks of 512: %d", got)
	}
}

// TestNoSpaceBeforeTheFirstByte asks for more than any disk has.
func TestNoSpaceBeforeTheFirstByte(t *testing.T) {
	src, b := shelf(t)
	b.Files[0].Bytes = 1 << 52
	stick := t.TempDir()
	_, err := open(t, stick).CopyBundle(t.Context(), durable.FS{}, src, b, nil)
	if code.Of(err) != code.NoSpace {
		t.Fatalf("got %v", err)
	}
	if entries, _ := os.ReadDir(stick); len(entries) != 0 {
		t.Errorf("written: %v", entries)
	}
}

func TestInfo(t *testing.T) {
	m := open(t, t.TempDir())
	i, err := m.Info()
	if err != nil || i.Free <= 0 || i.Total < i.Free || i.Block < 1 || i.MaxFile < 1<<32-1 || i.ReadOnly {
		t.Errorf("info %+v, %v", i, err)
	}
	if same, err := m.SharesDisk(m.Path()); err != nil || !same {
		t.Errorf("the medium lies on its own disk: %v, %v", same, err)
	}
	if got := printable("a\x1b[31m \"b\\\u202e" + strings.Repeat("c", 100)); len(got) != 64 || strings.ContainsAny(got, "\x1b \"\\") {
		t.Errorf("printable %q", got)
	}
}

func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "none")); code.Of(err) != code.Missing {
		t.Errorf("absent: %v", err)
	}
	os.WriteFile(filepath.Join(dir, "f"), nil, 0o600)
	if _, err := Open(filepath.Join(dir, "f")); code.Of(err) != code.BadUsage {
		t.Errorf("file: %v", err)
	}
}

func TestSmallFilesAreReplacedWhole(t *testing.T) {
	id := digest.Of([]byte("root"))
	for _, how := range []durable.Verdict{durable.Lose, durable.Keep} {
		for n := 0; ; n++ {
			stick := t.TempDir()
			m := open(t, stick)
			if err := m.WriteCard(durable.FS{}, "hub", []byte("old")); err != nil {
				t.Fatal(err)
			}
			steps := 0
			dfs := durable.WithHook(func(durable.Op) durable.Verdict {
				if steps++; steps-1 == n {
					return how
				}
				return durable.Do
			})
			err := errors.Join(m.WriteCard(dfs, "hub", []byte("newer")), m.WriteRoot(dfs, id, 1, []byte("{}")), m.WritePub(dfs, "hub", "acme", []byte("pem")))
			card, _ := os.ReadFile(filepath.Join(stick, Top, "cards", "hub.card.json"))
			if s := string(card); s != "old" && s != "newer" {
				t.Fatalf("step %d: card is %q", n, s)
			}
			if err == nil {
				if steps > n {
					t.Fatalf("step %d failed and nobody noticed", n)
				}
				break
			}
			if code.Has(err, code.FsyncFailed) {
				t.Fatalf("step %d: a stick would stop the daemon: %v", n, err)
			}
			if err := m.WriteCard(durable.FS{}, "hub", []byte("newer")); err != nil {
				t.Fatalf("step %d: again: %v", n, err)
			}
		}
	}
}

func TestNamesOnTheMedium(t *testing.T) {
	stick := t.TempDir()
	m := open(t, stick)
	id := digest.Of([]byte("root"))
	prog := filepath.Join(t.TempDir(), "mirror-binary")
	os.WriteFile(prog, []byte("program"), 0o755)
	for _, err := range []error{
		m.WriteCard(durable.FS{}, "hub", []byte("c")), m.WriteRoot(durable.FS{}, id, 2, []byte("r")),
		m.WritePub(durable.FS{}, "hub", "acme", []byte("p")), m.WriteMirror(t.Context(), durable.FS{}, prog), m.Sync(durable.FS{}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"cards/hub.card.json": "c", "roots/" + id.Hex()[:16] + ".2.root.json": "r",
		"pub/hub/tenants/acme/export-center.pub": "p", "bin/mirror": "program",
	} {
		if got, err := os.ReadFile(filepath.Join(stick, Top, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if st, err := os.Stat(filepath.Join(stick, Top, "bin", "mirror")); err != nil || st.Mode()&0o111 == 0 {
		t.Errorf("mirror cannot be run: %v, %v", st, err)
	}
	if err := m.WriteCard(durable.FS{}, "../x", []byte("c")); err == nil {
		t.Error("a name led out of the folder")
	}
}
