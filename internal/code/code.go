// Package code is the one table of error codes: what each means to a person, a script, a monitor and a browser.
//
// Data: the compiled table in table.go: code → kind, HTTP status, exit status, metric label, summary, next step, doc page.
// An *Error carries one code and the facts of one case: file, place, expected, got.
//
// Order: errors are made where the fact is known, wrapped with %w on the way up, and rendered in one place a door.
// Nothing is written.
package code

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// Code is a stable name that scripts and monitors may match. It never changes its meaning.
type Code string

// Kind groups codes by what a caller does about them. It fixes the exit status.
type Kind string

// The kinds, with the exit statuses of 40-export-center.
const (
	Unexpected Kind = "unexpected" // 1
	Usage      Kind = "usage"      // 2
	Auth       Kind = "auth"       // 3
	NotFound   Kind = "not-found"  // 4
	Sealed     Kind = "sealed"     // 5
	Integrity  Kind = "integrity"  // 6
	Trust      Kind = "trust"      // 7
	Monotonic  Kind = "monotonic"  // 8
	Stale      Kind = "stale"      // 9
	Retry      Kind = "retry"      // 10
	Quarantine Kind = "quarantine" // 11
	Base       Kind = "base"       // 12
	Decrypt    Kind = "decrypt"    // 13
	Space      Kind = "space"      // 14
	Interrupt  Kind = "interrupt"  // 130
)

var exits = map[Kind]int{
	Unexpected: 1, Usage: 2, Auth: 3, NotFound: 4, Sealed: 5, Integrity: 6, Trust: 7, Monotonic: 8, Stale: 9,
	Retry: 10, Quarantine: 11, Base: 12, Decrypt: 13, Space: 14, Interrupt: 130,
}

var statuses = map[Kind]int{
	Unexpected: 500, Usage: 400, Auth: 403, NotFound: 404, Sealed: 409, Integrity: 422, Trust: 422, Monotonic: 409, Stale: 409,
	Retry: 503, Quarantine: 409, Base: 409, Decrypt: 422, Space: 507, Interrupt: 499,
}

// Info is one row of the table.
type Info struct {
	Code    Code
	Kind    Kind
	HTTP    int    // 0: the kind's own
	Summary string // one sentence for people, no trailing full stop
	Next    string // what to do now, an imperative sentence
}

// Exit is the exit status of a command that ends with this code.
func (i Info) Exit() int { return exits[i.Kind] }

// Status is the HTTP status of an answer with this code.
func (i Info) Status() int {
	if i.HTTP != 0 {
		return i.HTTP
	}
	return statuses[i.Kind]
}

// Doc is the manual's page for this code.
func (i Info) Doc() string { return "errors/" + strings.ToLower(string(i.Code)) }

// Lookup finds a row; an unknown code gives the row of Bug.
func Lookup(c Code) Info {
	for _, row := range table {
		if row.Code == c {
			return row
		}
	}
	row := Lookup(Bug)
	row.Summary = "unknown code " + string(c)
	return row
}

// Table returns all rows in order, for the manual and for tests.
func Table() []Info { return append([]Info(nil), table...) }

// Error is one case of one code. Foreign strings go into fields as they are; whoever renders escapes them.
type Error struct {
	Code     Code
	Msg      string // what happened, lower case; "" uses the table's summary
	File     string // the file, member or path it happened in
	Place    string // offset, line, field or member inside the file
	Expected string
	Got      string
	Next     string // overrides the table's next step
	Err      error  // cause
}

// New makes an error of a code; the message may name the subject.
func New(c Code, format string, args ...any) *Error {
	return &Error{Code: c, Msg: fmt.Sprintf(format, args...)}
}

// Wrap makes an error of a code around a cause.
func Wrap(c Code, err error, format string, args ...any) *Error {
	return &Error{Code: c, Msg: fmt.Sprintf(format, args...), Err: err}
}

// In says where it happened.
func (e *Error) In(file, place string) *Error {
	e.File, e.Place = file, place
	return e
}

// Want says what was expected and what was found; both are printed with %v and cut at 200 bytes.
func (e *Error) Want(expected, got any) *Error {
	e.Expected, e.Got = cut(expected), cut(got)
	return e
}

// Do overrides the next step.
func (e *Error) Do(next string) *Error {
	e.Next = next
	return e
}

func cut(v any) string {
	s := fmt.Sprint(v)
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return s
}

// Error is `file: place: message: want X, got Y: cause`, without the next step.
func (e *Error) Error() string {
	var parts []string
	for _, p := range []string{e.File, e.Place} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	msg := e.Msg
	if msg == "" {
		msg = Lookup(e.Code).Summary
	}
	if e.Expected != "" || e.Got != "" {
		msg += fmt.Sprintf(" (want %s, got %s)", e.Expected, e.Got)
	}
	parts = append(parts, msg)
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, code.New(c, "")) and errors.Is(err, &Error{Code: c}) compare codes alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Of finds the outermost code of an error: "" for nil, Bug for an error without one.
func Of(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	if errors.Is(err, syscall.ENOSPC) { // whoever met the full disk, and through whatever library
		return NoSpace
	}
	return Bug
}

// Has tells whether err carries the code c anywhere.
func Has(err error, c Code) bool { return errors.Is(err, &Error{Code: c}) }

// NextStep is what a person should do about err.
func NextStep(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Next != "" {
		return e.Next
	}
	return Lookup(Of(err)).Next
}

// Exit is the exit status for err, 0 for nil.
func Exit(err error) int {
	if err == nil {
		return 0
	}
	return Lookup(Of(err)).Exit()
}
