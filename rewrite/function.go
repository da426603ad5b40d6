package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/rewrite/lex"
)

// createFunction plans CREATE FUNCTION and CREATE PROCEDURE. A body in SQL is
// planned like any statement, so that the function never shows a tombstone
// and its DELETEs bury; a body in another language runs unseen.
//
// Without this rule, a function that counts users counts the deleted ones
// too, for whoever calls it.
func (r *rewriter) createFunction(x *pg.CreateFunctionStmt) {
	// BEGIN ATOMIC and RETURN are part of the tree, and their names are
	// resolved now.
	r.expr(x, nil)
	body, language := definition(x.Options)
	if body == nil {
		return
	}
	switch language {
	case "sql":
		r.stringBody(body, r.pathOf(x.Options))
	case "c", "internal": // the name of a symbol
	default:
		r.unseen(x.Options)
	}
}

// definition returns the AS clause among the options of a function or a DO,
// and the language in lower case.
func definition(options []*pg.Node) (body *pg.DefElem, language string) {
	for _, n := range options {
		if d, ok := unwrap(n).(*pg.DefElem); ok {
			switch d.Defname {
			case "as":
				body = d
			case "language":
				language = strings.ToLower(d.Arg.GetString_().GetSval())
			}
		}
	}
	return body, language
}

// bodyText returns the text of an AS clause.
func bodyText(d *pg.DefElem) string {
	if s := d.Arg.GetString_(); s != nil {
		return s.Sval
	}
	if items := d.Arg.GetList().GetItems(); len(items) > 0 {
		return items[0].GetString_().GetSval()
	}
	return ""
}

// stringBody plans the body of an SQL function that is given as a string:
// text that the server parses when the function is called. path is the
// search_path then, as far as it can be told.
func (r *rewriter) stringBody(d *pg.DefElem, path []string) {
	text := bodyText(d)
	env := *r.env
	env.Path, env.Key, env.Asks = path, "", nil // see define
	plan := Rewrite(text, &env)
	if plan.Stale {
		r.stale, r.wants = true, r.wants || plan.Rights
		return
	}
	r.plan.Depends = r.plan.Depends || plan.Depends
	literal := r.at(d.Location) + 1 // behind AS
	if literal == 0 || literal >= len(r.toks) {
		r.refuse("internal", d.Location)
		return
	}
	offset := int32(r.start(literal))
	if f := plan.Refusal; f != nil {
		r.refuse(f.Rule, offset)
		return
	}
	touches := false
	for i := range plan.Stmts {
		if f := plan.Stmts[i].Refusal; f != nil && r.stmt.Refusal == nil {
			refusal := *f
			refusal.Offset = int(offset)
			r.stmt.Refusal = &refusal
		}
		for _, t := range plan.Stmts[i].Touched {
			t.Offset = int(offset)
			r.stmt.Touched = append(r.stmt.Touched, t)
			r.stmt.Action = max(r.stmt.Action, t.Action)
			touches = true
		}
	}
	if touches && (r.moved || r.unknown || r.schemas || r.reveals || r.path != nil || len(r.defined) > 0 || len(r.altered) > 0) {
		r.refuse("moved-names", offset, "a name in the function's body")
	}
	if r.stmt.Refusal == nil && plan.Edited() {
		r.inside(literal, text, plan)
	}
}

// inside carries the edits of a body into the literal that holds it, so that
// an error there still points at what the client wrote.
func (r *rewriter) inside(literal int, text string, plan *Plan) {
	place, ok := r.places(literal, text)
	if !ok || literal+1 < len(r.toks) && isString(r.toks[literal+1].Kind) {
		r.refuse("body-literal", int32(r.start(literal)))
		return
	}
	quoted := r.toks[literal].Kind == lex.String
	for _, e := range plan.Edits(text) {
		words := e.Text
		if quoted {
			words = strings.ReplaceAll(words, "'", "''")
		}
		near := max(e.Near, 0)
		r.change(change{
			from: int32(literal), to: int32(literal + 1), near: int32(literal), words: words,
			inner: inner{set: true, start: place(e.Start), end: place(e.End), near: place(near)},
		})
	}
}

// places returns a function from offsets in a literal's value to offsets in
// the literal as written, for the kinds of literal where there is one.
func (r *rewriter) places(literal int, value string) (place func(int) int, ok bool) {
	written := r.toks[literal].Text(r.sql)
	switch r.toks[literal].Kind {
	case lex.DollarString:
		tag := strings.IndexByte(written[1:], '$') + 2
		return func(i int) int { return tag + i }, true
	case lex.String:
		if strings.ReplaceAll(value, "'", "''") != strings.TrimSuffix(written[1:], "'") {
			return nil, false // continued on another line
		}
		return func(i int) int { return 1 + i + strings.Count(value[:i], "'") }, true
	}
	return nil, false
}

func isString(k lex.Kind) bool {
	return k == lex.String || k == lex.EString || k == lex.UString || k == lex.DollarString
}

// pathOf returns the search_path that a function runs under. One without a
// setting of its own runs under its caller's, which is taken to be today's.
func (r *rewriter) pathOf(options []*pg.Node) []string {
	for _, n := range options {
		d, ok := unwrap(n).(*pg.DefElem)
		if !ok || d.Defname != "set" {
			continue
		}
		if set, ok := unwrap(d.Arg).(*pg.VariableSetStmt); ok && strings.EqualFold(set.Name, "search_path") {
			if path, ok := literalPath(set); ok {
				return path
			}
		}
	}
	return r.env.Path
}

// unseen deals with text that the server will run without the proxy seeing
// it: DO, and functions in other languages. The policy says whether it may
// name a protected table.
func (r *rewriter) unseen(options []*pg.Node) {
	d, _ := definition(options)
	if d == nil {
		return
	}
	for _, table := range r.env.Set.NamedIn(bodyText(d)) {
		r.touch(table, BodyUnseen, d.Location, Passed)
		if r.env.Set.RefusesBodies() {
			r.refuse("body-unseen", d.Location, table.String())
		}
	}
}
