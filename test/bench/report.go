package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// Report is what a run has found, ready to be written.
type Report struct {
	head    []string // paragraphs
	tables  []Table
	verdict Verdict
	broken  []string
	raw     raw
}

// raw is the form of -json.
type raw struct {
	Machine Machine   `json:"machine"`
	Seconds int       `json:"seconds"`
	Rounds  int       `json:"rounds"`
	BulkMB  int       `json:"bulk_mb"`
	CopyIn  int       `json:"copy_in_mb"`
	Idle    int       `json:"idle"`
	Notes   []string  `json:"notes"`
	Cells   []rawCell `json:"cells"`
	Missed  []string  `json:"missed"`
	Broken  []string  `json:"broken"`
}

type rawCell struct {
	Name string `json:"name"`
	Rate string `json:"rate"`            // the unit
	CPU  string `json:"cpu_s,omitempty"` // the work that the seconds are for
	// Targets holds the figures by target and round; null where a measurement broke.
	Targets map[string][]Figures `json:"targets"`
}

func newReport(s *Stage, r *Results) *Report {
	p := &Report{verdict: judge(r), broken: r.Broken}
	o := s.Options
	p.head = append(p.head, s.Machine.String(), fmt.Sprintf(
		"Medians of %s; pgbench at scale %d for %d s a figure, %d MB of bulk read and %d MB written, all over TCP on 127.0.0.1. "+
			"In brackets: the ratio to direct, then the ratio to PgBouncer, each the median of the rounds' ratios.",
		count(o.Rounds, "round"), o.Scale, o.Seconds, o.BulkMB, o.CopyInMB))
	p.head = append(p.head, s.Notes...)
	p.raw = raw{
		Machine: s.Machine, Seconds: o.Seconds, Rounds: o.Rounds, BulkMB: o.BulkMB, CopyIn: o.CopyInMB, Idle: o.Idle,
		Notes: s.Notes, Missed: p.verdict.Missed, Broken: r.Broken,
	}
	for _, c := range r.Cells {
		p.raw.Cells = append(p.raw.Cells, rawCell{c.Name, c.Kind.rate, c.Kind.work, r.Figures[c.Name]})
	}
	for _, g := range groups(r.Cells) {
		p.tables = append(p.tables, g.tables(s, r)...)
	}
	return p
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// group is cells that share tables.
type group struct {
	title string
	cells []*Cell
}

// groups: a pgbench script, or a kind.
func groups(cells []*Cell) []group {
	titles := map[*Kind]string{bulkKind: "bulk", connectKind: "connect, SELECT 1, close", idleKind: "idle connections"}
	var all []group
	for _, c := range cells {
		title := titles[c.Kind]
		if c.Kind == pgbenchKind {
			title, _, _ = strings.Cut(c.Name, "/")
		}
		if len(all) == 0 || all[len(all)-1].title != title {
			all = append(all, group{title: title})
		}
		all[len(all)-1].cells = append(all[len(all)-1].cells, c)
	}
	return all
}

// tables has one table for each metric that the group has.
func (g group) tables(s *Stage, r *Results) []Table {
	k := g.cells[0].Kind
	var all []Table
	for _, m := range []struct {
		metric Metric
		what   string
	}{
		{Rate, k.rate},
		{P50, "median latency, ms"},
		{P99, "99th percentile of latency, ms"},
		{CPU, "CPU seconds of the proxy for " + k.work},
		{Memory, fmt.Sprintf("KiB of resident memory each, of %d", s.Options.Idle)},
	} {
		if t, is := g.table(s, r, m.metric); is {
			t.Title = g.title + ": " + m.what
			all = append(all, t)
		}
	}
	return all
}

func (g group) table(s *Stage, r *Results, m Metric) (Table, bool) {
	t := Table{Names: 1, Head: []string{"cell"}}
	if g.cells[0].Kind == pgbenchKind {
		t.Names, t.Head = 2, []string{"protocol", "clients"}
	}
	var targets []*Target
	for _, target := range s.Targets {
		for _, c := range g.cells {
			if _, is := middle(r.Figures[c.Name][target.Name], m); is {
				targets = append(targets, target)
				t.Head = append(t.Head, target.Name)
				break
			}
		}
	}
	for _, c := range g.cells {
		row := []string{c.Name}
		if t.Names == 2 {
			row = strings.Split(c.Name, "/")[1:]
		}
		for _, target := range targets {
			row = append(row, shown(r.Figures[c.Name], target.Name, m))
		}
		t.Rows = append(t.Rows, row)
	}
	return t, len(targets) > 0
}

// shown is a figure, with its ratios to direct and to PgBouncer where there are such.
func shown(figures map[string][]Figures, target string, m Metric) string {
	value, is := middle(figures[target], m)
	if !is {
		return "-"
	}
	var ratios []string
	for _, base := range []string{direct, pgbouncer} {
		if base == target {
			continue
		}
		if r, is := compare(figures[target], figures[base], m); is && target != direct {
			ratios = append(ratios, fmt.Sprintf("%.2f", r.Median))
		}
	}
	if len(ratios) == 0 {
		return number(value)
	}
	return fmt.Sprintf("%s (%s)", number(value), strings.Join(ratios, ", "))
}

// write writes the report to w, and to the files that the flags name.
func (p *Report) write(w io.Writer, o Options) error {
	p.render(w, false)
	if o.Markdown != "" {
		var text strings.Builder
		p.render(&text, true)
		if err := os.WriteFile(o.Markdown, []byte(text.String()), 0o644); err != nil {
			return fmt.Errorf("write the tables: %w", err)
		}
	}
	if o.JSON != "" {
		text, err := json.MarshalIndent(p.raw, "", "\t")
		if err != nil {
			return fmt.Errorf("write the figures: %w", err)
		}
		if err := os.WriteFile(o.JSON, append(text, '\n'), 0o644); err != nil {
			return fmt.Errorf("write the figures: %w", err)
		}
	}
	return nil
}

func (p *Report) render(w io.Writer, markdown bool) {
	gap := ""
	for _, paragraph := range p.head {
		fmt.Fprintf(w, "%s%s\n", gap, paragraph)
		if markdown {
			gap = "\n"
		}
	}
	for _, t := range p.tables {
		if markdown {
			t.markdown(w)
		} else {
			t.text(w)
		}
	}
	title, item := "\n", "  "
	if markdown {
		title, item = "\n### ", "- "
	}
	v := p.verdict
	fmt.Fprintf(w, "%sGoals: %d reached, %d missed, %d without a figure to compare\n", title, v.Reached, len(v.Missed), v.Unknown)
	list(w, item, v.Missed, markdown)
	if len(p.broken) > 0 {
		fmt.Fprintf(w, "%sBroken\n", title)
		list(w, item, p.broken, markdown)
	}
}

func list(w io.Writer, item string, lines []string, gap bool) {
	if gap && len(lines) > 0 {
		fmt.Fprintln(w)
	}
	for _, line := range lines {
		fmt.Fprintln(w, item+line)
	}
}
