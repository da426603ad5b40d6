package purge

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"tombstone/lifecycle"
)

// A row of the archive refers to others as it did in its table: to one that went to the archive with it; else to the next one of that key to go there,
// since evicting a row takes along what refers to it; else to the one in the table. So each row of the archive has one that it refers to, however often
// a key has been used.

// window is how many archived rows are looked at in one statement.
const window = 20_000

// bond is a foreign key of rows that may be in the archive.
type bond struct {
	k      *reference
	child  *grave
	parent *grave
	keys   string // the temporary table of the parent's archived keys
	left   string // that of the references to rows of the parent that are not in the archive
}

// keyOf tells a foreign key to a table, or to what that is part of.
type keyOf struct{ key, parent uint32 }

// bind notes what the rows of the archive that stay refer to, among the rows of a group: other archived ones in pg_temp.tombstone_bound, and ones in
// tables in a table for each foreign key. The groups whose rows refer to these have been purged: what is left of them in the archive stays.
//
// Without it, an archived order that is held would stay alone: its user gone, it could never be restored.
func (p *purger) bind(ctx context.Context, g *group) error {
	if !p.has["archive"] {
		return nil
	}
	var bonds []*bond
	for _, t := range g.tables {
		for _, k := range t.refs {
			for _, c := range k.from {
				if len(pick(c.Columns, k.Columns)) < len(k.Columns) || len(pick(t.Columns, k.Refs)) < len(k.Refs) {
					continue // a column has been dropped since
				}
				var some bool
				if err := p.conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM tombstone.archive a WHERE a.relation = "+c.rule.relation()+")").Scan(&some); err != nil {
					return err
				}
				if some {
					id := fmt.Sprintf("%d_%d", k.OID, t.OID)
					bonds = append(bonds, &bond{k, c, t, "pg_temp.tombstone_keys_" + id, "pg_temp.tombstone_left_" + id})
				}
			}
		}
	}
	if len(bonds) == 0 {
		return nil
	}
	if !p.bound {
		if _, err := p.conn.Exec(ctx, "DROP TABLE IF EXISTS pg_temp.tombstone_bound; CREATE TEMP TABLE tombstone_bound (id bigint PRIMARY KEY, by text NOT NULL)"); err != nil {
			return err
		}
		p.bound = true
	}
	for _, b := range bonds {
		if err := p.keys(ctx, b); err != nil {
			return err
		}
	}
	var inside []*bond
	for _, b := range bonds {
		if slices.Contains(g.tables, b.child) {
			inside = append(inside, b)
		} else if err := p.outside(ctx, b); err != nil {
			return err
		}
	}
	if len(inside) > 0 {
		if err := p.spread(ctx, g, inside); err != nil {
			return err
		}
	}
	for _, b := range bonds {
		if p.left == nil {
			p.left = map[keyOf]string{}
		}
		p.left[keyOf{b.k.OID, b.parent.OID}] = b.left
		for _, sql := range []string{"DROP TABLE IF EXISTS " + b.keys, fmt.Sprintf("CREATE INDEX ON %s (%s)", b.left, idents("", b.k.Columns)), "ANALYZE " + b.left} {
			if _, err := p.conn.Exec(ctx, sql); err != nil {
				return err
			}
		}
	}
	return nil
}

// pick returns the columns of names.
func pick(columns []lifecycle.Column, names []string) []lifecycle.Column {
	var list []lifecycle.Column
	for _, name := range names {
		if i := slices.IndexFunc(columns, func(c lifecycle.Column) bool { return c.Name == name }); i >= 0 {
			list = append(list, columns[i])
		}
	}
	return list
}

// The columns of temporary tables that are not a row's own.
const (
	number = `"tombstone id"`
	since  = `"tombstone archived"`
)

