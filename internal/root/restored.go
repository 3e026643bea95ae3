package root

import (
	"encoding/json"
	"fmt"

	"sallyport/internal/clock"
	"sallyport/internal/digest"
)

// restoredExt is the member of ext that a restore writes.
const restoredExt = "restored"

// Restored is what a document says about the restore it was made for: from then on the appliance writes to log number Log
// of its timeline, and everything of the log before that lies behind its first Size entries is lost. Epoch is that of every
// feed of this origin, also of those that feedEpochs does not name because the backup did not know them.
type Restored struct {
	Backup string        `json:"backup"` // when the backup was made
	Log    int64         `json:"log"`
	Before int64         `json:"before"` // number of the log the backup knew
	Size   int64         `json:"size"`   // entries of it
	Root   digest.Digest `json:"root"`   // of these
	Epoch  int64         `json:"epoch"`
}

// SetRestored names a restore in a document.
func (d *Document) SetRestored(r Restored) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("trust root: %w", err)
	}
	if d.Ext == nil {
		d.Ext = map[string]json.RawMessage{}
	}
	d.Ext[restoredExt] = b
	return nil
}

// Restored tells of the newest restore that a document was made for; nil when there was none. A member that does not read
// as one counts as none: it vouches for nothing then.
func (d *Document) Restored() *Restored {
	b, ok := d.Ext[restoredExt]
	if !ok {
		return nil
	}
	r := &Restored{}
	if json.Unmarshal(b, r) != nil || r.Log < 2 || r.Size < 0 || r.Before < 1 || r.Before >= r.Log || r.Epoch < 1 {
		return nil
	}
	if _, err := clock.Parse(r.Backup); err != nil {
		return nil
	}
	return r
}
