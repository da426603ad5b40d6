package lex

import "unicode/utf8"

const (
	badPair   = "invalid Unicode surrogate pair"
	badEscape = "invalid Unicode escape"
	badValue  = "invalid Unicode escape value"
	badUTF8   = `invalid byte sequence for encoding "UTF8"`
)

// escapeString returns the end of the E'..' whose text starts at open.
//
// The server's scanner decodes the string and rejects what is no valid text,
// so this does too: pg_query would not parse E'\xff' either. Only strings with
// an escape that makes a NUL or a non-ASCII byte are decoded, in a second walk.
func escapeString(sql string, start, open int) (end int, fault *Error) {
	end, suspect, fault := walkEscapes(sql, start, open, nil)
	if fault != nil || !suspect {
		return end, fault
	}
	var text utf8Text
	walkEscapes(sql, start, open, &text)
	if !text.valid() {
		return end, &Error{start, badUTF8}
	}
	return end, nil
}

// walkEscapes finds the end of an E'..' and hands its decoded bytes to text,
// unless text is nil. suspect says that the bytes may be no valid text.
func walkEscapes(sql string, start, open int, text *utf8Text) (end int, suspect bool, fault *Error) {
	for i := open; i < len(sql); {
		c := sql[i]
		switch c {
		default:
			run := i
			for i < len(sql) && sql[i] != '\'' && sql[i] != '\\' {
				i++
			}
			text.addAll(sql[run:i])
		case '\'':
			i++
			if i < len(sql) && sql[i] == '\'' {
				i++
				text.add(c)
				continue
			}
			next, more := continued(sql, i)
			if !more {
				return i, suspect, nil
			}
			i = next
		case '\\':
			if i+1 < len(sql) && lower(sql[i+1]) == 'u' {
				r, next, fault := unicodeEscape(sql, i)
				if fault != nil {
					return i, suspect, fault
				}
				i = next
				text.addRune(r)
				continue
			}
			b, next := byteEscape(sql, i)
			i = next
			suspect = suspect || b == 0 || b >= utf8.RuneSelf
			text.add(b)
		}
	}
	return len(sql), suspect, &Error{start, unterminated(EString)}
}

// byteEscape decodes the one byte that the backslash at i stands for.
func byteEscape(sql string, i int) (b byte, next int) {
	i++
	if i == len(sql) {
		return '\\', i
	}
	c := sql[i]
	switch {
	case '0' <= c && c <= '7':
		for n := 0; n < 3 && i < len(sql) && '0' <= sql[i] && sql[i] <= '7'; n++ {
			b = b<<3 | (sql[i] - '0') // \777 wraps around, as it does in C
			i++
		}
		return b, i
	case c == 'x' && hexDigit.at(sql, i+1):
		v, n := hex(sql, i+1, 2)
		return byte(v), i + 1 + n
	}
	// \b, \f, \n, \r and \t are other ASCII bytes than their letters. Which
	// ones makes no difference to where the string ends or if it is text.
	return c, i + 1
}

// unicodeEscape decodes \uXXXX or \UXXXXXXXX at i, and the second half of a
// surrogate pair if the first is one.
func unicodeEscape(sql string, i int) (r rune, next int, fault *Error) {
	v, next, ok := codeUnit(sql, i)
	switch {
	case !ok:
		return 0, i, &Error{i, badEscape}
	case isSecond(v):
		return 0, i, &Error{i, badPair}
	case isFirst(v):
		if next+1 >= len(sql) || sql[next] != '\\' || lower(sql[next+1]) != 'u' {
			return 0, i, &Error{next, badPair}
		}
		second, end, ok := codeUnit(sql, next)
		if !ok {
			return 0, i, &Error{next, badEscape}
		}
		if !isSecond(second) {
			return 0, i, &Error{next, badPair}
		}
		return joinPair(v, second), end, nil
	case v == 0 || v > utf8.MaxRune:
		return 0, i, &Error{i, badValue}
	}
	return rune(v), next, nil
}

func codeUnit(sql string, i int) (v uint32, next int, ok bool) {
	want := 4
	if sql[i+1] == 'U' {
		want = 8
	}
	v, n := hex(sql, i+2, want)
	return v, i + 2 + n, n == want
}

// hex reads at most limit hexadecimal digits from i on, and says how many
// there were. limit is 8 or less.
func hex(sql string, i, limit int) (v uint32, n int) {
	for n < limit && hexDigit.at(sql, i+n) {
		c := lower(sql[i+n])
		if c <= '9' {
			v = v<<4 | uint32(c-'0')
		} else {
			v = v<<4 | uint32(c-'a'+10)
		}
		n++
	}
	return v, n
}

func isFirst(v uint32) bool  { return 0xd800 <= v && v < 0xdc00 }
func isSecond(v uint32) bool { return 0xdc00 <= v && v < 0xe000 }

func joinPair(first, second uint32) rune {
	return rune(0x10000 + ((first&0x3ff)<<10 | (second & 0x3ff)))
}