// keys makes the tables of a bond, and lists the keys that the parent's archived rows have.
func (p *purger) keys(ctx context.Context, b *bond) error {
	define := func(columns []lifecycle.Column) string {
		list := make([]string, len(columns))
		for i, c := range columns {
			list[i] = ident(c.Name) + " " + c.Type
		}
		return strings.Join(list, ", ")
	}
	for _, sql := range []string{
		"DROP TABLE IF EXISTS " + b.keys + ", " + b.left,
		fmt.Sprintf("CREATE TEMP TABLE %s (%s bigint NOT NULL, %s timestamptz NOT NULL, %s)", strings.TrimPrefix(b.keys, "pg_temp."), number, since, define(pick(b.parent.Columns, b.k.Refs))),
		fmt.Sprintf("CREATE INDEX ON %[1]s (%[2]s, %[3]s); CREATE INDEX ON %[1]s (%[2]s, %[4]s)", b.keys, idents("", b.k.Refs), number, since),
		fmt.Sprintf("CREATE TEMP TABLE %s (%s)", strings.TrimPrefix(b.left, "pg_temp."), define(pick(b.child.Columns, b.k.Columns))),
	} {
		if _, err := p.conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return p.windows(ctx, func(from, to int64) string {
		return fmt.Sprintf("INSERT INTO %s SELECT a.id, a.archived, %s FROM tombstone.archive a CROSS JOIN LATERAL %s WHERE a.relation = %s AND a.id > %d AND a.id <= %d",
			b.keys, idents("p.", b.k.Refs), shape("a.", pick(b.parent.Columns, b.k.Refs), "p."), b.parent.rule.relation(), from, to)
	})
}

// windows does something with the archive, as many of its rows in one statement as take a moment.
func (p *purger) windows(ctx context.Context, sql func(from, to int64) string) error {
	for from := int64(0); ; {
		if err := p.rest(ctx, 0); err != nil {
			return err
		}
		var to *int64
		if err := p.conn.QueryRow(ctx, "SELECT pg_catalog.max(s.id) FROM (SELECT a.id FROM tombstone.archive a WHERE a.id > $1 ORDER BY a.id LIMIT $2) s", from, window).Scan(&to); err != nil || to == nil {
			return err
		}
		if err := p.byIndex(ctx, sql(from, *to)); err != nil {
			return err
		}
		from = *to
	}
}

// byIndex runs a statement that looks for one row after the other in an index. The planner knows nothing of the tables that were just made, and what it
// takes for better may read all of one for each row.
func (p *purger) byIndex(ctx context.Context, sql string) error {
	return p.patiently(ctx, 0, func() error {
		return pgx.BeginFunc(ctx, p.conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off; SET LOCAL jit = off"); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, sql)
			return err
		})
	})
}

// next writes the archived rows that one refers to, a of the archive, which has the columns of the key as c: those that went there with it, which are one
// unless a key was used twice in a transaction, else the next.
func (b *bond) next() string {
	same := fmt.Sprintf("FROM %s p WHERE %s AND p.%s = a.archived", b.keys, b.k.Matches("p.", "c."), since)
	// In a query of its own that gives a value, the condition is looked at once for each row, rather than once for each of all that came later.
	return fmt.Sprintf("(SELECT p.%[1]s AS id %[2]s UNION ALL (SELECT p.%[1]s FROM %[3]s p WHERE %[4]s AND p.%[1]s > a.id AND (SELECT true %[2]s LIMIT 1) IS NULL ORDER BY p.%[1]s LIMIT 1))",
		number, same, b.keys, b.k.Matches("p.", "c."))
}

// archived writes the child's rows a in the archive, with the columns of the key as c.
func (b *bond) archived() string {
	return fmt.Sprintf("tombstone.archive a CROSS JOIN LATERAL %s", shape("a.", pick(b.child.Columns, b.k.Columns), "c."))
}

// refers writes that a row refers to anything.
func (b *bond) refers(alias string) string {
	list := make([]string, len(b.k.Columns))
	for i, name := range b.k.Columns {
		list[i] = alias + ident(name) + " IS NOT NULL"
	}
	return strings.Join(list, " AND ")
}

