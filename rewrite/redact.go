package rewrite

import (
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
