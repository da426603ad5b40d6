package lex

// action says which rule a token's first byte selects.
type action uint8

const (
	actOther action = iota
	actSpace
	actIdent
	actPrefix // letter that may open a prefixed string: b e u x
	actDigit
	actQuote
	actDoubleQuote
	actDollar
	actDot
	actColon
	actPunct    // always a token of its own
	actOperator // may be the start of a longer operator
)

// set holds the character sets of scan.l a byte belongs to.
type set uint8

const (
	identStart set = 1 << iota // also the start of a dollar quote's tag
	identCont
	tagCont // identCont without the dollar sign
	digit
	hexDigit
	operator  // op_chars
	nonSQLOp  // operator bytes that let an operator end in + or -
	blankLine // white space inside a line, see continued
)

var (
	actions [256]action
	sets    [256]set
)

func init() {
	mark := func(bytes string, a action, s set) {
		for i := 0; i < len(bytes); i++ {
			actions[bytes[i]] = a
			sets[bytes[i]] |= s
		}
	}
	letter := identStart | identCont | tagCont
	for c := 0x80; c <= 0xff; c++ {
		actions[c], sets[c] = actIdent, letter
	}
	for c := 'a'; c <= 'z'; c++ {
		mark(string(c)+string(c-'a'+'A'), actIdent, letter)
	}
	mark("_", actIdent, letter)
	mark("bBeEuUxX", actPrefix, 0)
	mark("0123456789", actDigit, identCont|tagCont|digit|hexDigit)
	for _, c := range "abcdefABCDEF" {
		sets[c] |= hexDigit
	}
	// No vertical tab: PostgreSQL 16 does not count it as white space.
	mark(" \t\f", actSpace, blankLine)
	mark("\n\r", actSpace, 0)
	mark("'", actQuote, 0)
	mark(`"`, actDoubleQuote, 0)
	mark("$", actDollar, identCont)
	mark(".", actDot, 0)
	mark(":", actColon, 0)
	mark(",()[];", actPunct, 0)
	mark("+-*/<>=", actOperator, operator)
	mark("~!@#^&|`?%", actOperator, operator|nonSQLOp)
}

// is reports whether c is in any of the sets s.
func (s set) is(c byte) bool { return sets[c]&s != 0 }

// at reports whether sql has a byte at i that is in any of the sets s.
func (s set) at(sql string, i int) bool { return i < len(sql) && sets[sql[i]]&s != 0 }

// lower folds ASCII letters, and only those.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
