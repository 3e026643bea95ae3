package archtest

import (
	"go/ast"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func parsed(t *testing.T) (string, []File) {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	files, err := Files(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("only %d files found under %s", len(files), root)
	}
	return root, files
}

func TestBandsAndDoors(t *testing.T) {
	_, files := parsed(t)
	for _, f := range files {
		if f.Test || IsTestOnly(f.Package) {
			continue
		}
		if _, _, ok := Place(f.Package); !ok {
			t.Errorf("%s: package %s has no band", f.Path, f.Package)
			continue
		}
		for _, imp := range f.Imports {
			checkImport(t, f, imp)
		}
	}
}

func checkImport(t *testing.T, f File, imp string) {
	t.Helper()
	if rest, ours := strings.CutPrefix(imp, Module+"/"); ours {
		to := strings.TrimPrefix(rest, "internal/")
		if IsTestOnly(to) {
			t.Errorf("%s: imports %s, which is for tests", f.Path, to)
		} else if err := MayImport(f.Package, to); err != nil {
			t.Errorf("%s: %v", f.Path, err)
		}
		return
	}
	if !strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
		return // standard library
	}
	module, doors, ok := DoorOf(imp)
	switch {
	case IsTestModule(imp):
		t.Errorf("%s: imports %s, which is for tests", f.Path, imp)
	case !ok:
		t.Errorf("%s: %s has no door", f.Path, imp)
	case !slices.ContainsFunc(doors, func(d string) bool { return f.Package == d || strings.HasPrefix(f.Package, d+"/") }):
		t.Errorf("%s: %s may be imported by %v only", f.Path, module, doors)
	}
}

func TestVerifyIsPure(t *testing.T) {
	_, files := parsed(t)
	for _, f := range files {
		if f.Test || f.Package != "verify" {
			continue
		}
		for _, imp := range f.Imports {
			if to, ours := strings.CutPrefix(imp, Module+"/internal/"); ours {
				if band, _, _ := Place(to); band > 1 {
					t.Errorf("%s: the gate imports %s of band %d", f.Path, to, band)
				}
			}
			if slices.Contains([]string{"os", "net", "net/http", "log/slog"}, imp) {
				t.Errorf("%s: the gate imports %s", f.Path, imp)
			}
		}
	}
}

// Formats are bytes and values: no files, no clock reads, no logging.
func TestFormatsArePure(t *testing.T) {
	_, files := parsed(t)
	for _, f := range files {
		if band, _, ok := Place(f.Package); f.Test || !ok || band != 1 {
			continue
		}
		for _, imp := range f.Imports {
			if slices.Contains([]string{"os", "net", "net/http", "log", "log/slog"}, imp) {
				t.Errorf("%s: a format imports %s", f.Path, imp)
			}
		}
	}
}

// Only intake and load may make a feed.Plan: nothing else enters a feed.
func TestOnlyRoomsWithAGateMakePlans(t *testing.T) {
	_, files := parsed(t)
	for _, f := range files {
		if f.Test || strings.HasPrefix(f.Package, "intake") || f.Package == "load" || f.Package == "feed" {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "feed" && strings.HasPrefix(sel.Sel.Name, "NewPlan") {
				t.Errorf("%s: calls feed.%s", f.Fset.Position(n.Pos()), sel.Sel.Name)
			}
			return true
		})
	}
}

func TestOneRowAPackage(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range Bands {
		for _, pkg := range row {
			if seen[pkg] {
				t.Errorf("%s stands in two bands", pkg)
			}
			seen[pkg] = true
		}
	}
}

// Every package comment has three parts: the room in one sentence, the data it owns, the order and what a crash leaves.
func TestPackageComments(t *testing.T) {
	_, files := parsed(t)
	docs := map[string]string{}
	for _, f := range files {
		if !f.Test && !strings.HasSuffix(f.Path, "_templ.go") { // generated ones begin with a note of their own
			docs[f.Package] += f.AST.Doc.Text()
		}
	}
	for pkg, doc := range docs {
		parts := strings.Count(strings.TrimSpace(doc), "\n\n") + 1
		if strings.HasPrefix(pkg, "cmd/") {
			if doc == "" {
				t.Errorf("%s has no package comment", pkg)
			}
			continue
		}
		if parts < 3 || !strings.HasPrefix(doc, "Package ") {
			t.Errorf("%s: the package comment has %d of 3 parts", pkg, parts)
		}
	}
}

