package rewrite

import "tombstone/rewrite/lex"

// skim plans a text that names nothing protected, without the parser, if it
// consists of plain queries: nothing that later statements depend on. It
// returns nil where the parser has to look.
func skim(sql string, toks []lex.Token) *Plan {
	plan := &Plan{}
	start, first := true, 0
	for i := range toks {
		k := &toks[i]
		if k.Kind == lex.Punct && sql[k.Start] == ';' {
			start = true
			continue
		}
		if start {
			start, first = false, i
			kind := ""
			if k.Kind == lex.Ident {
				switch word := k.Text(sql); {
				case k.Is(sql, "select"), k.Is(sql, "insert"), k.Is(sql, "update"), k.Is(sql, "delete"), k.Is(sql, "begin"):
					kind = lower(word)
				}
			}
			if kind == "" {
				return nil
			}
			plan.Stmts = append(plan.Stmts, Stmt{Kind: kind, start: int(k.Start)})
		}
		switch {
		case k.Kind != lex.Ident:
			if k.Kind == lex.UIdent || k.Kind == lex.QuotedIdent && telling(k.Name(sql)) {
				return nil
			}
		case k.Is(sql, "set_config"), k.Is(sql, "pg_settings"), mayRun(k.Text(sql)) && telling(k.Name(sql)):
			return nil
		case k.Is(sql, "into"):
			// SELECT INTO makes a table; INSERT INTO does not.
			if i != first+1 || !toks[first].Is(sql, "insert") {
				return nil
			}
		}
		plan.Stmts[len(plan.Stmts)-1].end = int(k.End)
	}
	return plan
}

// telling reports whether a name is that of something that the parser has to
// look at: what later statements depend on, or what runs SQL in a string.
func telling(name string) bool {
	return name == "set_config" || name == "pg_settings" || runners[name] != 0
}

// mayRun reports whether an identifier could be the name of a runner, in any
// case. It is asked of every word, so it does not look further than it must.
func mayRun(word string) bool {
	if len(word) < 7 {
		return false
	}
	switch word[0] | 0x20 {
	case 'q', 't', 'c', 's', 'd', 'x':
		return true
	}
	return false
}

// lower folds a keyword.
func lower(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] |= 0x20
	}
	return string(b)
}
