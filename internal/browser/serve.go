package browser

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// Policy is the content policy that pages live under (60-console-and-operations).
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Renderer is a whole page.
type Renderer interface {
	Render(ctx context.Context, w io.Writer) error
}

// Fixture is pages that are shown without an appliance behind them: by path, with what they load below /static/.
type Fixture struct {
	Pages map[string]Renderer
	Asset func(name string) (body []byte, contentType string, ok bool) // static.File
}

// ServeHTTP answers with a page under the content policy.
func (f Fixture) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", Policy)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if name, ok := strings.CutPrefix(r.URL.Path, "/static/"); ok {
		body, kind, ok := f.Asset(name)
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(body)
		return
	}
	page, ok := f.Pages[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	Answer(w, r, http.StatusOK, page)
}

// Answer renders a page into a buffer, then sends it.
func Answer(w http.ResponseWriter, r *http.Request, status int, page Renderer) {
	var b bytes.Buffer
	if err := page.Render(r.Context(), &b); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// Show serves a fixture and walks over all its pages. Pictures are named by prefix and path; the paths of sheets are named.
func Show(t *testing.T, prefix string, f Fixture, sheets ...string) {
	t.Helper()
	server := httptest.NewServer(f)
	defer server.Close()
	v := Visit{Origin: server.URL}
	for _, path := range slices.Sorted(maps.Keys(f.Pages)) {
		name := strings.TrimRight(prefix+strings.ReplaceAll(path, "/", "-"), "-")
		v.Pages = append(v.Pages, Page{Name: name, Path: path, Sheet: slices.Contains(sheets, path)})
	}
	Walk(t, v)
}
