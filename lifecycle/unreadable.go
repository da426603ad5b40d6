package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// unreadable finds what in the archive the server does not read back, after it has said so: values that were of their column's type once.
//
// Without it, who renamed a label of an enum hears that "red" is none, and neither in which row nor what to do about it.
func (d *Database) unreadable(ctx context.Context, conn *pgx.Conn, err error) []Collision {
	var why *pgconn.PgError
	if !errors.As(err, &why) || !strings.HasPrefix(why.Code, "22") {
		return nil
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	if _, err := tx.Exec(ctx, "SET LOCAL search_path = pg_catalog, pg_temp"); err != nil {
		return nil
	}
	var list []Collision
	for _, t := range d.known() {
		found, err := d.unreadableOf(ctx, tx, t, why.Message)
		if err != nil {
			return nil // then what the server has said must do
		}
		list = append(list, found...)
	}
	return list
}

// unreadableOf does so for one table. The server's message has the value in it, whatever its language: that leaves few to try.
func (d *Database) unreadableOf(ctx context.Context, tx pgx.Tx, t *Table, message string) ([]Collision, error) {
	const most = 1000
	identity := d.identity(t)
	rows, err := tx.Query(ctx, `SELECT a.id, c.key, c.value, ARRAY(SELECT COALESCE(a.row ->> k, 'null') FROM pg_catalog.unnest($1::text[]) AS k)
FROM tombstone.archive a, pg_catalog.jsonb_each_text(a.row) c
WHERE a.relation = $2::pg_catalog.oid AND c.value <> '' AND pg_catalog.strpos($3, c.value) > 0 ORDER BY a.id LIMIT $4`, identity, t.OID, message, most)
	if err != nil {
		return nil, err
	}
	type value struct {
		id           int64
		column, text string
		key          []string
	}
	values, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v value, err error) {
		err = row.Scan(&v.id, &v.column, &v.text, &v.key)
		return v, err
	})
	if err != nil {
		return nil, err
	}
	tried := map[[2]string]string{} // by column and text: what the server says
	var list []Collision
	for _, v := range values {
		if !slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Name == v.column }) {
			continue
		}
		of := [2]string{v.column, v.text}
		if _, known := tried[of]; !known {
			if tried[of], err = refusal(ctx, tx, v.text, t.typeOf(v.column)); err != nil {
				return nil, err
			}
		}
		if said := tried[of]; said != "" {
			list = append(list, Collision{
				Table: shown(t.Name), Key: fmt.Sprintf("(%s)=(%s)", strings.Join(identity, ", "), strings.Join(v.key, ", ")),
				Why: fmt.Sprintf("its %s in the archive is not one of its type any more: %s. Put the type back, or another value into the archive: UPDATE tombstone.archive SET row = jsonb_set(row, ARRAY[%s], to_jsonb('..'::text)) WHERE id = %d",
					plain(v.column), said, strings.TrimSpace(literal(v.column)), v.id),
			})
		}
	}
	return list, nil
}

// refusal is what the server says to a text as a value of a type, "" if it takes it.
func refusal(ctx context.Context, tx pgx.Tx, text, typ string) (string, error) {
	inner, err := tx.Begin(ctx) // a savepoint
	if err != nil {
		return "", err
	}
	_, err = inner.Exec(ctx, fmt.Sprintf("SELECT %s::%s", literal(text), typ))
	var e *pgconn.PgError
	if err != nil && !errors.As(err, &e) {
		return "", err
	}
	if err := inner.Rollback(ctx); err != nil || e == nil {
		return "", err
	}
	return e.Message, nil
}
