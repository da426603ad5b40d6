package lifecycle

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Step is one thing that the database needs, and the SQL that makes it. The SQL of a step may be run again and changes nothing then.
type Step struct {
	Object string   // what it is about, such as "table public.users"
	Why    string   // what goes wrong without it
	SQL    []string // statements without their semicolons, each a transaction of its own if Alone, else all in one
	Alone  bool     // they cannot be in a transaction, such as CREATE INDEX CONCURRENTLY
	Done   bool     // the database has it
	Stale  bool     // it is there and is of another state of the table, the policy or tombstone: names in it may not be there any more
	Check  string   // what tombstone doctor calls it when it is missing, "" where it is one of many of its kind
}

// Script is the steps, in the order in which they are to be taken.
type Script []Step

// Missing are the steps that are still to be taken.
func (s Script) Missing() Script {
	var missing Script
	for _, step := range s {
		if !step.Done {
			missing = append(missing, step)
		}
	}
	return missing
}

// Write prints the script for psql.
func (s Script) Write(w io.Writer) error {
	var b strings.Builder
	object := ""
	for _, step := range s {
		if step.Object != object {
			object = step.Object
			// A name may have a new line in it, and SQL behind that.
			fmt.Fprintf(&b, "\n-- ---- %s\n", strings.Join(strings.Fields(strings.Map(printable, object)), " "))
		}
		fmt.Fprintf(&b, "\n%s", comment(step.Why))
		if !step.Alone && len(step.SQL) > 1 {
			b.WriteString("BEGIN;\n")
		}
		for _, sql := range step.SQL {
			b.WriteString(strings.TrimSpace(sql) + ";\n")
		}
		if !step.Alone && len(step.SQL) > 1 {
			b.WriteString("COMMIT;\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// comment writes a text as SQL comments of at most 100 characters a line.
func comment(text string) string {
	var b strings.Builder
	for _, paragraph := range strings.Split(strings.Map(printable, text), "\n") {
		line := "--"
		for _, word := range strings.Fields(paragraph) {
			if len(line)+1+len(word) > 100 && line != "--" {
				b.WriteString(line + "\n")
				line = "--"
			}
			line += " " + word
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// printable takes out what ends a line for somebody, and what a terminal acts on.
func printable(r rune) rune {
	if r == '\n' || unicode.IsPrint(r) {
		return r
	}
	return ' '
}
