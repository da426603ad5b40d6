package purge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tombstone/lifecycle"
)

// archive purges what was moved to tombstone.archive from the tables of a group: by the retention and the hold of the table that the row was in.
func (p *purger) archive(ctx context.Context, g *group) error {
	for _, t := range g.tables {
		if !p.has["archive"] || t.rule.cutoff.IsZero() {
			continue
		}
		if err := p.unarchived(ctx, t); fatal(ctx, err) {
			return err
		} else if err != nil {
			p.problem(fmt.Errorf("%s in tombstone.archive: %w", t.Name, err))
		}
	}
	return nil
}

// past writes the condition that an archived row a has had its time.
func (r *rule) past() string {
	if r.cutoff.IsZero() {
		return "false"
	}
	return "COALESCE(a.at, a.archived) < " + instantOf(r.cutoff)
}

// hold writes whether an archived row a is held, "" if none is. It is a query of its own, so that a name in it is the row's rather than the archive's.
func (t *grave) hold() string {
	if t.rule.Hold == "" {
		return ""
	}
	return fmt.Sprintf("(SELECT (%s) FROM %s)", t.rule.Hold, shape("a.", t.Columns, ident(t.Relation)))
}

// free writes the condition that no hold is on an archived row a.
func (t *grave) free() string {
	if hold := t.hold(); hold != "" {
		return hold + " IS FALSE"
	}
	return "true"
}

// unarchived purges the archived rows of a table.
func (p *purger) unarchived(ctx context.Context, t *grave) error {
	l := t.rule
	free, hold := t.free(), t.hold()
	from := fmt.Sprintf("FROM tombstone.archive a WHERE a.relation = %s AND %s", l.relation(), l.past())
	i := slices.IndexFunc(p.out.Tables, func(one *PurgedTable) bool { return !one.leaf && one.Name == t.Name.String() })
	if i < 0 { // each partition has a retention of its own
		i = len(p.out.Tables)
		p.out.Tables = append(p.out.Tables, &PurgedTable{Name: t.Name.String(), Retention: l.Retention.Seconds(), Before: l.cutoff})
	}
	account := p.out.Tables[i]
	forget := ""
	for _, part := range p.forgetArchived(t, "gone") {
		forget += ", " + part
	}
	out := "a.id, " + p.archivedRow(t)
	if err := p.sweep(ctx, account, func(last int64) string {
		return fmt.Sprintf("%s AND %s%s AND a.id > %d ORDER BY a.id LIMIT %d", from, free, p.loose("a."), last, p.pace.size)
	}, out, forget); err != nil {
		return err
	}
	if hold != "" {
		if err := p.tally(ctx, account, fmt.Sprintf("SELECT CASE WHEN %[1]s IS NULL THEN 'undecided' ELSE 'held' END, '', pg_catalog.count(*), pg_catalog.min(COALESCE(a.at, a.archived)) %[2]s AND %[1]s IS NOT FALSE GROUP BY 1 ORDER BY 1",
			hold, from)); err != nil {
			return err
		}
	}
	if !p.bound {
		return nil
	}
	return p.tally(ctx, account, fmt.Sprintf("SELECT 'kept', s.by, pg_catalog.count(*), pg_catalog.min(COALESCE(a.at, a.archived)) %s AND %s GROUP BY s.by ORDER BY s.by",
		strings.Replace(from, " WHERE ", " JOIN pg_temp.tombstone_bound s ON s.id = a.id WHERE ", 1), free))
}

// tally counts archived rows that stay: why, by which table, how many and since when.
func (p *purger) tally(ctx context.Context, account *PurgedTable, sql string) error {
	rows, err := p.conn.Query(ctx, sql, pgx.QueryExecModeExec)
	if err != nil {
		return err
	}
	var why Kept
	var oldest *time.Time
	_, err = pgx.ForEachRow(rows, []any{&why.Reason, &why.By, &why.Count, &oldest}, func() error {
		account.keep(why, oldest)
		return nil
	})
	return err
}

// archivedRow writes what forgetArchived has to know of a row a of tombstone.archive.
func (g *graph) archivedRow(t *grave) string {
	fields := func(names []string) string {
		list := make([]string, len(names))
		for i, name := range names {
			list[i] = "COALESCE(a.row ->> " + literal(name) + ", '')" // a column may have another name by now
		}
		return "ARRAY[" + strings.Join(list, ", ") + "]"
	}
	text := fields(t.identity) + " AS key, COALESCE(a.at, a.archived) AS at, a.deletion"
	for i, k := range t.refs {
		if g.severs(k) {
			was := make([]string, len(k.SetColumns))
			for j, name := range k.SetColumns {
				was[j] = k.RefOf(name)
			}
			text += fmt.Sprintf(", %s AS was%d", fields(was), i)
		}
	}
	return text
}

