package purge

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"tombstone/lifecycle"
	"tombstone/policy"
	"tombstone/policy/catalog"
)

// graph is the protected tables, the tables on disk that their rows are in, and every foreign key to those.
//
// It is read for itself: Database.Keys leaves out keys to a table of which a protected one is a partition, and the server follows them.
type graph struct {
	tables []*grave
	leaves map[uint32]*leaf
	has    map[string]bool  // the tables of the schema tombstone that there are
	left   map[keyOf]string // what archived rows refer to that is in a table: see bind
	dry    bool             // rows that would go are in pg_temp.tombstone_going
}

// grave is a protected table that is no partition of another.
type grave struct {
	*lifecycle.Table
	rule     *rule // of the table as a whole, and of what is archived of it
	identity []string
	leaves   []*leaf
	refs     []*reference // to any of its leaves
}

// leaf is a table that has rows: a protected one, or a partition of it.
type leaf struct {
	*rule
	of    *grave
	oid   uint32
	name  catalog.Name
	above []uint32 // itself, and what it is a partition of
	refs  []*reference
}

// place tells a row from all others, as long as it is not changed.
type place struct {
	leaf uint32
	tid  pgtype.TID
}

// reference is a foreign key to a leaf, or to what that is a partition of.
type reference struct {
	*lifecycle.ForeignKey
	parent, child uint32
	from          []*grave // the protected tables whose rows may be in Child
	unindexed     bool     // no index of Child finds what refers to a row
	rule          *rule    // of rows of Child, nil if they are not protected
}

// readGraph reads the graph at the moment now of the database.
func readGraph(ctx context.Context, conn *pgx.Conn, d *lifecycle.Database, now time.Time) (*graph, error) {
	g := &graph{leaves: map[uint32]*leaf{}, has: map[string]bool{}}
	rows, err := conn.Query(ctx, "SELECT relname FROM pg_catalog.pg_class WHERE relkind = 'r' AND relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'tombstone')")
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		g.has[name] = true
	}
	if err := g.readLeaves(ctx, conn, d, now); err != nil {
		return nil, err
	}
	return g, g.readReferences(ctx, conn, d, now)
}

func (g *graph) readLeaves(ctx context.Context, conn *pgx.Conn, d *lifecycle.Database, now time.Time) error {
	graves := map[uint32]*grave{}
	var oids []uint32
	for _, p := range d.Set.Tables() {
		if t := d.Table(p.Name); t != nil && t.Kind != 'f' {
			one := &grave{Table: t, identity: d.Identity(t)}
			one.rule = g.rule(t.Protected, one, now)
			graves[t.OID] = one
			oids = append(oids, t.OID)
		}
	}
	rows, err := conn.Query(ctx, `
SELECT t.oid, l.oid, n.nspname, c.relname,
	ARRAY(SELECT a.relid::pg_catalog.oid FROM pg_catalog.pg_partition_ancestors(l.oid) a UNION SELECT l.oid),
	ARRAY(SELECT a.relid::pg_catalog.oid FROM pg_catalog.pg_partition_ancestors(t.oid) a)
FROM pg_catalog.unnest($1::pg_catalog.oid[]) t (oid)
CROSS JOIN LATERAL (SELECT p.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree(t.oid) p UNION SELECT t.oid) l (oid)
JOIN pg_catalog.pg_class c ON c.oid = l.oid AND c.relkind = 'r' JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
ORDER BY 3, 4`, oids)
	if err != nil {
		return err
	}
	var root uint32
	var l leaf
	var over []uint32
	_, err = pgx.ForEachRow(rows, []any{&root, &l.oid, &l.name.Schema, &l.name.Relation, &l.above, &over}, func() error {
		one := l
		one.above, one.of = slices.Clone(l.above), graves[root]
		for _, oid := range over {
			if oid != root && graves[oid] != nil {
				return nil // its rows are those of the whole table
			}
		}
		p := one.of.Protected
		if own, _ := d.Set.Find(l.name.Schema, l.name.Relation); own != nil {
			p = own // a partition may have words of its own in the policy
		}
		one.rule = g.rule(p, one.of, now)
		one.of.leaves = append(one.of.leaves, &one)
		g.leaves[one.oid] = &one
		return nil
	})
	for _, oid := range oids { // by name
		if t := graves[oid]; len(t.leaves) > 0 {
			g.tables = append(g.tables, t)
		}
	}
	return err
}

func (g *graph) rule(p *policy.Table, t *grave, now time.Time) *rule {
	r := &rule{Table: p, root: t.Name, identity: t.identity, has: g.has}
	if p.Retention > 0 && !p.Observed { // what is only observed stays as it is
		r.cutoff = now.Add(-p.Retention)
	}
	return r
}

