package rewrite

import (
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// setting plans SET and RESET of one of our own settings. They live in the server, which takes any value for them from anybody: what
// can be said now is said now, and what cannot is, when a protected table is named next.
func (r *rewriter) setting(x *pg.VariableSetStmt, name string) Changes {
	given := x.Kind == pg.VariableSetKind_VAR_SET_VALUE
	switch name {
	case settingActor, settingReason:
		return 0
	case settingVisibility, settingDelete, settingAsOf:
		if value, ok := literalValue(x.Args); given && ok {
			r.settles(name, value, int32(r.stmt.start))
			_, standard := valid(name, value)
			r.setsAsks = !standard || r.env.Asks != nil
		}
	case settingClient:
		if given {
			r.refuse("settings-denied", int32(r.stmt.start), name)
		}
		return ChangesAsks | ForgetsAll
	default:
		if given {
			r.refuse("settings-unknown", int32(r.stmt.start), name)
		}
	}
	return ChangesAsks
}

// settles refuses a value that the session may not give to a setting.
func (r *rewriter) settles(name, value string, offset int32) {
	if _, standard := valid(name, value); standard || r.env.Failed || !r.env.Set.Enforces() {
		return
	}
	switch {
	case r.env.Stale || !r.env.Rights.Known:
		r.stale, r.wants = true, true
	case !r.changed: // else it may be another role by then, of which nothing is known
		if why := forbids(name, value, r.env.Rights); why != nil {
			r.refuseBy(why, offset)
			r.stmt.Denied = &Setting{Name: name, Value: value}
		}
	}
}

// setConfig looks at a call of set_config(), which sets what SET sets.
func (r *rewriter) setConfig(x *pg.FuncCall) {
	r.setsConfig = true
	r.plan.literal = true // a refusal changes nothing, and could be kept
	if len(x.Args) < 2 {
		return
	}
	name, ok := constant(x.Args[0])
	if !ok {
		return
	}
	what := strings.ToLower(name.GetSval().GetSval())
	switch what {
	case settingVisibility, settingDelete, settingAsOf:
		r.setsAsks = true
		if value, ok := constant(x.Args[1]); ok && value.GetSval() != nil {
			r.settles(what, value.GetSval().GetSval(), x.Location)
		}
	case settingActor, settingReason, settingClient:
	default:
		// tombstone.noted_.. tells the database that a deletion is written down already.
		if strings.HasPrefix(what, "tombstone.") {
			r.refuse("settings-unknown", x.Location, what)
		}
	}
}

// literalValue is what SET gives, where it is one word or string.
func literalValue(args []*pg.Node) (string, bool) {
	if len(args) != 1 {
		return "", false
	}
	c := args[0].GetAConst()
	switch {
	case c.GetSval() != nil:
		return c.GetSval().GetSval(), true
	case c.GetIval() != nil:
		return strconv.Itoa(int(c.GetIval().GetIval())), true
	case c.GetFval() != nil:
		return c.GetFval().GetFval(), true
	}
	return "", false
}

// show plans SHOW of one of our own settings. The server knows none that nobody has set.
//
//	SHOW tombstone.visibility
//	SELECT COALESCE(NULLIF(current_setting('tombstone.visibility', true), ''), 'live') AS "tombstone.visibility"
func (r *rewriter) show(x *pg.VariableShowStmt) {
	name := strings.ToLower(x.Name)
	switch name {
	case settingVisibility, settingDelete, settingAsOf, settingActor, settingReason, settingClient:
	default:
		return
	}
	value, preset := r.function("current_setting")+"('"+name+"', true)", standard(name, "")
	if preset != "" { // as it is once it was set
		value = "NULLIF(" + value + ", '')"
	}
	r.replace(r.before(r.stmt.start)+1, r.before(r.stmt.end),
		"SELECT COALESCE("+value+", '"+preset+"') AS "+quote(name))
	r.stmt.Tag = TagShow
}

// bareAll plans SET tombstone.visibility = all, which the grammar does not take without quotes: ALL is a reserved word. It returns nil for
// any other text.
func (r *rewriter) bareAll() *Plan {
	i := 1
	if r.word(i, "session") || r.word(i, "local") {
		i++
	}
	end := i + 4
	if !r.word(0, "set") || !r.word(i, "tombstone") || !r.is(i+1, '.') || !r.word(i+2, "visibility") ||
		!r.is(i+3, '=') && !r.word(i+3, "to") || !r.word(end, "all") {
		return nil
	}
	for j := end + 1; j < len(r.toks); j++ {
		if !r.is(j, ';') {
			return nil
		}
	}
	all := &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Sval{Sval: &pg.String{Sval: visibilities[All]}}}}}
	set := &pg.VariableSetStmt{Kind: pg.VariableSetKind_VAR_SET_VALUE, Name: settingVisibility, Args: []*pg.Node{all}, IsLocal: i > 1 && r.word(1, "local")}
	r.raw(&pg.RawStmt{Stmt: &pg.Node{Node: &pg.Node_VariableSetStmt{VariableSetStmt: set}}})
	if len(r.plan.changes) == 0 {
		r.replace(end, end, "'"+visibilities[All]+"'")
	}
	return r.finished()
}
