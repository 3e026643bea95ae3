package root

import (
	"encoding/json"
	"testing"

	"sallyport/internal/digest"
)

// What a document says about a restore reads back, and what does not read as that vouches for nothing.
func TestRestored(t *testing.T) {
	var d Document
	if d.Restored() != nil {
		t.Error("a restore that never was")
	}
	want := Restored{Backup: "2026-03-02T10:00:00Z", Log: 2, Before: 1, Size: 850, Root: digest.Of([]byte("head")), Epoch: 2}
	if err := d.SetRestored(want); err != nil {
		t.Fatal(err)
	}
	if got := d.Restored(); got == nil || *got != want {
		t.Errorf("%+v", got)
	}
	for _, bad := range []string{
		`{}`, `7`, `{"backup":"2026-03-02T10:00:00Z","log":1,"before":1,"size":1,"epoch":2}`, `{"backup":"yesterday","log":2,"before":1,"size":1,"epoch":2}`,
		`{"backup":"2026-03-02T10:00:00Z","log":2,"before":2,"size":1,"epoch":2}`, `{"backup":"2026-03-02T10:00:00Z","log":2,"before":1,"size":-1,"epoch":2}`,
	} {
		d.Ext[restoredExt] = json.RawMessage(bad)
		if got := d.Restored(); got != nil {
			t.Errorf("%s: %+v", bad, got)
		}
	}
}
