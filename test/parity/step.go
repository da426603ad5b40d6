package main

import (
	"fmt"
	"strings"

	pp "github.com/jackc/pgx/v5/pgproto3"
)

// Order says how the rows of a statement are compared.
type Order byte

// The ways to compare rows.
const (
	AnyOrder    Order = iota // as a bag: the statement asks for no order
	AsTheyCome               // one by one
	NotCompared              // the plan of an EXPLAIN: known.go says why
)

// Statement is one statement and what the comparison must know of it.
type Statement struct {
	Node   *Node
	Kind   string // a few words for the report: "delete using", "merge", ..
	Order  Order
	CopyIn string // the data of a COPY FROM STDIN
	Fails  bool   // the client gives the COPY up
}

// Mode is by which messages a step is sent.
type Mode byte

// The modes.
const (
	Simple   Mode = iota // one Query, of several statements perhaps
	Unnamed              // Parse, Describe, Bind, Describe, Execute, Sync
	Named                // a named statement, executed twice if it only reads
	Pipeline             // several unnamed ones before one Sync
)

// Step is what is sent at once and compared as a whole.
type Step struct {
	Statements []*Statement
	Mode       Mode
	Parameters bool   // literals are sent as parameters
	Binary     bool   // results are asked for in binary
	Rows       uint32 // fetched in portions of so many, 0 for all at once
	Twice      bool   // Named: executed again
}

func (s *Step) kind() string {
	kinds := make([]string, len(s.Statements))
	for i, st := range s.Statements {
		kinds[i] = st.Kind
	}
	return strings.Join(kinds, " + ")
}

// how describes the messages for a report.
func (s *Step) how() string {
	if s.Mode == Simple {
		if len(s.Statements) > 1 {
			return "one Query of several statements"
		}
		return "simple Query"
	}
	text := [...]string{"", "unnamed statement", "named statement", "pipeline of unnamed statements"}[s.Mode]
	if s.Binary {
		text += ", binary results"
	}
	if s.Rows > 0 {
		text += fmt.Sprintf(", %d rows at a time", s.Rows)
	}
	if s.Twice {
		text += ", executed twice"
	}
	return text
}

// ends reports whether a step may end a transaction that has failed.
func (s *Step) ends() bool {
	switch s.Statements[0].Kind {
	case "commit", "rollback", "end", "lock":
		return true
	}
	return false
}

// write returns a statement as it is sent, and its parameters.
func (s *Step) write(st *Statement) (string, []string) {
	t := Text{Parameters: s.Parameters && s.Mode != Simple}
	t.node(st.Node)
	return t.String(), t.Values
}

// SQL is what is sent, in full, a statement each.
func (s *Step) SQL() []string {
	var out []string
	for _, st := range s.Statements {
		sql, values := s.write(st)
		for i, v := range values {
			sql += fmt.Sprintf(" /* $%d = %s */", i+1, strings.ReplaceAll(v, nothing, "NULL"))
		}
		if st.CopyIn != "" {
			sql += fmt.Sprintf(" /* data: %q */", st.CopyIn)
		}
		out = append(out, sql)
	}
	return out
}

// turn makes the messages.
func (s *Step) turn() *Turn {
	t := &Turn{extended: s.Mode != Simple}
	for _, st := range s.Statements {
		if st.CopyIn != "" || st.Fails {
			t.copyIn, t.copyFail = st.CopyIn, st.Fails
		}
	}
	if s.Mode == Simple {
		parts := make([]string, len(s.Statements))
		for i, st := range s.Statements {
			parts[i], _ = s.write(st)
		}
		t.add(&pp.Query{String: strings.Join(parts, "; ")})
		return t
	}
	name := ""
	if s.Mode == Named && !t.copies() {
		name = "a statement"
	}
	var formats []int16
	if s.Binary {
		formats = []int16{1}
	}
	for _, st := range s.Statements {
		sql, values := s.write(st)
		bind := &pp.Bind{PreparedStatement: name, ResultFormatCodes: formats, Parameters: make([][]byte, len(values))}
		for i, v := range values {
			if v != nothing {
				bind.Parameters[i] = []byte(v)
			}
		}
		t.add(&pp.Parse{Name: name, Query: sql}, &pp.Describe{ObjectType: 'S', Name: name})
		if name != "" {
			t.add(&pp.Sync{})
		}
		t.add(bind, &pp.Describe{ObjectType: 'P'})
		if s.Rows > 0 {
			t.add(&pp.Execute{MaxRows: s.Rows}, &pp.Execute{MaxRows: s.Rows})
		}
		t.add(&pp.Execute{})
		if s.Twice && !t.copies() {
			t.add(&pp.Sync{}, bind, &pp.Execute{})
		}
	}
	t.add(&pp.Sync{})
	if name != "" {
		t.add(&pp.Close{ObjectType: 'S', Name: name}, &pp.Sync{})
	}
	return t
}

// order says how the rows of each statement that completes are compared.
func (s *Step) order(completed int) Order {
	if s.Twice {
		completed = 0
	}
	if completed < len(s.Statements) {
		return s.Statements[completed].Order
	}
	return AsTheyCome
}
