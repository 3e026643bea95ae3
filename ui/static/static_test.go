package static

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// What a page names is served; an old or a foreign name is not.
func TestNames(t *testing.T) {
	for _, name := range []string{"sallyport.css", "sallyport.js", "sallyport.svg"} {
		path := Path(name)
		if !regexp.MustCompile(`^/static/sallyport\.[0-9a-f]{12}\.(css|js|svg)$`).MatchString(path) {
			t.Errorf("%s is at %s", name, path)
		}
		body, kind, ok := File(strings.TrimPrefix(path, Prefix))
		if !ok || len(body) == 0 || kind == "" {
			t.Errorf("%s: %d bytes, %q, %v", path, len(body), kind, ok)
		}
	}
	for _, name := range []string{"", "sallyport.css", "sallyport.000000000000.css", "../static.go", "other.css"} {
		if _, _, ok := File(name); ok {
			t.Errorf("%q is served", name)
		}
	}
	if _, _, ok := File(strings.TrimPrefix(Path("none.css"), Prefix)); ok {
		t.Error("a file that is not there is served")
	}
}

// An auditor reads the script in one sitting: at most 200 lines, nothing evaluated, nothing kept, no other origin.
func TestScript(t *testing.T) {
	body, err := files.ReadFile("sallyport.js")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(body, []byte("\n")); n > 200 {
		t.Errorf("%d lines, at most 200", n)
	}
	for line := range strings.Lines(string(body)) {
		if len(line) > 170 {
			t.Errorf("a line of %d characters: %.60s", len(line), line)
		}
	}
	for _, word := range []string{"eval(", "new Function", "localStorage", "sessionStorage", "document.cookie", "indexedDB", "http://", "https://", "import ", "document.write", ".style"} {
		if bytes.Contains(body, []byte(word)) {
			t.Errorf("has %q", word)
		}
	}
}

// The style sheet loads nothing and uses nothing that Firefox ESR 115 does not know.
func TestStyle(t *testing.T) {
	body, err := files.ReadFile("sallyport.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"url(", "@import", "@font-face", ":has(", "light-dark(", "popover", "@layer", "@scope", "color-mix(", "gradient("} {
		if bytes.Contains(body, []byte(word)) {
			t.Errorf("has %q", word)
		}
	}
	var blocks []bool // of the open blocks: is it an at-rule, such as @media
	prelude := ""
	for _, c := range string(body) {
		switch c {
		case '{':
			if n := len(blocks); n > 0 && !blocks[n-1] {
				t.Fatalf("a rule in a rule: %s", prelude)
			}
			text := prelude[strings.LastIndex(prelude, "*/")+1:]
			blocks, prelude = append(blocks, strings.Contains(text, "@")), ""
		case '}', ';':
			if c == '}' {
				blocks = blocks[:len(blocks)-1]
			}
			prelude = ""
		default:
			prelude += string(c)
		}
	}
	for _, want := range []string{"prefers-color-scheme: dark", "prefers-reduced-motion", "@media print", ":focus-visible"} {
		if !bytes.Contains(body, []byte(want)) {
			t.Errorf("has no %q", want)
		}
	}
}
