package rewrite

import (
	"sort"

	"tombstone/rewrite/lex"
)

// text is a statement's tokens and how parentheses enclose them. The parser's
// tree gives places for names but not for clauses; those are found here.
type text struct {
	sql  string
	toks []lex.Token

	open    []int32 // the "(" that directly encloses each token, -1 at top level
	match   []int32 // for "(": its ")"; for others 0
	selects []int32 // for "(": the first SELECT directly inside, or 0

	names map[int]int // for a ")" with "=" behind it: how many items its parentheses hold
}

func newText(sql string, toks []lex.Token) *text {
	t := &text{sql: sql, toks: toks}
	buf := make([]int32, 3*len(toks))
	t.open, t.match, t.selects = buf[:len(toks)], buf[len(toks):2*len(toks)], buf[2*len(toks):]
	at := int32(-1)
	for i := range toks {
		switch {
		case t.is(i, '('):
			t.open[i] = at
			t.match[i] = int32(len(toks)) // until its end is seen
			at = int32(i)
		case t.is(i, ')'):
			if at >= 0 {
				t.match[at] = int32(i)
				if i+1 < len(toks) && toks[i+1].Kind == lex.Punct && sql[toks[i+1].Start] == '=' {
					t.count(int(at), i)
				}
				at = t.open[at]
			}
			t.open[i] = at
		default:
			t.open[i] = at
			if at >= 0 && t.selects[at] == 0 && t.word(i, "select") && !t.label(i) {
				t.selects[at] = int32(i)
			}
		}
	}
	return t
}

// count notes how many items the parentheses at tokens i and j hold.
func (t *text) count(i, j int) {
	n := 1
	for k := i + 1; k < j; k++ {
		switch {
		case t.is(k, '('):
			k = int(t.match[k])
		case t.is(k, ','):
			n++
		}
	}
	if t.names == nil {
		t.names = map[int]int{}
	}
	t.names[j] = n
}

// is reports whether token i is that one character.
func (t *text) is(i int, c byte) bool {
	if i < 0 || i >= len(t.toks) {
		return false
	}
	k := &t.toks[i]
	return k.Kind == lex.Punct && t.sql[k.Start] == c
}

// word reports whether token i is that keyword, unquoted.
func (t *text) word(i int, w string) bool {
	return i >= 0 && i < len(t.toks) && t.toks[i].Is(t.sql, w)
}

// label reports whether token i stands where any word is a name: after a dot
// or after AS.
//
// An AS after a dot is itself a name: in lo.as UNION .. the UNION is a keyword.
func (t *text) label(i int) bool {
	return t.is(i-1, '.') || t.word(i-1, "as") && !t.is(i-2, '.')
}

// at returns the token that starts at the byte offset, or -1.
func (t *text) at(offset int32) int {
	i := sort.Search(len(t.toks), func(i int) bool { return t.toks[i].Start >= offset })
	if i == len(t.toks) || t.toks[i].Start != offset {
		return -1
	}
	return i
}

// before returns the last token that starts before the byte offset, or -1.
func (t *text) before(offset int) int {
	return sort.Search(len(t.toks), func(i int) bool { return int(t.toks[i].Start) >= offset }) - 1
}

func (t *text) start(i int) int { return int(t.toks[i].Start) }
func (t *text) end(i int) int   { return int(t.toks[i].End) }

// identEnd returns the token after the identifier at i, which may be
// U&".." UESCAPE '!'.
func (t *text) identEnd(i int) int {
	if i < len(t.toks) && t.toks[i].Kind == lex.UIdent && t.word(i+1, "uescape") {
		return i + 3
	}
	return i + 1
}

// nameEnd returns the token after the qualified name that starts at i.
func (t *text) nameEnd(i int) int {
	i = t.identEnd(i)
	for t.is(i, '.') && i+1 < len(t.toks) {
		i = t.identEnd(i + 1)
	}
	return i
}

// relation returns the span of tokens of a relation whose name starts at i:
// ONLY and its parentheses, and the star that means "and its children".
func (t *text) relation(i int) (from, to int) {
	from, to = i, t.nameEnd(i)
	switch {
	case t.is(i-1, '(') && t.word(i-2, "only"):
		return i - 2, to + 1
	case t.word(i-1, "only"):
		return i - 1, to
	case t.is(to, '*'):
		return from, to + 1
	}
	return from, to
}

// query returns the token that stands for token i directly at the level of
// the SELECT whose FROM clause holds it: i itself or the parenthesis of the
// outermost join around it.
func (t *text) query(i int) int {
	for {
		p := t.open[i]
		if p < 0 {
			return i
		}
		if s := t.selects[p]; s != 0 && int(s) < i {
			return i
		}
		i = int(p)
	}
}

// clause returns the first token from i on, at i's own level, that starts
// another clause or ends the query: a clause keyword, a closing parenthesis,
// a semicolon, or the end of the text. conflict is the offset of the query's
// ON CONFLICT, which otherwise cannot be told from a join condition; -1 for
// none.
func (t *text) clause(i int, conflict int32) int {
	for ; i < len(t.toks); i++ {
		k := &t.toks[i]
		switch k.Kind {
		case lex.Punct:
			switch t.sql[k.Start] {
			case '(':
				i = int(t.match[i])
			case ')', ';':
				return i
			}
		case lex.Ident:
			if k.Start == conflict || t.clauseWord(i) && !t.label(i) {
				return i
			}
		}
	}
	return len(t.toks)
}

// clauseWord reports whether token i is a keyword that can follow a FROM or
// WHERE clause. All but WITH are reserved, so no expression has them bare.
func (t *text) clauseWord(i int) bool {
	k := &t.toks[i]
	switch t.sql[k.Start] | 0x20 {
	case 'w':
		switch {
		case t.word(i, "where"), t.word(i, "window"):
			return true
		case t.word(i, "with"): // not: timestamp with time zone, f() with ordinality
			return !t.word(i+1, "time") && !t.word(i+1, "ordinality")
		}
	case 'g': // not: WITHIN GROUP (..)
		return t.word(i, "group") && t.word(i+1, "by")
	case 'h':
		return t.word(i, "having")
	case 'u':
		return t.word(i, "union")
	case 'i':
		return t.word(i, "intersect")
	case 'e':
		return t.word(i, "except")
	case 'o':
		return t.word(i, "order") || t.word(i, "offset")
	case 'l':
		return t.word(i, "limit")
	case 'f':
		return t.word(i, "fetch") || t.word(i, "for")
	case 'r':
		return t.word(i, "returning")
	}
	return false
}
