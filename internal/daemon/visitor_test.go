package daemon

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/browser"
	"sallyport/internal/wire"
)

// visitor is a person with a browser without JavaScript: cookies, links, forms, and what the last page said.
type visitor struct {
	t    *testing.T
	base string
	http *http.Client

	status int
	url    *url.URL
	text   string
	doc    browser.Doc
}

func newVisitor(t *testing.T, base string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, base: strings.TrimSuffix(base, "/"), http: &http.Client{Jar: jar}}
}

// console is a person before the console of an appliance.
func (a *actor) console() *visitor {
	a.t.Helper()
	c := a.run.Daemon().Console()
	if c == nil || c.Plain == "" {
		a.t.Fatalf("%s has no console: %+v", a.name, c)
	}
	return newVisitor(a.t, c.Plain)
}

func (v *visitor) do(r *http.Request, err error) *visitor {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	if v.url != nil {
		r.Header.Set("Referer", v.url.String())
	}
	if r.Method == http.MethodPost {
		r.Header.Set("Origin", v.base)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	res, err := v.http.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	v.status, v.url, v.text = res.StatusCode, res.Request.URL, string(b)
	v.doc = browser.Parse(v.t, strings.NewReader(v.text))
	return v
}

func (v *visitor) get(path string) *visitor {
	v.t.Helper()
	return v.do(http.NewRequest(http.MethodGet, v.base+path, nil))
}

func (v *visitor) post(path string, values url.Values) *visitor {
	v.t.Helper()
	r, err := http.NewRequest(http.MethodPost, v.base+path, strings.NewReader(values.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return v.do(r, err)
}

// submit fills the form of the page that posts to action, and sends it with everything else that stands in it. what is names
// and values.
func (v *visitor) submit(action string, what ...string) *visitor {
	v.t.Helper()
	for _, f := range v.doc.All("form") {
		if at, _ := browser.Attr(f, "action"); at != action {
			continue
		}
		given := map[string]string{}
		for i := 0; i+1 < len(what); i += 2 {
			given[what[i]] = what[i+1]
		}
		form := browser.Doc{}
		form = browser.Parse(v.t, strings.NewReader(browser.HTML(f)))
		values, names := url.Values{}, map[string]bool{}
		for _, in := range append(form.All("input"), form.All("textarea")...) {
			name, _ := browser.Attr(in, "name")
			typ, _ := browser.Attr(in, "type")
			val, _ := browser.Attr(in, "value")
			_, checked := browser.Attr(in, "checked")
			names[name] = true
			if name != "" && (typ != "radio" && typ != "checkbox" || checked) {
				values.Set(name, val)
			}
		}
		fits := true
		for name, val := range given {
			fits = fits && names[name]
			values.Set(name, val)
		}
		if fits {
			return v.post(action, values)
		}
	}
	v.t.Fatalf("%s: no form to %s with %q; forms: %s\n%s", v.url, action, what, v.forms(), v.words())
	return v
}

func (v *visitor) forms() string {
	var list []string
	for _, f := range v.doc.All("form") {
		at, _ := browser.Attr(f, "action")
		list = append(list, at)
	}
	return strings.Join(list, " ")
}

// words is what the main part says.
func (v *visitor) words() string {
	main := v.doc.All("main")
	if len(main) == 0 {
		return v.text
	}
	return browser.Text(main[0])
}

// says demands that the page has every one of these.
func (v *visitor) says(what ...string) *visitor {
	v.t.Helper()
	for _, w := range what {
		if !strings.Contains(v.words(), w) {
			v.t.Fatalf("%s (%d) does not say %q:\n%s", v.url, v.status, w, v.words())
		}
	}
	return v
}

// at demands a path and a status.
func (v *visitor) at(status int, path string) *visitor {
	v.t.Helper()
	if v.status != status || !strings.HasPrefix(v.url.Path, path) {
		v.t.Fatalf("at %s with %d, want %s with %d:\n%s", v.url, v.status, path, status, v.words())
	}
	return v
}

// finish waits for the job of the page and loads it again.
func (v *visitor) finish(a *actor) *visitor {
	v.t.Helper()
	parts := strings.Split(strings.Trim(v.url.Path, "/"), "/")
	if len(parts) < 2 {
		v.t.Fatalf("%s is no page of a job:\n%s", v.url, v.words())
	}
	_ = a.long("jobs/watch", wire.JobRequest{ID: parts[1]}, nil) // its error is the page's to tell
	return v.get(v.url.RequestURI())
}

// links are the addresses that a page leads to on its own appliance.
func (v *visitor) links() []string {
	seen := map[string]bool{}
	for _, a := range v.doc.All("a") {
		if href, ok := browser.Attr(a, "href"); ok && strings.HasPrefix(href, "/") {
			seen[href] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// phone is what an authenticator shows for a secret.
func phone(t *testing.T, secret string, at time.Time) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(secret, " ", ""))
	if err != nil {
		t.Fatalf("secret %q: %v", secret, err)
	}
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(at.Unix()/30))
	mac := hmac.New(sha1.New, key)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	off := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[off:])&0x7fffffff)%1_000_000)
}
