package console

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/web"
	"sallyport/ui/kit"
	"sallyport/ui/page"
)

// handler makes a route answer: session, role, view, and one way to render what comes of it.
func (con *Console) handler(r Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c := &Ctx{W: w, R: req, con: con}
		who, signedIn := web.Visitor(req)
		if signedIn {
			c.Who = who
		}
		if !r.Open && !signedIn {
			con.redirect(w, req, signIn(req))
			return
		}
		if !r.Open && !who.Roles.Any(r.Roles) {
			con.fail(c, deniedPage(who.Roles))
			return
		}
		p, err := con.run(r, c)
		switch {
		case err != nil:
			con.fail(c, err)
		case p.served:
		case p.goTo != "":
			con.redirect(w, req, p.goTo)
		default:
			con.render(c, p)
		}
	})
}

// run turns a panic of a view into an error: one bad page must not end the daemon. The log alone gets the stack.
func (con *Console) run(r Route, c *Ctx) (p Page, err error) {
	defer func() {
		if v := recover(); v != nil {
			con.Log.Error("panic", "page", r.Pattern, "stack", string(debug.Stack()))
			err = code.New(code.Bug, "this page cannot be shown")
		}
	}()
	return r.Run(con, c)
}

// deniedPage says what a person would need.
func deniedPage(have access.Roles) error {
	return code.New(code.Denied, "this page is not for your role (%s)", have).Do("Ask an admin for the role you need: Users, then your name.")
}

// signIn is where somebody without a session is sent, and back.
func signIn(r *http.Request) string {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.URL.Path == "/" {
		return "/sign-in"
	}
	return "/sign-in?next=" + url.QueryEscape(r.URL.RequestURI())
}

// redirect answers with 303, to a path of this appliance alone.
func (con *Console) redirect(w http.ResponseWriter, r *http.Request, to string) {
	http.Redirect(w, r, here(to), http.StatusSeeOther)
}

// here is a path of this appliance, or the first page when it would lead elsewhere.
func here(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return "/"
	}
	return to
}

// fail renders an error. Whoever must prove again who they are is led there and back.
func (con *Console) fail(c *Ctx, err error) {
	switch code.Of(err) {
	case code.SessionOver:
		con.redirect(c.W, c.R, signIn(c.R))
		return
	case code.StepUpNeeded:
		con.redirect(c.W, c.R, "/step-up?next="+url.QueryEscape(c.back()))
		return
	case code.Bug:
		con.Log.Error("page failed", "path", c.R.URL.Path, "error", err.Error())
	}
	con.render(c, con.errorPage(err))
}

// back is the page from which a form was sent: the one before this, on this appliance.
func (c *Ctx) back() string {
	if c.R.Method == http.MethodGet {
		return c.R.URL.RequestURI()
	}
	u, err := url.Parse(c.R.Header.Get("Referer"))
	if err != nil || u.Host != c.R.Host || u.Path == "" {
		if i := strings.LastIndexByte(c.R.URL.Path, '/'); i > 0 {
			return c.R.URL.Path[:i] // /approvals/DIGEST/deny was sent from /approvals/DIGEST
		}
		return "/"
	}
	return u.RequestURI()
}

// errorPage is an error as a page.
func (con *Console) errorPage(err error) Page {
	info := code.Lookup(code.Of(err))
	return Page{
		Title: page.ErrorTitle(string(info.Code), info.Summary), Status: info.Status(),
		Body: page.Failed(page.FailedView{Code: string(info.Code), Summary: info.Summary, Notice: kit.ErrorNotice(err)}),
	}
}

// ErrorPage renders an error for people where no view was asked: a wrong host, too many requests.
func (con *Console) ErrorPage(w http.ResponseWriter, r *http.Request, status int, err error) {
	c := &Ctx{W: w, R: r, con: con}
	p := con.errorPage(err)
	p.Status = status
	con.send(c, p, con.bare(p))
}

// render frames a page and sends it.
func (con *Console) render(c *Ctx, p Page) {
	f := con.bare(p)
	if c.Who.Session != "" {
		f = con.frame(c, p)
	}
	con.send(c, p, f)
}

// send renders to a buffer first, so that a failure is a whole answer too.
func (con *Console) send(c *Ctx, p Page, f kit.FrameView) {
	var b bytes.Buffer
	ctx, done := context.WithTimeout(c.R.Context(), 10*time.Second)
	defer done()
	status := p.Status
	if status == 0 {
		status = http.StatusOK
	}
	if err := page.Framed(f, p.Body).Render(ctx, &b); err != nil {
		con.Log.Error("page not rendered", "path", c.R.URL.Path, "error", err.Error())
		http.Error(c.W, "This page cannot be shown. The log of the appliance says why.", http.StatusInternalServerError)
		return
	}
	h := c.W.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	c.W.WriteHeader(status)
	_, _ = c.W.Write(b.Bytes()) // a browser that is gone wants no more
}

// missing answers for a path that leads nowhere.
func missing(_ *Console, c *Ctx) (Page, error) {
	return Page{}, code.New(code.Missing, "there is no page %.80q", c.R.URL.Path).Do("Go back, or begin at Overview.")
}
