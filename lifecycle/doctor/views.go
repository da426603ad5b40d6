package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tombstone/lifecycle"
	"tombstone/policy/catalog"
	"tombstone/rewrite"
)

// view is a view, or a materialized one, that shows a protected table.
type view struct {
	catalog.Name
	oid          uint32
	materialized bool
	populated    bool
	owner        string
	query        string
	options      []string // name='value'
	dependents   bool     // other views read it
	comment      string
	indexes      []string // as CREATE INDEX
	grants       []string // as GRANT
}

// views looks for views that show tombstones: those that neither test the marker nor show it, and those that do so for one of the tables that
// they read, or at one place, and not for another.
//
// Without it, a view over users that was there before the proxy shows the deleted ones for ever; and one that shows the marker of employees, and
// the name of each one's boss, the bosses that are gone.
func (p *patient) views(ctx context.Context) error {
	list, err := p.readViews(ctx)
	if err != nil {
		return err
	}
	bodies := p.bodies(list)
	for _, v := range list {
		body := bodies[v.Name.String()]
		if body == nil {
			continue
		}
		_, indirect := p.Set.Find(v.Schema, v.Relation)
		open := indirect != nil && indirect.Open
		past := p.past(v, body, bodies)
		if !open && len(past) == 0 {
			continue
		}
		kind := "view "
		if v.materialized {
			kind = "materialized view "
		}
		f := Finding{Severity: Warning, Check: "open-view", Object: kind + v.Name.String()}
		if open {
			f.Why = fmt.Sprintf("Its query does not look at the marker of %s, and it does not show it: deleted rows are seen through it.", indirect.Over)
		} else {
			f.Why = fmt.Sprintf("Its query reads %s without looking at the marker there, though it does elsewhere: deleted rows are seen through it.", strings.Join(past, ", "))
		}
		switch {
		case body.Mended == "" && body.Why == "" && body.Fault == "" && !slices.ContainsFunc(body.Uses, func(u rewrite.Use) bool { return !u.Tested }):
			f.Advice = "It shows them through another view that it reads: mend that one."
		case body.Mended == "":
			f.mend(body)
			f.Advice = "Let its query test the marker, or show it. It is not done for you: " + body.Why + body.Fault + "."
		case v.materialized && v.dependents:
			f.Advice = "Other views read it, so it cannot be replaced at once. Drop those, create it as follows, and create them again: " + body.Mended
		case v.materialized:
			f.SQL = v.replaced(body.Mended)
		default:
			f.SQL = []string{body.Mended}
		}
		p.find(f)
	}
	return nil
}

// bodies reads the definitions of those views that show protected rows.
func (p *patient) bodies(list []*view) map[string]*rewrite.Body {
	bodies := map[string]*rewrite.Body{}
	for _, v := range list {
		if table, indirect := p.Set.Find(v.Schema, v.Relation); table == nil && indirect == nil {
			continue
		}
		create := "CREATE OR REPLACE VIEW " + lifecycle.Full(v.Name) + with(v.options) + " AS\n" + strings.TrimSuffix(v.query, ";")
		if v.materialized {
			create = strings.Replace(create, "CREATE OR REPLACE VIEW ", "CREATE MATERIALIZED VIEW ", 1)
		}
		bodies[v.Name.String()] = rewrite.Read(create, p.env([]string{"pg_catalog"}))
	}
	return bodies
}

// past lists what a view reads without looking at its marker in that place: tables, and views that show a marker and let tombstones through.
// Where its definition cannot be read, the server tells at least what it looks at nowhere.
func (p *patient) past(v *view, body *rewrite.Body, bodies map[string]*rewrite.Body) []string {
	var list []string
	if body.Fault != "" || body.Why != "" {
		for _, t := range p.Set.HalfShown(v.Name) {
			list = append(list, t.String())
		}
	}
	for _, u := range body.Uses {
		if !u.Tested && !u.Named && !hides(u.Table, bodies) && !slices.Contains(list, u.Table) {
			list = append(list, u.Table)
		}
	}
	return list
}

// hides reports whether a relation is a view that lets no tombstones through, though it shows the marker.
func hides(name string, bodies map[string]*rewrite.Body) bool {
	body := bodies[name]
	return body != nil && body.Fault == "" && !slices.ContainsFunc(body.Uses, func(u rewrite.Use) bool { return !u.Tested && !hides(u.Table, bodies) })
}

func with(options []string) string {
	if len(options) == 0 {
		return ""
	}
	return " WITH (" + strings.Join(options, ", ") + ")"
}

// replaced writes what puts another materialized view in the place of this one: it cannot be replaced as a view can.
func (v *view) replaced(create string) []string {
	name := lifecycle.Full(v.Name)
	if !v.populated {
		create += " WITH NO DATA"
	}
	sql := []string{
		"BEGIN", "DROP MATERIALIZED VIEW " + name, create, "ALTER MATERIALIZED VIEW " + name + " OWNER TO " + lifecycle.Ident(v.owner),
	}
	sql = append(append(sql, v.indexes...), v.grants...)
	if v.comment != "" {
		sql = append(sql, "COMMENT ON MATERIALIZED VIEW "+name+" IS "+lifecycle.Literal(v.comment))
	}
	return append(sql, "COMMIT")
}

func (p *patient) readViews(ctx context.Context) ([]*view, error) {
	var list []*view
	var v view
	err := p.each(ctx, `
SELECT n.nspname, c.relname, c.oid, c.relkind = 'm', c.relispopulated, pg_get_userbyid(c.relowner), pg_get_viewdef(c.oid),
	ARRAY(SELECT format('%s=%L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)) FROM unnest(c.reloptions) AS o)::text[],
	EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.classid = 'pg_rewrite'::regclass AND d.deptype = 'n'
		AND d.objid NOT IN (SELECT w.oid FROM pg_rewrite w WHERE w.ev_class = c.oid)),
	COALESCE(obj_description(c.oid, 'pg_class'), ''),
	ARRAY(SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i WHERE i.indrelid = c.oid)::text[],
	ARRAY(SELECT format('GRANT %s ON %I.%I TO %s%s', a.privilege_type, n.nspname, c.relname, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
			CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
		FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner)::text[]
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2`, nil,
		[]any{&v.Schema, &v.Relation, &v.oid, &v.materialized, &v.populated, &v.owner, &v.query, &v.options, &v.dependents, &v.comment, &v.indexes, &v.grants},
		func() {
			one := v
			v.options, v.indexes, v.grants = nil, nil, nil // the next row's are other arrays
			list = append(list, &one)
			p.report.Looked["views"]++
		})
	return list, err
}
