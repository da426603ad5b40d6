package rewrite

import (
	"bytes"
	"strings"

	"tombstone/rewrite/lex"
)

// Redact returns sql with every literal replaced by a question mark and its
// comments dropped, for logs. Text that does not even lex is left out whole.
func Redact(sql string) string {
	toks, err := lex.Scan(nil, sql)
	if err != nil {
		return "(text that cannot be read)"
	}
	var b strings.Builder
	b.Grow(len(sql))
	end := 0
	for i, t := range toks {
		if i > 0 && int(t.Start) > end {
			b.WriteByte(' ')
		}
		switch t.Kind {
		case lex.String, lex.EString, lex.UString, lex.BitString, lex.HexString, lex.DollarString, lex.Integer, lex.Float:
			b.WriteByte('?')
		default:
			b.WriteString(t.Text(sql))
		}
		end = int(t.End)
	}
	return b.String()
}

// Gist returns what texts that an application makes of one pattern have in
// common: lists of literals and parameters are cut to one item, whatever their
// length, and so are lists of rows of one item each. It is for telling texts apart,
// not for reading.
func Gist(sql string) string {
	toks, err := lex.Scan(nil, sql)
	if err != nil {
		return ""
	}
	b := make([]byte, 0, len(sql))
	for _, t := range toks {
		switch t.Kind {
		case lex.String, lex.EString, lex.UString, lex.BitString, lex.HexString, lex.DollarString, lex.Integer, lex.Float, lex.Param:
			b = append(b, " ?"...)
		default:
			b = append(append(b, ' '), t.Text(sql)...)
		}
		for _, more := range []string{" , ?", " , ( ? )"} {
			if bytes.HasSuffix(b, []byte(more[2:]+more)) {
				b = b[:len(b)-len(more)]
			}
		}
	}
	return string(b)
}
