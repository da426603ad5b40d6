package main

import (
	"regexp"
	"strings"
)

// Statement is what psql sends, or does itself, in one go: SQL up to a semicolon, SQL up to a backslash command
// that sends it, or a backslash command alone. Lead + SQL + Tail + Data of all statements is the file.
type Statement struct {
	Line int    // of its first word, from 1
	Lead string // blank space and comments before it
	SQL  string // "" for a backslash command alone
	Tail string // the semicolon and the comment behind it, or the backslash command; to the end of the line as a rule
	Data string // what COPY FROM STDIN reads: whole lines, \. included
}

// Text is the statement as a person reads it, without what COPY reads.
func (s *Statement) Text() string { return strings.TrimSpace(s.SQL + s.Tail) }

// Split cuts a script where psql does. It errs where a script changes standard_conforming_strings out of its sight.
func Split(script string) []Statement {
	s := splitter{text: script}
	var statements []Statement
	for line := 1; s.at < len(s.text); {
		from := s.at
		next := s.next()
		next.Line = line + strings.Count(next.Lead, "\n")
		line += strings.Count(s.text[from:s.at], "\n")
		statements = append(statements, next)
	}
	return statements
}

// splitter walks over a script. It knows as much of SQL's lexical rules as psql, which keeps a semicolon inside
// parentheses, quotes, comments and SQL-standard function bodies from ending a statement.
type splitter struct {
	text         string
	at           int
	oldBackslash bool // standard_conforming_strings is off

	parens int
	atomic int      // depth of BEGIN, CASE .. END in an SQL-standard function body
	words  []string // the statement's first words, lower case
}

func (s *splitter) next() Statement {
	from := s.at
	s.skipBlank(true)
	lead := s.text[from:s.at]
	s.parens, s.atomic, s.words = 0, 0, nil
	start := s.at
	sqlEnd := s.findEnd(start)
	if sqlEnd < s.at && s.text[sqlEnd] == ';' {
		s.skipRestOfLine()
	}
	statement := Statement{Lead: lead, SQL: s.text[start:sqlEnd], Tail: s.text[sqlEnd:s.at]}
	s.follow(statement.SQL)
	if copiesIn(&statement) {
		statement.Data = s.copyData()
	}
	return statement
}

// findEnd moves behind a statement and its terminator, and returns where the terminator begins.
func (s *splitter) findEnd(start int) int {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == ';' && s.parens == 0 && s.atomic == 0:
			s.at++
			return s.at - 1
		case c == '(' || c == '[':
			s.parens++
			s.at++
		case c == ')' || c == ']':
			s.parens = max(0, s.parens-1)
			s.at++
		case c == '\'' || c == '"':
			s.skipQuoted(c, c == '\'' && (s.oldBackslash || s.escapes(start)))
		case c == '$':
			s.skipDollar(start)
		case strings.HasPrefix(s.text[s.at:], "--"):
			s.skipLine()
		case strings.HasPrefix(s.text[s.at:], "/*"):
			s.skipComment()
		case c == '\\':
			command := s.at
			if s.skipBackslash(s.at == start) {
				return command
			}
		case isWord(c):
			s.word(start)
		default:
			s.at++
		}
	}
	return s.at
}

var sends = regexp.MustCompile(`^\\(g|gx|gset|gexec|gdesc|crosstabview|watch|r|reset)\b`)

// skipBackslash moves over a backslash command and reports whether the statement ends with it.
func (s *splitter) skipBackslash(alone bool) bool {
	rest := s.text[s.at:]
	if strings.HasPrefix(rest, `\;`) || strings.HasPrefix(rest, `\:`) {
		s.at += 2
		return false
	}
	s.skipLine()
	return alone || sends.MatchString(rest)
}

func isWord(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}

// word moves over a word or number and follows the depth of BEGIN .. END in a function's body.
func (s *splitter) word(start int) {
	from := s.at
	for s.at < len(s.text) && (isWord(s.text[s.at]) || s.text[s.at] == '$') {
		s.at++
	}
	word := strings.ToLower(s.text[from:s.at])
	if len(s.words) < 4 {
		s.words = append(s.words, word)
	}
	if s.parens > 0 || !s.makesRoutine() {
		return
	}
	switch {
	case word == "begin", word == "case" && s.atomic > 0:
		s.atomic++
	case word == "end":
		s.atomic = max(0, s.atomic-1)
	}
}

