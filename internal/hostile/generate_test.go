package hostile

import (
	"bytes"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sallyport/internal/archtest"
	"sallyport/internal/forge"
)

var update = flag.Bool("update", false, "write testdata/hostile again")

// What the repository takes: bytes of one file and of all.
const (
	fileMax = 64 << 10
	allMax  = 6 << 20
	seed    = 70
)

const readme = `# Hostile inputs

One directory for each case: a medium with one defect, and in ` + "`want`" + ` the code and the exit status it must be refused with
(` + "`mirror-…`" + ` and ` + "`import-…`" + ` where that surface knows more or less). Numbers: 0xx container, 1xx names on media, 2xx compression,
3xx sealing, 4xx envelope and manifest, 5xx keys and root, 6xx delta. ` + "`medium/`" + ` is the stick; where a file ` + "`generator`" + ` stands instead, the
stick is too big, differs each time, or has names that no repository holds, and the test makes it.

` + "`trust/1.root.json`" + ` is the trust root that all cases are judged with; a case with a ` + "`trust/`" + ` of its own is judged with that.
No key here protects anything: all are made from a number.

    bin/mirror verify testdata/hostile/016-symlink-outside/medium --root testdata/hostile/trust/1.root.json

Written by ` + "`go test ./internal/hostile -run TestGenerate -update`" + `; never edit by hand.
`

func world(t testing.TB) *forge.World {
	t.Helper()
	w, err := forge.NewWorld(seed)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// files are all files below testdata/hostile as the table makes them.
func files(t *testing.T) map[string][]byte {
	t.Helper()
	w := world(t)
	out := map[string][]byte{"README.md": []byte(readme), "trust/1.root.json": w.Hub.RootEnv, ".gitattributes": []byte("** -text\n")}
	for _, c := range Cases() {
		out[c.Name()+"/want"] = []byte(c.Want())
		if c.Trust != nil {
			roots, err := c.Roots(w)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range roots {
				out[c.Name()+"/trust/"+string(rune('1'+i))+".root.json"] = r
			}
		}
		if c.Big {
			out[c.Name()+"/generator"] = []byte(c.Name() + "\n")
			continue
		}
		m, err := c.Build(w)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Links)+len(m.Dirs)+len(m.Pipes) > 0 {
			t.Errorf("%s: only files can be kept", c.Name())
		}
		for name, body := range m.Files {
			out[c.Name()+"/medium/"+name] = body
		}
	}
	return out
}

func testdata(t testing.TB) string {
	t.Helper()
	root, err := archtest.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "testdata", "hostile")
}

// What is kept is what the table makes, byte for byte, and small.
func TestGenerate(t *testing.T) {
	want, dir := files(t), testdata(t)
	if *update {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := (&Medium{Files: want}).Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	total := 0
	for name, body := range want {
		if total += len(body); len(body) > fileMax {
			t.Errorf("%s has %d bytes: make it when needed", name, len(body))
		}
	}
	if total > allMax {
		t.Errorf("%d bytes in all", total)
	}
	t.Logf("%d cases, %d files, %d bytes", len(Cases()), len(want), total)
	got := kept(t, dir)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if b, ok := got[name]; !ok || !bytes.Equal(b, want[name]) {
			t.Errorf("%s is not what the table makes (there: %v); run with -update and look at what changed", name, ok)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%s: no case makes it", name)
	}
}

func kept(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	got := map[string][]byte{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		got[filepath.ToSlash(rel)], err = os.ReadFile(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Every case has a number and a name of its own, and says what is wrong.
func TestTable(t *testing.T) {
	seen, sections := map[int]bool{}, map[string]int{}
	slugs := map[string]bool{}
	for _, c := range Cases() {
		if seen[c.Number] || slugs[c.Slug] || c.Defect == "" || c.Code == "" || c.Plan == nil && c.Input == nil && c.Trust == nil {
			t.Errorf("%s: number or slug used twice, or nothing is said, expected or done", c.Name())
		}
		seen[c.Number], slugs[c.Slug] = true, true
		sections[c.Section()]++
	}
	t.Log(sections)
	for _, s := range []string{"A", "B", "C", "D", "E", "F", "G"} {
		if sections[s] < 10 {
			t.Errorf("section %s has %d cases", s, sections[s])
		}
	}
}
