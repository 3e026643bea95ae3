package marks

import (
	"fmt"
	"time"

	"sallyport/internal/units"
)

// Words say how it stands with time, for people: first what speaks against the clock. There may be none.
func (r Reading) Words() (list []string) {
	switch {
	case r.Suspect && r.Wall.Before(r.Trusted):
		list = append(list, fmt.Sprintf("This machine's clock reads %s and cannot be right: it is at least %s. Verdicts do not depend on it.", minute(r.Wall), minute(r.Trusted)))
	case r.Suspect:
		list = append(list, fmt.Sprintf("This machine's clock reads %s, more than 400 days after anything that was proven (%s). It is not believed. Verdicts do not depend on it.", minute(r.Wall), minute(r.Trusted)))
	case r.Unproven:
		list = append(list, fmt.Sprintf("This machine's clock reads %s; proven is only that it is at least %s. That is as it must be when no stick came for a while.", minute(r.Wall), minute(r.Trusted)))
	}
	if r.Source == "operator" {
		list = append(list, "The time was set by people here. It is believed and proves nothing; the next stick's anchor takes its place.")
	}
	switch {
	case r.Anchor.IsZero():
		list = append(list, "No signed statement of the time has come in yet.")
	case r.AtLeast:
		list = append(list, fmt.Sprintf("The newest signed statement of the time is at least %s old: nothing new came in since this start.", units.Age(r.Trusted.Sub(r.Anchor))))
	}
	return list
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }
