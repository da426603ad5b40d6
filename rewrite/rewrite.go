package rewrite

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy"
	"tombstone/rewrite/lex"
)

// Rewrite plans one message's text: the statements of a Query, or the one of
// a Parse. It never fails: what it cannot answer for is refused in the Plan.
func Rewrite(sql string, env *Env) *Plan {
	// While names may have changed, so may what is protected.
	mentions := env.Stale || env.Set.Enforces() && (env.Set.Mentions(sql) || mentionsEscaped(sql, env.Set) || env.foreign(sql) && env.Set.Foreign())
	if mentions && env.foreign(sql) {
		masked, ok := mask(sql, env)
		if !ok {
			return certain(env, RefuseWhole(sql, newRefusal("encoding", -1, env.Encoding)))
		}
		return Rewrite(masked, env) // what is hidden there decides nothing
	}
	if mentions {
		if r := misread(sql, env); r != nil {
			return certain(env, RefuseWhole(sql, r))
		}
	}
	toks, err := lex.Scan(make([]lex.Token, 0, len(sql)/4+8), sql)
	if err == nil && !utf8.ValidString(sql) {
		err = errors.New("text that is not UTF-8")
	}
	if err != nil {
		return certain(env, unparsed(mentions, err))
	}
	if !mentions {
		if plan := skim(sql, toks); plan != nil {
			plan.Depends = true // what it names may come to show something protected
			return plan
		}
	}
	t := newText(sql, toks)
	if t.tooDeep() || t.tooMany() {
		if mentions {
			return certain(env, RefuseWhole(sql, newRefusal("too-complex", -1)))
		}
		return &Plan{Changes: everything, Depends: true}
	}
	tree, err := parse(sql)
	r := &rewriter{text: t, env: env, plan: &Plan{}}
	if err != nil {
		if plan := r.bareAll(); plan != nil {
			return plan
		}
		return certain(env, unparsed(mentions, err))
	}
	r.plan.Stmts = make([]Stmt, 0, len(tree.Stmts))
	for _, raw := range tree.Stmts {
		r.raw(raw)
		if r.stale {
			break
		}
	}
	return r.finished()
}

// finished returns the plan of a text whose statements have been looked at.
func (r *rewriter) finished() *Plan {
	if r.stale {
		return &Plan{Stale: true, Rights: r.wants}
	}
	slices.SortStableFunc(r.plan.changes, func(a, b change) int { return int(a.order() - b.order()) })
	return r.plan
}

// A text that is being parsed takes some sixty times its length in memory. Of
// long ones no more than two are parsed at the same time, so that many clients
// with long lists do not take all there is.
const longText = 256 << 10

var parsing = make(chan struct{}, 2)

func parse(sql string) (*pg.ParseResult, error) {
	if len(sql) > longText {
		parsing <- struct{}{}
		defer func() { <-parsing }()
	}
	return pg.Parse(sql)
}

// everything is what a text that was not read may change.
const everything = ChangesNames | ChangesCatalog | ChangesLexing | EndsWork | MovesPath | MovesSchemas | ChangesAsks | ForgetsAll

// certain returns a plan that rests on what is protected, unless that may have
// changed.
func certain(env *Env, p *Plan) *Plan {
	if env.Stale {
		return &Plan{Stale: true}
	}
	return p
}