// A function is rarely over 50 lines, a file rarely over 400; main is at most 40.
func TestSizes(t *testing.T) {
	_, files := parsed(t)
	var long, total, bigFiles, allFiles int
	for _, f := range files {
		if strings.HasPrefix(f.Package, "cmd/") && f.Lines > 40 {
			t.Errorf("%s: %d lines, a main has at most 40", f.Path, f.Lines)
		}
		if f.Test || strings.HasSuffix(f.Path, "_templ.go") || f.Path == "internal/code/table.go" {
			continue
		}
		allFiles++
		if f.Lines > 400 {
			bigFiles++
			t.Logf("%s: %d lines", f.Path, f.Lines)
		}
		if f.Lines > 600 {
			t.Errorf("%s: %d lines, at most 600", f.Path, f.Lines)
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			total++
			n := f.Fset.Position(fn.End()).Line - f.Fset.Position(fn.Pos()).Line
			if n > 50 {
				long++
				t.Logf("%s: %s has %d lines", f.Path, fn.Name.Name, n)
			}
			if n > 100 {
				t.Errorf("%s: %s has %d lines, at most 100", f.Path, fn.Name.Name, n)
			}
		}
	}
	if long*20 > total {
		t.Errorf("%d of %d functions are over 50 lines, at most 5 %% may be", long, total)
	}
	if bigFiles*20 > allFiles {
		t.Errorf("%d of %d files are over 400 lines, at most 5 %% may be", bigFiles, allFiles)
	}
}

// No state but sentinels, compiled tables and embeds; no init; no registration by import.
func TestNoInit(t *testing.T) {
	_, files := parsed(t)
	for _, f := range files {
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" && !f.Test {
				t.Errorf("%s: has an init function", f.Path)
			}
		}
		for _, spec := range f.AST.Imports {
			if spec.Name != nil && spec.Name.Name == "_" && spec.Path.Value != `"embed"` {
				t.Errorf("%s: imports %s for its side effects", f.Path, spec.Path.Value)
			}
		}
	}
}

// The only place that syncs is durable; everybody else asks it.
func TestOnlyDurableSyncs(t *testing.T) {
	_, files := parsed(t)
	for _, f := range files {
		if f.Test || f.Package == "durable" || IsTestOnly(f.Package) {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if ok && len(call.Args) == 0 && sel.Sel.Name == "Sync" && f.Package != "layer" {
				t.Errorf("%s: syncs by itself", f.Fset.Position(n.Pos()))
			}
			return true
		})
	}
}

// The verifier that couriers run can be audited alone.
func TestMirrorLinksLittle(t *testing.T) {
	root, _ := parsed(t)
	for _, target := range []string{"linux/amd64", "linux/arm64", "windows/amd64"} {
		goos, goarch, _ := strings.Cut(target, "/")
		cmd := exec.Command("go", "list", "-deps", "./cmd/mirror")
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list for %s: %v", target, err)
		}
		for _, dep := range strings.Fields(string(out)) {
			for _, bad := range []string{"net/http", "go.etcd.io/bbolt", "github.com/labstack", "github.com/a-h/templ", "github.com/prometheus", "github.com/spf13", "os/exec"} {
				if dep == bad || strings.HasPrefix(dep, bad+"/") {
					t.Errorf("cmd/mirror on %s links %s", target, dep)
				}
			}
		}
	}
}

func TestTopLevel(t *testing.T) {
	root, _ := parsed(t)
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{"cmd", "internal", "ui", "offline-kit", "packaging", "systemd", "testdata", "Makefile", "go.mod", "README.md", "VERSION", "NOTICE", "go.sum", "build", "demo"}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s does not belong at the top", e.Name())
		}
	}
}

// The README's map and dependency table name what there is.
func TestReadmeIsTrue(t *testing.T) {
	root, files := parsed(t)
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	readme := string(text)
	if n := strings.Count(readme, "\n"); n > 250 {
		t.Errorf("README.md has %d lines, at most 250", n)
	}
	used, named := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		for _, imp := range f.Imports {
			if module, _, ok := DoorOf(imp); ok && !f.Test {
				used[module] = true
			}
		}
		pkg := strings.SplitN(f.Package, "/", 2)[0]
		if pkg == "ui" {
			pkg = f.Package
		}
		if pkg == "cmd" || named[pkg] {
			continue
		}
		named[pkg] = true
		if !strings.Contains(readme, "`"+pkg+"`") {
			t.Errorf("README.md does not name package %s", pkg)
		}
	}
	for module := range used {
		if !strings.Contains(readme, module) {
			t.Errorf("README.md does not name the dependency %s", module)
		}
	}
}
