package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Error lists everything that is wrong with one configuration file, in the order of its lines.
// Load and Parse return no other error type.
type Error struct {
	Problems []Problem // at least one
}

// Problem is one thing that is wrong, and what to write instead.
type Problem struct {
	File    string // as given to Load or Parse
	Line    int    // 1-based; 0 when the problem is the file itself
	Field   string // such as tables[1].retention; empty when the problem is not in one field
	Message string
}

// Error joins all problems, one a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// String formats the problem as FILE:LINE: FIELD: MESSAGE, without the parts it does not have.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		b.WriteString(":" + strconv.Itoa(p.Line))
	}
	b.WriteString(": ")
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// report collects the problems of one file.
type report struct {
	file     string
	problems []Problem
}

func (r *report) add(line int, field, format string, args ...any) {
	r.problems = append(r.problems, Problem{File: r.file, Line: line, Field: field, Message: fmt.Sprintf(format, args...)})
}

// err returns nil when nothing was reported. (A nil *Error in an error would not be nil.)
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Line - b.Line })
	return &Error{Problems: r.problems}
}
