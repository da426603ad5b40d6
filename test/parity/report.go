package main

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"
)

// Report counts and keeps what is to be told in the end. Several workers may
// write to it.
type Report struct {
	mu       sync.Mutex
	out      io.Writer
	compared int            // statements that both sides ran
	failed   int            // of them, those that differ; contents that differ count as one
	kinds    map[string]int // by kind of statement
	errors   map[string]int // SQLSTATEs that both sides agreed on
	refused  map[string]int // by the proxy's message
	why      map[string]string
	forgiven map[string]int // why the cases ended
	seen     map[string]int // differences by key
}

// NewReport writes findings to out as they come.
func NewReport(out io.Writer) *Report {
	return &Report{out: out, kinds: map[string]int{}, errors: map[string]int{}, refused: map[string]int{}, why: map[string]string{}, forgiven: map[string]int{}, seen: map[string]int{}}
}

// Played counts a step.
func (r *Report) Played(step *Step, o Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case o.Refused != nil:
		row := o.Refused.Code + "  " + namesGone(o.Refused.Message)
		r.refused[row]++
		if sql := strings.Join(step.SQL(), "; "); r.why[row] == "" || len(sql) < len(r.why[row]) {
			r.why[row] = sql
		}
		return
	case o.Forgiven != "":
		r.forgiven[o.Forgiven]++
		return
	}
	r.compared += len(step.Statements)
	for _, st := range step.Statements {
		r.kinds[st.Kind]++
	}
	if o.Failure != "" {
		r.errors[o.Failure]++
	}
}

// namesGone makes one row of messages that differ only in the names they quote.
func namesGone(message string) string {
	var out strings.Builder
	for i, part := range strings.Split(message, `"`) {
		switch {
		case i%2 == 1:
			out.WriteString(`".."`)
		default:
			out.WriteString(part)
		}
	}
	return out.String()
}

// First counts a difference and reports whether it is the first of its kind.
func (r *Report) First(d *Difference) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed++
	r.seen[d.key()]++
	return r.seen[d.key()] == 1
}

// Kinds returns how many kinds of difference there are.
func (r *Report) Kinds() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.seen)
}

// Compared returns how many statements both sides ran.
func (r *Report) Compared() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.compared
}

// ScriptFailed tells of a difference in a script.
func (r *Report) ScriptFailed(script, way string, line int, d *Difference) {
	if !r.First(d) {
		return
	}
	r.print(func(w io.Writer) {
		fmt.Fprintf(w, "\n=== script %s, %s, line %d: %s (%s)\n", script, way, line, d.Class, d.Stage)
		d.write(w)
	})
}

// CaseFailed tells of a difference in a generated case, shrunk.
func (r *Report) CaseFailed(c *Case, d *Difference, tried int) {
	r.print(func(w io.Writer) {
		fmt.Fprintf(w, "\n=== case %d of seed %d: %s (%s); shrunk by %d trials\n", c.Number, c.Seed, d.Class, d.Stage, tried)
		c.write(w, d)
		d.write(w)
		fmt.Fprintf(w, "\nonce more: go run ./test/parity -scripts none -seed %d -case %d\n", c.Seed, c.Number)
	})
}

func (r *Report) print(f func(io.Writer)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.out)
}

// write shows what both sides said.
func (d *Difference) write(w io.Writer) {
	if len(d.SQL) > 0 {
		fmt.Fprintf(w, "\nthe statement that differs, sent as %s:\n", d.How)
		for _, s := range d.SQL {
			fmt.Fprintf(w, "    %s;\n", strings.ReplaceAll(s, "\n", "\n    "))
		}
		for _, s := range d.Edited {
			fmt.Fprintf(w, "what the proxy makes of it:\n    %s\n", strings.ReplaceAll(s, "\n", "\n    "))
		}
	}
	if d.Stage == "LOST" {
		fmt.Fprintln(w, "\nwhat the guard in soft saw:")
		show(w, d.Lines)
		return
	}
	fmt.Fprintln(w, "\nhard, where rows are really deleted, said:")
	show(w, d.Hard)
	fmt.Fprintln(w, "soft, through the proxy, said:")
	show(w, d.Soft)
	if len(d.Hard)+len(d.Soft) > 6 {
		fmt.Fprintln(w, "where they differ:")
		show(w, d.Lines)
	}
}

// longest is how many lines of one answer are shown.
const longest = 40

func show(w io.Writer, lines []string) {
	for i, l := range lines {
		if i == longest {
			fmt.Fprintf(w, "    .. and %d more\n", len(lines)-i)
			return
		}
		fmt.Fprintf(w, "    %s\n", l)
	}
}

// Summary writes the tables and the last line. It returns whether all agree.
func (r *Report) Summary(w io.Writer, verbose bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	table(w, "refused by the proxy, and so not compared", r.refused, r.why)
	table(w, "cases that ended early (known.go)", r.forgiven, nil)
	if verbose {
		table(w, "statements compared, by kind", r.kinds, nil)
		table(w, "errors that both sides agreed on, by SQLSTATE", r.errors, nil)
	}
	table(w, "differences, by kind", r.seen, nil)
	fmt.Fprintf(w, "\n%d passed, %d failed\n", r.compared-min(r.failed, r.compared), r.failed)
	return r.failed == 0
}

func table(w io.Writer, title string, rows map[string]int, examples map[string]string) {
	if len(rows) == 0 {
		return
	}
	keys := make([]string, 0, len(rows))
	for k := range rows {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		if rows[keys[i]] != rows[keys[j]] {
			return rows[keys[i]] > rows[keys[j]]
		}
		return keys[i] < keys[j]
	})
	fmt.Fprintf(w, "\n%s:\n", title)
	for _, k := range keys {
		fmt.Fprintf(w, "%8d  %s\n", rows[k], k)
		if e := examples[k]; e != "" {
			fmt.Fprintf(w, "              such as: %.200s\n", strings.ReplaceAll(e, "\n", " "))
		}
	}
}
