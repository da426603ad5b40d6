package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// errMoved is a restoration that somebody else was quicker with.
var errMoved = errors.New("nothing was restored: rows have changed in the meantime; try again")

// manyRows is how many rows are worth to read whole tables for.
const manyRows = 1000

// bringBack makes the rows live that are taken in, in any order: what refers to what is looked at when all are back.
func (r *restorer) bringBack(ctx context.Context) error {
	err := r.exec(ctx, "INSERT INTO tombstone.undoing VALUES (pg_catalog.pg_current_xact_id()) ON CONFLICT DO NOTHING",
		"SELECT set_config('search_path', path, true) FROM pg_temp.restoring_path") // triggers that others have made go by it
	if err != nil {
		return err
	}
	for _, t := range r.Protected() {
		var want int64
		if err := r.tx.QueryRow(ctx, "SELECT pg_catalog.count(*) FROM pg_temp.restoring WHERE relation = $1::oid AND place IS NOT NULL", t.OID).Scan(&want); err != nil {
			return err
		}
		if want == 0 {
			continue
		}
		tag, err := r.tx.Exec(ctx, fmt.Sprintf("UPDATE %s x SET %s FROM pg_temp.restoring r WHERE r.leaf = x.tableoid AND r.place = x.ctid AND %s",
			t.only(), revive(t.Protected), dead(t.Protected, "x.")))
		if err != nil {
			return err
		}
		if tag.RowsAffected() != want {
			return errMoved
		}
	}
	// Those from the archive come last: a newer tombstone that makes room takes along the tombstones that refer to its key.
	if err := r.exec(ctx, "SELECT tombstone.unarchive(ARRAY(SELECT archived FROM pg_temp.restoring WHERE archived IS NOT NULL), pg_catalog.current_setting('search_path'))"); err != nil {
		return err
	}
	if err := r.forget(ctx); err != nil {
		return err
	}
	// All are back; what is mended now may refer to a deleted row by another key, and is refused then.
	if err := r.exec(ctx, "UPDATE tombstone.undoing SET back = true WHERE by = pg_catalog.pg_current_xact_id()"); err != nil {
		return err
	}
	// Of many rows: the planner may take the tables for empty ones, and join what was cut with all that is back.
	n, err := r.size(ctx)
	if err == nil && n > manyRows {
		err = r.exec(ctx, "SET LOCAL enable_nestloop = off")
	}
	if err != nil {
		return err
	}
	for _, k := range r.Keys {
		if k.cuts() {
			if err := r.mend(ctx, k); err != nil {
				return err
			}
		}
	}
	if err := r.exec(ctx, "SET LOCAL enable_nestloop TO DEFAULT"); err != nil {
		return err
	}
	if err := r.exec(ctx, "DELETE FROM tombstone.undoing WHERE by = pg_catalog.pg_current_xact_id()"); err != nil {
		return err
	}
	for _, k := range r.Keys {
		if k.Parent.Protected != nil {
			if err := r.verify(ctx, k); err != nil {
				return err
			}
		}
	}
	return r.exec(ctx, "SET CONSTRAINTS ALL IMMEDIATE")
}

// forget deletes what was noted of rows that are back.
func (r *restorer) forget(ctx context.Context) error {
	for _, t := range r.Protected() {
		sql := "DELETE FROM tombstone.keyed k USING pg_temp.restoring r WHERE r.relation = " + regclass(t) + " AND k.relation = r.relation AND k.key = r.key"
		if r.Database.key(t) == nil { // equal rows may still be deleted: a note goes for each row that is back, of the deletion that is undone or the newest
			sql = fmt.Sprintf(`DELETE FROM tombstone.keyed k USING (
	SELECT n.ctid, n.key, row_number() OVER (PARTITION BY n.key ORDER BY
		EXISTS (SELECT FROM pg_temp.restoring r WHERE r.relation = %[1]s AND r.key = n.key AND r.deletion = n.deletion) DESC, n.at DESC) AS n
	FROM tombstone.keyed n WHERE n.relation = %[1]s) n
WHERE k.relation = %[1]s AND k.ctid = n.ctid AND n.n <= (SELECT count(*) FROM pg_temp.restoring r WHERE r.relation = %[1]s AND r.key = n.key)`, regclass(t))
		}
		if err := r.exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// mend sets references again that the deletion of restored rows has cut, in rows that are as it left them.
func (r *restorer) mend(ctx context.Context, k *ForeignKey) error {
	set, was := make([]string, len(k.SetColumns)), make([]string, len(k.SetColumns))
	for i, name := range k.SetColumns {
		set[i] = fmt.Sprintf("%s = p.%s", ident(name), ident(k.refOf(name)))
		was[i] = k.refOf(name)
	}
	cut := fmt.Sprintf(`tombstone.severed s JOIN pg_temp.restoring r ON r.relation = %s AND s.deletion = r.deletion AND s.at = r.at
JOIN %s p ON %s AND s.was = %s WHERE s.relation = %s AND s.constraint_name = %s AND NOT %s`,
		regclass(k.Parent), k.referred().only(), r.hasKey(k.Parent, "p.", "r.key"), k.Parent.texts("p.", was), regclass(k.Child), literal(k.Name), replaced(k.Child, r.identity(k.Child)))
	there := r.hasKey(k.Child, "c.", "s.key")
	if err := r.find(ctx, &r.r.Changed, k.Child, fmt.Sprintf(`SELECT pg_catalog.format('(%%s)=(%%s)', %s, pg_catalog.array_to_string(s.key, ', ', 'null')), %s FROM %s AND NOT EXISTS (SELECT FROM %s c WHERE %s AND s.became = %s)`,
		literal(strings.Join(r.identity(k.Child), ", ")), literal("its reference "+k.Name+" is not set again: the row has changed or is gone"), cut, k.Child.only(), there, k.Child.texts("c.", k.SetColumns))); err != nil {
		return err
	}
	tag, err := r.tx.Exec(ctx, fmt.Sprintf("UPDATE %s c SET %s FROM %s AND %s AND %s = s.became", k.Child.only(), strings.Join(set, ", "), cut, there, k.Child.texts("c.", k.SetColumns)))
	if err != nil {
		return err
	}
	r.r.Links += tag.RowsAffected()
	return r.exec(ctx, fmt.Sprintf("DELETE FROM tombstone.severed d USING %s AND d.ctid = s.ctid", cut))
}

// verify holds that no restored row refers to a tombstone. Whoever deletes one at the same time waits, or was first.
func (r *restorer) verify(ctx context.Context, k *ForeignKey) error {
	refers := fmt.Sprintf("%s c JOIN pg_temp.restoring r ON r.relation = %s AND %s JOIN %s p ON %s",
		k.Child.only(), regclass(k.Child), r.hasKey(k.Child, "c.", "r.key"), k.referred().only(), k.matches("p.", "c."))
	if k.Child.Protected != nil {
		refers += " WHERE " + live(k.Child.Protected, "c.")
	} else {
		refers += " WHERE true"
	}
	if err := r.exec(ctx, "SELECT FROM "+refers+" FOR KEY SHARE OF p"); err != nil {
		return err
	}
	var found bool
	if err := r.tx.QueryRow(ctx, fmt.Sprintf("SELECT EXISTS (SELECT FROM %s AND %s)", refers, dead(k.Parent.Protected, "p."))).Scan(&found); err != nil {
		return err
	}
	if found {
		return fmt.Errorf("nothing was restored: a row of %s refers to a row of %s that was deleted in the meantime", k.Child.Name, k.Parent.Name)
	}
	return nil
}
