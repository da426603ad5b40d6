package lex

import (
	"math"
	"strings"
)

// Error says why the text is not a sequence of tokens. Message is the server's
// own wording, without what it adds about the place.
type Error struct {
	Offset  int // bytes into the text; where the server's error position points
	Message string
}

// Error returns the message. It does not quote the text, which may be secret.
func (e *Error) Error() string { return e.Message }

// Scan appends the tokens of sql to dst and returns the longer slice. It
// allocates only when dst is too small or to report an error.
//
// Text that the server's scanner would reject gives an *Error, together with
// the tokens before the one that is wrong: a string, comment or quoted
// identifier without an end, an empty quoted identifier, digits with letters
// behind them, an operator of 64 bytes or more, a bad escape in E'..'. A NUL
// byte anywhere and text longer than an int32 can count are errors too.
func Scan(dst []Token, sql string) ([]Token, error) {
	if len(sql) > math.MaxInt32 {
		return dst, &Error{0, "statement is too long to scan"}
	}
	// The parser takes a C string and would silently stop at a NUL byte.
	nul := strings.IndexByte(sql, 0)
	if nul >= 0 {
		sql = sql[:nul]
	}
	dst, fault := scan(dst, sql)
	if nul >= 0 {
		return dst, &Error{nul, "statement contains a NUL byte"}
	}
	if fault != nil {
		return dst, fault
	}
	return dst, nil
}

func scan(dst []Token, sql string) ([]Token, *Error) {
	for i := 0; i < len(sql); {
		start := i
		kind := Other
		var fault *Error

		switch c := sql[i]; actions[c] {
		case actSpace:
			i++
			continue
		case actPrefix:
			if k, open := prefixed(sql, i); k != Ident {
				kind = k
				i, fault = quoted(sql, start, open, kind)
				break
			}
			fallthrough
		case actIdent:
			kind = Ident
			for i++; i < len(sql) && identCont.is(sql[i]); i++ {
			}
		case actDigit:
			i, kind, fault = number(sql, i)
		case actQuote:
			kind = String
			i, fault = quoted(sql, i, i+1, kind)
		case actDoubleQuote:
			kind = QuotedIdent
			i, fault = quoted(sql, i, i+1, kind)
		case actDollar:
			i, kind, fault = dollar(sql, i)
		case actDot:
			switch {
			case digit.at(sql, i+1):
				i, kind, fault = number(sql, i)
			case i+1 < len(sql) && sql[i+1] == '.':
				i, kind = i+2, DotDot
			default:
				i, kind = i+1, Punct
			}
		case actColon:
			i, kind = i+1, Punct
			if i < len(sql) && sql[i] == ':' {
				i, kind = i+1, Typecast
			} else if i < len(sql) && sql[i] == '=' {
				i, kind = i+1, ColonEquals
			}
		case actPunct:
			i, kind = i+1, Punct
		case actOperator:
			var comment bool
			if i, comment, fault = skipComment(sql, i); comment && fault == nil {
				continue
			}
			if fault == nil {
				var run int
				i, run, fault = operatorEnd(sql, start)
				if fault == nil {
					dst = append(dst, Token{int32(start), int32(i), operatorKind(sql[start:i])})
					// What operatorEnd has cut off can only be single tokens.
					for ; i < run; i++ {
						dst = append(dst, Token{int32(i), int32(i + 1), Punct})
					}
					continue
				}
			}
		default:
			i++
		}

		if fault != nil {
			return dst, fault
		}
		dst = append(dst, Token{int32(start), int32(i), kind})
	}
	return dst, nil
}