// rewriter holds what is known while one text is planned.
type rewriter struct {
	*text
	env  *Env
	plan *Plan
	stmt *Stmt // the one being planned

	conflict   int32           // offset of the current INSERT's ON CONFLICT, -1 if none
	forbid     string          // the refusal for touching anything protected, "" where it may be touched
	stale      bool            // a name had to be resolved while Env.Stale
	serial     int             // for names of our own
	own        string          // the prefix of such names, not found in the client's text
	schemas    bool            // an earlier statement of this text may have renamed a schema
	reveals    bool            // an earlier statement of this text may have dropped what hides something protected
	moved      bool            // an earlier statement of this text may have changed search_path
	path       *path           // the search_path that an earlier statement of this text has set, nil if none
	newPath    *path           // the one that this statement sets, nil if it cannot be told
	altered    map[string]bool // names of tables whose columns or indexes earlier statements of this text have changed
	taints     bool            // this statement may make what it names show something protected
	alters     string          // the one whose columns or indexes this statement changes, and nothing else
	defined    map[string]bool // names in earlier DDL of this text
	tainted    map[string]bool // names that an earlier statement of this text may have made to show something protected
	anything   bool            // an earlier statement of this text may have done so with any name
	unknown    bool            // an earlier statement of this text may have defined anything
	setsConfig bool            // the statement calls set_config()
	changed    bool            // an earlier statement of this text changed names or catalog

	asks      *Asks // what the session gets, never nil
	defines   bool  // what is planned is run later, for others too
	setsAsks  bool  // the statement changes what the session asks for
	resettled bool  // an earlier statement of this text may have done so
	wants     bool  // stale: what the role may has to be read, too
}

// raw plans one statement and adds its edits, or the one edit that refuses it.
func (r *rewriter) raw(raw *pg.RawStmt) {
	from, to := r.span(raw)
	first, last := r.start(from), r.end(to)
	r.plan.Stmts = append(r.plan.Stmts, Stmt{start: first, end: last})
	r.stmt = &r.plan.Stmts[len(r.plan.Stmts)-1]
	r.conflict, r.forbid, r.setsConfig, r.newPath, r.alters, r.taints = -1, "", false, nil, "", false
	r.asks, r.defines, r.setsAsks = &everybody, false, false
	if r.env.Asks != nil {
		r.asks = r.env.Asks
	}
	edits := len(r.plan.changes)
	changes := r.statement(unwrap(raw.Stmt))
	if f := r.stmt.Refusal; f != nil {
		f.token = r.at(int32(f.Offset))
		r.stmt.Action, r.stmt.Tag, r.stmt.PrepareTag = Refused, TagAsSent, TagAsSent
		r.stmt.Prepare, r.stmt.Execute, r.stmt.Deallocate, r.stmt.ForgetAll = "", "", "", false
		r.stmt.Cursor, r.stmt.Cursors, r.stmt.Asked = "", NoCursor, 0
		for i := range r.stmt.Touched {
			r.stmt.Touched[i].Action = Refused
		}
		words := sentinelSQL
		switch unwrap(raw.Stmt).(type) {
		case *pg.TruncateStmt:
			words = sentinelTruncate
		case *pg.CopyStmt, *pg.VariableSetStmt, *pg.ViewStmt, *pg.RuleStmt, *pg.CreateFunctionStmt, *pg.PrepareStmt:
			words = sentinelUtility
		}
		r.plan.changes = r.plan.changes[:edits]
		r.replace(from, to, words)
		return
	}
	r.plan.Changes |= changes
	r.after(changes, first, last)
}

// span returns the first and the last token of a statement, without the
// semicolon. The parser found a statement there, so there are some.
func (r *rewriter) span(raw *pg.RawStmt) (from, to int) {
	end := len(r.sql)
	if raw.StmtLen > 0 {
		end = int(raw.StmtLocation + raw.StmtLen)
	}
	from, to = r.before(int(raw.StmtLocation))+1, r.before(end)
	for to > from && r.is(to, ';') {
		to--
	}
	return from, max(to, from)
}

