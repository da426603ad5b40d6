package lifecycle

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tombstone/policy"
)

// grant is what a role lacks to do through the proxy what it may do to a table.
type grant struct {
	role   string // "" is PUBLIC
	update bool   // it may DELETE or TRUNCATE, and not set the columns of a deletion
	read   bool   // it may read or change columns, and not read the marker
}

// columns lists those that a deletion sets.
func deletionColumns(p *policy.Table) []string {
	list := []string{p.Marker}
	for _, a := range p.Audit {
		list = append(list, a.Column)
	}
	return list
}

// readGrants finds roles that have privileges on a protected table, but not those that hiding and burying take. The owner has all.
func (r *reader) readGrants(ctx context.Context) error {
	for _, t := range r.d.Protected() {
		rows, err := r.tx.Query(ctx, `
WITH held AS (
	SELECT a.grantee, a.privilege_type AS privilege, NULL::name AS "column" FROM pg_class c, LATERAL aclexplode(c.relacl) a WHERE c.oid = $1
	UNION ALL
	SELECT a.grantee, a.privilege_type, t.attname FROM pg_attribute t, LATERAL aclexplode(t.attacl) a WHERE t.attrelid = $1 AND t.attnum > 0 AND NOT t.attisdropped
), needs AS (
	SELECT grantee,
		bool_or(privilege IN ('DELETE', 'TRUNCATE')) AND EXISTS (SELECT FROM unnest($2::name[]) AS n (name) WHERE NOT EXISTS (SELECT FROM held h
			WHERE h.grantee IN (0, held.grantee) AND h.privilege = 'UPDATE' AND (h."column" IS NULL OR h."column" = n.name))) AS "update",
		bool_or(privilege IN ('DELETE', 'TRUNCATE', 'UPDATE', 'SELECT')) AND NOT EXISTS (SELECT FROM held h
			WHERE h.grantee IN (0, held.grantee) AND h.privilege = 'SELECT' AND (h."column" IS NULL OR h."column" = $3)) AS read
	FROM held WHERE grantee <> (SELECT relowner FROM pg_class WHERE oid = $1) GROUP BY grantee
)
SELECT COALESCE((SELECT rolname FROM pg_roles WHERE oid = grantee), ''), "update", read FROM needs WHERE "update" OR read ORDER BY 1`,
			t.OID, deletionColumns(t.Protected), t.Protected.Marker)
		if err != nil {
			return err
		}
		var g grant
		if _, err := pgx.ForEachRow(rows, []any{&g.role, &g.update, &g.read}, func() error { t.grants = append(t.grants, g); return nil }); err != nil {
			return err
		}
	}
	return nil
}

// grant lets roles bury who could delete, and read who could read.
func (t *Table) grant() []Step {
	var steps []Step
	for _, g := range t.grants {
		who := "PUBLIC"
		if g.role != "" {
			who = ident(g.role)
		}
		var privileges, why []string
		if g.update {
			privileges = append(privileges, "UPDATE ("+idents("", deletionColumns(t.Protected))+")")
			why = append(why, "could DELETE, and would be refused now that a DELETE is an UPDATE (42501).")
		}
		if g.read {
			privileges = append(privileges, "SELECT ("+ident(t.Protected.Marker)+")")
			why = append(why, "could use some columns, and would be refused now that the marker is looked at (42501).")
		}
		steps = append(steps, Step{
			Object: "table " + t.Name.String(), Check: "missing-grant", Why: who + " " + strings.Join(why, " It "),
			SQL: []string{fmt.Sprintf("GRANT %s ON %s TO %s", strings.Join(privileges, ", "), full(t.Name), who)},
		})
	}
	return steps
}