// forgetArchived is forget for archived rows. Another row may have the key by now, and what is known of that stays.
func (g *graph) forgetArchived(t *grave, from string) []string {
	var parts []string
	if g.has["keyed"] {
		parts = append(parts, fmt.Sprintf("keyed AS (DELETE FROM tombstone.keyed k USING %s g WHERE k.relation = %s AND k.key = g.key AND k.deletion = g.deletion AND k.at = g.at)", from, t.rule.relation()))
	}
	if g.has["severed"] {
		parts = append(parts, fmt.Sprintf("severed AS (DELETE FROM tombstone.severed s USING %s g WHERE s.relation = %s AND s.key = g.key AND s.at <= g.at)", from, t.rule.relation()))
	}
	for i, k := range t.refs {
		if g.severs(k) {
			parts = append(parts, fmt.Sprintf("was%d AS (DELETE FROM tombstone.severed s USING %s g WHERE s.relation = %s::pg_catalog.regclass AND s.constraint_name = %s AND s.was = g.was%d AND s.deletion = g.deletion AND s.at = g.at)",
				i, from, literal(full(k.Child.Name)), literal(k.Name), i))
		}
	}
	return parts
}

// sweep purges archived rows in batches. from ends with what finds the next ones after an id.
func (p *purger) sweep(ctx context.Context, account *PurgedTable, from func(last int64) string, out, forget string) error {
	for last := int64(0); ; {
		if err := p.rest(ctx, 0); err != nil {
			return err
		}
		sql := fmt.Sprintf("WITH gone AS MATERIALIZED (SELECT %s %s), noted AS (INSERT INTO pg_temp.tombstone_gone SELECT id FROM gone) SELECT id, key, at FROM gone", out, from(last))
		if !p.dry {
			sql = fmt.Sprintf("WITH old AS MATERIALIZED (SELECT %s %s FOR UPDATE OF a SKIP LOCKED), gone AS (DELETE FROM tombstone.archive r USING old WHERE r.id = old.id RETURNING old.*)%s SELECT id, key, at FROM gone ORDER BY id",
				out, from(last), forget)
		}
		n := 0
		err := p.patiently(ctx, p.pace.size, func() error {
			return p.transaction(ctx, func(tx pgx.Tx) error {
				n = 0
				rows, err := tx.Query(ctx, sql, pgx.QueryExecModeExec)
				if err != nil {
					return err
				}
				var id int64
				var row gone
				if _, err := pgx.ForEachRow(rows, []any{&id, &row.key, &row.at}, func() error {
					n++
					last = max(last, id)
					account.count(row)
					account.Archived++
					row.at = nil
					return nil
				}); err != nil || n == 0 || p.dry || !p.has["receipts"] {
					return err
				}
				return p.out.write(ctx, tx, "purge")
			})
		})
		if err != nil || n == 0 {
			return err
		}
		if err := p.rest(ctx, n); err != nil {
			return err
		}
	}
}

