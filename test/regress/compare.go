package main

import (
	"regexp"
	"slices"
	"strings"
)

// Verdict is what became of one statement.
type Verdict int

// A statement that psql was never asked to answer has no verdict. The others are the report's columns.
const (
	Silent    Verdict = iota // neither twin said anything: a \set, a comment
	Same                     // the same answer
	Reordered                // the same rows in another order, which the statement leaves open
	Refused                  // the proxy refused it
	Unsteady                 // two direct runs differ as well
	Differs
)

// Result is a statement with its answers.
type Result struct {
	Statement  *Statement
	Hard, Soft Answer
	Verdict    Verdict
	Rule       string // of a refusal
	Cause      *Cause // of a difference; nil: none is known
	Root       *Root  // where a difference began: here, or in an earlier statement
}

// refusedBy returns the rule by which the proxy refused a statement, "" if it did not. Where psql's output goes elsewhere, the SQLSTATE and
// the statement itself tell.
func refusedBy(s *Statement, soft Answer, refusals []Refusal) string {
	for _, r := range refusals {
		for _, said := range []string{"ERROR:  " + r.Reason, r.SQLState + ": " + r.Reason} {
			if strings.Contains(soft.Output, said+"\n") || strings.Contains(soft.Output, said+" at character ") {
				return r.Rule
			}
		}
		if !failed(soft) && soft.SQLSTATE == r.SQLState && r.SQL != "" && strings.Contains(squeeze(s.SQL), squeeze(r.SQL)) {
			return r.Rule
		}
	}
	return ""
}

// squeeze leaves of a text what does not depend on how psql sends it.
func squeeze(sql string) string {
	sql = lineComment.ReplaceAllString(strings.ReplaceAll(sql, `\;`, ";"), "")
	return strings.Trim(strings.Join(strings.Fields(sql), " "), "; ")
}

// judge compares the answers to one statement.
func judge(s *Statement, hard, soft Answer) Verdict {
	switch {
	case hard == soft && hard.Output == "" && s.SQL == "":
		return Silent
	case hard == soft:
		return Same
	case hard.Given == soft.Given && hard.SQLSTATE == soft.SQLSTATE && !ordered(s.SQL) && sameLines(hard.Output, soft.Output):
		return Reordered
	}
	return Differs
}

var (
	orderBy     = regexp.MustCompile(`(?i)\border\s+by\b`)
	explains    = regexp.MustCompile(`(?i)^\s*explain\b`)
	parens      = regexp.MustCompile(`\([^()]*\)`)
	lineComment = regexp.MustCompile(`--[^\n]*`)
	sqlQuoted   = regexp.MustCompile(`'[^']*'`)
)

// ordered reports whether a statement asks for an order at its top level, or shows a plan, whose lines have one.
func ordered(sql string) bool {
	if explains.MatchString(sql) {
		return true
	}
	sql = sqlQuoted.ReplaceAllString(sql, "''")
	for {
		shorter := parens.ReplaceAllString(sql, "")
		if shorter == sql {
			return orderBy.MatchString(sql)
		}
		sql = shorter
	}
}

func sameLines(a, b string) bool {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}