func (s *splitter) makesRoutine() bool {
	words := strings.TrimPrefix(strings.Join(s.words, " "), "create ")
	words = strings.TrimPrefix(words, "or replace ")
	return len(s.words) > 1 && s.words[0] == "create" && (strings.HasPrefix(words, "function") || strings.HasPrefix(words, "procedure"))
}

// escapes reports whether the quote here begins an E'..' literal.
func (s *splitter) escapes(start int) bool {
	before := s.text[start:s.at]
	n := len(before)
	return n > 0 && (before[n-1] == 'e' || before[n-1] == 'E') && (n == 1 || !isWord(before[n-2]))
}

func (s *splitter) skipQuoted(quote byte, backslashes bool) {
	for s.at++; s.at < len(s.text); s.at++ {
		switch {
		case backslashes && s.text[s.at] == '\\':
			s.at++
		case s.text[s.at] == quote:
			s.at++ // a doubled quote begins another literal at once, which comes to the same
			return
		}
	}
	s.at = min(s.at, len(s.text))
}

var dollarTag = regexp.MustCompile(`^\$([A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$`)

func (s *splitter) skipDollar(start int) {
	tag := dollarTag.FindString(s.text[s.at:])
	if tag == "" || s.at > start && isWord(s.text[s.at-1]) {
		s.at++
		return
	}
	s.at += len(tag)
	if end := strings.Index(s.text[s.at:], tag); end >= 0 {
		s.at += end + len(tag)
	} else {
		s.at = len(s.text)
	}
}

// skipComment moves over a block comment, which may hold others.
func (s *splitter) skipComment() {
	for depth := 0; s.at < len(s.text); {
		switch rest := s.text[s.at:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			s.at += 2
		case strings.HasPrefix(rest, "*/"):
			depth--
			s.at += 2
			if depth == 0 {
				return
			}
		default:
			s.at++
		}
	}
}

// skipLine moves behind the line's end.
func (s *splitter) skipLine() {
	if end := strings.IndexByte(s.text[s.at:], '\n'); end >= 0 {
		s.at += end + 1
	} else {
		s.at = len(s.text)
	}
}

// skipBlank moves over blank space and comments; lines says whether past the end of this line.
func (s *splitter) skipBlank(lines bool) {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '\n' && !lines:
			return
		case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\n':
			s.at++
		case strings.HasPrefix(s.text[s.at:], "--"):
			if !lines {
				s.at += max(0, strings.IndexByte(s.text[s.at:]+"\n", '\n'))
				continue
			}
			s.skipLine()
		case strings.HasPrefix(s.text[s.at:], "/*") && lines:
			s.skipComment()
		default:
			return
		}
	}
}

// skipRestOfLine moves behind the line's end if nothing but a comment is left on it.
func (s *splitter) skipRestOfLine() {
	at := s.at
	s.skipBlank(false)
	switch {
	case s.at == len(s.text):
	case s.text[s.at] == '\n':
		s.at++
	default:
		s.at = at
	}
}

var conforming = regexp.MustCompile(`(?is)^set\s+(?:session\s+|local\s+)?standard_conforming_strings\s*(?:=|to)\s*'?(on|off|true|false)`)

// follow keeps up with how literals are read.
func (s *splitter) follow(sql string) {
	if m := conforming.FindStringSubmatch(sql); m != nil {
		value := strings.ToLower(m[1])
		s.oldBackslash = value == "off" || value == "false"
	}
}

var copyIn = regexp.MustCompile(`(?is)^(\\?copy)\s+(\S+)\s*(\([^)]*\))?\s*from\s+(stdin|pstdin)\b`)

// copiesIn reports whether a statement is COPY FROM STDIN.
func copiesIn(s *Statement) bool { return copyIn.MatchString(s.Text()) }

// copyData returns the lines that a COPY reads. A COPY that is meant to fail reads none: then another COPY stands before the next \. line.
func (s *splitter) copyData() string {
	lines := strings.SplitAfter(s.text[s.at:], "\n")
	size := 0
	for _, line := range lines {
		size += len(line)
		trimmed := strings.TrimRight(line, "\r\n")
		if trimmed == `\.` {
			data := s.text[s.at : s.at+size]
			s.at += size
			return data
		}
		if copyIn.MatchString(trimmed) {
			return ""
		}
	}
	return ""
}
