package lex

// Kind says what a token is. Keywords are not told from names: see Token.Is.
type Kind uint8

// The kinds of token. A kind that matches a token of scan.l names it.
const (
	Invalid       Kind = iota // the zero value; Scan never returns it
	Ident                     // unquoted identifier or keyword
	QuotedIdent               // "..."
	UIdent                    // U&"..." (UIDENT)
	String                    // '...' (SCONST)
	EString                   // E'...' (SCONST)
	UString                   // U&'...' (USCONST)
	BitString                 // B'...' (BCONST)
	HexString                 // X'...' (XCONST)
	DollarString              // $tag$...$tag$ (SCONST)
	Integer                   // a whole number that fits 32 bits (ICONST)
	Float                     // any other number, large integers too (FCONST)
	Param                     // $1
	Op                        // an operator that is none of the kinds below
	Punct                     // one of , ( ) [ ] . ; : + - * / % ^ < > =
	Typecast                  // ::
	DotDot                    // ..
	ColonEquals               // :=
	EqualsGreater             // =>
	LessEquals                // <=
	GreaterEquals             // >=
	NotEquals                 // <> or !=
	Other                     // a byte no rule takes, such as { or a lone $; the grammar rejects it
)

var kindNames = [...]string{
	"Invalid", "Ident", "QuotedIdent", "UIdent", "String", "EString", "UString",
	"BitString", "HexString", "DollarString", "Integer", "Float", "Param", "Op",
	"Punct", "Typecast", "DotDot", "ColonEquals", "EqualsGreater", "LessEquals",
	"GreaterEquals", "NotEquals", "Other",
}

// String returns the name of the constant.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "Kind?"
}

// Token is one token: the bytes Start (included) to End (excluded) of the text
// that was scanned. A string continued on another line is one token, from its
// first quote to its last.
type Token struct {
	Start, End int32
	Kind       Kind
}

// Text returns the token as it was written. sql must be the text scanned.
func (t Token) Text(sql string) string {
	return sql[t.Start:t.End]
}

// Is reports whether t is an unquoted identifier that spells word, a keyword
// given in lower-case ASCII. Case is folded for ASCII letters only, as the
// server does to look up keywords. A quoted identifier is never a keyword.
func (t Token) Is(sql, word string) bool {
	if t.Kind != Ident || int(t.End-t.Start) != len(word) {
		return false
	}
	text := sql[t.Start:t.End]
	for i := 0; i < len(word); i++ {
		if lower(text[i]) != word[i] {
			return false
		}
	}
	return true
}
