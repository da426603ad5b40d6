package lex

import "strings"

// prefixed says which quoted token the letter at i opens, and where its text
// starts, after the quote. It answers Ident when the letter is just a letter.
func prefixed(sql string, i int) (kind Kind, open int) {
	if i+1 >= len(sql) {
		return Ident, i
	}
	switch letter := lower(sql[i]); {
	case sql[i+1] == '\'':
		switch letter {
		case 'b':
			return BitString, i + 2
		case 'e':
			return EString, i + 2
		case 'x':
			return HexString, i + 2
		}
	case letter == 'u' && sql[i+1] == '&' && i+2 < len(sql):
		switch sql[i+2] {
		case '\'':
			return UString, i + 3
		case '"':
			return UIdent, i + 3
		}
	}
	return Ident, i
}

// quoted returns the end of the string or quoted identifier whose text starts
// at open. start is where the token starts.
func quoted(sql string, start, open int, kind Kind) (end int, fault *Error) {
	switch kind {
	case EString:
		return escapeString(sql, start, open)
	case QuotedIdent, UIdent:
		return quotedIdent(sql, start, open)
	}
	for i := open; ; {
		n := strings.IndexByte(sql[i:], '\'')
		if n < 0 {
			return len(sql), &Error{start, unterminated(kind)}
		}
		i += n + 1
		// Doubling is not a rule of B'..' and X'..': there '' ends one string
		// and starts another.
		if i < len(sql) && sql[i] == '\'' && (kind == String || kind == UString) {
			i++
			continue
		}
		next, more := continued(sql, i)
		if !more {
			return i, nil
		}
		i = next
	}
}

func unterminated(kind Kind) string {
	switch kind {
	case BitString:
		return "unterminated bit string literal"
	case HexString:
		return "unterminated hexadecimal string literal"
	}
	return "unterminated quoted string"
}

// continued looks behind a closing quote, at i, for the rest of the string:
// white space with at least one line break in it, then a quote. Line comments
// count as white space, /* comments */ do not. It returns where the text goes
// on.
func continued(sql string, i int) (next int, more bool) {
	broken := false
	for i < len(sql) {
		switch c := sql[i]; {
		case c == '\n' || c == '\r':
			broken = true
			i++
		case blankLine.is(c):
			i++
		case c == '-' && i+1 < len(sql) && sql[i+1] == '-':
			i = lineEnd(sql, i+2)
		case c == '\'' && broken:
			return i + 1, true
		default:
			return i, false
		}
	}
	return i, false
}

func quotedIdent(sql string, start, open int) (end int, fault *Error) {
	for i := open; ; i++ {
		n := strings.IndexByte(sql[i:], '"')
		if n < 0 {
			return len(sql), &Error{start, "unterminated quoted identifier"}
		}
		i += n + 1
		if i < len(sql) && sql[i] == '"' {
			continue
		}
		if i == open+1 {
			return i, &Error{start, "zero-length delimited identifier"}
		}
		return i, nil
	}
}

// dollar returns the end and kind of what the dollar sign at i starts: a
// parameter, a dollar-quoted string, or nothing.
func dollar(sql string, i int) (end int, kind Kind, fault *Error) {
	start := i
	i++
	if digit.at(sql, i) {
		for digit.at(sql, i) {
			i++
		}
		return i, Param, nil
	}
	if identStart.at(sql, i) {
		for tagCont.at(sql, i) {
			i++
		}
	}
	if i >= len(sql) || sql[i] != '$' {
		return start + 1, Other, nil
	}
	i++
	n := strings.Index(sql[i:], sql[start:i])
	if n < 0 {
		return len(sql), DollarString, &Error{start, "unterminated dollar-quoted string"}
	}
	return i + n + (i - start), DollarString, nil
}
