package web

import (
	"io"
	"net/http"
	"time"
)

// paced is a response whose every write must be taken within a time, so that a reader that stopped reading does not hold a
// goroutine for ever. Between writes there is no limit: a stream may be silent.
type paced struct {
	http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
	wrote   bool
}

func newPaced(w http.ResponseWriter, limit time.Duration) *paced {
	return &paced{ResponseWriter: w, control: http.NewResponseController(w), limit: limit}
}

// Unwrap is for http.ResponseController.
func (p *paced) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// begin and end stand around one write. A server that knows no deadlines (a test's recorder) has none.
func (p *paced) begin() { _ = p.control.SetWriteDeadline(time.Now().Add(p.limit)) }
func (p *paced) end()   { _ = p.control.SetWriteDeadline(time.Time{}) }

// WriteHeader notes that the answer has begun.
func (p *paced) WriteHeader(status int) {
	p.wrote = p.wrote || status >= http.StatusOK
	p.ResponseWriter.WriteHeader(status)
}

func (p *paced) Write(b []byte) (int, error) {
	p.wrote = true
	p.begin()
	defer p.end()
	return p.ResponseWriter.Write(b)
}

// FlushError is what http.ResponseController calls.
func (p *paced) FlushError() error {
	p.begin()
	defer p.end()
	return p.control.Flush()
}

// Flush is for those that look for http.Flusher.
func (p *paced) Flush() { _ = p.FlushError() }

// body is a request's body that must keep a pace: pace bytes a second on average after grace. An upload of hours is fine, one
// byte a second is not.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	begun   time.Time
	grace   time.Duration
	pace    int64
	n       int64
	ended   bool
}

// newBody begins to count now: what nobody reads is bounded too.
func newBody(w http.ResponseWriter, r *http.Request, l Limits) *body {
	b := &body{ReadCloser: r.Body, control: http.NewResponseController(w), begun: time.Now(), grace: l.Grace, pace: l.Pace}
	b.extend()
	return b
}

// extend gives the time that the bytes so far have earned.
func (b *body) extend() {
	_ = b.control.SetReadDeadline(b.begun.Add(b.grace + time.Duration(float64(b.n)/float64(b.pace)*float64(time.Second))))
}

func (b *body) Read(p []byte) (int, error) {
	if !b.ended {
		b.extend()
	}
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	if err != nil && !b.ended {
		// the end: from now on the connection is only watched for a client that leaves, for which there is no hurry
		b.ended = true
		if err == io.EOF {
			_ = b.control.SetReadDeadline(time.Time{})
		}
	}
	return n, err
}
