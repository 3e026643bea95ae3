package crash

import "testing"

func TestTmpCut(t *testing.T) {
	r := rigged(t)
	var cells []Cell
	for _, c := range r.Cells() {
		if c.Fault.Cut {
			cells = append(cells, c)
		}
	}
	taken := 0
	err := r.RunAll(t.Context(), cells, func(o Outcome) {
		taken += len(o.Taken)
		for _, f := range o.Findings {
			t.Errorf("%s: %s (%s): %s; took %v", o.Operation.Name, o.Fault, o.Step, f, o.Taken)
		}
	})
	t.Log(len(cells), taken, err)
}
