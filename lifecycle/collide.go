package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// collisions looks for what is in the way of the rows that are taken in: keys that have been used since, and rows that they refer to and
// that are not there.
func (r *restorer) collisions(ctx context.Context) error {
	for _, x := range r.Indexes {
		if err := r.used(ctx, x); err != nil {
			return err
		}
	}
	for _, t := range r.known() {
		if err := r.strange(ctx, t); err != nil {
			return err
		}
	}
	for _, k := range r.Keys {
		if err := r.absentParents(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// strange finds archived rows with a value of a column that their table does not have any more, such as one that was renamed.
//
// Without it, the value is lost with the only row that has it.
func (r *restorer) strange(ctx context.Context, t *Table) error {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = literal(c.Name)
	}
	return r.find(ctx, &r.r.Collisions, t, fmt.Sprintf(`SELECT %s, format('it has a value of column %%I, which the table does not have any more: add the column again, or take the row from tombstone.archive (id %%s)', v.key, a.id)
FROM pg_temp.restoring r JOIN tombstone.archive a ON a.id = r.archived, LATERAL jsonb_each_text(a.row) v
WHERE r.relation = %s AND v.value IS NOT NULL AND v.key <> ALL (ARRAY[%s]::text[])`, r.told(t, "r.key"), regclass(t), strings.Join(names, ", ")))
}

// told writes the identity of a row, such as (id)=(1), of an array of its values.
func (d *Database) told(t *Table, key string) string {
	return fmt.Sprintf("format('(%%s)=(%%s)', %s, array_to_string(%s, ', ', 'null'))", literal(strings.Join(d.identity(t), ", ")), key)
}

// used finds live rows that have a unique key of a row that is to be restored.
func (r *restorer) used(ctx context.Context, x *Index) error {
	t := x.Table
	// Of an expression, and of an exclusion constraint, the server says so.
	if t.Protected == nil || x.Exclusion || slices.Contains(x.Columns, "") || slices.Contains(x.Equal, "") || t.inherits {
		return nil
	}
	same := make([]string, len(x.Columns))
	for i, name := range x.Columns {
		same[i] = "p." + ident(name) + " " + x.Equal[i] + " r." + ident(name)
	}
	where := live(t.Protected, "p.")
	if x.Where != "" {
		where += fmt.Sprintf(" AND EXISTS (SELECT FROM (SELECT p.*) q WHERE %[1]s) AND EXISTS (SELECT FROM (SELECT r.*) q WHERE %[1]s)", x.Where)
	}
	return r.find(ctx, &r.r.Collisions, t, fmt.Sprintf(
		`SELECT %s, format('%%s is taken by the row %%s', %s, %s) FROM %s r, %s p WHERE %s AND %s`,
		r.told(t, `r."tombstone key"`), literal("("+strings.Join(x.Columns, ", ")+")"), r.told(t, t.texts("p.", r.identity(t))),
		r.taken(t), t.only(), strings.Join(same, " AND "), where))
}

// absentParents finds rows that refer to one that is not there, and is not restored with them.
func (r *restorer) absentParents(ctx context.Context, k *ForeignKey) error {
	given := make([]string, len(k.Columns))
	for i, name := range k.Columns {
		given[i] = "r." + ident(name) + " IS NOT NULL"
	}
	matches, there, why := k.matches("p.", "r."), "", ""
	verbatim := func(name string) string { return strings.ReplaceAll(name, "%", "%%") } // for format()
	refers := fmt.Sprintf("refers to (%s)=(%%s) of %s, which is ", verbatim(strings.Join(k.Refs, ", ")), verbatim(shown(k.Parent.Name)))
	values := fmt.Sprintf("concat_ws(', ', %s)", idents("r.", k.Columns))
	if p := k.Parent.Protected; p != nil {
		there = fmt.Sprintf("EXISTS (SELECT FROM %s p WHERE %s AND %s) OR EXISTS (SELECT FROM %s p WHERE %s)",
			k.referred().only(), matches, live(p, "p."), r.taken(k.Parent), matches)
		why = fmt.Sprintf(`CASE WHEN EXISTS (SELECT FROM %s p WHERE %s) THEN format(%s, %s, COALESCE((SELECT (tombstone.deletion_of(%s, %s, %s)).id::text FROM %s p WHERE %s LIMIT 1), '?')) ELSE format(%s, %s) END`,
			k.referred().only(), matches, literal(refers+"deleted (deletion %s): restore that first"), values,
			regclass(k.Parent), strings.Replace(instant(p), "NEW.", "p.", 1), k.Parent.texts("p.", r.identity(k.Parent)), k.referred().only(), matches,
			literal(refers+"gone"), values)
	} else {
		there = fmt.Sprintf("EXISTS (SELECT FROM %s p WHERE %s) OR EXISTS (SELECT FROM %s p WHERE %s)", k.referred().only(), matches, r.taken(k.Parent), matches)
		why = fmt.Sprintf("format(%s, %s)", literal(refers+"gone"), values)
	}
	return r.find(ctx, &r.r.Collisions, k.Child, fmt.Sprintf("SELECT %s, %s FROM %s r WHERE %s AND NOT (%s)",
		r.told(k.Child, `r."tombstone key"`), why, r.taken(k.Child), strings.Join(given, " AND "), there))
}

// find adds the rows that a query finds, each a key and a reason.
func (r *restorer) find(ctx context.Context, list *[]Collision, t *Table, query string) error {
	rows, err := r.tx.Query(ctx, query+" ORDER BY 1, 2")
	if err != nil {
		return err
	}
	c := Collision{Table: shown(t.Name)}
	_, err = pgx.ForEachRow(rows, []any{&c.Key, &c.Why}, func() error { *list = append(*list, c); return nil })
	return err
}
