package crash

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Tally counts the outcomes of one operation.
type Tally struct {
	Kills, Lost, Kept int            // cells whose fault came to pass; Lost: refused with an error of the system
	Errnos            map[string]int // of Lost: which
	Twice             int            // of the kills: those after which the recovery was killed too
	Cut, Taken        int            // of the kills: those with the power cut; files and names that these took away
	Idle              int            // cells whose fault never came: the run was shorter than the traced one
	Acks              int            // things acknowledged before the end
	Points            map[string]int // kills at each named point
	Findings          map[Class]int
	Examples          []string
}

// Tallies counts by operation.
type Tallies map[string]*Tally

// Add counts one outcome.
func (all Tallies) Add(o Outcome) {
	t := all[o.Operation.Name]
	if t == nil {
		t = &Tally{Points: map[string]int{}, Findings: map[Class]int{}, Errnos: map[string]int{}}
		all[o.Operation.Name] = t
	}
	t.Acks, t.Taken = t.Acks+o.Acks, t.Taken+len(o.Taken)
	if o.Struck && o.Fault.Cut {
		t.Cut++
	}
	switch {
	case !o.Struck:
		t.Idle++
	case o.Fault.Point != "":
		t.Points[o.Fault.Point]++
		t.Kills++
		if o.Fault.Again > 0 {
			t.Twice++
		}
	case o.Fault.Kill():
		t.Kills++
	case o.Fault.How == "keep":
		t.Kept++
	default:
		t.Lost++
		t.Errnos[o.Fault.How]++
	}
	for _, f := range o.Findings {
		t.Findings[f.Class]++
		t.Examples = append(t.Examples, fmt.Sprintf("%s, %s (%s): %s", o.Operation.Name, o.Fault, o.Step, f))
	}
}

// Seen is what a control showed.
type Seen struct {
	Control
	Reported []Finding
	Found    bool // what it must report is among it
}

// Report writes the results as a page.
func Report(w io.Writer, r *Rig, all Tallies, controls []Seen) error {
	var b strings.Builder
	b.WriteString(preface)
	b.WriteString("| operation | named points passed | durable steps | kills | recovery killed too | power cut | files and names taken | steps refused | steps kept | fault never came | acknowledged | acknowledged and lost | half applied | other |\n")
	b.WriteString("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	sum := Tally{Findings: map[Class]int{}}
	var points, steps int
	for _, o := range r.Operations {
		t := all[o.Name]
		if t == nil {
			continue
		}
		p, s := count(o.Trace)
		line(&b, o.Name, p, s, t)
		points, steps = points+p, steps+s
		sum.join(t)
	}
	line(&b, "**all**", points, steps, &sum)
	verbs(&b, r)
	killed(&b, all)
	errnos(&b, r, all)
	examples(&b, r, all)
	seen(&b, controls)
	_, err := io.WriteString(w, b.String())
	return err
}

// Title is the part about kills and failed steps.
const Title = "Killed and failed at every step"

const preface = `Made by ` + "`make crash`" + `. Each cell starts the real daemon (` + "`sallyport serve`" + `, built with the fault seam) on a copy of a small
appliance, drives one operation over its socket with one fault, and looks at what is left: on the medium at once; over the
socket after a start without the fault (every record's bytes, every state root computed anew, runs, timeline, doctor), and
again after the same operation was done once more; at last, stopped, in the files themselves (every blob hashed, every held
generation read down to its bodies, marks, receipts, events, shelf, leftovers). The steps of the daemon's start and stop are
among the steps. *recover* is the start of an appliance that two kills have left, with a run to finish.

- *kill*: SIGKILL at a named point, or right before a durable step. *recovery killed too*: of these, the next start was killed
  as well, at one of its first durable steps. *power cut*: of these, what was not synced was taken away afterwards: the second
  half of each file written and not synced, each new name in a folder not synced, and each replacement there: the old file is
  back (a commit of the state database counts as one step).
- *refused*: the step is not done, with an error of the system: ENOSPC, EIO, and EROFS or EDQUOT in turns. *kept*: it is done and says so with an error. A daemon that lives on
  has to do the same operation again without a restart; one whose own disk failed a sync has to end by itself.
- *acknowledged*: loads, runs, activations, receipts and bundles on the medium of which the caller was told before the end.
- *half applied*: a feed that is neither at its old nor at its new generation, a state root its records do not give, feeds of
  one bundle of which only some flipped, a label over volumes that do not verify, a change without its event.
- *other*: anything else that was promised: a retry that fails, a run without an end or a reason, a mark that fell, a leftover.

The traces are read too: nothing is renamed that was not synced, nothing is committed and no label is written while a name or a
byte it relies on is not.

`

// join adds t up.
func (sum *Tally) join(t *Tally) {
	sum.Kills, sum.Lost, sum.Kept = sum.Kills+t.Kills, sum.Lost+t.Lost, sum.Kept+t.Kept
	sum.Idle, sum.Acks, sum.Twice = sum.Idle+t.Idle, sum.Acks+t.Acks, sum.Twice+t.Twice
	sum.Cut, sum.Taken = sum.Cut+t.Cut, sum.Taken+t.Taken
	for c, n := range t.Findings {
		sum.Findings[c] += n
	}
}

func line(b *strings.Builder, name string, points, steps int, t *Tally) {
	fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d | %d |\n",
		name, points, steps, t.Kills, t.Twice, t.Cut, t.Taken, t.Lost, t.Kept, t.Idle, t.Acks, t.Findings[Lost], t.Findings[Half], t.Findings[Other])
}

