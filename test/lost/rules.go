package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// rules looks for what must not be there, whatever has happened: each query finds what is wrong.
func (r *round) rules(ctx context.Context, bad func(string, ...any)) error {
	for _, q := range queries {
		rows, err := r.db.Query(ctx, q.sql)
		if err != nil {
			return fmt.Errorf("%s: %w", q.about, err)
		}
		list, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("%s: %w", q.about, err)
		}
		for _, found := range list {
			bad("%s: %s", q.about, found)
		}
	}
	return nil
}

var queries = func() (list []struct{ about, sql string }) {
	add := func(about, sql string, values ...any) {
		list = append(list, struct{ about, sql string }{about, fmt.Sprintf(sql, values...)})
	}
	for _, t := range tables {
		for _, r := range t.refs {
			to := called(r.to)
			var same, given []string
			for i, name := range r.columns {
				same = append(same, fmt.Sprintf("p.%s = x.%s", r.refs[i], name))
				given = append(given, "x."+name+" IS NOT NULL")
			}
			add("a live row of "+t.name+" refers to no live row of "+r.to, "SELECT to_jsonb(x)::text FROM %s x WHERE %s AND %s AND NOT EXISTS (SELECT FROM %s p WHERE %s AND %s)",
				t.name, t.live("x"), strings.Join(given, " AND "), r.to, strings.Join(same, " AND "), to.live("p"))
		}
		unique := []string{strings.Join(t.keyNames(), ", ")}
		if t.unique != "" {
			unique = append(unique, t.unique)
		}
		for _, key := range unique {
			add("two live rows of "+t.name+" have the same "+key, "SELECT concat_ws(', ', %s) FROM %s x WHERE %s AND (%s) IS NOT NULL GROUP BY %s HAVING count(*) > 1", key, t.name, t.live("x"), key, key)
		}
	}
	add("a deletion is recorded twice", "SELECT id::text FROM tombstone.deletions GROUP BY id HAVING count(*) > 1")
	add("tombstone.keyed has a row of no deletion", "SELECT to_jsonb(k)::text FROM tombstone.keyed k WHERE NOT EXISTS (SELECT FROM tombstone.deletions d WHERE d.id = k.deletion AND d.at = k.at)")
	add("tombstone.severed has a row of no deletion", "SELECT to_jsonb(k)::text FROM tombstone.severed k WHERE NOT EXISTS (SELECT FROM tombstone.deletions d WHERE d.id = k.deletion AND d.at = k.at)")
	add("tombstone.undoing is not empty", "SELECT by::text FROM tombstone.undoing")
	return list
}()

// receipts holds that as many rows are gone as the receipts say, no matter when purges were killed.
func (r *round) receipts(ctx context.Context, bad func(string, ...any)) error {
	rows, err := r.db.Query(ctx, "SELECT replace(t ->> 'name', 'public.', ''), sum((t ->> 'purged')::bigint)::bigint FROM tombstone.receipts c, jsonb_array_elements(c.tables) t GROUP BY 1")
	if err != nil {
		return err
	}
	said := map[string]int64{}
	var name string
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&name, &n}, func() error { said[name] = n; return nil }); err != nil {
		return err
	}
	for _, t := range tables {
		if said[t.name] != r.book.purged[t.name] {
			bad("%d rows of %s have been purged, and the receipts say %d", r.book.purged[t.name], t.name, said[t.name])
		}
	}
	return nil
}
