package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/access"
	"sallyport/internal/code"
	"sallyport/internal/wire"
)

const (
	jsonType    = "application/json"
	problemType = "application/problem+json" // RFC 9457
	unencodable = `{"code":"unexpected","message":"the answer does not encode","next":"Look at the log.","exit":1}`
)

// problem is an error of the API: RFC 9457, with the same facts under error for our own client.
type problem struct {
	Type     string      `json:"type"` // the manual's page about the code, on this appliance
	Title    string      `json:"title"`
	Status   int         `json:"status"`
	Detail   string      `json:"detail"`
	Code     string      `json:"code"`
	File     string      `json:"file,omitempty"`
	Place    string      `json:"place,omitempty"`
	Expected string      `json:"expected,omitempty"`
	Got      string      `json:"got,omitempty"`
	Next     string      `json:"next,omitempty"`
	Error    *wire.Error `json:"error"`
}

// WriteProblem answers with an error and the status of its code, as the API does.
func WriteProblem(w http.ResponseWriter, err error) {
	e := wire.FromError(err)
	info := code.Lookup(code.Code(e.Code))
	status := Status(err)
	retryAfter(w.Header(), err, status)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="sallyport"`)
	}
	writeJSON(w, status, problemType, problem{
		Type: "/help/codes/" + e.Code, Title: info.Summary, Status: status, Detail: e.Message,
		Code: e.Code, File: e.File, Place: e.Place, Expected: e.Expected, Got: e.Got, Next: e.Next, Error: e,
	})
}

// Status is the HTTP status of an error.
func Status(err error) int { return code.Lookup(code.Of(err)).Status() }

// waitError is an error that says after how long it is worth to come back.
type waitError struct {
	error
	after time.Duration
}

func (w waitError) Unwrap() error { return w.error }

// retryAfter tells a client when to come again, in whole seconds, at least one.
func retryAfter(h http.Header, err error, status int) {
	var w waitError
	after, ok := access.RetryAfter(err)
	if errors.As(err, &w) {
		after, ok = w.after, true
	}
	if !ok && status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return
	}
	seconds := int64((after + time.Second - 1) / time.Second)
	h.Set("Retry-After", strconv.FormatInt(max(seconds, 1), 10))
}

// writeJSON encodes first, so that a failure is a whole answer too.
func writeJSON(w http.ResponseWriter, status int, kind string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":`+unencodable+`}`)
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// fail answers a request that got no further than the door: as a problem for programs, as a page for people.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if isAPI(r.URL.Path) || s.o.Page == nil {
		WriteProblem(w, err)
		return
	}
	status := Status(err)
	retryAfter(w.Header(), err, status)
	s.o.Page(w, r, status, err)
}

// bodyError is what an error of reading a request's body means.
func bodyError(err error) error {
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &large):
		return code.Wrap(code.TooLarge, err, "").Want(fmt.Sprintf("at most %d bytes", large.Limit), "more")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return code.Wrap(code.TooSlow, err, "")
	case code.Of(err) != code.Bug:
		return err
	}
	return code.Wrap(code.BadUsage, err, "the request does not arrive whole")
}

// BodyError is what an error of reading a request's body means: codes too-large, too-slow, usage; nil for nil.
func BodyError(err error) error { return bodyError(err) }

// Attachment makes the answer a download under a name. The name may be foreign: it is reduced to plain characters, and
// nothing in it ends the header.
func Attachment(w http.ResponseWriter, name string) {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-+ ", r):
			return r
		}
		return '_'
	}, name)
	if len(clean) > 200 {
		clean = clean[len(clean)-200:] // the end tells what kind of file it is
	}
	if clean = strings.Trim(clean, ". "); clean == "" {
		clean = "download"
	}
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": clean}))
}
