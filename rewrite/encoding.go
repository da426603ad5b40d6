package rewrite

import (
	"strings"

	"tombstone/rewrite/lex"
)

// Changing stands for a client_encoding that is not known just now.
const Changing = "(changing)"

// foreign reports whether a text has characters that stand for others than
// they would in UTF-8.
func (e *Env) foreign(sql string) bool {
	return e.Encoding != "" && e.Encoding != "UTF8" && !ascii(sql)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// hidden stands for a byte of a character that is not read.
const hidden = 0x7f

// mask hides what is not ASCII in the literals and comments of a text, byte
// for byte, so that what is planned for the result holds for the text. It
// reports false where such characters stand elsewhere, as in a name, or where
// a byte of one can be taken for an ASCII character, even a quote.
func mask(sql string, env *Env) (masked string, ok bool) {
	switch env.Encoding {
	case Changing, "SJIS", "BIG5", "GBK", "UHC", "GB18030", "JOHAB", "SHIFT_JIS_2004":
		return "", false
	}
	toks, err := lex.Scan(nil, sql)
	if err != nil {
		return "", false
	}
	b := []byte(sql)
	at := 0
	for i := range toks {
		k := &toks[i]
		conceal(b[at:k.Start]) // comments
		switch k.Kind {
		case lex.String, lex.EString, lex.DollarString:
			conceal(b[k.Start:k.End])
		default:
			if !ascii(k.Text(sql)) {
				return "", false
			}
		}
		at = int(k.End)
	}
	conceal(b[at:])
	return string(b), true
}

func conceal(b []byte) {
	for i := range b {
		if b[i] >= 0x80 {
			b[i] = hidden
		}
	}
}

// misread refuses text that the server may lex otherwise than we do: only
// text that could name something protected gets here.
func misread(sql string, env *Env) *Refusal {
	if env.Backslash && strings.IndexByte(sql, '\\') >= 0 {
		return newRefusal("backslash", -1)
	}
	return nil
}
