package rewrite

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy"
	"tombstone/rewrite/lex"
)

// Verb is what a body does with the rows of a protected table.
type Verb string

// What a body does with protected rows.
const (
	Reads     Verb = "reads"
	Updates   Verb = "updates"
	Deletes   Verb = "deletes"
	Truncates Verb = "truncates"
)

// Use is one place where a definition names a protected table.
type Use struct {
	Table  string // schema.table
	Verb   Verb
	Tested bool // the query there tests the marker, or sets it: it knows of tombstones
	Named  bool // the query there names the marker, if only to show it
	Line   int  // of the definition, the first being 1
}

// Body is what a definition does with protected tables when the server runs it, unseen by the proxy.
type Body struct {
	Uses    []Use
	Dynamic []int  // lines where SQL is put together as it runs, so that nobody can say what it does
	Fault   string // why a part of it, or all, could not be read; "" if all was
	Line    int    // where that part is

	// Mended is the definition with every use made right that is not, by the rules of a client's statement; "" if there is nothing to
	// mend, or no way. Then Why says why.
	Mended, Why string
}

// Read judges a definition: that of a function or procedure as pg_get_functiondef prints it, or any statement that holds a query, such
// as CREATE VIEW and CREATE RULE.
//
// Bodies in SQL and PL/pgSQL are parsed, piece by piece. Of those in other languages nothing can be told.
func Read(definition string, env *Env) *Body {
	b, edits := judge(definition, env)
	if !b.wrong() || b.Why != "" {
		return b
	}
	slices.SortStableFunc(edits, func(x, y Edit) int { return x.Start - y.Start })
	mended := apply(definition, edits)
	if again, _ := judge(mended, env); again.Fault != b.Fault || again.wrong() {
		b.Why = "it cannot be edited so that the outcome is sure"
		return b
	}
	b.Mended = mended
	return b
}

// judge reads a definition and returns the edits that would mend it.
func judge(definition string, env *Env) (b *Body, edits []Edit) {
	toks, err := lex.Scan(nil, definition)
	if err != nil {
		return &Body{Fault: err.Error(), Line: 1}, nil
	}
	pieces, err := newText(definition, toks).pieces(env)
	if err != nil {
		return &Body{Fault: err.Error(), Line: 1}, nil
	}
	b = new(Body)
	for _, p := range pieces {
		edits = append(edits, b.read(definition, p, env)...)
	}
	return b, edits
}

// wrong reports whether a use shows, changes or loses rows that it should not.
func (b *Body) wrong() bool { return slices.ContainsFunc(b.Uses, wrong) }

func wrong(u Use) bool { return !u.Tested }

// piece is one statement or query of a definition.
type piece struct {
	start   int    // of its text, in bytes of the body
	text    string // as the parser takes it: what PL/pgSQL adds is blank
	prefix  int    // how many bytes of text are not of the definition
	path    []string
	dynamic bool                 // it is put together as it runs
	inner   func(offset int) int // from offsets behind prefix to those of the definition
}

// errComplex is what becomes of a text that could overrun the parser's stack: see bound.go.
var errComplex = errors.New("it is too complex for the parser")

// tree parses the text, if the parser can be trusted with it.
func (t *text) tree() (*pg.ParseResult, error) {
	if t.tooDeep() || t.tooMany() {
		return nil, errComplex
	}
	return parse(t.sql)
}

// treeOf parses a text that the server had, and that anybody may have written.
func treeOf(sql string) (*pg.ParseResult, error) {
	toks, err := lex.Scan(nil, sql)
	if err != nil {
		return nil, err
	}
	return newText(sql, toks).tree()
}

// pieces cuts a definition up.
func (t *text) pieces(env *Env) ([]piece, error) {
	whole := piece{text: t.sql, path: env.Path, inner: func(i int) int { return i }}
	tree, err := t.tree()
	if err != nil {
		return nil, err
	}
	if len(tree.Stmts) != 1 {
		return []piece{whole}, nil
	}
	x, ok := unwrap(tree.Stmts[0].Stmt).(*pg.CreateFunctionStmt)
	if !ok {
		return []piece{whole}, nil
	}
	body, language := definition(x.Options)
	if body == nil {
		return []piece{whole}, nil // BEGIN ATOMIC and RETURN are part of the tree
	}
	if language != "sql" && language != "plpgsql" {
		return nil, fmt.Errorf("it is in the language %s", language)
	}
	source := bodyText(body)
	r := &rewriter{text: t, env: env, plan: new(Plan)}
	literal := t.at(body.Location) + 1
	if literal == 0 || literal >= len(t.toks) {
		return nil, fmt.Errorf("its body is not where it should be")
	}
	place, ok := r.places(literal, source)
	if !ok || t.toks[literal].Kind != lex.DollarString {
		return nil, fmt.Errorf("its body is not in dollar quotes")
	}
	start := t.start(literal)
	inner := func(i int) int { return start + place(i) }
	path := r.pathOf(x.Options)
	if language == "sql" {
		return []piece{{text: source, path: path, inner: inner}}, nil
	}
	list, err := plpgsql(source)
	for i := range list {
		at := list[i].start
		list[i].path = path
		list[i].inner = func(offset int) int { return inner(at + offset) }
	}
	return list, err
}

