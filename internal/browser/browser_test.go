package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A page with everything wrong: each check of the walk says so.
func TestBrowserFinds(t *testing.T) {
	t.Setenv("SALLYPORT_SCREENS", "")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src http://127.0.0.1:9")
		fmt.Fprint(w, `<!doctype html><title>x</title><p style="color:#ccc">pale</p><img src="http://127.0.0.1:9/x.png"><input><h2>`+strings.Repeat("w", 400)+`</h2>`)
		fmt.Fprint(w, strings.Repeat("<p>line</p>", 300))
	}))
	defer server.Close()
	found := strings.Join(Look(t, Visit{
		Origin: server.URL, Pages: []Page{{Name: "bad", Path: "/", Sheet: true}},
		Variants: []Variant{{Name: "light", Scheme: "light", Width: 1280, Height: 800}},
	}), "\n")
	for _, want := range []string{
		"asks another origin: http://127.0.0.1:9/x.png", "axe image-alt", "axe label", "axe html-has-lang", "Content Security Policy", "scrolls sideways: ", "printed pages",
	} {
		if !strings.Contains(found, want) {
			t.Errorf("not found: %s, in\n%s", want, found)
		}
	}
}

func TestSelectors(t *testing.T) {
	doc := Parse(t, strings.NewReader(`<table class="a b"><tr id=r><td class=num>1</td><td data-x="y.z">two <b>3</b></td></tr></table><p>four</p>`))
	for selector, n := range map[string]int{
		"td": 2, "table td.num": 1, "table.b.a tr#r td": 2, "[data-x]": 1, "td[data-x=y.z] b": 1, "td[data-x=other]": 0, "p td": 0, ".c": 0, "table.a[class]": 1,
	} {
		if got := len(doc.All(selector)); got != n {
			t.Errorf("%q finds %d, not %d", selector, got, n)
		}
	}
	if got := Text(doc.One("#r")); got != "1 two 3" {
		t.Errorf("text %q", got)
	}
}
