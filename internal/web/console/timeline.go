package console

import (
	"math"
	"strconv"

	"sallyport/internal/timeline"
	"sallyport/internal/wire"
	"sallyport/ui/page"
)

// eventsOf asks for one page of the history, the newest when the address names none.
func eventsOf(c *Ctx, limit int) (wire.Timeline, error) {
	before, err := strconv.ParseUint(c.query("before"), 10, 64)
	if err != nil || before > math.MaxInt64 {
		before = math.MaxInt64
	}
	return ask[wire.Timeline](c, "timeline/list", wire.TimelineRequest{Before: &before, Limit: limit, Type: c.query("type"), Text: c.query("q")})
}

func timelinePage(_ *Console, c *Ctx) (Page, error) {
	list, err := eventsOf(c, perPage)
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "Timeline", Body: page.Timeline(page.TimelineView{
		List: list, Type: c.query("type"), Text: c.query("q"), Types: timeline.Types(), First: c.query("before") == "", Now: c.now(),
	})}, nil
}

func timelineCSV(_ *Console, c *Ctx) (Page, error) {
	list, err := eventsOf(c, maxRows)
	if err != nil {
		return Page{}, err
	}
	return c.csv("timeline", list)
}

func timelineVerify(_ *Console, c *Ctx) (Page, error) {
	h, err := ask[wire.TimelineHead](c, "timeline/verify", nil)
	if err != nil {
		return Page{}, err
	}
	return Page{Title: "The log is whole", Body: page.LogVerified(page.LogView{Head: h, Now: c.now()})}, nil
}

func timelineCheckpoint(_ *Console, c *Ctx) (Page, error) {
	h, err := ask[wire.TimelineHead](c, "timeline/checkpoint", nil)
	if err != nil {
		return Page{}, err
	}
	if c.query("raw") != "" {
		return c.text("checkpoint.txt", h.Checkpoint)
	}
	return Page{Title: "Checkpoint", Sheet: true, Body: page.Checkpoint(page.LogView{Head: h, Now: c.now()})}, nil
}
