package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Report counts and keeps what is to be told in the end. Several workers may write to it.
type Report struct {
	mu                                sync.Mutex
	out                               io.Writer
	scripts, compared, undone, not    int
	waited                            int
	failed                            int
	errors, refused, forgiven, differ map[string]int
}

// NewReport writes findings to out as they come.
func NewReport(out io.Writer) *Report {
	return &Report{out: out, errors: map[string]int{}, refused: map[string]int{}, forgiven: map[string]int{}, differ: map[string]int{}}
}

// Played counts a script.
func (r *Report) Played(o *Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.scripts++
	r.compared += o.Compared
	r.undone += o.Undone
	r.waited += o.Waited
	r.not += o.Unwilling
	for to, from := range map[*map[string]int]map[string]int{&r.errors: o.Errors, &r.refused: o.Refused, &r.forgiven: o.Forgiven} {
		for k, n := range from {
			(*to)[k] += n
		}
	}
}

// Scripts is how many were played.
func (r *Report) Scripts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.scripts
}

// Kinds is how many kinds of difference there are.
func (r *Report) Kinds() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.differ)
}

// First counts a difference and reports whether it is the first of its kind.
func (r *Report) First(d *Difference) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed++
	r.differ[d.key()]++
	return r.differ[d.key()] == 1
}

// Once counts a difference that did not come again.
func (r *Report) Once(d *Difference) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgiven["came once, and not again: "+d.key()]++
}

// Failed tells of a difference, shrunk.
func (r *Report) Failed(p *Plan, s *Script, d *Difference, trials int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.out
	fmt.Fprintf(w, "\n=== script %d of seed %d: %s; shrunk by %d trials\n", s.Number, s.Seed, d.key(), trials)
	s.write(w)
	if d.SQL != "" {
		fmt.Fprintf(w, "at:\n    %s\n", d.SQL)
	}
	if d.Hard != nil {
		fmt.Fprintln(w, "hard, where rows are really deleted:")
		show(w, d.Hard, d.Soft)
		fmt.Fprintln(w, "soft:")
	}
	show(w, d.Soft, d.Hard)
	fmt.Fprintf(w, "once more: go run ./test/keys%s -seed %d -script %d\n", p.flags(), s.Seed, s.Number)
}

// show marks the lines that the other side has not.
func show(w io.Writer, lines, other []string) {
	for i, l := range lines {
		if i == 40 {
			fmt.Fprintf(w, "    .. and %d more\n", len(lines)-i)
			return
		}
		mark := " "
		if other != nil && !slices.Contains(other, l) {
			mark = "!"
		}
		fmt.Fprintf(w, "  %s %s\n", mark, strings.ReplaceAll(l, "\n", "\n      "))
	}
}

func (p *Plan) flags() string {
	var b strings.Builder
	if p.Sessions != 1 {
		fmt.Fprintf(&b, " -sessions %d", p.Sessions)
	}
	if p.Isolation != "" {
		fmt.Fprintf(&b, " -isolation %q", p.Isolation)
	}
	if p.Tables != 0 {
		fmt.Fprintf(&b, " -tables %d", p.Tables)
	}
	if p.Parted != parted {
		fmt.Fprintf(&b, " -partitioned %d", p.Parted)
	}
	return b.String()
}

// Summary writes the tables and the last line. It returns whether all agree, but for at most so many in a hundred.
func (r *Report) Summary(w io.Writer, verbose bool, known float64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	table(w, "refused by the proxy, and so not compared", r.refused)
	table(w, "forgiven (known.go)", r.forgiven)
	if verbose {
		table(w, "errors that both sides agreed on, by SQLSTATE", r.errors)
	}
	table(w, "scripts that ended with a difference, by kind", r.differ)
	fmt.Fprintf(w, "\n%d scripts, %d statements compared, %d of them waited, %d deletions undone, %d not to be undone: %d passed, %d failed\n",
		r.scripts, r.compared, r.waited, r.undone, r.not, r.scripts-r.failed, r.failed)
	return float64(r.failed) <= known/100*float64(r.scripts)
}

func table(w io.Writer, title string, rows map[string]int) {
	if len(rows) == 0 {
		return
	}
	keys := slices.SortedFunc(maps.Keys(rows), func(a, b string) int {
		if rows[a] != rows[b] {
			return rows[b] - rows[a]
		}
		return strings.Compare(a, b)
	})
	fmt.Fprintf(w, "\n%s:\n", title)
	for _, k := range keys {
		fmt.Fprintf(w, "%8d  %s\n", rows[k], k)
	}
}
