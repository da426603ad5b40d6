package main

import (
	"fmt"
	"strings"
)

// Unexplained is how many differences have no cause.
func (c *Comparison) Unexplained() int {
	n := 0
	for i := range c.Differences {
		if !c.Differences[i].Explained() {
			n++
		}
	}
	return n
}

// Report is the whole run in Markdown.
func Report(b *Bench, done []Comparison) string {
	var s strings.Builder
	fmt.Fprintf(&s, "# Other people's test suites through the proxy\n\nPostgreSQL %s; its suites are those of Debian's source package, version %s. ", b.programs.Version, b.source.Version)
	s.WriteString("Each suite ran directly, and through the proxy with a policy that concerns none of its tables: an empty one, and one for a table that no test touches (`guarded`). Outputs are compared byte for byte; those of pgx and lib/pq are the tests' verdicts.\n\n")
	s.WriteString("| suite | policy | tests | of these, as their authors expect | identical | differing | without a cause | seconds direct | seconds through the proxy |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for i := range done {
		c := &done[i]
		n := len(c.Differences)
		fmt.Fprintf(&s, "| %s | %s | %s | %d | %d | %d | %d | %.0f | %.0f |\n", c.Suite.Name, c.Mode, c.size(), c.Expected, c.Tests-n, n, c.Unexplained(), c.Seconds[0], c.Seconds[1])
	}
	s.WriteString("\n")
	for i := range done {
		if i == 0 || done[i].Suite != done[i-1].Suite {
			fmt.Fprintf(&s, "- %s: %s\n", done[i].Suite.Name, done[i].Suite.About)
		}
	}
	s.WriteString("\nIn brackets: permutations of steps, lines of traces. Written by `go run ./test/suites -markdown docs/suites.md`.\n\n## Differences\n\n")
	none := true
	for i := range done {
		for _, d := range done[i].Differences {
			none = false
			fmt.Fprintf(&s, "- %s, %s, %s: %s\n", done[i].Suite.Name, done[i].Mode, d.Test, d.why())
		}
	}
	if none {
		s.WriteString("None.\n")
	}
	return s.String()
}

// size is how many tests, and how many parts they say they have.
func (c *Comparison) size() string {
	if c.Parts == 0 {
		return fmt.Sprint(c.Tests)
	}
	return fmt.Sprintf("%d (%d)", c.Tests, c.Parts)
}

func (d *Difference) why() string {
	switch {
	case d.Cause != "":
		return d.Cause
	case d.Again:
		return "unsteady: the same when run once more"
	}
	return "**no cause known**"
}

// Details shows where differing outputs part.
func Details(done []Comparison) string {
	var s strings.Builder
	for i := range done {
		for _, d := range done[i].Differences {
			fmt.Fprintf(&s, "\n---- %s, %s, %s: %s\n%s%s", done[i].Suite.Name, done[i].Mode, d.Test, d.why(), firstDifference(d.Direct, d.Here), d.Note)
		}
	}
	return s.String()
}

// firstDifference shows the first lines that are not the same, with what comes before.
func firstDifference(direct, here string) string {
	const before, after = 4, 8
	a, b := strings.Split(direct, "\n"), strings.Split(here, "\n")
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	var s strings.Builder
	for _, line := range a[max(0, n-before):n] {
		fmt.Fprintf(&s, "  %s\n", line)
	}
	for _, side := range []struct {
		sign  string
		lines []string
	}{{"-", a}, {"+", b}} {
		for _, line := range side.lines[n:min(len(side.lines), n+after)] {
			fmt.Fprintf(&s, "%s %s\n", side.sign, line)
		}
	}
	return s.String()
}