// read judges a piece and returns the edits, of the definition, that would make it right.
func (b *Body) read(definition string, p piece, env *Env) []Edit {
	line := func(offset int) int {
		return 1 + strings.Count(definition[:p.inner(max(offset-p.prefix, 0))], "\n")
	}
	if p.dynamic {
		b.Dynamic = append(b.Dynamic, line(0))
		return nil
	}
	inner := *env
	inner.Path, inner.Key = p.path, ""
	plan := Rewrite(p.text, &inner)
	if plan.Unparsed {
		if b.Fault == "" && env.Set.Mentions(p.text) {
			b.Fault, b.Line = plan.Fault, line(0)
		}
		return nil
	}
	tests := tested(p.text)
	before := len(b.Uses)
	for i := range plan.Stmts {
		s := &plan.Stmts[i]
		for _, touch := range s.Touched {
			if verb := verbOf(touch.Rule); verb != "" {
				marker := markerOf(env.Set, touch.Table)
				b.Uses = append(b.Uses, Use{
					Table: touch.Table, Verb: verb, Line: line(touch.Offset),
					Tested: tests.has(touch.Offset, marker) && verb != Truncates, Named: tests.names(touch.Offset, marker),
				})
			}
		}
		if f := s.Refusal; f != nil {
			if len(s.Touched) == 0 {
				for _, table := range env.Set.NamedIn(p.text[s.start:s.end]) {
					b.Uses = append(b.Uses, Use{Table: table.String(), Verb: verbOfKind(s.Kind), Line: line(s.start)})
				}
			}
			b.Why = f.Message
		}
	}
	if r := plan.Refusal; r != nil {
		b.Why = r.Message
	}
	if !slices.ContainsFunc(b.Uses[before:], wrong) {
		return nil
	}
	edits := plan.Edits(p.text)
	for i := range edits {
		edits[i].Start, edits[i].End = p.inner(edits[i].Start-p.prefix), p.inner(edits[i].End-p.prefix)
	}
	return edits
}

func markerOf(set *policy.Set, table string) string {
	for _, t := range set.Tables() {
		if t.String() == table {
			return t.Marker
		}
	}
	return ""
}

// verbOf says what a rule is for, "" if what it does is no use of rows that could be wrong.
func verbOf(rule *Rule) Verb {
	switch rule {
	case HideWhere, HideJoin, HideSubquery, HideTable, HideCopy:
		return Reads
	case UpdateLive, MergeLive:
		return Updates
	case BuryDelete, BuryCurrent, BuryMerge:
		return Deletes
	case BuryAll, AllowPurge:
		return Truncates
	}
	return ""
}

func verbOfKind(kind string) Verb {
	switch kind {
	case "delete":
		return Deletes
	case "truncate":
		return Truncates
	case "update", "merge":
		return Updates
	}
	return Reads
}

func apply(text string, edits []Edit) string {
	var b strings.Builder
	at := 0
	for _, e := range edits {
		if e.Start < at {
			continue // a use that two pieces hold is edited once
		}
		b.WriteString(text[at:e.Start])
		b.WriteString(e.Text)
		at = e.End
	}
	return b.String() + text[at:]
}

// Expression judges a condition or another expression, such as that of a policy, and returns it mended too.
func Expression(expr string, env *Env) *Body {
	const before = "SELECT "
	b := Read(before+expr, env)
	b.Mended = strings.TrimPrefix(b.Mended, before)
	return b
}

// WithoutLive takes the condition that a row is live out of a condition as pg_get_expr writes it. ok says that it was there, as a part that
// AND joins to others; rest is "true" if nothing else is.
func WithoutLive(t *policy.Table, where string) (rest string, ok bool) {
	part := liveOnly(t, where)
	if part == "" {
		return where, false
	}
	var others []string
	for _, c := range conjuncts(where) {
		if c != part {
			others = append(others, "("+c+")")
		}
	}
	if len(others) == 0 {
		return "true", true
	}
	return strings.Join(others, " AND "), true
}

// Names reports whether an expression names a column, by itself or with the name of its table before it.
func Names(expr, column string) bool {
	tree, err := treeOf("SELECT " + expr)
	if err != nil {
		return true
	}
	found := false
	var look func(any)
	look = func(m any) {
		if c, ok := m.(*pg.ColumnRef); ok && len(c.Fields) > 0 {
			found = found || c.Fields[len(c.Fields)-1].GetString_().GetSval() == column
		}
		children(m, look)
	}
	for _, s := range tree.Stmts {
		look(unwrap(s.Stmt))
	}
	return found
}

// HasWord reports whether a word stands in a text in PL/pgSQL or SQL, outside literals and comments, whatever its case.
func HasWord(source, word string) bool {
	toks, _ := lex.Scan(nil, source) // those before what cannot be read
	for i := range toks {
		switch k := &toks[i]; k.Kind {
		case lex.Ident, lex.QuotedIdent:
			if strings.EqualFold(k.Name(source), word) {
				return true
			}
		}
	}
	return false
}
