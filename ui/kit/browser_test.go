package kit_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/browser"
	"sallyport/ui/kit"
	"sallyport/ui/static"
)

// desk serves the fixture as the console would.
type desk struct {
	t       *testing.T
	ticks   chan int // steps of the live page
	mu      sync.Mutex
	later   bool   // the upload was put off once
	arrived string // of the upload
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", browser.Policy)
	if strings.HasPrefix(r.URL.Path, "/uploads") {
		d.upload(w, r)
		return
	}
	switch r.URL.Path {
	case "/events":
		d.events(w, r)
	case "/tick":
		n, err := strconv.Atoi(r.FormValue("n"))
		if err != nil {
			d.t.Error(err)
		}
		d.ticks <- n
	case "/answer":
		d.answer(w, r)
	default:
		fixture().ServeHTTP(w, r)
	}
}

// events sends the live page's job and proofs, a step for each tick, then keeps the stream open.
func (d *desk) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.(http.Flusher).Flush()
	for {
		select {
		case n := <-d.ticks:
			doc := browser.Parse(d.t, strings.NewReader(rendered(d.t, liveParts(n))))
			for _, id := range []string{"job-live", "proofs"} {
				message, err := json.Marshal(map[string]string{"id": id, "html": browser.HTML(doc.One("#" + id))})
				if err != nil {
					d.t.Error(err)
				}
				fmt.Fprintf(w, "data: %s\n\n", message)
			}
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// upload takes one file in chunks of 4 bytes. The first try of chunk 1 is answered "later", chunk 0 is there already.
func (d *desk) upload(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		d.t.Error(err)
	}
	switch r.Method + " " + r.URL.Path {
	case "POST /uploads":
		if want := `{"files":[{"name":"a.bin","size":10}]}`; string(body) != want {
			d.t.Errorf("begins with %s, not %s", body, want)
		}
		fmt.Fprint(w, `{"id":"u1","chunkBytes":4,"chunks":3,"have":"0","bytes":4,"total":10,"files":[{"n":0,"name":"a.bin","size":10,"first":0,"chunks":3}]}`)
		return
	case "PUT /uploads/u1/chunks/1":
		if !d.later {
			d.later = true
			w.Header().Set("Retry-After", "1")
			http.Error(w, "{}", http.StatusServiceUnavailable)
			return
		}
		fallthrough
	case "PUT /uploads/u1/chunks/2":
		d.arrived += string(body)
		fmt.Fprintf(w, `{"id":"u1","have":"0-%d","bytes":%d,"total":10}`, len(d.arrived)/4, 4+len(d.arrived))
	case "POST /uploads/u1/complete":
		if d.arrived != "456789" {
			d.t.Errorf("what arrived is %q", d.arrived)
		}
		fmt.Fprint(w, `{"state":"complete"}`)
	default:
		d.t.Errorf("%s %s was not asked for", r.Method, r.URL.Path)
	}
}

// answer refuses a form without a name and takes one with it.
func (d *desk) answer(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && r.FormValue("name") != "" {
		http.Redirect(w, r, "/answer?done=1", http.StatusSeeOther)
		return
	}
	f := frame("Answer", "/settings")
	if r.FormValue("done") != "" {
		browser.Answer(w, r, http.StatusOK, kit.With(kit.Frame(f), kit.Head(kit.HeadView{Title: "It is done"})))
		return
	}
	field := kit.FieldView{Name: "name", Label: "Name"}
	status := http.StatusOK
	if r.Method == http.MethodPost {
		field.Error, status = "A name is needed.", http.StatusUnprocessableEntity
	}
	browser.Answer(w, r, status, kit.With(kit.Frame(f), kit.Head(kit.HeadView{Title: "Say your name"}),
		kit.With(kit.Form(kit.FormView{Action: "/answer", InPlace: true}), kit.Field(field), kit.Button(kit.ButtonView{Label: "Send", Kind: kit.Primary}))))
}

// fixture is all pages of the kit.
func fixture() browser.Fixture {
	f := browser.Fixture{Pages: map[string]browser.Renderer{}, Asset: static.File}
	for path, page := range pages() {
		f.Pages[path] = page
	}
	return f
}

// Every component in every state, in Chromium: axe, requests, the content policy, sideways scrolling, printed size.
func TestBrowserKit(t *testing.T) {
	f := fixture()
	delete(f.Pages, "/live") // lives only with its event stream: TestBrowserScript
	f.Pages["/overview"] = f.Pages["/"]
	delete(f.Pages, "/")
	browser.Show(t, "kit", f, "/sheet")
}

// The script: fragments are merged, forms answered in place, digests copied, the menu opened without it.
func TestBrowserScript(t *testing.T) {
	server := httptest.NewServer(&desk{t: t, ticks: make(chan int)})
	defer server.Close()
	t.Log(browser.Script(t, "script", map[string]string{"ORIGIN": server.URL}))
}
