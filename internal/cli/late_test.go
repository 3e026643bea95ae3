package cli

import (
	"testing"

	"sallyport/internal/code"
	"sallyport/internal/wire"
)

// A stick with several bundles says which is which; one that is only late is no refusal, unless something else was refused.
func TestOutcomeNames(t *testing.T) {
	old := wire.Outcome{Decision: "refused", Code: string(code.Rollback), Dir: "sallyport/bundles/b1", Sentence: "You have newer data."}
	bad := wire.Outcome{Decision: "refused", Code: string(code.SealDamaged), Dir: "sallyport/bundles/b2", Sentence: "Refused."}
	bad.Plan.Name = "mirror-2"
	if got := outcomeWord(old) + " " + outcomeWord(bad); got != "late refused" {
		t.Errorf("words: %s", got)
	}
	if got := named(old, 2) + named(bad, 2) + named(bad, 1); got != "b1: mirror-2: " {
		t.Errorf("names: %q", got)
	}
	a, err := &app{}, code.New(code.Rollback, "old")
	if got := a.late(&wire.Imported{Outcomes: []wire.Outcome{old}}, err); got != error(exit(8)) {
		t.Errorf("late alone: %v", got)
	}
	if got := a.late(&wire.Imported{Outcomes: []wire.Outcome{old, bad}}, err); got != error(err) {
		t.Errorf("late and refused: %v", got)
	}
}
