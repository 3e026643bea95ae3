package crash

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
)

// Cell is one operation and one fault.
type Cell struct {
	Operation *Operation
	Fault     Fault
}

// Cells lists all there are.
func (r *Rig) Cells() (all []Cell) {
	for _, o := range r.Operations {
		for _, f := range Faults(o.Trace) {
			all = append(all, Cell{o, f})
		}
	}
	return all
}

// Pick chooses kills and other faults by a seed, spread evenly over the operations: in turns one at a commit, where most is
// decided, and one anywhere.
func Pick(all []Cell, seed uint64, kills, faults int) (some []Cell) {
	random := rand.New(rand.NewPCG(seed, 1))
	all = slices.Clone(all)
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	taken := map[Cell]bool{}
	for _, kill := range []bool{true, false} {
		want := map[bool]int{true: kills, false: faults}[kill]
		for turn, idle := 0, 0; want > 0 && idle < 2; turn++ {
			round := map[*Operation]bool{}
			for _, c := range all {
				if want > 0 && c.Fault.Kill() == kill && !taken[c] && !round[c.Operation] && (turn%2 == 1 || c.commits()) {
					taken[c], round[c.Operation] = true, true
					some, want = append(some, c), want-1
				}
			}
			if idle++; len(round) > 0 {
				idle = 0
			}
		}
	}
	return some
}

// commits tells whether the fault meets a commit of the state database.
func (c Cell) commits() bool {
	s, ok := struck(c.Fault, c.Operation.Trace)
	return ok && s.Verb == "commit"
}

// RunAll runs cells, two daemons at a time, and reports each as it ends. It stops at the rig's own first trouble.
func (r *Rig) RunAll(ctx context.Context, cells []Cell, report func(Outcome)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan Cell)
	var wait sync.WaitGroup
	var mu sync.Mutex
	for range 2 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for c := range queue {
				out, err := r.Run(ctx, c.Operation, c.Fault, nil)
				mu.Lock()
				if err != nil {
					cancel(err)
				} else {
					report(out)
				}
				mu.Unlock()
			}
		}()
	}
	for _, c := range cells {
		if ctx.Err() == nil {
			queue <- c
		}
	}
	close(queue)
	wait.Wait()
	return context.Cause(ctx)
}
