package rewrite

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// runner says what a function takes as a string and reads on its own.
type runner uint8

const (
	runsQuery  runner = iota + 1 // SQL, as an argument
	readsTable                   // a table's name, as an argument
	readsAll                     // every table of a schema, or of the database
)

// runners are the functions of the server and of the extensions that come
// with it that run SQL given as a string. What others do is in bodies that the
// server runs unseen.
var runners = map[string]runner{
	"query_to_xml": runsQuery, "query_to_xmlschema": runsQuery, "query_to_xml_and_xmlschema": runsQuery,
	"ts_stat": runsQuery, "ts_rewrite": runsQuery,
	"crosstab": runsQuery, "crosstab2": runsQuery, "crosstab3": runsQuery, "crosstab4": runsQuery,
	"table_to_xml": readsTable, "table_to_xmlschema": readsTable, "table_to_xml_and_xmlschema": readsTable,
	"connectby": readsTable, "xpath_table": readsTable,
	"schema_to_xml": readsAll, "schema_to_xmlschema": readsAll, "schema_to_xml_and_xmlschema": readsAll,
	"database_to_xml": readsAll, "database_to_xmlschema": readsAll, "database_to_xml_and_xmlschema": readsAll,
}

// run refuses a call of a function that would read protected tables unseen,
// unless its strings are literals that name none.
//
// Without this rule, SELECT query_to_xml('SELECT * FROM users', ..) shows the
// deleted rows to whoever may read users.
func (r *rewriter) run(x *pg.FuncCall, name string) {
	kind := runners[name]
	if kind == 0 || name == "ts_rewrite" && len(x.Args) != 2 {
		return
	}
	r.plan.literal = true
	args := x.Args
	if name == "ts_rewrite" {
		args = args[1:] // before the SQL is a query of text search
	}
	if kind != readsAll && r.namesNone(args, kind) {
		return
	}
	r.plan.Depends = true
	if kind == readsAll && r.holdsNone(args, name) {
		return
	}
	if r.env.Stale {
		r.stale = true
	}
	r.refuse("runs-strings", x.Location, name)
}

// namesNone reports whether every string among the arguments is a literal
// that names nothing protected, as SQL or as a table.
func (r *rewriter) namesNone(args []*pg.Node, kind runner) bool {
	for _, n := range args {
		c, ok := constant(n)
		if !ok {
			return false
		}
		if c.GetSval() == nil {
			continue
		}
		text := c.GetSval().GetSval()
		if kind == readsTable {
			text = "TABLE " + text
		}
		env := *r.env
		env.Key = ""
		plan := Rewrite(text, &env)
		if plan.Stale || plan.Probe || plan.Refusal != nil || kind == readsTable && plan.Unparsed && env.Set.Mentions(text) {
			return false
		}
		for i := range plan.Stmts {
			if !plan.Unparsed && plan.Changes != 0 || len(plan.Stmts[i].Touched) > 0 || plan.Stmts[i].Refusal != nil {
				return false
			}
		}
	}
	return !r.changed // else names may mean something else by now
}

// longestName is how many bytes the server keeps of a name.
const longestName = 63

// constant is the literal that an argument is, without its type and name. A
// cast that may cut it is none: 'SELECT * FROM usersx'::varchar(19) is SQL about
// another table than the one that it seems to name.
func constant(n *pg.Node) (c *pg.A_Const, ok bool) {
	cuts, name := false, false
	for {
		switch x := unwrap(n).(type) {
		case *pg.TypeCast:
			switch typeOf(x) {
			case "text", "varchar", "regclass":
			case "name":
				name = true
			default:
				cuts = true
			}
			cuts = cuts || len(x.TypeName.GetTypmods()) > 0
			n = x.Arg
		case *pg.NamedArgExpr:
			n = x.Arg
		case *pg.A_Const:
			text := x.GetSval().GetSval()
			return x, text == "" || !cuts && (!name || len(text) <= longestName)
		default:
			return nil, false
		}
	}
}

// typeOf is the name of the type that a cast is to, without its schema.
func typeOf(x *pg.TypeCast) string {
	names := x.TypeName.GetNames()
	if len(names) == 0 {
		return ""
	}
	return names[len(names)-1].GetString_().GetSval()
}

// holdsNone reports whether a function of a schema gets the name of one, as a
// literal, in which nothing is protected or shows what is.
func (r *rewriter) holdsNone(args []*pg.Node, name string) bool {
	if !strings.HasPrefix(name, "schema_") || len(args) == 0 || r.env.Stale || r.changed {
		return false
	}
	if _, named := unwrap(args[0]).(*pg.NamedArgExpr); named {
		return false // the schema may be another argument
	}
	c, ok := constant(args[0])
	if !ok || c.GetSval() == nil {
		return false
	}
	schema := c.GetSval().GetSval()
	return len(schema) <= longestName && !strings.HasPrefix(schema, "pg_") && !r.env.Set.Holds(schema)
}
