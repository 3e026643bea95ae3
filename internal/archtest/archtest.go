// Package archtest holds the rules of the building and the parsing they need; tests alone use it.
//
// Data: three compiled tables: the band of each package, the doors of each third-party module, the sizes that are allowed.
// The README draws the same map for people; a test compares the two.
//
// Order: every Go file of the module is parsed (any build tag), never built; nothing is written.
package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Module is the module path.
const Module = "sallyport"

// Bands lists the packages of each band, bottom first. In bands 0, 1 and 2 a package may import one named before it.
var Bands = [][]string{
	0:  {"digest", "ident", "units", "clock", "code", "durable"},
	1:  {"canon", "attest", "seal", "pack", "record", "root", "bundle", "reach", "policy", "config", "wire", "ui/static", "ui/kit", "ui/manual"},
	2:  {"cas", "state", "layer", "keyring", "marks", "media", "metrics", "client", "cert", "ui/page"},
	3:  {"timeline"},
	4:  {"access", "approval", "evidence", "feed", "job", "peer", "verify"},
	5:  {"load", "intake", "export", "distribute", "ingest", "scan", "retention", "webhook", "lifecycle", "schedule", "desk", "upload", "courier"},
	6:  {"web"},
	7:  {"daemon"},
	8:  {"demo"},
	9:  {"cli"},
	10: {"cmd/sallyport", "cmd/mirror"},
}

// TestOnly packages have no band; only tests and each other import them.
var TestOnly = []string{"archtest", "sample", "statetest", "forge", "hostile", "bench", "crash", "blocklog", "history", "browser"}

// Doors says which packages may import a third-party module. Children of a door are doors.
var Doors = map[string][]string{
	"go.etcd.io/bbolt":                                  {"state", "layer"},
	"github.com/labstack/echo/v4":                       {"web"},
	"github.com/secure-systems-lab/go-securesystemslib": {"attest"},
	"filippo.io/age":                                    {"seal"},
	"github.com/minio/sio":                              {"seal"},
	"github.com/klauspost/compress":                     {"pack"},
	"github.com/spf13/cobra":                            {"cli"},
	"github.com/spf13/pflag":                            {"cli"},
	"go.yaml.in/yaml/v3":                                {"canon"},
	"github.com/gowebpki/jcs":                           {"canon"},
	"github.com/package-url/packageurl-go":              {"record"},
	"github.com/CycloneDX/cyclonedx-go":                 {"record"},
	"golang.org/x/mod":                                  {"timeline"},
	"github.com/prometheus/client_golang":               {"metrics"},
	"github.com/prometheus/common":                      {"metrics"},
	"github.com/coreos/go-systemd/v22":                  {"daemon"},
	"github.com/oklog/ulid/v2":                          {"ident"},
	"github.com/dustin/go-humanize":                     {"units"},
	"github.com/tyler-smith/go-bip39":                   {"units"},
	"github.com/moby/sys/mountinfo":                     {"media"},
	"golang.org/x/sys":                                  {"durable", "cas", "media", "daemon", "cli"},
	"golang.org/x/term":                                 {"cli"},
	"golang.org/x/crypto":                               {"attest", "access"},
	"github.com/pquerna/otp":                            {"access"},
	"github.com/a-h/templ":                              {"ui/kit", "ui/page"},
	"github.com/boombuler/barcode":                      {"ui/kit"},
	"github.com/yuin/goldmark":                          {"ui/manual"},
}

// TestModules are imported by tests alone.
var TestModules = []string{
	"github.com/rogpeppe/go-internal", "pgregory.net/rapid", "github.com/google/go-cmp", "go.uber.org/goleak",
	"c2sp.org/CCTV/age", "github.com/santhosh-tekuri/jsonschema/v6", "github.com/hanwen/go-fuse/v2",
	"golang.org/x/net",
}

// File is one parsed Go file.
type File struct {
	Path    string // relative to the module root, slashes
	Package string // folder below internal/ ("export/mirror"), or "cmd/x", "ui/x"
	Test    bool
	Imports []string
	AST     *ast.File
	Fset    *token.FileSet
	Lines   int
}

// Root finds the module root above the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("go.mod: not found above the working directory")
		}
	}
}

// Files parses every Go file of the module outside testdata.
func Files(root string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "build" || strings.HasPrefix(d.Name(), ".") && name != root) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parse(root, name)
		files = append(files, f)
		return err
	})
	return files, err
}

func parse(root, name string) (File, error) {
	rel, err := filepath.Rel(root, name)
	if err != nil {
		return File{}, err
	}
	f := File{Path: filepath.ToSlash(rel), Fset: token.NewFileSet()}
	if f.AST, err = parser.ParseFile(f.Fset, name, nil, parser.ParseComments); err != nil {
		return f, err
	}
	f.Package = strings.TrimPrefix(path.Dir(f.Path), "internal/")
	f.Test = strings.HasSuffix(f.Path, "_test.go")
	f.Lines = f.Fset.File(f.AST.Pos()).LineCount()
	for _, spec := range f.AST.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return f, err
		}
		f.Imports = append(f.Imports, p)
	}
	return f, nil
}

// Place is the band of a package and its position in the row; a child shares its parent's place.
func Place(pkg string) (band, pos int, ok bool) {
	for ; pkg != "." && pkg != "/"; pkg = path.Dir(pkg) {
		for b, row := range Bands {
			if i := slices.Index(row, pkg); i >= 0 {
				return b, i, true
			}
		}
	}
	return 0, 0, false
}

// MayImport tells whether package from may import package to of this module, and why not.
func MayImport(from, to string) error {
	fb, fp, ok := Place(from)
	if !ok {
		return fmt.Errorf("%s has no band", from)
	}
	tb, tp, ok := Place(to)
	if !ok {
		return fmt.Errorf("%s has no band", to)
	}
	switch {
	case tb < fb, path.Dir(from) == to:
		return nil
	case tb == fb && fb <= 2 && tp < fp:
		return nil
	case strings.HasPrefix(to, from+"/"):
		return nil // a room and the kinds below it
	}
	return fmt.Errorf("%s (band %d) may not import %s (band %d)", from, fb, to, tb)
}

// DoorOf finds the module of an import path among the doors; ok is false when it is none of them.
func DoorOf(imp string) (module string, doors []string, ok bool) {
	for module, doors := range Doors {
		if imp == module || strings.HasPrefix(imp, module+"/") {
			return module, doors, true
		}
	}
	return "", nil, false
}

// IsTestModule tells whether an import path belongs to a module that only tests use.
func IsTestModule(imp string) bool {
	return slices.ContainsFunc(TestModules, func(m string) bool { return imp == m || strings.HasPrefix(imp, m+"/") })
}

// IsTestOnly tells whether a package is for tests alone.
func IsTestOnly(pkg string) bool {
	return slices.Contains(TestOnly, strings.SplitN(pkg, "/", 2)[0])
}