// after keeps what later statements of the same text must know of this one.
func (r *rewriter) after(changes Changes, first, last int) {
	if changes&EndsWork != 0 && (r.env.Dirty || r.changed) {
		r.moved, r.unknown, r.schemas = true, true, true
		r.resettled = r.resettled || r.env.Asks != nil
	}
	switch {
	case r.setsAsks:
		r.resettled, r.changed = true, true
	case changes&ChangesAsks != 0 || changes&(ChangesNames|MovesPath) == ChangesNames|MovesPath: // perhaps; if so, more is seen than is planned for
		r.resettled = r.resettled || r.env.Asks != nil
	}
	if changes&ChangesNames != 0 {
		r.changed = true
		switch {
		case r.newPath != nil:
			r.path, r.moved = r.newPath, false
		case changes&MovesPath != 0:
			r.moved = true
		}
	}
	r.schemas = r.schemas || changes&MovesSchemas != 0
	r.reveals = r.reveals || changes&Reveals != 0
	if changes&ChangesCatalog != 0 && r.stmt.Kind == "do" {
		r.unknown = true
		r.anything = r.anything || len(r.stmt.Touched) > 0
	}
	if r.taints {
		r.taint(first, last)
	}
	if r.alters != "" {
		r.changed = true
		if r.altered == nil {
			r.altered = map[string]bool{}
		}
		r.altered[r.alters] = true
		return
	}
	if changes&ChangesCatalog != 0 || changes&ChangesNames != 0 && changes&MovesPath == 0 {
		r.changed = true
		if r.defined == nil {
			r.defined = map[string]bool{}
		}
		for i := r.before(first) + 1; i < len(r.toks) && r.end(i) <= last; i++ {
			switch r.toks[i].Kind {
			case lex.Ident, lex.QuotedIdent:
				r.defined[r.toks[i].Name(r.sql)] = true
			case lex.UIdent:
				r.unknown = true
			}
		}
	}
}

// refuse makes the statement refused, by the first reason that is found. Where
// nothing is protected there is no reason but one: the names of our own.
//
// Without the latter, a policy that only observes would refuse what reads tables by
// their names, query_to_xml($1, ..), as one that protects some has to.
func (r *rewriter) refuse(rule string, offset int32, args ...any) {
	if r.stmt.Refusal == nil && (r.env.Set.Enforces() || rule == "reserved-name") {
		r.stmt.Refusal = newRefusal(rule, int(offset), args...)
	}
}

// touch records that a rule fired for a protected table.
func (r *rewriter) touch(table *policy.Table, rule *Rule, offset int32, action Action) {
	r.stmt.Touched = append(r.stmt.Touched, Touch{Table: table.String(), Rule: rule, Action: action, Offset: int(offset), observed: table.Observed})
	r.stmt.Action = max(r.stmt.Action, action)
}

// name returns a name that no identifier of the client's text has a part of.
// Literals and comments do not matter: texts that differ only in them have one
// plan.
func (r *rewriter) name() string {
	if r.own == "" {
		r.own = "_t"
		for r.taken(r.own) {
			r.own += "_"
		}
	}
	r.serial++
	return r.own + strconv.Itoa(r.serial)
}

func (r *rewriter) taken(prefix string) bool {
	for i := range r.toks {
		switch k := &r.toks[i]; k.Kind {
		case lex.Ident, lex.QuotedIdent, lex.UIdent:
			if strings.Contains(k.Name(r.sql), prefix) {
				return true
			}
		}
	}
	return false
}

// unparsed plans a text that the parser rejects. The server's own error is
// the best answer; but if the server takes what our parser does not, and
// something protected is named, it must not run.
func unparsed(mentions bool, err error) *Plan {
	if mentions {
		// It never runs, so it changes nothing.
		return &Plan{Unparsed: true, Fault: err.Error(), Probe: true, Refusal: newRefusal("unparsed", -1)}
	}
	return &Plan{Unparsed: true, Fault: err.Error(), Changes: everything, Depends: true}
}

// RefuseWhole plans the refusal of a text of which nothing more is known.
func RefuseWhole(sql string, why *Refusal) *Plan {
	return &Plan{
		whole: true,
		Stmts: []Stmt{{Kind: "other", Action: Refused, Refusal: why, end: len(sql)}},
	}
}
