package doctor

import (
	"fmt"
	"io"
	"strings"
)

// width is how long a line of text is, so that it fits a terminal.
const width = 110

// Write prints the report for a person: the worst first, each finding with why it matters and, indented, what mends it.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	heads := map[Severity]string{Error: "ERRORS", Warning: "WARNINGS", Info: "FACTS"}
	last := Severity(255)
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Severity != last {
			last = f.Severity
			b.WriteString(heads[last] + "\n\n")
		}
		fmt.Fprintf(&b, "  %s  %s\n", f.Check, f.Object)
		wrapped(&b, "      ", f.Why)
		switch {
		case len(f.SQL) > 0:
			b.WriteString("      fix:\n")
			for line := range strings.Lines(f.Fix()) {
				b.WriteString("          " + strings.TrimRight(line, "\n") + "\n")
			}
		case f.Advice != "":
			wrapped(&b, "      fix: ", f.Advice)
		}
		b.WriteString("\n")
	}
	b.WriteString(r.Summary() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// Summary is the report in a line.
func (r *Report) Summary() string {
	count := func(n int, one string) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %ss", n, one)
	}
	line := fmt.Sprintf("%s, %s, %s in database %s: looked at %s, %s, %s",
		count(r.Count(Error), "error"), count(r.Count(Warning), "warning"), count(r.Count(Info), "fact"), r.Database,
		count(r.Looked["tables"], "protected table"), count(r.Looked["views"], "view"), count(r.Looked["functions"], "function"))
	if r.Took > 0 {
		line += fmt.Sprintf(" in %.1f s", r.Took.Seconds())
	}
	return line
}

// wrapped writes a text in lines of at most width characters, all indented as the first.
func wrapped(b *strings.Builder, first, text string) {
	indent := strings.Repeat(" ", len(first))
	line := first
	empty := true
	for _, word := range strings.Fields(text) {
		if !empty && len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	b.WriteString(line + "\n")
}
