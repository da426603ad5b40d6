package purge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"tombstone/lifecycle"
	"tombstone/policy/catalog"
)

// eraser is an Erase at work, in its transaction.
type eraser struct {
	*graph
	d        *lifecycle.Database
	tx       pgx.Tx
	o        EraseOptions
	out      *Erased
	where    string
	rows     map[place]bool // that go, all of them locked
	archived map[int64]bool // those of tombstone.archive
	against  []string       // what speaks against it
}

// collect finds all that has to go: the rows that are meant, and what refers to them.
func (e *eraser) collect(ctx context.Context, t *grave) error {
	var frontier []place
	live := 0
	for _, l := range t.leaves {
		if err := e.hold(ctx, l); err != nil {
			return err
		}
		rows, err := e.tx.Query(ctx, fmt.Sprintf("SELECT %sctid, %s FROM %s WHERE %s%s", l.alias(), dead(l.Table, l.alias()), l.from(l.alias()), e.where, e.locking(ident(t.Relation))))
		if err != nil {
			return err
		}
		one := place{leaf: l.oid}
		var isDead bool
		if _, err := pgx.ForEachRow(rows, []any{&one.tid, &isDead}, func() error {
			frontier = append(frontier, one)
			if !isDead {
				live++
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if live > 0 && !e.o.Live {
		e.refuse(int64(live), "%d live row%s of %s: delete them first, or add --live", t.Name)
	}
	ids, err := e.copies(ctx, t)
	if err != nil {
		return err
	}
	if len(frontier)+len(ids) == 0 {
		return ErrNothing
	}
	for len(frontier)+len(ids) > 0 {
		for _, one := range frontier {
			e.rows[one] = true
		}
		for _, id := range ids {
			e.archived[id] = true
		}
		if frontier, ids, err = e.referrers(ctx, frontier, ids); err != nil {
			return err
		}
	}
	if err := e.holds(ctx); err != nil {
		return err
	}
	if len(e.against) > 0 {
		slices.Sort(e.against)
		return &Refused{slices.Compact(e.against)}
	}
	return nil
}

func (e *eraser) refuse(n int64, format string, values ...any) {
	s := "s"
	if n == 1 {
		s = ""
	}
	e.against = append(e.against, fmt.Sprintf(format, append([]any{n, s}, values...)...))
}

// locking ends a query of rows that are to go.
func (e *eraser) locking(alias string) string {
	if e.o.Dry {
		return ""
	}
	return " FOR UPDATE OF " + alias
}

// hold keeps the foreign keys to a leaf as they are.
func (e *eraser) hold(ctx context.Context, l *leaf) error {
	if e.o.Dry {
		return nil
	}
	var do pgx.Batch
	l.hold(&do)
	return e.tx.SendBatch(ctx, &do).Close()
}

// copies lists the archived rows that are meant.
func (e *eraser) copies(ctx context.Context, t *grave) ([]int64, error) {
	if !e.has["archive"] {
		return nil, nil
	}
	rows, err := e.tx.Query(ctx, fmt.Sprintf("SELECT a.id FROM tombstone.archive a WHERE a.relation = %s AND (SELECT %s FROM %s)%s",
		t.rule.relation(), e.where, shape("a.", t.Columns, ident(t.Relation)), e.locking("a")))
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		err = fmt.Errorf("rows of %s in tombstone.archive: %w", t.Name, err)
	}
	return ids, err
}

// referrers finds what refers to rows that go, and is not known to go itself: the tombstones among it go, too, if they may.
func (e *eraser) referrers(ctx context.Context, rows []place, ids []int64) (more []place, moreIDs []int64, err error) {
	for oid, tids := range split(rows) {
		l := e.leaves[oid]
		for _, k := range l.refs {
			found, err := e.referring(ctx, l, k, tids)
			if err != nil {
				return nil, nil, err
			}
			more = append(more, found...)
			archived, err := e.archivedReferrers(ctx, k, fmt.Sprintf("%s p WHERE p.ctid = ANY ($1)", "ONLY "+full(l.name)), tids)
			if err != nil {
				return nil, nil, err
			}
			moreIDs = append(moreIDs, archived...)
		}
	}
	if len(ids) > 0 {
		for _, t := range e.tables {
			for _, k := range t.refs {
				archived, err := e.archivedReferrers(ctx, k, fmt.Sprintf("tombstone.archive b CROSS JOIN LATERAL %s WHERE b.relation = %s AND b.id = ANY ($1)", shape("b.", t.Columns, "p."), t.rule.relation()), ids)
				if err != nil {
					return nil, nil, err
				}
				moreIDs = append(moreIDs, archived...)
			}
		}
	}
	return more, moreIDs, nil
}

// referring finds rows of tables that refer to rows of a leaf by a key.
func (e *eraser) referring(ctx context.Context, l *leaf, k *reference, tids []pgtype.TID) ([]place, error) {
	isDead := "false"
	if c := k.Child.Protected; c != nil && !c.Unmarked && !c.Unreadable {
		isDead = dead(c, referrer)
	}
	rows, err := e.tx.Query(ctx, fmt.Sprintf("SELECT DISTINCT %[1]stableoid, %[1]sctid, %[2]s FROM %[3]s JOIN %[4]s ON %[5]s WHERE %[6]sctid = ANY ($1)",
		referrer, isDead, l.from(referred), k.rows(referrer), l.refer(k, referred, referrer), referred), tids)
	if err != nil {
		return nil, err
	}
	var found []place
	var one place
	var ok bool
	var live int64
	if _, err := pgx.ForEachRow(rows, []any{&one.leaf, &one.tid, &ok}, func() error {
		switch {
		case e.rows[one]:
		case ok && e.leaves[one.leaf] != nil:
			found = append(found, one)
		default:
			live++
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if live > 0 {
		e.refuse(live, "%d live row%s of %s still refer to %s (%s): delete or change them first", k.Child.Name, l.of.Name, k.Name)
	}
	if len(found) == 0 {
		return nil, nil
	}
	if !e.o.Cascade {
		e.refuse(int64(len(found)), "%d deleted row%s of %s still refer to %s (%s): add --cascade to erase them, too", k.Child.Name, l.of.Name, k.Name)
		return nil, nil
	}
	if e.o.Dry {
		return found, nil
	}
	var locked []place
	for oid, tids := range split(found) {
		c := e.leaves[oid]
		if err := e.hold(ctx, c); err != nil {
			return nil, err
		}
		rows, err := e.tx.Query(ctx, fmt.Sprintf("SELECT %[1]sctid FROM %[2]s WHERE %[1]sctid = ANY ($1) AND %[3]s%[4]s", c.alias(), c.from(c.alias()), dead(c.Table, c.alias()), e.locking(ident(c.of.Relation))), tids)
		if err != nil {
			return nil, err
		}
		got, err := pgx.CollectRows(rows, pgx.RowTo[pgtype.TID])
		if err != nil {
			return nil, err
		}
		for _, tid := range got {
			locked = append(locked, place{oid, tid})
		}
	}
	return locked, nil // one that is missing has changed, which the verification sees
}

// archivedReferrers finds archived rows that refer to rows p by a key. A table that is gone by now, or was never joined, has none.
func (e *eraser) archivedReferrers(ctx context.Context, k *reference, from string, of any) ([]int64, error) {
	if !e.has["archive"] || len(k.Child.Columns) == 0 {
		return nil, nil
	}
	name := k.Child.Name
	if k.rule != nil {
		name = k.rule.root
	}
	item, where, _ := strings.Cut(from, " WHERE ")
	rows, err := e.tx.Query(ctx, fmt.Sprintf("SELECT DISTINCT a.id FROM %s, tombstone.archive a CROSS JOIN LATERAL %s WHERE %s AND a.relation = %s::pg_catalog.regclass AND %s",
		item, shape("a.", k.Child.Columns, "c."), where, literal(full(name)), k.Matches("p.", "c.")), of)
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("rows of %s in tombstone.archive: %w", name, err)
	}
	ids = slices.DeleteFunc(ids, func(id int64) bool { return e.archived[id] })
	if len(ids) > 0 && !e.o.Cascade {
		e.refuse(int64(len(ids)), "%d archived row%s of %s referred to %s (%s): add --cascade to erase them, too", name, k.Parent.Name, k.Name)
		return nil, nil
	}
	return ids, nil
}

// holds says which of the rows are held.
func (e *eraser) holds(ctx context.Context) error {
	if e.o.DespiteHold {
		return nil
	}
	held := map[string]int64{}
	count := func(t *grave, sql string, of any) error {
		var n int64
		if err := e.tx.QueryRow(ctx, sql, of).Scan(&n); err != nil {
			return fmt.Errorf("%s: hold: %w", t.Name, err)
		}
		held[t.Name.String()] += n
		return nil
	}
	for oid, tids := range split(slices.Collect(maps.Keys(e.rows))) {
		if l := e.leaves[oid]; l.Hold != "" {
			if err := count(l.of, fmt.Sprintf("SELECT pg_catalog.count(*) FROM %s WHERE %sctid = ANY ($1) AND (%s) IS NOT FALSE", l.from(l.alias()), l.alias(), l.Hold), tids); err != nil {
				return err
			}
		}
	}
	for _, t := range e.tables {
		if l := t.rule; l.Hold != "" && len(e.archived) > 0 {
			if err := count(t, fmt.Sprintf("SELECT pg_catalog.count(*) FROM tombstone.archive a WHERE a.relation = %s AND a.id = ANY ($1) AND (SELECT (%s) FROM %s) IS NOT FALSE",
				l.relation(), l.Hold, shape("a.", t.Columns, ident(t.Relation))), slices.Collect(maps.Keys(e.archived))); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(held)) {
		if held[name] > 0 {
			e.refuse(held[name], "%d row%s of %s held: add --despite-hold if that is lawful", name)
		}
	}
	return nil
}

// all erases what was collected.
func (e *eraser) all(ctx context.Context) error {
	s := &linked{rows: maps.Clone(e.rows), up: map[place][]place{}}
	if e.o.Dry {
		return e.list(ctx, s)
	}
	if err := e.verify(ctx, e.tx, s); err != nil {
		return err
	}
	if len(s.rows) != len(e.rows) {
		return errors.New("somebody has begun to refer to one of the rows, or changed one; run it again")
	}
	if len(s.rows) > 0 {
		gone, err := e.delete(ctx, e.tx, s.leaves(e.leaves), func(*leaf) string { return "true" })
		if err != nil {
			return err
		}
		if len(gone) != len(s.rows) {
			return fmt.Errorf("%d of %d rows went; something keeps the others, such as a trigger", len(gone), len(s.rows))
		}
		for _, row := range gone {
			e.out.count(e.leaves[row.leaf].of.Name.String(), row.key, false)
		}
	}
	return e.wipe(ctx)
}

// list counts what would go.
func (e *eraser) list(ctx context.Context, s *linked) error {
	for l, tids := range s.leaves(e.leaves) {
		rows, err := e.tx.Query(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %sctid = ANY ($1)", l.texts(l.alias(), l.identity), l.from(l.alias()), l.alias()), tids)
		if err != nil {
			return err
		}
		var key []string
		if _, err := pgx.ForEachRow(rows, []any{&key}, func() error { e.out.count(l.of.Name.String(), key, false); return nil }); err != nil {
			return err
		}
	}
	return e.wipe(ctx)
}

// wipe erases the archived rows, and what is known of them.
func (e *eraser) wipe(ctx context.Context) error {
	if len(e.archived) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(e.archived))
	for _, t := range e.tables {
		if parts := e.forgetArchived(t, "gone"); len(parts) > 0 && !e.o.Dry {
			if _, err := e.tx.Exec(ctx, fmt.Sprintf("WITH gone AS MATERIALIZED (SELECT %s FROM tombstone.archive a WHERE a.relation = %s AND a.id = ANY ($1)), %s SELECT",
				e.archivedRow(t), t.rule.relation(), strings.Join(parts, ", ")), ids); err != nil {
				return err
			}
		}
	}
	list, err := e.tx.Query(ctx, "SELECT COALESCE(n.nspname, ''), COALESCE(c.relname, a.relation::text), a.row FROM tombstone.archive a LEFT JOIN pg_catalog.pg_class c ON c.oid = a.relation LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE a.id = ANY ($1) ORDER BY a.id", ids)
	if err != nil {
		return err
	}
	var name catalog.Name
	var row map[string]*string
	if _, err := pgx.ForEachRow(list, []any{&name.Schema, &name.Relation, &row}, func() error {
		var key []string
		if t := e.d.Table(name); t != nil {
			for _, column := range e.d.Identity(t) {
				if v := row[column]; v != nil {
					key = append(key, *v)
				}
			}
		}
		e.out.count(strings.TrimPrefix(name.String(), "."), key, true) // a table that has been dropped since is a number
		row = nil
		return nil
	}); err != nil || e.o.Dry {
		return err
	}
	_, err = e.tx.Exec(ctx, "DELETE FROM tombstone.archive a WHERE a.id = ANY ($1)", ids)
	return err
}
