// Package static is the cupboard of what a browser loads beside a page: one style sheet, one script, one icon, all ours.
//
// Data: the embedded files, each served under a name that carries the first 12 characters of its own digest
// ("sallyport.3f0a….css"), so a browser may keep it for ever and an upgrade never meets an old copy.
//
// Order: pure functions over embedded bytes; nothing is written, nothing can be left behind by a crash.
package static

import (
	"embed"
	"strings"

	"sallyport/internal/digest"
)

// Prefix is the path below which the files are served.
const Prefix = "/static/"

//go:embed sallyport.css sallyport.js sallyport.svg
var files embed.FS

// types lists the files and what each is.
var types = []struct{ name, contentType string }{
	{"sallyport.css", "text/css; charset=utf-8"},
	{"sallyport.js", "text/javascript; charset=utf-8"},
	{"sallyport.svg", "image/svg+xml"},
}

// Path is the address of a file, with its digest in the name. A name that is not in the cupboard gives an address
// that File does not know.
func Path(name string) string {
	body, err := files.ReadFile(name)
	if err != nil {
		return Prefix + name
	}
	base, ext, _ := strings.Cut(name, ".")
	return Prefix + base + "." + digest.Of(body).Hex()[:12] + "." + ext
}

// File finds what an address names: the part behind Prefix, digest included, attacker-controlled. The bytes never
// change under one name.
func File(name string) (body []byte, contentType string, ok bool) {
	for _, f := range types {
		if Path(f.name) != Prefix+name {
			continue
		}
		body, err := files.ReadFile(f.name)
		return body, f.contentType, err == nil
	}
	return nil, "", false
}
