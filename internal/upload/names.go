package upload

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/code"
)

var (
	plainRE  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	volumeRE = regexp.MustCompile(`^(.+)\.tar\.zst(\.age|\.dare)?(\.[0-9]{3,4})?$`)
)

// kind is what a file is by its name; nothing is proven by it.
type kind int

const (
	other kind = iota // not ours: left where it is
	ofBundle
	ofSheet
	ofCard
	ofRoot
	ofPaper
)

// judge tells what a file is by its name, as the search on a medium does, and of which bundle.
func judge(name string) (k kind, stem string) {
	low := strings.ToLower(name)
	if !plainRE.MatchString(name) || strings.HasPrefix(name, ".") {
		return other, ""
	}
	if stem, ok := strings.CutSuffix(low, ".label.json"); ok && stem != "" {
		return ofBundle, stem
	}
	if m := volumeRE.FindStringSubmatch(low); m != nil {
		return ofBundle, m[1]
	}
	switch {
	case low == "sha256sums", low == "cover.txt":
		return ofSheet, ""
	case strings.HasSuffix(low, ".card.json"):
		return ofCard, ""
	case strings.HasSuffix(low, ".root.json"):
		return ofRoot, ""
	case strings.HasSuffix(low, ".receipt.json"), strings.HasSuffix(low, ".inventory.json"), strings.HasSuffix(low, ".anchor.json"):
		return ofPaper, ""
	}
	return other, ""
}

// check refuses names that no browser sends for a file that somebody chose. Code medium-name.
func check(name string) error {
	bad := func(why string) error {
		return code.New(code.MediumName, "%s", why).In(fmt.Sprintf("%.120q", name), "").Want("a file's name, with its folders before it", "another")
	}
	if name == "" || len(name) > 1024 {
		return bad("a file without a name, or with one that is too long")
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }) {
		return bad("a file name with a character that is not allowed")
	}
	parts := strings.Split(name, "/")
	if len(parts) > 16 || slices.ContainsFunc(parts, func(p string) bool { return p == "" || p == "." || p == ".." }) {
		return bad("a file name that leads elsewhere")
	}
	return nil
}

// group is the files of one bundle: of one folder of the sender's, with one name before their endings.
type group struct{ dir, stem string }

// place gives each file its place below medium, "" for what is no part of a bundle. Code medium-name.
func place(names []string) ([]string, error) {
	stems := map[string][]string{} // folder of the sender's → bundles in it
	for _, name := range names {
		if err := check(name); err != nil {
			return nil, err
		}
		dir, base := path.Split(name)
		if k, stem := judge(base); k == ofBundle && !slices.Contains(stems[dir], stem) {
			stems[dir] = append(stems[dir], stem)
		}
	}
	out, seen := make([]string, len(names)), map[string]bool{}
	folders := map[group]string{}
	for i, name := range names {
		dir, base := path.Split(name)
		k, stem := judge(base)
		switch {
		case k == ofSheet && len(stems[dir]) == 1:
			stem = stems[dir][0]
			fallthrough
		case k == ofBundle:
			out[i] = path.Join("sallyport/bundles", folder(folders, group{dir, stem}), base)
		case k == ofCard:
			out[i] = path.Join("sallyport/cards", base)
		case k == ofRoot:
			out[i] = path.Join("sallyport/roots", base)
		case k == ofPaper:
			out[i] = path.Join("sallyport/papers", base)
		}
		if low := strings.ToLower(out[i]); low != "" && seen[low] {
			return nil, code.New(code.MediumName, "the same file twice").In(fmt.Sprintf("%.120q", name), "").Do("Choose one folder of a bundle, once.")
		}
		seen[strings.ToLower(out[i])] = true
	}
	if !slices.ContainsFunc(out, func(p string) bool { return p != "" }) {
		return nil, code.New(code.MediumEmpty, "none of these files is part of a bundle").
			Do("Choose the folder of the bundle on the stick: it has a file that ends in .label.json.")
	}
	return out, nil
}

// folder is the directory of a bundle: as the sender calls it where that begins as its files do, else as they begin.
func folder(folders map[group]string, g group) string {
	if f, ok := folders[g]; ok {
		return f
	}
	f := strings.ToLower(path.Base(g.dir))
	if !strings.HasPrefix(f, g.stem) || !plainRE.MatchString(f) {
		f = g.stem
	}
	for name, n := f, 2; ; n++ {
		taken := false
		for _, o := range folders {
			taken = taken || o == f
		}
		if !taken {
			break
		}
		f = fmt.Sprintf("%s-%d", name, n)
	}
	folders[g] = f
	return f
}
