package intake

import (
	"fmt"
	"io"
	"strings"

	"sallyport/internal/bundle"
	"sallyport/internal/code"
	"sallyport/internal/units"
)

// waitingHere begins the place of a bundle that was taken up from where it waited, not from the medium.
const waitingHere = "waiting/"

// sinkOf is a sink that never gets an entry.
type sinkOf struct{ *glancing }

// Entry is never called: Begin ends the reading.
func (sinkOf) Entry(bundle.Content) (io.Writer, error) { return nil, nil }

// parkedSentence is said of a delta whose base is not here.
func parkedSentence(row WaitingRow) string {
	return fmt.Sprintf("Kept, waiting for %s. Ask headquarters for it, or for a full.", row.Needs)
}

// waitSentence names every volume that is not here, and says what became of the others.
func waitSentence(o Outcome, all int, looked bool) string {
	var parts []string
	for _, v := range o.Volumes {
		if code.Code(v.Code) == code.MediumRead {
			parts = append(parts, fmt.Sprintf("Volume %d of %d: read error at byte %s (the stick, not the data).", v.N, all, units.Count(v.At)))
		}
	}
	if s := volumesOf(o.Volumes, code.VolumeDamaged); s != "" {
		parts = append(parts, fmt.Sprintf("%s of %d: other bytes than were signed.", upper(s), all))
	}
	if s := volumesOf(o.Volumes, code.VolumeMissing); s != "" {
		parts = append(parts, fmt.Sprintf("%s of %d: missing.", upper(s), all))
	}
	if s := volumesOf(o.Volumes, code.MediumGone); s != "" {
		parts = append(parts, fmt.Sprintf("%s of %d: not read, the stick was removed.", upper(s), all))
	}
	good := all - len(o.Volumes)
	if looked {
		return strings.Join(append(parts, units.Plural(int64(good), "volume is", "volumes are")+" good and can be imported now."), " ")
	}
	which := volumesOf(o.Volumes, "")
	if good == 0 {
		return strings.Join(append(parts, fmt.Sprintf("Bring %s, on any stick.", which)), " ")
	}
	return strings.Join(append(parts, fmt.Sprintf("%s good and kept here; bring %s, on any stick.", units.Plural(int64(good), "volume is", "volumes are"), which)), " ")
}

// bringNext is the next step of a bundle whose good volumes are kept here.
func bringNext(o Outcome) string {
	which := volumesOf(o.Volumes, "")
	return fmt.Sprintf("Bring %s on any stick, or ask for them: sallyport exchange MEDIUM writes that to a stick for headquarters.", which)
}

// volumesOf is "volume 3" or "volumes 2, 4 and 5": those with a code, "" for all of them.
func volumesOf(list []Volume, c code.Code) string {
	var n []string
	for _, v := range list {
		if c == "" || code.Code(v.Code) == c {
			n = append(n, fmt.Sprint(v.N))
		}
	}
	switch len(n) {
	case 0:
		return ""
	case 1:
		return "volume " + n[0]
	}
	return "volumes " + strings.Join(n[:len(n)-1], ", ") + " and " + n[len(n)-1]
}

// Sentence says what a waiting bundle needs.
func (row WaitingRow) Sentence() string {
	switch {
	case row.Why == WaitsForBase:
		return parkedSentence(row)
	case len(row.Wanted) == 0:
		return "All its volumes are here; it comes in with the next import that is approved."
	}
	var list []Volume
	for _, n := range row.Wanted {
		list = append(list, Volume{N: n})
	}
	return fmt.Sprintf("%d of %d volumes are here; bring %s, on any stick.", len(row.Have), len(row.Volumes), volumesOf(list, ""))
}
