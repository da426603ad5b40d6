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

// rowPolicy is a policy of row-level security.
type rowPolicy struct {
	oid, relation uint32
	table         catalog.Name
	name          string
	command       string // pg_policy.polcmd: r, a, w, d, * for all
	permissive    bool
	roles         string // as after TO
	using, check  string
}

func (r *rowPolicy) object() string { return fmt.Sprintf("policy %s on %s", r.name, r.table) }

func (r *rowPolicy) speaksOf(commands string) bool { return strings.Contains(commands, r.command) }

// rowSecurity looks at row-level security: a deletion is an UPDATE, and the row as it is afterwards has to pass as well.
func (p *patient) rowSecurity(ctx context.Context) error {
	var list []*rowPolicy
	var r rowPolicy
	err := p.each(ctx, `
SELECT pol.oid, pol.polrelid, n.nspname, c.relname, pol.polname, pol.polcmd, pol.polpermissive,
	(SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', ') FROM unnest(pol.polroles) AS role),
	COALESCE(pg_get_expr(pol.polqual, pol.polrelid), ''), COALESCE(pg_get_expr(pol.polwithcheck, pol.polrelid), '')
FROM pg_policy pol JOIN pg_class c ON c.oid = pol.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY 3, 4, 5`, nil,
		[]any{&r.oid, &r.relation, &r.table.Schema, &r.table.Relation, &r.name, (*char)(&r.command), &r.permissive, &r.roles, &r.using, &r.check},
		func() { one := r; list = append(list, &one) })
	if err != nil {
		return err
	}
	p.policyReads(list)
	for _, r := range list {
		if on := p.relation(r.relation); on != nil && on.rowSecurity && on.Ordinal >= 0 {
			p.testsMarker(r, on)
		}
	}
	if err := p.refusesMarking(ctx, list); err != nil {
		return err
	}
	return p.bindsTriggers(ctx)
}

// testsMarker is about a policy that hides tombstones. What SELECT lets see has to hold for the row after an UPDATE as well, so that no role
// under it can mark a row (42501); nor is there anything to restore for it.
func (p *patient) testsMarker(r *rowPolicy, on *relation) {
	if !r.speaksOf("rw*") || !rewrite.Names(r.using, on.Marker) && !rewrite.Names(r.check, on.Marker) {
		return
	}
	f := Finding{
		Severity: Error, Check: "policy-tests-marker", Object: r.object(),
		Why:    fmt.Sprintf("It looks at the marker %s. A row that is marked does not pass it any more, so the server refuses to mark it (42501), and to restore it; the proxy hides tombstones without it.", on.Marker),
		Advice: "Take the marker out of its conditions.",
	}
	sql := "ALTER POLICY " + lifecycle.Ident(r.name) + " ON " + on.full()
	for _, part := range []struct{ clause, expr string }{{"USING", r.using}, {"WITH CHECK", r.check}} {
		if part.expr == "" || !rewrite.Names(part.expr, on.Marker) {
			continue
		}
		rest, ok := rewrite.WithoutLive(on.Table, part.expr)
		if !ok || rewrite.Names(rest, on.Marker) {
			p.find(f)
			return
		}
		sql += " " + part.clause + " (" + rest + ")"
	}
	f.SQL = []string{sql}
	p.find(f)
}

