package web

import (
	"context"
	"net"
	"net/http"
)

// The cookie of a session. A browser takes the first from this very host alone, over TLS alone, so that no other host and no
// plain connection can plant one; on plain loopback HTTP browsers do not take such a name.
const (
	secureCookie = "__Host-sallyport"
	plainCookie  = "sallyport"
)

// maxToken is the longest session token that is looked up; ours are much shorter.
const maxToken = 256

// Secure tells whether a request came over TLS.
func Secure(r *http.Request) bool { return r.TLS != nil }

func cookieName(r *http.Request) string {
	if Secure(r) {
		return secureCookie
	}
	return plainCookie
}

// SetSession gives a browser the token of its session. The cookie ends with the browser; the session itself ends earlier.
func SetSession(w http.ResponseWriter, r *http.Request, token string) { setCookie(w, r, token, 0) }

// ClearSession takes it away.
func ClearSession(w http.ResponseWriter, r *http.Request) { setCookie(w, r, "", -1) }

func setCookie(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r), Value: value, Path: "/", MaxAge: age, Secure: Secure(r), HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// SessionToken is what the browser showed; "" is nothing. Attacker-controlled, at most 256 bytes. Two cookies of the name are
// none: one of them was planted.
func SessionToken(r *http.Request) string {
	all := r.CookiesNamed(cookieName(r))
	if len(all) != 1 || len(all[0].Value) > maxToken {
		return ""
	}
	return all[0].Value
}

// Visitor is who the session of a request belongs to; false is nobody: a stranger, or a session that is over.
func Visitor(r *http.Request) (Actor, bool) {
	a, ok := r.Context().Value(actorKey{}).(Actor)
	return a, ok
}

// WithVisitor is ctx with somebody in it, for tests of handlers that stand behind the door.
func WithVisitor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// Remote is the address of who connected, without its port, as the kernel says. Headers that claim another one count for
// nothing: no proxy stands before this door.
func Remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "" // the unix socket
	}
	return host
}
