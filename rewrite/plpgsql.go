package rewrite

import (
	"slices"
	"strings"

	"tombstone/rewrite/lex"
)

// plpgsql cuts a body in PL/pgSQL into the SQL that is in it: statements, queries of loops and cursors, and queries inside expressions.
//
// pg_query has a parser for PL/pgSQL, but it knows no types: it rejects every body that assigns to a field of a row variable or opens a
// refcursor, says of no query where it stands, and aborts the process at a definition BEGIN ATOMIC. So only the frame is read here, from the tokens, as the server's own parser does: it
// too goes by the word that a statement begins with, up to a semicolon or THEN or LOOP. Each piece is then parsed as SQL.
//
// Without it, a trigger that counts users counts the deleted, and nobody hears of it.
func plpgsql(source string) ([]piece, error) {
	toks, err := lex.Scan(nil, source)
	if err != nil {
		return nil, err
	}
	f := &frame{text: newText(source, toks)}
	if f.tooDeep() || f.tooMany() {
		return nil, errComplex
	}
	f.read()
	return f.pieces, nil
}

// frame is the body while it is cut up.
type frame struct {
	*text
	pieces []piece
}

// sqlWords begin a statement that is SQL.
var sqlWords = []string{
	"select", "with", "insert", "update", "delete", "merge", "truncate", "values", "copy", "create", "alter", "drop", "lock", "call", "refresh", "explain", "do",
}

func (f *frame) read() {
	begins := true // a statement begins at token i
	region := 0    // where the expression began that token i is in
	for i := 0; i < len(f.toks); {
		if begins {
			begins = false
			region = i
			if next := f.statement(i); next > i {
				i = next
				begins = f.is(i, ';') || i >= len(f.toks)
				if f.is(i, ';') || f.word(i, "loop") {
					i++
					begins = true
				}
				continue
			}
		}
		switch {
		case f.is(i, '('):
			if f.queryWord(i + 1) {
				f.sql(i+1, int(f.match[i]))
				i = int(f.match[i])
			}
		case f.is(i, ';'), f.toks[i].Kind == lex.Op && f.toks[i].Text(f.text.sql) == ">>":
			begins = true
		case f.label(i):
		case f.word(i, "begin"), f.word(i, "then"), f.word(i, "else"), f.word(i, "loop"), f.word(i, "declare"):
			begins = true
		case f.toks[i].Kind == lex.ColonEquals, f.is(i, '=') && f.target(region, i),
			f.word(i, "if"), f.word(i, "elsif"), f.word(i, "elseif"), f.word(i, "while"), f.word(i, "return"), f.word(i, "when"), f.word(i, "assert"), f.word(i, "default"):
			region = i + 1
		case f.word(i, "cursor"):
			if at := f.find(i, "for", "is"); f.queryWord(at + 1) {
				i = max(i+1, f.sql(at+1, f.find(at+1)))
				continue
			}
		case f.word(i, "from") && !f.word(i-1, "distinct") && f.open[i] == f.open[region] && region > 0:
			// n := count(*) FROM users is SELECT count(*) FROM users
			i = max(i+1, f.expression(region, f.find(region, "then", "loop")))
			continue
		}
		i++
	}
}

// statement cuts the statement at token i, if it is or holds SQL as a whole, and returns the token behind it; else i.
func (f *frame) statement(i int) int {
	assigned := f.is(i+1, '=') || f.is(i+1, '.') || f.is(i+1, '[') || i+1 < len(f.toks) && f.toks[i+1].Kind == lex.ColonEquals
	switch {
	case assigned:
	case slices.ContainsFunc(sqlWords, func(w string) bool { return f.word(i, w) }):
		return f.sql(i, f.find(i))
	case f.word(i, "perform"):
		next := f.sql(i, f.find(i))
		p := &f.pieces[len(f.pieces)-1]
		p.text = "SELECT " + p.text[len("perform"):]
		return next
	case f.word(i, "execute"):
		return f.execute(i+1, f.find(i))
	case f.word(i, "return") && f.word(i+1, "query"):
		return f.maybe(i+2, f.find(i))
	case f.word(i, "for"):
		in := f.find(i, "in")
		if loop := f.find(i, "loop"); in < loop && (f.word(in+1, "execute") || f.queryWord(in+1)) {
			return f.maybe(in+1, loop)
		}
	case f.word(i, "open"):
		if at := f.find(i, "for"); f.word(at, "for") {
			return f.maybe(at+1, f.find(i))
		}
	case f.word(i, "fetch"), f.word(i, "move"), f.word(i, "get"), f.word(i, "close"): // their FROM is no query's
		return f.find(i)
	}
	return i
}

