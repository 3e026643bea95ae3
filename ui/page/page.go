// Package page is the pages of the console: one templ component each, with a view struct of plain values beside it.
//
// Data: none. A page is composed of the parts of kit; it names no colour, no class and no size. Views take the answers of the
// table of actions as wire has them, and the time to compare with; no page reads a clock.
//
// Order: pure functions, rendered into a buffer by the console; nothing is written, nothing can be left behind by a crash.
package page

import (
	"time"

	"sallyport/ui/kit"
)

// FailedView is an error as a page.
type FailedView struct {
	Code    string
	Summary string
	Notice  kit.NoticeView
}

// ErrorTitle names the page of an error.
func ErrorTitle(code, summary string) string {
	switch code {
	case "not-found":
		return "Not here"
	case "denied":
		return "Not for your role"
	}
	return upper(summary)
}

// clockText writes a time as the clock of the machine says it, to be compared with a phone.
func clockText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }

// failedLead says what an error left behind.
func failedLead(code string) string {
	switch code {
	case "not-found":
		return "What you asked for is not here. Nothing was changed."
	case "denied":
		return "Nothing was changed."
	case "unexpected":
		return "Something went wrong that should not. Nothing was lost; the log of the appliance has the details."
	}
	return "It was not done."
}
