package rewrite

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/policy"
	"tombstone/policy/catalog"
)

// test writes the condition that a reference's row is one that the session sees; "" if it sees all. Where the bare name is used twice
// it carries its schema, as a person would have to write.
func (r *rewriter) test(rv *pg.RangeVar, table *policy.Table, twice bool) string {
	of := qualifier(rv, table, twice) + "."
	marker := of + quote(r.marker(rv, table))
	asOf := r.asks.AsOf != ""
	var tests []string
	switch {
	case r.asks.Visibility == Live && !asOf:
		return r.live(marker, table.Live)
	case r.asks.Visibility == Live:
		tests = append(tests, r.liveThen(marker, table))
	case r.asks.Visibility == Deleted && !asOf:
		tests = append(tests, r.dead(marker, table.Live))
	case r.asks.Visibility == Deleted:
		if table.Live.Value == policy.Zero {
			tests = append(tests, r.dead(marker, table.Live))
		}
		tests = append(tests, marker+" "+r.operator("<=")+" "+r.moment(table.MarkerType))
	}
	if created := r.created(table); asOf && created != nil {
		column := of + quote(r.columnAt(rv, table, r.ordinal(table, created.Name), created.Name))
		test := column + " " + r.operator("<=") + " " + r.moment(created.Type)
		if !created.NotNull { // it was there before anybody wrote down since when
			test = "(" + column + " IS NULL OR " + test + ")"
		}
		tests = append(tests, test)
	}
	return strings.Join(tests, " AND ")
}

// liveTest writes the condition that a reference's row is live, whatever the session sees.
func (r *rewriter) liveTest(rv *pg.RangeVar, table *policy.Table, twice bool) string {
	return r.live(qualifier(rv, table, twice)+"."+quote(r.marker(rv, table)), table.Live)
}

// buries writes the condition that a row is deleted by a DELETE: it is live, and the session sees it.
//
// Without the first part, a DELETE of a session that sees all would move the time at which a row was deleted.
func (r *rewriter) buries(rv *pg.RangeVar, table *policy.Table, twice bool) string {
	live := r.liveTest(rv, table, twice)
	if r.asks.Visibility == Deleted {
		return live + " AND " + r.test(rv, table, twice)
	}
	return live
}

// dead writes the condition that a row is a tombstone, of its marker's column.
func (r *rewriter) dead(column string, l policy.Live) string {
	switch l.Value {
	case policy.False:
		if l.Nullable {
			return column + " IS TRUE"
		}
		return column
	case policy.Zero:
		return column + " " + r.operator("<>") + " 0"
	case policy.Infinity:
		return column + " " + r.operator("<>") + " 'infinity'"
	}
	return column + " IS NOT NULL"
}

// liveThen writes the condition that a row was live at the moment that the session asks for: it is live, or was deleted later.
// infinity is later than everything. A marker that is a date tells the day only: who was deleted that day was deleted.
func (r *rewriter) liveThen(column string, t *policy.Table) string {
	tests := []string{column + " " + r.operator(">") + " " + r.moment(t.MarkerType)}
	if t.Live.Value == policy.Zero {
		tests = append([]string{column + " " + r.operator("=") + " 0"}, tests...)
	}
	if t.Live.Value == policy.Null || t.Live.Nullable {
		tests = append([]string{column + " IS NULL"}, tests...)
	}
	if len(tests) == 1 {
		return tests[0]
	}
	return "(" + strings.Join(tests, " OR ") + ")"
}

// moment writes the moment that the session asks for as a value of a column's type. It is converted here rather than the column, so
// that an index on that serves. The words with blanks are types of pg_catalog whatever the search_path.
func (r *rewriter) moment(typ string) string {
	at := "'" + r.asks.AsOf + "'::timestamp with time zone"
	switch k := kindOf(typ); k {
	case "date":
		return at + "::" + r.function("date")
	case "timestamp without time zone":
		return at + "::" + k
	case "integer", "bigint":
		return "EXTRACT(epoch FROM " + at + ")::bigint"
	}
	return at
}

// kindOf is the name of a type that can tell a moment, without its precision; "" if it can tell none.
func kindOf(typ string) string {
	name, rest, precise := strings.Cut(typ, "(")
	if _, zone, ok := strings.Cut(rest, ")"); precise && ok {
		name += zone
	}
	switch name {
	case "timestamp with time zone", "timestamp without time zone", "date", "integer", "bigint":
		return name
	}
	return ""
}

// created is the column that says since when a row of a table exists, nil if the policy names none. What is not known of it is taken
// for what it should be.
func (r *rewriter) created(table *policy.Table) *catalog.Column {
	if table.Created == "" {
		return nil
	}
	if i := r.ordinal(table, table.Created); i >= 0 {
		return &table.Columns[i]
	}
	return &catalog.Column{Name: table.Created, Type: "timestamp with time zone"}
}

func (r *rewriter) ordinal(table *policy.Table, column string) int {
	return slices.IndexFunc(table.Columns, func(c catalog.Column) bool { return c.Name == column })
}

// columnAt returns a column's name at a reference: users u(id, name, gone) renames the columns.
//
// Without this rule, users u(deleted_at, ..) would be filtered by its id.
func (r *rewriter) columnAt(rv *pg.RangeVar, table *policy.Table, ordinal int, column string) string {
	if rv.Alias == nil || len(rv.Alias.Colnames) == 0 {
		return column
	}
	r.needsColumns(table, rv.Location)
	if names := rv.Alias.Colnames; ordinal >= 0 && ordinal < len(names) {
		return names[ordinal].GetString_().GetSval()
	}
	return column
}

// seen records that a rule has to do with which rows of a protected table are seen.
func (r *rewriter) seen(table *policy.Table, rule *Rule, offset int32) {
	switch {
	case r.asks.AsOf != "":
		r.use(AskedAsOf)
		rule = ShowAsOf
	case r.asks.Visibility == All:
		rule = ShowAll
	case r.asks.Visibility == Deleted:
		rule = ShowDeleted
	default:
		r.touch(table, rule, offset, Hidden)
		return
	}
	switch r.asks.Visibility {
	case All:
		r.use(AskedAll)
	case Deleted:
		r.use(AskedDeleted)
	}
	r.touch(table, rule, offset, Shown)
}

func (r *rewriter) use(a Asked) { r.stmt.Asked |= a }

// Asked says which settings had to do with what became of a statement.
type Asked uint8

// Settings other than their defaults.
const (
	AskedAll Asked = 1 << iota
	AskedDeleted
	AskedAsOf
	AskedPurge
)

// Each visits them, by the setting and what it was set to. A moment is not told: there are too many.
func (a Asked) Each(visit func(setting, value string)) {
	for i, name := range [...][2]string{
		{settingVisibility, "all"}, {settingVisibility, "deleted"}, {settingAsOf, "set"}, {settingDelete, "purge"},
	} {
		if a&(1<<i) != 0 {
			visit(name[0], name[1])
		}
	}
}