func (g *graph) readReferences(ctx context.Context, conn *pgx.Conn, d *lifecycle.Database, now time.Time) error {
	var oids []uint32
	in := map[uint32][]*grave{} // the protected tables that a table is, is part of, or has a part of
	for _, t := range g.tables {
		for _, l := range t.leaves {
			oids = append(oids, l.above...)
			for _, oid := range l.above {
				if !slices.Contains(in[oid], t) {
					in[oid] = append(in[oid], t)
				}
			}
		}
	}
	set := "''::pg_catalog.int2vector"
	if d.Version >= 150000 {
		set = "f.confdelsetcols"
	}
	rows, err := conn.Query(ctx, `
SELECT f.oid, f.conname, f.confdeltype, f.conrelid, n.nspname, c.relname, c.relkind, f.confrelid, np.nspname, p.relname, p.relkind,
	ARRAY(SELECT a.attname FROM pg_catalog.unnest(f.conkey) WITH ORDINALITY k (n, i) JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.n ORDER BY k.i)::text[],
	ARRAY(SELECT a.attname FROM pg_catalog.unnest(f.confkey) WITH ORDINALITY k (n, i) JOIN pg_catalog.pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.n ORDER BY k.i)::text[],
	ARRAY(SELECT pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname) FROM pg_catalog.unnest(f.conpfeqop) WITH ORDINALITY k (op, i)
		JOIN pg_catalog.pg_operator o ON o.oid = k.op JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace ORDER BY k.i)::text[],
	ARRAY(SELECT a.attname FROM pg_catalog.unnest(`+set+`) WITH ORDINALITY k (n, i) JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.n ORDER BY k.i)::text[],
	EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = f.conrelid AND i.indisvalid AND i.indpred IS NULL
		AND (SELECT pg_catalog.array_agg(k) FROM (SELECT k FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY u (k, n) ORDER BY n LIMIT pg_catalog.cardinality(f.conkey)) s) @> f.conkey)
FROM pg_catalog.pg_constraint f
JOIN pg_catalog.pg_class c ON c.oid = f.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid = f.confrelid JOIN pg_catalog.pg_namespace np ON np.oid = p.relnamespace
WHERE f.contype = 'f' AND f.conparentid = 0 AND f.confrelid = ANY ($1)
ORDER BY f.oid`, oids)
	if err != nil {
		return err
	}
	var k lifecycle.ForeignKey
	var child, parent lifecycle.Table
	var indexed bool
	_, err = pgx.ForEachRow(rows, []any{
		&k.OID, &k.Name, &k.OnDelete, &child.OID, &child.Schema, &child.Relation, &child.Kind, &parent.OID, &parent.Schema, &parent.Relation,
		&parent.Kind, &k.Columns, &k.Refs, &k.Equal, &k.SetColumns, &indexed,
	}, func() error {
		key, c, p := k, child, parent
		k.Columns, k.Refs, k.Equal, k.SetColumns = nil, nil, nil, nil // the next row's are other arrays
		if len(key.SetColumns) == 0 {
			key.SetColumns = key.Columns
		}
		key.Child, key.Parent = &c, &p
		c.Protected, _ = d.Set.Find(c.Schema, c.Relation)
		if known := d.Table(c.Name); known != nil {
			c.Columns = known.Columns
		}
		ref := &reference{ForeignKey: &key, parent: p.OID, child: c.OID, from: in[c.OID], unindexed: !indexed}
		if c.Protected != nil && len(ref.from) == 1 && !c.Protected.Unmarked && !c.Protected.Unreadable {
			ref.rule = g.rule(c.Protected, ref.from[0], now)
		}
		for _, t := range g.tables {
			used := false
			for _, l := range t.leaves {
				if slices.Contains(l.above, p.OID) {
					l.refs = append(l.refs, ref)
					used = true
				}
			}
			if used {
				t.refs = append(t.refs, ref)
			}
		}
		return nil
	})
	return err
}

// groups lists the protected tables, those first whose rows refer to others. Tables that refer to each other in a circle, or one to itself,
// are one group.
func (g *graph) groups() []*group {
	// Tarjan's algorithm: a table comes after those that it needs to be gone, its children.
	index, low, on := map[*grave]int{}, map[*grave]int{}, map[*grave]bool{}
	var stack []*grave
	var list []*group
	var visit func(t *grave)
	visit = func(t *grave) {
		index[t] = len(index) + 1
		low[t], on[t] = index[t], true
		stack = append(stack, t)
		circle := false
		for _, ref := range t.refs {
			for _, c := range ref.from {
				switch {
				case index[c] == 0:
					visit(c)
					low[t] = min(low[t], low[c])
				case on[c]:
					low[t] = min(low[t], index[c])
				}
				circle = circle || c == t
			}
		}
		if low[t] < index[t] {
			return
		}
		i := slices.Index(stack, t)
		one := &group{tables: slices.Clone(stack[i:]), circle: circle || len(stack)-i > 1}
		for _, c := range one.tables {
			on[c] = false
		}
		stack = stack[:i]
		list = append(list, one)
	}
	for _, t := range g.tables {
		if index[t] == 0 {
			visit(t)
		}
	}
	return list
}

// group is tables whose rows cannot be told apart by which goes first.
type group struct {
	tables []*grave
	circle bool
}

// goes reports whether rows of the group may go.
func (g *group) goes() bool {
	return slices.ContainsFunc(g.tables, func(t *grave) bool {
		return !t.rule.cutoff.IsZero() || slices.ContainsFunc(t.leaves, func(l *leaf) bool { return !l.cutoff.IsZero() })
	})
}

// find returns the table of a name as in SQL, or says what is wrong with it.
func (g *graph) find(ctx context.Context, conn *pgx.Conn, name string) (*grave, error) {
	var oid *uint32
	if err := conn.QueryRow(ctx, "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid", name).Scan(&oid); err != nil {
		return nil, fmt.Errorf("table %s: %w", name, err)
	}
	if oid == nil {
		return nil, fmt.Errorf("there is no table %s; write its schema, too, and quotes as in SQL", name)
	}
	for _, t := range g.tables {
		if t.OID == *oid {
			return t, nil
		}
	}
	if l := g.leaves[*oid]; l != nil {
		return nil, fmt.Errorf("%s is a partition of %s; name that", name, l.of.Name)
	}
	return nil, fmt.Errorf("the policy does not protect %s, so there are no tombstones in it", name)
}
