package lifecycle

import (
	"strings"

	"sallyport/internal/code"
	"sallyport/internal/peer"
	"sallyport/internal/state"
)

// Heard refuses an export to those of whom nothing was read since this appliance was restored (code unheard): what they
// hold, and what they saw of the lost future, is not known. An empty name means everybody of the tenant.
func (r *Room) Heard(tenant string, name string) error {
	var deaf []string
	err := r.State.View(func(tx *state.Tx) error {
		list, err := peer.List(tx)
		for _, p := range list {
			if p.Unheard && (p.Name == name || name == "" && p.Tenant == tenant) {
				deaf = append(deaf, p.Name)
			}
		}
		return err
	})
	if err == nil && len(deaf) > 0 {
		who := strings.Join(deaf, ", ")
		err = code.New(code.Unheard, "this appliance was restored, and no card or receipt of %s was read since", who).
			Do("Import a stick that came from " + who + "; its card is enough.")
	}
	return err
}
