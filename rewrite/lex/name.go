package lex

import (
	"strings"
	"unicode/utf8"
)

// maxName is the longest name the server keeps, in bytes: NAMEDATALEN-1.
const maxName = 63

// Name returns the identifier as the server reads it: an unquoted one folded to
// lower case (ASCII letters only, as in a multi-byte encoding), a quoted one
// without its quotes and with "" undone, both cut to 63 bytes at a character's
// boundary. It allocates only when the name differs from the text.
//
// For U&"..." the escapes are decoded with the default escape character, the
// backslash. Escapes that the server would reject stay as they are. If UESCAPE
// follows the token the answer is wrong: the caller has to look.
//
// Tokens that are no identifiers have no name: the answer is "".
func (t Token) Name(sql string) string {
	text := sql[t.Start:t.End]
	switch t.Kind {
	case Ident:
		return cut(foldASCII(text))
	case QuotedIdent:
		return cut(undouble(text[1 : len(text)-1]))
	case UIdent:
		return cut(decodeUnicode(undouble(text[3 : len(text)-1])))
	}
	return ""
}

func foldASCII(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				b[i] = lower(b[i])
			}
			return string(b)
		}
	}
	return s
}

func undouble(s string) string {
	if strings.IndexByte(s, '"') < 0 {
		return s
	}
	return strings.ReplaceAll(s, `""`, `"`)
}

func cut(s string) string {
	if len(s) <= maxName {
		return s
	}
	n := maxName
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// decodeUnicode undoes \XXXX, \+XXXXXX and \\. It returns s itself if any
// escape is malformed.
func decodeUnicode(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			b = append(b, s[i])
			i++
			continue
		}
		if i+1 < len(s) && s[i+1] == '\\' {
			b = append(b, '\\')
			i += 2
			continue
		}
		v, next, ok := identUnit(s, i)
		if ok && isFirst(v) {
			var second uint32
			second, next, ok = identUnit(s, next)
			ok = ok && isSecond(second)
			v = uint32(joinPair(v, second))
		}
		if !ok || v == 0 || !utf8.ValidRune(rune(v)) {
			return s
		}
		b = utf8.AppendRune(b, rune(v))
		i = next
	}
	return string(b)
}

// identUnit reads the \XXXX or \+XXXXXX at i.
func identUnit(s string, i int) (v uint32, next int, ok bool) {
	if i >= len(s) || s[i] != '\\' {
		return 0, i, false
	}
	i++
	want := 4
	if i < len(s) && s[i] == '+' {
		i++
		want = 6
	}
	v, n := hex(s, i, want)
	return v, i + n, n == want
}