// taken purges rows of tables that are not protected, which went with a tombstone by ON DELETE CASCADE: when that has gone, and the longest retention
// of the tables that they could come back with has passed. Before that, restoring the tombstone brings them back.
func (p *purger) taken(ctx context.Context) error {
	type child struct {
		table  *lifecycle.Table
		oid    uint32
		cutoff time.Time
		ended  bool // each table that rows of this one refer to has a retention
		kept   []string
	}
	var children []*child
	for _, t := range p.tables {
		l := t.rule
		for _, k := range t.refs {
			if len(k.from) > 0 || k.OnDelete != 'c' {
				continue
			}
			var c *child
			for _, one := range children {
				if one.oid == k.child {
					c = one
				}
			}
			if c == nil {
				c = &child{table: k.Child, oid: k.child, ended: true, cutoff: l.cutoff}
				children = append(children, c)
			}
			c.ended = c.ended && !l.cutoff.IsZero()
			if l.cutoff.Before(c.cutoff) {
				c.cutoff = l.cutoff
			}
			same := make([]string, len(k.Columns))
			for i := range k.Columns {
				same[i] = fmt.Sprintf("b.row ->> %s = a.row ->> %s", literal(k.Refs[i]), literal(k.Columns[i]))
			}
			c.kept = append(c.kept,
				fmt.Sprintf("NOT EXISTS (SELECT FROM %s WHERE %s AND %s%s)", k.Parent.Only()+as(referred), k.Matches(referred, referrer), dead(l.Table, referred), p.there(referred)),
				fmt.Sprintf("NOT EXISTS (SELECT FROM tombstone.archive b WHERE b.relation = %s AND %s%s)", l.relation(), strings.Join(same, " AND "), p.kept("b.")))
		}
	}
	for _, c := range children {
		if !c.ended || len(c.table.Columns) == 0 {
			continue
		}
		account := &PurgedTable{Name: c.table.Name.String(), Before: c.cutoff}
		p.out.Tables = append(p.out.Tables, account)
		err := p.sweep(ctx, account, func(last int64) string {
			return fmt.Sprintf("FROM tombstone.archive a CROSS JOIN LATERAL %s WHERE a.relation = %s::pg_catalog.regclass AND COALESCE(a.at, a.archived) < %s AND %s AND a.id > %d ORDER BY a.id LIMIT %d",
				shape("a.", c.table.Columns, referrer), literal(full(c.table.Name)), instantOf(c.cutoff), strings.Join(c.kept, " AND "), last, p.pace.size)
		}, "a.id, ARRAY[]::text[] AS key, COALESCE(a.at, a.archived) AS at", "")
		if account.Purged == 0 {
			p.out.Tables = p.out.Tables[:len(p.out.Tables)-1]
		}
		if fatal(ctx, err) {
			return err
		} else if err != nil {
			p.problem(fmt.Errorf("%s in tombstone.archive: %w", c.table.Name, err))
		}
	}
	return nil
}

// records deletes what is known of deletions that nothing is left of, once the longest retention has passed: until then, history shows them.
func (p *purger) records(ctx context.Context) error {
	var cutoff time.Time
	for _, t := range p.tables {
		for _, l := range t.leaves {
			if r := l.Retention; r > 0 && (cutoff.IsZero() || p.out.Started.Add(-r).Before(cutoff)) {
				cutoff = p.out.Started.Add(-r)
			}
		}
	}
	if p.dry || cutoff.IsZero() || !p.has["deletions"] || !p.has["keyed"] || !p.has["severed"] || !p.has["archive"] {
		return nil
	}
	var b strings.Builder
	var known []uint32
	for _, t := range p.tables {
		known = append(known, t.OID)
		for _, l := range t.leaves {
			if lifecycle.Tells(l.Table) && !l.Unmarked {
				fmt.Fprintf(&b, " AND NOT (d.exact AND EXISTS (SELECT FROM %s WHERE %s%s = d.at))", l.from(referred), referred, ident(l.Marker))
			}
		}
	}
	err := p.patiently(ctx, 0, func() error {
		return pgx.BeginFunc(ctx, p.conn, func(tx pgx.Tx) error {
			var any bool
			// Most of them have rows that are in the archive, or keyed. The tables are looked at for the others only.
			if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM tombstone.deletions d WHERE d.at < $1)", cutoff).Scan(&any); err != nil || !any {
				return err
			}
			return tx.QueryRow(ctx, `WITH over AS (
	DELETE FROM tombstone.deletions d WHERE d.at < $1
		AND NOT EXISTS (SELECT FROM pg_catalog.unnest(d.tables) t JOIN pg_catalog.pg_class c ON c.oid = t WHERE t <> ALL ($2::pg_catalog.oid[])) -- not protected now, and not looked into
		AND NOT EXISTS (SELECT FROM tombstone.archive a WHERE a.deletion = d.id AND a.at = d.at)
		AND NOT EXISTS (SELECT FROM tombstone.keyed k WHERE k.deletion = d.id AND k.at = d.at)`+b.String()+` RETURNING d.id, d.at),
cut AS (DELETE FROM tombstone.severed s USING over o WHERE s.deletion = o.id AND s.at = o.at)
SELECT pg_catalog.count(*) FROM over`, cutoff, known).Scan(&p.out.Deletions)
		})
	})
	if cancelled(err) {
		p.warn("records of deletions that nothing is left of stay for now: looking for what is left took longer than purge.statement_timeout; an index of each marker would help")
		return nil
	}
	if err != nil && !fatal(ctx, err) {
		err = errors.Join(errors.New("tombstone.deletions"), err)
		p.problem(err)
		return nil
	}
	return err
}
