package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/units"
	"sallyport/internal/wire"
)

func (a *app) peersFleetCmd() *cobra.Command {
	return command("fleet", "tell how each peer stands with what is made here, who needs a hand first", 0, func([]string) error {
		f, err := call[wire.Fleet](a, "peers/fleet", wire.PeerRequest{})
		if err != nil {
			return err
		}
		return a.show(f, func(w io.Writer) {
			var rows [][]string
			for _, p := range f.Peers {
				delta := "unknown"
				if p.Delta >= 0 {
					delta = units.Size(p.Delta)
				}
				rows = append(rows, []string{p.Name, p.Level, p.LastContact, p.NextDue, delta, strings.Join(p.Why, " ")})
			}
			table(w, "PEER STANDING CONTACT DUE DELTA WHY", rows)
		})
	})
}

func (a *app) settingsCmd() *cobra.Command {
	return command("settings", "print the settings that the running daemon has in force, and where each came from", 0, func([]string) error {
		s, err := call[wire.Settings](a, "settings/show", nil)
		if err != nil {
			return err
		}
		return a.show(s, func(w io.Writer) {
			var rows [][]string
			for _, v := range s.Settings {
				rows = append(rows, []string{v.Name, v.Value, v.Source})
			}
			table(w, "SETTING VALUE SOURCE", rows)
		})
	})
}

func (a *app) deliveryCmd() *cobra.Command {
	return command("delivery EVERY", "say how often a stick arrives, like 14d: the age that data may have follows from it", 1, func(args []string) error {
		r, err := call[wire.Rhythm](a, "delivery/set", wire.DeliveryRequest{Every: args[0]})
		if err != nil {
			return err
		}
		return a.show(r, func(w io.Writer) {
			fmt.Fprintf(w, "A stick arrives every %s.\n", units.Age(time.Duration(r.Every)*time.Second))
		})
	})
}