// maybe cuts what is SQL, or is put together if it begins with EXECUTE.
func (f *frame) maybe(from, to int) int {
	if f.word(from, "execute") {
		return f.execute(from+1, to)
	}
	return f.sql(from, to)
}

// execute cuts what is after EXECUTE: a literal holds SQL, anything else may.
func (f *frame) execute(from, to int) int {
	if from >= len(f.toks) {
		return to
	}
	if from+1 >= len(f.toks) || from+1 == to || f.word(from+1, "into") || f.word(from+1, "using") {
		written := f.toks[from].Text(f.text.sql)
		start := 1
		switch f.toks[from].Kind {
		case lex.DollarString:
			start = strings.IndexByte(written[1:], '$') + 2
			fallthrough
		case lex.String:
			if text := written[start : len(written)-start]; !strings.ContainsAny(text, `'\`) {
				f.pieces = append(f.pieces, piece{start: f.start(from) + start, text: text})
				return to
			}
		}
	}
	f.pieces = append(f.pieces, piece{start: f.start(from), dynamic: true})
	return to
}

// sql cuts tokens from to to, to excluded, and returns to.
func (f *frame) sql(from, to int) int {
	if from >= to || from >= len(f.toks) {
		return to
	}
	start, end := f.start(from), f.end(to-1)
	text := []byte(f.text.sql[start:end])
	for i := from; i < to; i++ {
		if f.open[i] == f.open[from] && f.word(i, "into") && !f.word(i-1, "insert") && !f.word(i-1, "merge") && !f.label(i) && !f.word(from, "create") {
			stop := min(f.targets(i+1), to)
			for at := f.start(i); at < f.end(stop-1); at++ {
				text[at-start] = ' '
			}
			break
		}
	}
	f.pieces = append(f.pieces, piece{start: start, text: string(text)})
	return to
}

// expression cuts an expression that has a FROM clause.
func (f *frame) expression(from, to int) int {
	const before = "SELECT "
	f.pieces = append(f.pieces, piece{start: f.start(from), text: before + f.text.sql[f.start(from):f.end(to-1)], prefix: len(before)})
	return to
}

// targets returns the token behind the variables of INTO, which begin at token i.
func (f *frame) targets(i int) int {
	if f.word(i, "strict") {
		i++
	}
	for i < len(f.toks) {
		i = f.nameEnd(i)
		for f.is(i, '[') {
			for i < len(f.toks) && !f.is(i, ']') {
				i++
			}
			i++
		}
		if !f.is(i, ',') {
			break
		}
		i++
	}
	return min(i, len(f.toks))
}

// target reports whether token i is the = of an assignment: n = 1, r.n = 1, a[2] = 1.
func (f *frame) target(from, i int) bool {
	for at := from; at < i; at++ {
		switch k := f.toks[at].Kind; {
		case k == lex.Ident, k == lex.QuotedIdent, k == lex.Integer:
		case f.is(at, '.'), f.is(at, '['), f.is(at, ']'):
		default:
			return false
		}
	}
	return i > from
}

// find returns the first token after i, at its own level, that is one of the words or a semicolon; the end of the text if none is.
func (f *frame) find(i int, words ...string) int {
	level := int32(-1)
	if i < len(f.toks) {
		level = f.open[i]
	}
	for at := i + 1; at < len(f.toks); at++ {
		if f.open[at] != level {
			continue
		}
		if f.is(at, ';') || slices.ContainsFunc(words, func(w string) bool { return f.word(at, w) && !f.label(at) }) {
			return at
		}
	}
	return len(f.toks)
}

// queryWord reports whether a query begins at token i.
func (f *frame) queryWord(i int) bool {
	return f.word(i, "select") || f.word(i, "with") || f.word(i, "values") || f.word(i, "insert") || f.word(i, "update") || f.word(i, "delete")
}
