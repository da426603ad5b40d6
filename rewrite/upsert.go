package rewrite

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy"
	"tombstone/policy/catalog"
)

// upsert plans the ON CONFLICT clause of an INSERT into a protected table. A
// conflict with a tombstone must be as if it were not there.
//
// Where the index that decides covers live rows only, no tombstone is in it;
// the inferred target gains its condition, or the server would not find it:
//
//	ON CONFLICT (email) DO UPDATE SET ..
//	ON CONFLICT (email) WHERE deleted_at IS NULL DO UPDATE SET ..
//
// Where it covers every row, a tombstone may hold the key. It must be neither
// updated, which nobody would see, nor left and the new row with it: that is
// an error, when it happens.
func (r *rewriter) upsert(x *pg.InsertStmt, table *policy.Table) {
	c := x.OnConflictClause
	u := &conflict{rewriter: r, x: x, table: table}
	if !u.find() {
		r.refuse("internal", c.Location)
		return
	}
	r.needsColumns(table, x.Relation.Location)
	deciding, known := u.deciding()
	guard := !known
	var conditions []string
	for _, index := range deciding {
		if condition := liveOnly(table, index.Where); condition == "" {
			guard = true
		} else if !slices.Contains(conditions, condition) {
			conditions = append(conditions, condition)
		}
	}
	switch {
	case len(conditions) == 0 || c.Infer == nil:
	case c.Infer.Conname == "":
		u.infer(strings.Join(conditions, " AND "))
	case !deciding[0].Constraint && !slices.Contains(deciding[0].Columns, ""):
		// It was a constraint before it became an index of live rows.
		u.replace(u.on+2, u.do-1, "("+quoteAll(deciding[0].Columns)+") WHERE "+conditions[0])
	}
	switch {
	case !guard:
		r.touch(table, UpsertLive, x.Relation.Location, Hidden)
	case c.Action == pg.OnConflictAction_ONCONFLICT_UPDATE:
		u.guardUpdate()
	default:
		u.guardNothing(deciding, known)
	}
}

// conflict is an ON CONFLICT clause and the places of its parts.
type conflict struct {
	*rewriter
	x     *pg.InsertStmt
	table *policy.Table
	on    int // the token ON
	do    int // the token DO
}

func (u *conflict) find() bool {
	u.on = u.at(u.x.OnConflictClause.Location)
	if u.on < 0 {
		return false
	}
	for i := u.on + 2; i < len(u.toks); i++ {
		switch {
		case u.is(i, '('):
			i = u.closing(i)
		case u.word(i, "do") && !u.label(i):
			u.do = i
			return true
		}
	}
	return false
}

// deciding returns the unique indexes in which a conflict counts. Those in
// which there cannot be one are left out. known is false where the indexes
// are not known.
func (u *conflict) deciding() (list []catalog.Unique, known bool) {
	if u.table.View() || len(u.table.Columns) == 0 {
		return nil, false
	}
	target := u.x.OnConflictClause.Infer
	for _, index := range u.table.Uniques {
		switch {
		case target == nil:
			if u.fresh(index) {
				continue
			}
		case target.Conname != "":
			if index.Name != target.Conname {
				continue
			}
		case !slices.Equal(keyOf(index.Columns), targetKey(target)):
			continue
		}
		list = append(list, index)
	}
	return list, true
}

// keyOf sorts the columns of a key, as the server's inference does not look
// at their order. Expressions are all alike.
func keyOf(columns []string) []string {
	key := slices.Clone(columns)
	slices.Sort(key)
	return slices.Compact(key)
}

func targetKey(target *pg.InferClause) []string {
	var columns []string
	for _, n := range target.IndexElems {
		if e, ok := unwrap(n).(*pg.IndexElem); ok {
			columns = append(columns, e.Name)
		}
	}
	return keyOf(columns)
}

// fresh reports whether no row can conflict in an index since the INSERT
// leaves out a column of its key that gets a new value of its own, or NULL.
func (u *conflict) fresh(index catalog.Unique) bool {
	if len(u.x.Cols) == 0 {
		return false // every column, in order
	}
	for _, name := range index.Columns {
		given := slices.ContainsFunc(u.x.Cols, func(n *pg.Node) bool { return n.GetResTarget().GetName() == name })
		if name == "" || given && !u.defaulted(name) {
			continue
		}
		i := slices.IndexFunc(u.table.Columns, func(c catalog.Column) bool { return c.Name == name })
		if i < 0 {
			continue
		}
		switch d := u.table.Columns[i].Default; {
		case d == catalog.Identity, strings.HasPrefix(d, "nextval("), strings.HasPrefix(d, "gen_random_uuid("), strings.HasPrefix(d, "uuid_generate_v"):
			return true
		case d == "" && !index.NullsEqual && !u.table.Columns[i].Generated && !u.table.Columns[i].NotNull:
			return true
		}
	}
	return false
}

