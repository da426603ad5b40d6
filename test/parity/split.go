package main

import (
	"strings"

	"tombstone/rewrite/lex"
)

// Piece is one statement of a script.
type Piece struct {
	SQL  string // without the semicolon
	Line int    // where it starts
	Data string // what follows COPY .. FROM STDIN, up to \.
	Only string // "hard" or "soft": it is for one side, and is not compared
}

// split cuts a script into statements as psql does: at semicolons outside of
// quotes, comments, parentheses and BEGIN ATOMIC .. END. Lines that begin with
// a backslash are psql's own commands; they are left out and returned, so that
// nobody believes they ran. A statement behind a line "-- hard:" or "-- soft:"
// is for that side only. A quote that never ends takes in the rest, which is for
// the server to complain about.
func split(script string) (pieces []Piece, skipped []string) {
	at := 0
	for at < len(script) {
		toks, err := lex.Scan(nil, script[at:])
		if err != nil {
			// Whatever it is, it is in the last statement.
			toks = append(toks, lex.Token{Start: int32(min(offset(err), len(script)-at-1)), End: int32(len(script) - at), Kind: lex.Other})
		}
		at = cut(script, at, toks, &pieces, &skipped)
	}
	return pieces, skipped
}

func offset(err error) int {
	if e, ok := err.(*lex.Error); ok {
		return e.Offset
	}
	return 0
}

// cut takes statements from the tokens and returns where the text has to be
// scanned again, because what stood before was not SQL, or its end.
func cut(script string, at int, toks []lex.Token, pieces *[]Piece, skipped *[]string) int {
	text := script[at:]
	begin := -1 // the first token of the statement
	depth, atomic := 0, 0
	add := func(from, to int) Piece {
		start, end := at+int(toks[from].Start), at+int(toks[to].End)
		p := Piece{SQL: script[start:end], Line: 1 + strings.Count(script[:start], "\n")}
		gap := 0
		if from > 0 {
			gap = int(toks[from-1].End)
		}
		p.Only = only(text[gap:toks[from].Start])
		return p
	}
	for i, tok := range toks {
		if begin < 0 && tok.Text(text) == `\` || tok.Kind == lex.Op && begin < 0 && strings.HasPrefix(tok.Text(text), `\`) {
			line, _, _ := strings.Cut(text[tok.Start:], "\n")
			*skipped = append(*skipped, line)
			return at + int(tok.Start) + len(line)
		}
		if begin < 0 {
			begin = i
		}
		switch {
		case tok.Text(text) == "(":
			depth++
		case tok.Text(text) == ")":
			depth = max(depth-1, 0)
		case tok.Is(text, "begin") && toks[begin].Is(text, "create"):
			atomic++
		case tok.Is(text, "case") && atomic > 0:
			atomic++
		case tok.Is(text, "end") && atomic > 0:
			atomic--
		case tok.Text(text) == ";" && depth == 0 && atomic == 0:
			if i == begin {
				begin = -1
				continue
			}
			p := add(begin, i-1)
			begin = -1
			if readsStdin(p.SQL) {
				rest := at + int(tok.End)
				_, after, _ := strings.Cut(script[rest:], "\n")
				data, tail, found := strings.Cut("\n"+after, "\n\\.\n")
				if !found {
					data, tail = strings.TrimSuffix("\n"+after, "\n\\."), ""
				}
				if p.Data = strings.TrimPrefix(data, "\n"); p.Data != "" {
					p.Data += "\n"
				}
				*pieces = append(*pieces, p)
				return len(script) - len(tail)
			}
			*pieces = append(*pieces, p)
		}
	}
	if begin >= 0 {
		*pieces = append(*pieces, add(begin, len(toks)-1))
	}
	return len(script)
}

// only reads the comments before a statement.
func only(comments string) string {
	for line := range strings.Lines(comments) {
		switch strings.TrimSpace(line) {
		case "-- hard:":
			return "hard"
		case "-- soft:":
			return "soft"
		}
	}
	return ""
}

func readsStdin(sql string) bool {
	f := strings.Fields(strings.ToLower(sql))
	if len(f) == 0 || f[0] != "copy" {
		return false
	}
	for i := range f[:len(f)-1] {
		if f[i] == "from" && strings.HasPrefix(f[i+1], "stdin") {
			return true
		}
	}
	return false
}

// asksForOrder reports whether a statement has an ORDER BY outside of
// parentheses.
func asksForOrder(sql string) bool {
	toks, _ := lex.Scan(nil, sql)
	depth := 0
	for i, tok := range toks {
		switch {
		case tok.Text(sql) == "(":
			depth++
		case tok.Text(sql) == ")":
			depth--
		case depth == 0 && tok.Is(sql, "order") && i+1 < len(toks) && toks[i+1].Is(sql, "by"):
			return true
		}
	}
	return false
}
