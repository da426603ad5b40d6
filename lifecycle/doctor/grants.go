package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tombstone/lifecycle"
)

// grants looks for roles that may DELETE through a view that shows the marker, and have not the rights for what becomes of it: UPDATE of the
// marker and the audit columns, and SELECT of the marker. Rights by column, by PUBLIC and by membership count. Those on tables
// lifecycle.Prepare sees to.
//
// Without it, the application's DELETE from the view is refused (42501) from the first day on.
func (p *patient) grants(ctx context.Context) error {
	var oid uint32
	var role string
	var wants, has []string
	var sees bool
	for _, r := range p.relations {
		if !r.View() || r.Ordinal < 0 || r.Problem != "" || !r.granted {
			continue
		}
		wants = r.columns()
		err := p.each(ctx, `
SELECT c.oid, CASE a.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(a.grantee) END,
	ARRAY(SELECT col FROM unnest($2::text[]) AS col
		WHERE has_column_privilege((CASE a.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(a.grantee) END)::name, c.oid, col, 'UPDATE'))::text[],
	has_column_privilege((CASE a.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(a.grantee) END)::name, c.oid, $2[1], 'SELECT')
FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE c.oid = $1 AND a.privilege_type = 'DELETE' AND a.grantee <> c.relowner AND NOT COALESCE(r.rolsuper, false)
GROUP BY c.oid, a.grantee ORDER BY 2`, []any{r.oid, wants}, []any{&oid, &role, &has, &sees}, func() {
			lacks, right := r.lacks(has, sees)
			has = nil
			if right == "" {
				return
			}
			p.find(Finding{
				Severity: Error, Check: "missing-grant", Object: r.object(),
				Why: fmt.Sprintf("%s may DELETE, and has not the right to %s: marking a row is refused (42501).", roleName(role), lacks),
				SQL: []string{fmt.Sprintf("GRANT %s ON %s TO %s", right, r.full(), roleName(role))},
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func roleName(role string) string {
	if role == "public" { // no role can have that name
		return "PUBLIC"
	}
	return lifecycle.Ident(role)
}

// lacks says in words and as GRANT has it which rights are missing, "" for none.
func (r *relation) lacks(has []string, sees bool) (words, right string) {
	var missing []string
	for _, c := range r.columns() {
		if !slices.Contains(has, c) {
			missing = append(missing, c)
		}
	}
	var list, rights []string
	if len(missing) > 0 {
		list = append(list, "UPDATE "+strings.Join(missing, ", "))
		rights = append(rights, "UPDATE ("+idents(missing)+")")
	}
	if !sees {
		list = append(list, "SELECT "+r.Marker)
		rights = append(rights, "SELECT ("+idents([]string{r.Marker})+")")
	}
	return strings.Join(list, " and "), strings.Join(rights, ", ")
}
