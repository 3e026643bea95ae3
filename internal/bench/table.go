package bench

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Row is one line of the table: what was done, what it took, what the reference took, and the goal.
type Row struct {
	ID, Work, Ours, Reference, Ratio, Goal string
	Verdict                                verdict
	Why                                    string // where the goal is not met: the measured reason
}

type verdict int

const (
	noGoal verdict = iota
	met
	missed
)

func (v verdict) String() string { return [...]string{"", "met", "**not met**"}[v] }

// atMost compares a ratio with a goal that is an upper bound.
func atMost(ratio, goal float64) verdict {
	if ratio <= goal {
		return met
	}
	return missed
}

func atLeast(ratio, goal float64) verdict {
	if ratio >= goal {
		return met
	}
	return missed
}

func (l *lab) row(r Row) {
	l.rows = append(l.rows, r)
	l.say("  %-4s %s: %s; reference %s; %s; goal %s: %s %s", r.ID, r.Work, r.Ours, r.Reference, r.Ratio, r.Goal, strings.Trim(r.Verdict.String(), "*"), r.Why)
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

func times(v float64) string { return fmt.Sprintf("%.2f×", v) }

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func (c Cost) String() string { return fmt.Sprintf("%s wall, %s CPU", seconds(c.Wall), seconds(c.CPU)) }

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// mb is for sizes of data, in the units goals are written in.
func mb(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// render writes the table and the reasons below it.
func (l *lab) render(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Speed and memory beside the reference tools\n\n")
	fmt.Fprintf(&b, "Written by `make bench`: the real programs and the reference tools on the same made-up data in the same run, in turn,\n"+
		"median of %d rounds. Absolute times mean nothing across machines; the ratios do.\n\n", l.Rounds)
	fmt.Fprintf(&b, "Machine: %s. Load average over one minute: %s before, %s after; where others had a share of the machine, wall times\n"+
		"of both sides are longer.\n\nData: %d advisories in an OSV zip, and a tenth of them; %s of mixed files (32 %% advisories as lines, 24 %% SBOMs,\n"+
		"16 %% database pages, 28 %% random bytes). Reference tools: %s.\n\n", machine(), l.busy, load(), l.N, mb(l.Mixed), l.versions())
	b.WriteString("| # | work | ours | reference | ratio | goal | |\n|---|---|---|---|---|---|---|\n")
	n := 0
	var why strings.Builder
	for _, r := range l.rows {
		mark := r.Verdict.String()
		if r.Why != "" {
			n++
			fmt.Fprintf(&why, "%d. %s, %s: %s\n", n, r.ID, r.Work, r.Why)
			mark = strings.TrimSpace(fmt.Sprintf("%s (%d)", mark, n))
		}
		cells := []string{r.ID, r.Work, r.Ours, r.Reference, r.Ratio, r.Goal, mark}
		for i := range cells {
			cells[i] = strings.ReplaceAll(cells[i], "|", "\\|")
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	if n > 0 {
		fmt.Fprintf(&b, "\n## Reasons, as measured\n\n%s", why.String())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// versions names the reference tools that were used.
func (l *lab) versions() string {
	var list []string
	for _, t := range [...][]string{{"zstd", "--version"}, {"age", "--version"}, {"openssl", "version"}, {"tar", "--version"}, {"sha256sum", "--version"}} {
		_, out, err := l.run(t[0], t[1:]...)
		first, _, _ := strings.Cut(string(out), "\n")
		if err != nil || first == "" {
			first = "unknown"
		}
		for _, word := range strings.Fields(strings.TrimRight(first, "*, ")) {
			if word = strings.Trim(word, "v,"); word != "" && word[0] >= '0' && word[0] <= '9' {
				first = word
				break
			}
		}
		list = append(list, t[0]+" "+first)
	}
	return strings.Join(list, ", ")
}
