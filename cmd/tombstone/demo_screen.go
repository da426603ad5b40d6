package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// width is what the show fits into, in columns.
const width = 80

// gutter is where statements and answers start, right of the prompt, in columns.
const gutter = 12

// screen prints the show. Text from the database passes through it: the shop's rows are ours, so nothing is escaped.
type screen struct {
	w      io.Writer
	colour bool
	err    error // the first that a write returned
}

func newScreen(w io.Writer) *screen { return &screen{w: w, colour: colourful(w)} }

// colourful reports whether colour is wanted: on a terminal, unless NO_COLOR (no-color.org) or TERM says no.
func colourful(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// The codes are those of ECMA-48, "Select graphic rendition".
func (s *screen) bold(text string) string   { return s.paint("1", text) }
func (s *screen) dim(text string) string    { return s.paint("2", text) }
func (s *screen) red(text string) string    { return s.paint("31", text) }
func (s *screen) green(text string) string  { return s.paint("32", text) }
func (s *screen) yellow(text string) string { return s.paint("33", text) }

func (s *screen) paint(code, text string) string {
	if !s.colour || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *screen) line(format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), " ")
	if _, err := fmt.Fprintln(s.w, text); err != nil && s.err == nil {
		s.err = fmt.Errorf("write to standard output: %w", err)
	}
}

func (s *screen) heading(n int, title string) {
	s.line("")
	s.line("%s", s.bold(fmt.Sprintf("%d. %s", n, title)))
}

// note is an aside.
func (s *screen) note(text string) {
	s.line("")
	for _, l := range wrap(text, width-3) {
		s.line("   %s", s.dim(l))
	}
}

// labelled is a text with what it is in front of it.
func (s *screen) labelled(label string, paint func(string) string, text string) {
	space := strings.Repeat(" ", gutter+3-len(label))
	for _, l := range wrap(text, width-gutter-6) {
		s.line("   %s%s%s", paint(label), space, l)
		label, space = "", strings.Repeat(" ", gutter+3)
	}
}

// prompt is a statement behind the name of its connection, as psql would show it.
func (s *screen) prompt(c client, sql string) {
	s.line("")
	name := c.name + "=>"
	for i, l := range strings.Split(sql, "\n") {
		if i > 0 {
			name = c.name + "->"
		}
		s.line("%*s%s %s", gutter-1-len(name), "", c.paint(name), l)
	}
}

func (s *screen) answer(r reply) {
	indent := strings.Repeat(" ", gutter)
	switch {
	case r.err != nil:
		for i, l := range wrap(r.err.Severity+":  "+r.err.Message, width-gutter) {
			if i == 0 {
				l = strings.Replace(l, r.err.Severity, s.red(r.err.Severity), 1)
			}
			s.line("%s%s", indent, l)
		}
		if r.err.Hint != "" {
			for _, l := range wrap("HINT:  "+r.err.Hint, width-gutter) {
				s.line("%s%s", indent, l)
			}
		}
	case r.columns == nil:
		s.line("%s%s", indent, r.tag)
	case len(r.rows) == 0:
		s.line("%s(0 rows)", indent)
	case len(r.rows) == 1 && len(r.columns) == 1: // the statement says what it is
		s.line("%s%s", indent, r.rows[0][0])
	default:
		s.table(r, gutter)
	}
}

// table prints rows in columns, as psql does.
func (s *screen) table(r reply, indent int) {
	size := make([]int, len(r.columns))
	for _, row := range append([][]string{r.columns}, r.rows...) {
		for i, v := range row {
			size[i] = max(size[i], utf8.RuneCountInString(v))
		}
	}
	put := func(row []string, between string) {
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = v + strings.Repeat(" ", size[i]-utf8.RuneCountInString(v))
		}
		s.line("%*s%s", indent, "", strings.Join(cells, between))
	}
	put(r.columns, " | ")
	dashes := make([]string, len(size))
	for i, n := range size {
		dashes[i] = strings.Repeat("-", n)
	}
	put(dashes, "-+-")
	for _, row := range r.rows {
		put(row, " | ")
	}
}

// wrap breaks a text between words so that lines have at most limit characters, where the words allow.
func wrap(text string, limit int) []string {
	var lines []string
	at := ""
	for _, word := range strings.Split(text, " ") {
		switch {
		case at == "":
			at = word
		case utf8.RuneCountInString(at)+1+utf8.RuneCountInString(word) > limit:
			lines = append(lines, at)
			at = word
		default:
			at += " " + word
		}
	}
	return append(lines, at)
}
