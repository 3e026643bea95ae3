// Package wire is what a client and the daemon say to each other: requests, answers and lines of a stream, as plain values.
//
// Data: none. Every action is a POST of one JSON object to /api/v1/<noun>/<verb>. A short one answers with one JSON value, or
// with {"error":{…}} and the status of its code. A long one answers with lines of JSON, each a Line: progress as often as
// there is something to see, then one last line with a result, an error, or both (a refusal still tells what was found).
// The structs are stable: a field is never renamed or given another meaning; readers ignore what they do not know.
//
// Order: pure functions; nothing is written.
package wire

import (
	"encoding/json"
	"errors"
	"strings"

	"sallyport/internal/code"
)

// Prefix is before every action's noun and verb.
const Prefix = "/api/v1/"

// StreamType is the content type of a long answer.
const StreamType = "application/x-ndjson"

// Error is how an error crosses the socket. Message, File, Expected and Got may hold foreign text: whoever prints cleans it.
type Error struct {
	Code     string `json:"code"`
	Message  string `json:"message"`
	File     string `json:"file,omitempty"`
	Place    string `json:"place,omitempty"`
	Expected string `json:"expected,omitempty"`
	Got      string `json:"got,omitempty"`
	Next     string `json:"next,omitempty"`
	Exit     int    `json:"exit"`
}

// FromError takes an error apart; nil gives nil. The message keeps the steps that led there and the cause.
func FromError(err error) *Error {
	if err == nil {
		return nil
	}
	out := &Error{Code: string(code.Of(err)), Message: err.Error(), Next: code.NextStep(err), Exit: code.Exit(err)}
	var e *code.Error
	if !errors.As(err, &e) {
		return out
	}
	out.File, out.Place, out.Expected, out.Got = e.File, e.Place, e.Expected, e.Got
	short := e.Msg
	if short == "" {
		short = code.Lookup(e.Code).Summary
	}
	if e.Err != nil {
		short += ": " + e.Err.Error()
	}
	out.Message = strings.Replace(out.Message, e.Error(), short, 1)
	return out
}

// Err turns it back into an error with the same code; nil gives nil.
func (e *Error) Err() error {
	if e == nil {
		return nil
	}
	return &code.Error{
		Code: code.Code(e.Code), Msg: e.Message, File: e.File, Place: e.Place, Expected: e.Expected, Got: e.Got, Next: e.Next,
	}
}

// None is the request that asks for nothing more, or the answer that says nothing more.
type None struct{}

// Failure is the body of an answer that is an error.
type Failure struct {
	Error *Error `json:"error"`
}

// Line is one line of a stream.
type Line struct {
	Progress *Progress       `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    *Error          `json:"error,omitempty"`
}

// Last tells whether no line follows.
func (l Line) Last() bool { return l.Result != nil || l.Error != nil }

// Progress is how far a long action is. Totals are 0 while they are not known. Subject is foreign text.
type Progress struct {
	Stage      string `json:"stage"`
	Subject    string `json:"subject,omitempty"`
	Note       string `json:"note,omitempty"` // a sentence to be kept on the screen, not overwritten
	Items      int64  `json:"items,omitempty"`
	TotalItems int64  `json:"totalItems,omitempty"`
	Bytes      int64  `json:"bytes,omitempty"`
	TotalBytes int64  `json:"totalBytes,omitempty"`
	Percent    int    `json:"percent,omitempty"`
	Rate       int64  `json:"rate,omitempty"` // bytes a second
	ETA        int64  `json:"etaSeconds,omitempty"`
}
