package main

import (
	"fmt"
	"io"
	"strings"
)

// Script is what is played on both twins of a graph.
type Script struct {
	Seed      uint64
	Number    int
	Graph     *Graph
	Isolation string // of the transactions of concurrent sessions; "" in a script of one
	Sessions  int
	Steps     []*Step
	Deletions []*Step // what is undone in the end, a transaction each
	Shuffled  bool    // .. in any order, and whatever Steps deleted too; else in reverse
}

// Step is what is sent at once.
type Step struct {
	Session int
	Kind    string // a few words for the report
	Parts   []*Part
}

// Part is a piece of SQL. One that is optional may be left out, so that a statement can be shrunk.
type Part struct {
	Text     string
	Optional bool
	Gone     bool
}

func must(text string) *Part { return &Part{Text: text} }
func may(text string) *Part  { return &Part{Text: text, Optional: true} }

func step(kind string, parts ...*Part) *Step {
	s := &Step{Kind: kind}
	for _, p := range parts {
		if p != nil && p.Text != "" {
			s.Parts = append(s.Parts, p)
		}
	}
	return s
}

// SQL is what is sent.
func (s *Step) SQL() string {
	var b strings.Builder
	for _, p := range s.Parts {
		if !p.Gone {
			b.WriteString(p.Text)
		}
	}
	return b.String()
}

// write tells a script to people, as SQL that can be run.
func (s *Script) write(w io.Writer) {
	for line := range strings.Lines(s.Graph.DDL()) {
		fmt.Fprintf(w, "    %s", line)
	}
	fmt.Fprintln(w)
	tell := func(list []*Step) {
		for _, step := range list {
			if s.Sessions > 1 {
				fmt.Fprintf(w, "    %d: %s;\n", step.Session+1, step.SQL())
			} else {
				fmt.Fprintf(w, "    %s;\n", step.SQL())
			}
		}
	}
	tell(s.Steps)
	if len(s.Deletions) > 0 {
		fmt.Fprintf(w, "    -- what is undone %s:\n", map[bool]string{true: "in any order, and what is above too", false: "in reverse"}[s.Shuffled])
		tell(s.Deletions)
	}
}