// refusesMarking is about roles whose policies let them DELETE rows and do not let them UPDATE the same rows.
//
// Without it, DELETE FROM notes of a role with a policy FOR DELETE alone says DELETE 0, and the row stays.
func (p *patient) refusesMarking(ctx context.Context, list []*rowPolicy) error {
	byOID := map[uint32]*rowPolicy{}
	for _, r := range list {
		byOID[r.oid] = r
	}
	told := map[*rowPolicy]bool{}
	var table uint32
	var role string
	var oids []uint32
	return p.each(ctx, `
SELECT c.oid, COALESCE(r.rolname, 'PUBLIC'), ARRAY(SELECT pol.oid FROM pg_policy pol WHERE pol.polrelid = c.oid AND (0 = ANY (pol.polroles)
	OR EXISTS (SELECT FROM unnest(pol.polroles) AS x WHERE r.oid IS NOT NULL AND x <> 0 AND pg_has_role(r.oid, x, 'USAGE'))))
FROM pg_class c CROSS JOIN LATERAL aclexplode(COALESCE(c.relacl, acldefault('r', c.relowner))) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE c.oid = ANY ($1) AND c.relrowsecurity AND a.privilege_type = 'DELETE' AND NOT COALESCE(r.rolsuper OR r.rolbypassrls, false)
	AND (a.grantee <> c.relowner OR c.relforcerowsecurity)
ORDER BY 1, 2`, []any{p.oids()}, []any{&table, &role, &oids}, func() {
		on := p.relation(table)
		var deletes, updates []*rowPolicy
		for _, oid := range oids {
			switch r := byOID[oid]; {
			case r == nil || !r.permissive || on.Ordinal < 0:
			case r.command == "d":
				deletes = append(deletes, r)
			case r.speaksOf("w*"):
				updates = append(updates, r)
			}
		}
		oids = nil
		for _, d := range deletes {
			rows, _ := rewrite.WithoutLive(on.Table, d.using)
			same := func(u *rowPolicy) bool {
				return covers(u.using, rows) && (u.check == "" || covers(u.check, rows))
			}
			if told[d] || slices.ContainsFunc(updates, same) {
				continue
			}
			told[d] = true
			name := lifecycle.Named(d.name, "mark")
			p.find(Finding{
				Severity: Error, Check: "policy-refuses-marking", Object: d.object(),
				Why: fmt.Sprintf("It lets %s DELETE rows, and no policy lets it UPDATE the same rows: they are not marked, and the answer is DELETE 0.", role),
				SQL: []string{fmt.Sprintf("CREATE POLICY %s ON %s FOR UPDATE TO %s USING (%s) WITH CHECK (%s)", lifecycle.Ident(name), on.full(), d.roles, rows, rows)},
			})
		}
	})
}

// covers reports whether a condition surely holds for the rows of another.
func covers(condition, rows string) bool {
	bare := func(s string) string { return strings.NewReplacer("(", "", ")", "", " ", "").Replace(s) }
	return condition == "true" || bare(condition) == bare(rows)
}

// bindsTriggers is about the functions of the database's half: they run as who made them, and that role may see only a part of the rows.
//
// Without it, deleting a customer leaves the orders that the owner of the functions does not see.
func (p *patient) bindsTriggers(ctx context.Context) error {
	var owner, force string
	var oid uint32
	return p.each(ctx, `
SELECT DISTINCT c.oid, r.rolname, CASE WHEN c.relowner = r.oid THEN 'forced' ELSE '' END
FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace AND n.nspname = 'tombstone' JOIN pg_roles r ON r.oid = f.proowner
CROSS JOIN pg_class c
WHERE f.prosecdef AND c.oid = ANY ($1) AND c.relrowsecurity AND NOT r.rolsuper AND NOT r.rolbypassrls AND (c.relowner <> r.oid OR c.relforcerowsecurity)
ORDER BY 1, 2`, []any{p.oids()}, []any{&oid, &owner, &force}, func() {
		on := p.relation(oid)
		f := Finding{
			Severity: Warning, Check: "policy-binds-triggers", Object: on.object(),
			Why:    fmt.Sprintf("The functions of the database's half run as %s, which sees no more of the table than row-level security lets it: foreign keys are followed to those rows only.", owner),
			Advice: "Run tombstone prepare as a role with BYPASSRLS, or give it to that one: ALTER ROLE " + lifecycle.Ident(owner) + " BYPASSRLS.",
		}
		p.find(f)
	})
}