// outside notes what a table's archived rows refer to, all of which stay.
func (p *purger) outside(ctx context.Context, b *bond) error {
	return p.windows(ctx, func(from, to int64) string {
		return fmt.Sprintf(`WITH up AS MATERIALIZED (SELECT c.*, up.id FROM %s LEFT JOIN LATERAL %s up ON true WHERE a.relation = %s AND a.id > %d AND a.id <= %d AND %s%s),
bound AS (INSERT INTO pg_temp.tombstone_bound SELECT DISTINCT up.id, %s FROM up WHERE up.id IS NOT NULL ON CONFLICT DO NOTHING)
INSERT INTO %s SELECT DISTINCT %s FROM up WHERE up.id IS NULL`,
			b.archived(), b.next(), b.child.rule.relation(), from, to, b.refers("c."), p.kept("a."), literal(b.k.Child.Name.String()), b.left, idents("up.", b.k.Columns))
	})
}

// spread notes what the archived rows of a group refer to, from those on that stay by themselves, or for the sake of other groups'.
func (p *purger) spread(ctx context.Context, g *group, bonds []*bond) error {
	var stay, up []string
	for _, t := range g.tables {
		stay = append(stay, fmt.Sprintf("SELECT a.id, ''::text FROM tombstone.archive a WHERE a.relation = %s AND (%s AND %s) IS NOT TRUE", t.rule.relation(), t.rule.past(), t.free()))
	}
	for _, b := range bonds {
		up = append(up, fmt.Sprintf("SELECT up.id, %s FROM %s CROSS JOIN LATERAL %s up WHERE a.id = stays.id AND a.relation = %s",
			literal(b.k.Child.Name.String()), b.archived(), b.next(), b.child.rule.relation()))
	}
	if err := p.byIndex(ctx, fmt.Sprintf(`WITH RECURSIVE stays (id, by) AS (
	(SELECT s.id, s.by FROM pg_temp.tombstone_bound s UNION ALL %s)
	UNION SELECT up.id, up.by FROM stays CROSS JOIN LATERAL (%s) up (id, by))
INSERT INTO pg_temp.tombstone_bound SELECT id, by FROM stays ON CONFLICT DO NOTHING`, strings.Join(stay, " UNION ALL "), strings.Join(up, " UNION ALL "))); err != nil {
		return err
	}
	for _, b := range bonds {
		if err := p.windows(ctx, func(from, to int64) string {
			return fmt.Sprintf("INSERT INTO %s SELECT DISTINCT %s FROM %s LEFT JOIN LATERAL %s up ON true WHERE a.relation = %s AND a.id > %d AND a.id <= %d AND %s AND %s AND up.id IS NULL",
				b.left, idents("c.", b.k.Columns), b.archived(), b.next(), b.child.rule.relation(), from, to, b.refers("c."), isBound("a."))
		}); err != nil {
			return err
		}
	}
	return nil
}

// isBound writes that an archived row stays for the sake of another. As a value it is looked up for each row, whatever the planner thinks.
func isBound(alias string) string {
	return "(SELECT true FROM pg_temp.tombstone_bound s WHERE s.id = " + alias + "id LIMIT 1) IS NOT NULL"
}

// loose writes that no archived row that stays refers to an archived row, in front of which there is AND.
func (p *purger) loose(alias string) string {
	if !p.bound {
		return ""
	}
	return " AND NOT (" + isBound(alias) + ")"
}

// kept writes that an archived row has not gone yet. Only a dry run has to say so.
func (g *graph) kept(alias string) string {
	if !g.dry {
		return ""
	}
	return " AND NOT EXISTS (SELECT FROM pg_temp.tombstone_gone g WHERE g.id = " + alias + "id)"
}

// remembered writes that an archived row that stays refers to a row of a leaf by a key, "" if none can.
func (g *graph) remembered(l *leaf, k *reference, row string) string {
	left := g.left[keyOf{k.OID, l.of.OID}]
	if left == "" {
		return ""
	}
	return fmt.Sprintf("(SELECT true FROM %s WHERE %s LIMIT 1) IS NOT NULL", left+as(referrer), k.Matches(row, referrer))
}
