package intake

import (
	"encoding/json"
	"fmt"

	"sallyport/internal/access"
	"sallyport/internal/bundle"
	"sallyport/internal/clock"
	"sallyport/internal/state"
)

// recoveredName is the member of a receipt's ext that tells how often somebody opened a way in past all accounts, and when last.
const recoveredName = "accessRecovered"

// recoveredExt is its value; people's names stay at home.
type recoveredExt struct {
	Count int    `json:"count"`
	Last  string `json:"last"` // trusted time
	How   string `json:"how"`  // root, card
}

// heard is how often each peer said so, by its appliance id.
var heard = state.Table[int]{Name: "intake.recovered"}

// header begins a receipt: once somebody opened a way in past all accounts, every receipt from then on says so.
func header(tx *state.Tx) (h bundle.Header, err error) {
	r, ok, err := access.Recovered(tx)
	if err != nil || !ok {
		return h, err
	}
	b, err := json.Marshal(recoveredExt{Count: r.Count, Last: r.At, How: r.How})
	if err != nil {
		return h, fmt.Errorf("receipt: %w", err)
	}
	h.Ext = map[string]json.RawMessage{recoveredName: b}
	return h, nil
}

// hearRecovered tells people, once, what a receipt of a peer says about a way in that was opened there. A member of ext that does not
// read is nothing of ours.
func (im *imports) hearRecovered(tx *state.Tx, name string, rc *bundle.Receipt) error {
	var r recoveredExt
	if b, ok := rc.Ext[recoveredName]; !ok || json.Unmarshal(b, &r) != nil || r.Count < 1 {
		return nil
	}
	if _, err := clock.Parse(r.Last); err != nil {
		return nil
	}
	before, _, err := heard.Get(tx, rc.Issuer.ID)
	if err != nil || r.Count <= before {
		return err
	}
	how := "by root on the host"
	if r.How == "card" {
		how = "with the recovery card"
	}
	im.doubts = append(im.doubts, TrustChange{Peer: name, What: "recovered", Sentence: fmt.Sprintf(
		"%s says that a way in past all its accounts was opened %s, on %s. If nobody told you, call them on a number you already had.", name, how, r.Last)})
	return heard.Put(tx, rc.Issuer.ID, r.Count)
}
