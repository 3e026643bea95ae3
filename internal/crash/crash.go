// Package crash ends a real daemon at every place where it could end, and looks at what is left.
//
// Data, below one scratch directory, made by a test and removed with it:
//
//	bin/sallyport            the program with the fault seam (build tag faultpoints)
//	in/                      made-up evidence
//	story/<operation>/       where every cell of an operation begins: d (a data directory), medium (a stick)
//	cells/<n>/               a copy of it, for one cell: d, medium, trace, and the files that were replaced
//
// Order: the story is told once without faults; each operation is then run once more under a trace, which lists the named
// points and durable steps there are and gives what must come out. A cell is one operation and one fault: copy, serve with
// the fault, drive over the socket and note what was acknowledged, wait for the end, look at the medium, serve again
// without the fault, compare, do the same operation again, stop, and audit the data directory file by file. A crash of the
// rig itself leaves a scratch directory and perhaps a daemon on it.
package crash

import (
	"fmt"
	"strconv"
	"strings"
)

// Class says how bad a finding is.
type Class string

// The classes. Lost and Half are what must never be; Other is every other broken promise.
const (
	Lost  Class = "acknowledged and lost"
	Half  Class = "half applied"
	Other Class = "other"
)

// Finding is one thing that should not be.
type Finding struct {
	Class Class
	What  string
}

func (f Finding) String() string { return string(f.Class) + ": " + f.What }

// findings gathers them. The zero value is ready.
type findings []Finding

func (f *findings) add(c Class, format string, args ...any) {
	*f = append(*f, Finding{c, fmt.Sprintf(format, args...)})
}

// check adds an error as Other.
func (f *findings) check(what string, err error) {
	if err != nil {
		f.add(Other, "%s: %v", what, err)
	}
}

// Fault is what goes wrong in a cell. The zero value is nothing.
type Fault struct {
	Point string // kill at the At-th visit of this point; "": at a durable step
	At    int    // from 1
	How   string // of a step: "kill", "keep", or the error of the system that it is refused with
	Again int    // kill the next start too, at this durable step; 0: do not
	Cut   bool   // a kill takes away what was not synced, as a power cut may
}

// Full tells that the disk is said to be full.
func (f Fault) Full() bool { return f.How == "ENOSPC" || f.How == "EDQUOT" }

// Kill tells whether the process ends on the spot.
func (f Fault) Kill() bool { return f.Point != "" || f.How == "kill" }

func (f Fault) String() string {
	switch {
	case f.Cut:
		f.Cut = false
		return "power cut, " + f.String()
	case f.Again > 0:
		return fmt.Sprintf("kill at %s visit %d, and at step %d of the next start", f.Point, f.At, f.Again)
	case f.Point != "":
		return fmt.Sprintf("kill at %s visit %d", f.Point, f.At)
	case f.How != "":
		return fmt.Sprintf("%s step %d", f.How, f.At)
	}
	return "nothing"
}

// env is how the program is told.
func (f Fault) env() []string {
	switch {
	case f.Point != "":
		return []string{"SALLYPORT_KILL=" + f.Point + ":" + strconv.Itoa(f.At)}
	case f.How != "":
		return []string{fmt.Sprintf("SALLYPORT_FAULT=*:%d:%s", f.At, f.How)}
	}
	return nil
}

// Step is one line of a trace: a durable step, or a point passed.
type Step struct{ Verb, Path string }

func (s Step) String() string { return s.Verb + " " + s.Path }

// steps parses a trace.
func steps(trace string) (all []Step) {
	for line := range strings.Lines(trace) {
		verb, path, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		all = append(all, Step{verb, path})
	}
	return all
}

// starting is how many durable steps of a start after a kill are killed at once more.
const starting = 6

// Faults lists every fault a trace has room for: a kill at every visit of every point, alone and followed by a kill of the
// recovery, each durable step killed at, done and yet said to have failed, and refused with three errors of the system; and
// each kill once more with the power cut.
func Faults(trace []Step) (all []Fault) {
	visits, n := map[string]int{}, 0
	for _, s := range trace {
		if s.Verb == "point" {
			visits[s.Path]++
			for again := range starting + 1 {
				all = append(all, Fault{Point: s.Path, At: visits[s.Path], Again: again})
			}
			all = append(all, Fault{Point: s.Path, At: visits[s.Path], Cut: true})
			continue
		}
		n++
		for _, how := range []string{"kill", "keep", "ENOSPC", "EIO", []string{"EROFS", "EDQUOT"}[n%2]} {
			all = append(all, Fault{At: n, How: how})
		}
		all = append(all, Fault{At: n, How: "kill", Cut: true})
	}
	return all
}

// struck finds the step that a fault met in the trace of its own run.
func struck(f Fault, trace []Step) (Step, bool) {
	n := 0
	for _, s := range trace {
		if (f.Point == "") != (s.Verb != "point") || f.Point != "" && s.Path != f.Point {
			continue
		}
		if n++; n == f.At {
			return s, true
		}
	}
	return Step{}, false
}
