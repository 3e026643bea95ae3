package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/units"
	"sallyport/internal/wire"
)

func (a *app) timelineCmd() *cobra.Command {
	var q wire.TimelineRequest
	var from int64
	list := command("list", "list events, the newest last", 0, func([]string) error {
		if from >= 0 {
			seq := uint64(from)
			q.From = &seq
		}
		t, err := call[wire.Timeline](a, "timeline/list", q)
		if err != nil {
			return err
		}
		return a.show(t, func(w io.Writer) {
			var rows [][]string
			for _, e := range t.Events {
				rows = append(rows, []string{fmt.Sprint(e.Seq), e.At, e.Type, e.Actor, e.Subject, attrs(e.Attrs)})
			}
			table(w, "SEQ AT TYPE ACTOR SUBJECT DETAIL", rows)
		})
	})
	list.Flags().IntVar(&q.Limit, "limit", 50, "at most so many")
	list.Flags().Int64Var(&from, "from", -1, "from this number on, instead of the newest")
	list.Flags().StringVar(&q.Type, "type", "", "of this type alone")
	verify := command("verify", "recompute the whole log and prove every head that came back from outside", 0, func([]string) error {
		h, err := call[wire.TimelineHead](a, "timeline/verify", nil)
		if err != nil {
			return err
		}
		return a.show(h, func(w io.Writer) {
			fmt.Fprintf(w, "VERIFIED: %s entries, root %s, proven against %s from outside.\n", units.Count(h.Size), h.Root, heads(h.Witnesses))
		})
	})
	checkpoint := command("checkpoint", "print the signed head of the log", 0, func([]string) error {
		h, err := call[wire.TimelineHead](a, "timeline/checkpoint", nil)
		if err != nil {
			return err
		}
		return a.show(h, func(w io.Writer) { fmt.Fprint(w, h.Checkpoint) })
	})
	return family("timeline", "the history that cannot be edited", list, verify, checkpoint)
}

func heads(n int) string {
	if n == 1 {
		return "1 head that came back"
	}
	return fmt.Sprintf("%d heads that came back", n)
}

func attrs(m map[string]string) string {
	var parts []string
	for k, v := range m {
		if len(v) > 24 {
			v = v[:24] + "…"
		}
		parts = append(parts, k+"="+v)
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// decode reads a part of an answer that is only a hint.
func decode(raw json.RawMessage, into any) bool {
	return len(raw) > 0 && json.Unmarshal(raw, into) == nil
}

func age(seconds int64) string { return units.Age(time.Duration(seconds) * time.Second) }