func count(trace []Step) (points, steps int) {
	for _, s := range trace {
		if s.Verb == "point" {
			points++
		} else {
			steps++
		}
	}
	return points, steps
}

// verbs says what the steps are.
func verbs(b *strings.Builder, r *Rig) {
	b.WriteString("\n## The durable steps\n\n")
	for _, o := range r.Operations {
		n := map[string]int{}
		for _, s := range o.Trace {
			if s.Verb != "point" {
				n[s.Verb]++
			}
		}
		var parts []string
		for _, v := range slices.Sorted(maps.Keys(n)) {
			parts = append(parts, fmt.Sprintf("%s %d", v, n[v]))
		}
		fmt.Fprintf(b, "- %s: %s\n", o.Name, strings.Join(parts, ", "))
	}
}

// killed says how often the process was killed at each named point.
func killed(b *strings.Builder, all Tallies) {
	n := map[string]int{}
	for _, t := range all {
		for p, k := range t.Points {
			n[p] += k
		}
	}
	b.WriteString("\n## The named points\n\n| point | kills |\n|---|--:|\n")
	for _, p := range slices.Sorted(maps.Keys(n)) {
		fmt.Fprintf(b, "| %s | %d |\n", p, n[p])
	}
}

// errnos says how often a step was refused with each error of the system.
func errnos(b *strings.Builder, r *Rig, all Tallies) {
	names := []string{"ENOSPC", "EDQUOT", "EIO", "EROFS"}
	fmt.Fprintf(b, "\n## The errors of the system\n\n| operation | %s | kept | cells |\n|---|--:|--:|--:|--:|--:|--:|\n", strings.Join(names, " | "))
	for _, o := range r.Operations {
		if t := all[o.Name]; t != nil {
			fmt.Fprintf(b, "| %s |", o.Name)
			for _, n := range names {
				fmt.Fprintf(b, " %d |", t.Errnos[n])
			}
			fmt.Fprintf(b, " %d | %d |\n", t.Kept, t.Lost+t.Kept)
		}
	}
}

func examples(b *strings.Builder, r *Rig, all Tallies) {
	b.WriteString("\n## Findings\n\n")
	none := true
	for _, o := range r.Operations {
		if t := all[o.Name]; t != nil {
			for _, e := range t.Examples {
				fmt.Fprintf(b, "- %s\n", strings.ReplaceAll(e, r.dir, "…"))
				none = false
			}
		}
	}
	if none {
		b.WriteString("None.\n")
	}
}

func seen(b *strings.Builder, controls []Seen) {
	b.WriteString("\n## Negative controls\n\nDamage done on purpose after a faultless operation. A checker that does not report it is blind.\n\n")
	b.WriteString("| damage | operation | must be reported as | reported |\n|---|---|---|---|\n")
	for _, c := range controls {
		found := "**no**"
		if c.Found {
			found = "yes"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", c.Name, c.Operation, c.Want, found)
	}
}
