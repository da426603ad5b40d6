package main

import (
	"regexp"
	"strings"
)

// Root is where a difference began.
type Root struct {
	Cause *Cause // nil: none is known
	File  string
	Line  int
}

// Story follows a run statement by statement and finds why answers differ: for a cause of their own, or because an
// earlier difference left other rows, or other objects, in one twin. It goes on over the files, as the tables do.
type Story struct {
	ties      *Ties
	variables map[string]string // psql's, as \set sets them
	lasting   map[string]bool   // tables of the set-up, which outlive a script
	touched   map[string]*Root  // tables whose rows or definitions differ since
	prepared  bool              // the soft twin has the database's half
	inside    bool              // a transaction block
	broken    *Root             // what left one twin's transaction aborted
	written   []string          // tables that this transaction has written
}

// NewStory begins before the first statement.
func NewStory() *Story {
	return &Story{ties: newTies(), variables: map[string]string{}, lasting: map[string]bool{}, touched: map[string]*Root{}}
}

var (
	begins  = shape(`^(?:begin|start transaction)\b`)
	ends    = shape(`^(?:commit|end|rollback|abort|prepare transaction)\b`)
	writes  = shape(`\b(?:insert|update|delete|merge|truncate|create|alter|copy|drop|reindex|refresh|cluster)\b`)
	deletes = shape(`\b(?:delete from|truncate(?: table)?|merge into) (?:only )?NAMELIST`)
	setting = regexp.MustCompile(`(?s)^\\set\s+(\w+)\s+'(.*)'\s*$`)
	usesVar = regexp.MustCompile(`:(\w+)`)
	quoted  = regexp.MustCompile(`"([^"]+)"`)
)

// text is a statement with psql's variables filled in.
func (s *Story) text(r *Result) string {
	return usesVar.ReplaceAllStringFunc(r.Statement.Text(), func(use string) string {
		if value, ok := s.variables[use[1:]]; ok {
			return value
		}
		return use
	})
}

// Next takes the next statement in and sets the cause of its difference, if it has one that is known.
func (s *Story) Next(file string, r *Result) {
	sql := s.text(r)
	if m := setting.FindStringSubmatch(r.Statement.Text()); m != nil {
		s.variables[m[1]] = strings.ReplaceAll(m[2], "''", "'")
	}
	if begins.MatchString(sql) {
		s.inside, s.written, s.broken = true, nil, nil
	}
	if r.Verdict == Differs {
		s.differs(file, sql, r)
	}
	done := r.Hard.SQLSTATE == "00000" || r.Soft.SQLSTATE == "00000" ||
		indexes.MatchString(sql) // one that could not be filled stays there, invalid
	if done && r.Verdict != Refused {
		s.ties.Learn(sql)
		if r.Verdict != Differs {
			s.renew(sql)
		}
		s.unseen(file, sql, r)
	}
	switch {
	case ends.MatchString(sql):
		s.inside, s.written, s.broken = false, nil, nil
	case s.inside && writes.MatchString(sql):
		s.written = append(s.written, targets(sql)...)
	}
}

func (s *Story) differs(file, sql string, r *Result) {
	root := &Root{Cause: explain(file, sql, r, s), File: file, Line: r.Statement.Line}
	if root.Cause == nil {
		root = s.follows(sql, r)
	}
	if root == nil {
		root = &Root{File: file, Line: r.Statement.Line}
	}
	r.Root, r.Cause = root, root.Cause
	if s.inside && failed(r.Hard) != failed(r.Soft) {
		s.broken = root
		s.touch(root, s.written)
	}
	if (root.Cause == nil || !root.Cause.Harmless) && writes.MatchString(sql) {
		s.touch(root, targets(sql))
		for _, m := range quoted.FindAllStringSubmatch(r.Hard.Output+r.Soft.Output, -1) {
			if s.ties.tables[m[1]] {
				s.touch(root, []string{m[1]})
			}
		}
	}
}

func failed(a Answer) bool { return strings.Contains(a.Output, "ERROR:") }

func (s *Story) touch(root *Root, names []string) {
	for _, name := range names {
		if s.touched[name] == nil {
			s.touched[name] = root
		}
	}
}

// renew forgets what was said of a table that is made anew, in both twins alike.
func (s *Story) renew(sql string) {
	if m := creates.FindStringSubmatch(sql); m != nil && !s.reads(sql[len(m[0]):]) {
		delete(s.touched, bare(m[2]))
	}
	if m := drops.FindStringSubmatch(sql); m != nil {
		for _, dropped := range append(bareWords(m[2]), bare(m[1])) {
			delete(s.touched, dropped)
		}
	}
}

// End ends a script: the next one works on other tables, or on those of the set-up.
func (s *Story) End() {
	for table := range s.touched {
		if !s.lasting[table] {
			delete(s.touched, table)
		}
	}
	s.inside, s.broken, s.written, s.variables = false, nil, nil, map[string]string{}
}

// reads reports whether a text names something that has been touched.
func (s *Story) reads(text string) bool { return s.touchedIn(text) != nil }

// touchedIn finds what touched something that a text names, or something that hangs together with it.
func (s *Story) touchedIn(text string) *Root {
	for _, word := range named(text) {
		if !s.ties.known(word) {
			continue
		}
		for _, near := range s.ties.near(word) {
			if root := s.touched[near]; root != nil {
				return root
			}
		}
	}
	return nil
}

// aborted is what a twin says whose transaction has failed, or which lacks what it has rolled back.
var aborted = regexp.MustCompile(`current transaction is aborted|ROLLBACK|there is no transaction in progress|` +
	`can only be used in transaction blocks|(savepoint|cursor|prepared statement) "[^"]*" does not exist`)

// follows finds the earlier difference that this one comes from.
func (s *Story) follows(sql string, r *Result) *Root {
	if s.broken != nil && (aborted.MatchString(r.Hard.Output) || aborted.MatchString(r.Soft.Output)) {
		return s.broken
	}
	if root := s.touchedIn(sql); root != nil {
		return root
	}
	for _, m := range quoted.FindAllStringSubmatch(r.Hard.Output+"\n"+r.Soft.Output, -1) {
		if root := s.touchedIn(`\d ` + m[1]); root != nil {
			return root
		}
	}
	return nil
}

// unseen marks what a DELETE does, or does not do, elsewhere: foreign keys act on other tables, and triggers and rules write some.
func (s *Story) unseen(file, sql string, r *Result) {
	for _, m := range deletes.FindAllStringSubmatch(outside(sql), -1) {
		for _, from := range append([]string{bare(m[1])}, bareWords(m[2])...) {
			for _, near := range s.ties.near(from) {
				if !s.prepared {
					s.touch(&Root{foreignKey, file, r.Statement.Line}, s.ties.children(near))
				}
				if functions := s.ties.triggers[near]; len(functions) > 0 {
					root := &Root{triggersFire, file, r.Statement.Line}
					s.touch(root, []string{from})
					for _, f := range functions {
						for _, word := range s.ties.near(f) {
							if s.ties.tables[word] {
								s.touch(root, []string{word})
							}
						}
					}
				}
			}
		}
	}
	// What is filled from a touched table is touched.
	if root := s.touchedIn(sql); root != nil && writes.MatchString(sql) {
		s.touch(root, targets(sql))
	}
}