// defaulted reports whether every row of VALUES has DEFAULT for a column.
func (u *conflict) defaulted(name string) bool {
	s, ok := unwrap(u.x.SelectStmt).(*pg.SelectStmt)
	at := slices.IndexFunc(u.x.Cols, func(n *pg.Node) bool { return n.GetResTarget().GetName() == name })
	if !ok || len(s.ValuesLists) == 0 {
		return false
	}
	for _, row := range s.ValuesLists {
		items := row.GetList().GetItems()
		if at >= len(items) || items[at].GetSetToDefault() == nil {
			return false
		}
	}
	return true
}

// infer adds a condition to the inferred target.
func (u *conflict) infer(condition string) {
	end := u.closing(u.on + 2)
	if u.word(end+1, "where") {
		u.putBefore(end+2, "(")
		u.putAfter(u.do-1, ") AND "+condition)
		return
	}
	u.putAfter(end, " WHERE "+condition)
}

// guardUpdate makes DO UPDATE fail when the row it would update is a
// tombstone.
//
// Without this rule, an upsert at the key of a deleted row changes that row
// and says INSERT 0 1, and nobody ever sees the result.
func (u *conflict) guardUpdate() {
	live, taken := u.guard()
	stop := u.clause(u.do+2, -1)
	if u.x.OnConflictClause.WhereClause == nil {
		u.putAfter(stop-1, " WHERE CASE WHEN "+live+" THEN true ELSE "+taken+" END")
	} else {
		end := u.clause(stop+1, -1)
		if !u.word(stop, "where") || end <= stop+1 {
			u.refuse("internal", u.x.Relation.Location)
			return
		}
		u.putBefore(stop+1, "CASE WHEN "+live+" THEN (")
		u.putAfter(end-1, ") ELSE "+taken+" END")
	}
	u.touch(u.table, UpsertGuard, u.x.Relation.Location, Hidden)
}

// guardNothing makes DO NOTHING fail when what it gives way to is a
// tombstone, by a DO UPDATE that updates nothing.
//
// Without this rule, adding a member again who left before does nothing, says
// so to nobody, and the member is not there.
func (u *conflict) guardNothing(deciding []catalog.Unique, known bool) {
	live, taken := u.guard()
	if slices.ContainsFunc(deciding, func(index catalog.Unique) bool { return index.Exclusion }) {
		u.refuse("on-conflict", u.x.Relation.Location, u.table.String())
		return
	}
	if u.x.OnConflictClause.Infer == nil {
		// DO UPDATE needs a target, which only one index can be.
		if !known || len(deciding) != 1 || slices.Contains(deciding[0].Columns, "") || deciding[0].Where != "" {
			u.refuse("on-conflict", u.x.Relation.Location, u.table.String())
			return
		}
		u.putAfter(u.on+1, " ("+quoteAll(deciding[0].Columns)+")")
	}
	column := u.marked()
	u.replace(u.do+1, u.do+1, "UPDATE SET "+quote(u.table.Marker)+" = "+column+" WHERE CASE WHEN "+live+" THEN false ELSE "+taken+" END")
	u.touch(u.table, UpsertGuard, u.x.Relation.Location, Hidden)
	u.stmt.StandIn = true
}

func quoteAll(names []string) string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = quote(name)
	}
	return strings.Join(list, ", ")
}

// KeyTaken is part of the error by which the server tells that a tombstone
// holds the key of a new row. The session replaces it: see [TakenKey].
const KeyTaken = "tombstone holds this key, deleted: "

// marked writes the marker of the row in the way. A table may be called as the
// row that was to be inserted is.
func (u *conflict) marked() string {
	rv := u.x.Relation
	return qualifier(rv, u.table, rv.Relname == "excluded") + "." + quote(u.table.Marker)
}

// guard writes the condition that the row in the way is live, and an
// expression that fails. It is no constant, or the planner would fail.
func (u *conflict) guard() (live, taken string) {
	column := u.marked()
	return u.live(column, u.table.Live), "CAST(" + u.function("concat") + "('" + KeyTaken + "', " + column + ") AS boolean)"
}
