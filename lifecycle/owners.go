package lifecycle

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// readOwners finds functions of ours that run as a role which may not do what they do: it made them, and a table has another owner, or has got one
// since. And those that row-level security binds, if who reads is not bound.
//
// Without it every deletion fails (42501), and prepare, run by a superuser, says that nothing is missing: to replace a function leaves its owner.
func (r *reader) readOwners(ctx context.Context) error {
	r.d.weak = map[string]string{}
	var tables []uint32
	for _, t := range r.d.Protected() {
		tables = append(tables, t.OID)
	}
	for _, k := range r.d.Keys {
		if k.Parent.Protected != nil && k.Child.Protected == nil {
			tables = append(tables, k.Child.OID)
		}
	}
	rows, err := r.tx.Query(ctx, `
SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
	format('It runs as %s, which %s the table %s.', o.rolname, CASE WHEN c.may THEN 'sees only some rows of' ELSE 'may not change' END, c.name)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles o ON o.oid = p.proowner
CROSS JOIN LATERAL (
	SELECT format('%s.%s', s.nspname, c.relname) AS name, NOT EXISTS (
			SELECT FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS u (privilege) WHERE NOT has_table_privilege(o.oid, c.oid, u.privilege)) AS may,
		c.relrowsecurity AND NOT o.rolbypassrls AND (c.relowner <> o.oid OR c.relforcerowsecurity)
			AND (SELECT me.rolsuper OR me.rolbypassrls FROM pg_roles me WHERE me.rolname = current_user) AS bound
	FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace WHERE c.oid = ANY ($2)
) AS c
WHERE n.nspname = $1 AND p.prosecdef AND NOT o.rolsuper AND (NOT c.may OR c.bound)
ORDER BY 1, c.may DESC, c.name DESC`, house, tables)
	if err != nil {
		return err
	}
	var name, why string
	_, err = pgx.ForEachRow(rows, []any{&name, &why}, func() error { r.d.weak[name] = why; return nil })
	return err
}

// disown adds to a step what makes a function the property of whoever runs it, if its owner may not do what it does.
func (d *Database) disown(step *Step, name string) {
	if why, weak := d.weak[name]; weak {
		step.Done, step.Why = false, fmt.Sprintf("%s %s Run tombstone prepare as a superuser, or as the owner of all of the tables.", step.Why, why)
		step.SQL = append(step.SQL, "ALTER FUNCTION "+name+" OWNER TO CURRENT_USER")
	}
}

// disowned does the same for functions that are no table's.
func (d *Database) disowned() []Step {
	var steps []Step
	for _, name := range slices.Sorted(maps.Keys(d.weak)) {
		if !isOfTable(d.installed[name]) {
			step := Step{Object: "function " + name, Why: "It looks at deleted rows, or moves them."}
			d.disown(&step, name)
			steps = append(steps, step)
		}
	}
	return steps
}
