package lifecycle

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tombstone/policy"
	"tombstone/policy/catalog"
)

// reader fills a Database.
type reader struct {
	tx    pgx.Tx
	d     *Database
	byOID map[uint32]*Table
}

// policy resolves the policy against what the database has.
func (r *reader) policy(ctx context.Context, p *policy.Policy) error {
	var answer []byte
	if err := r.tx.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&r.d.Version); err != nil {
		return err
	}
	if err := r.tx.QueryRow(ctx, catalog.Query(p.Observing().Markers())).Scan(&answer); err != nil {
		return err
	}
	c, err := catalog.Decode(answer)
	if err != nil {
		return err
	}
	r.d.Set = p.Observing().Resolve(c)
	return nil
}

// readTables reads the protected tables and those that foreign keys join to them.
func (r *reader) readTables(ctx context.Context) error {
	protected := r.d.Set.Tables()
	schemas, names := make([]string, len(protected)), make([]string, len(protected))
	for i, t := range protected {
		schemas[i], names[i] = t.Schema, t.Relation
	}
	rows, err := r.tx.Query(ctx, `
WITH RECURSIVE mine AS (
	SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	JOIN unnest($1::name[], $2::name[]) AS t (schema, name) ON t.schema = n.nspname AND t.name = c.relname
	WHERE c.relkind IN ('r', 'p', 'f') -- a view that shows the marker has its rows, keys and triggers from the table
), down AS ( -- what ON DELETE CASCADE reaches
	SELECT conrelid AS oid FROM pg_constraint WHERE contype = 'f' AND confdeltype = 'c' AND confrelid IN (SELECT oid FROM mine)
	UNION SELECT f.conrelid FROM pg_constraint f JOIN down ON down.oid = f.confrelid WHERE f.contype = 'f' AND f.confdeltype = 'c'
)
SELECT c.oid, n.nspname, c.relname, c.relkind, pg_get_userbyid(c.relowner), c.relispartition,
	c.relispartition AND EXISTS (SELECT FROM pg_partition_ancestors(c.oid) a JOIN mine ON mine.oid = a.relid WHERE a.relid <> c.oid),
	ARRAY(SELECT a.attname FROM pg_partitioned_table p JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		AND (a.attnum = ANY (p.partattrs) OR 0 = ANY (p.partattrs)) WHERE p.partrelid = c.oid ORDER BY a.attnum)::text[]
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid IN (
	SELECT oid FROM mine
	UNION SELECT conrelid FROM pg_constraint WHERE contype = 'f' AND confrelid IN (SELECT oid FROM mine UNION SELECT oid FROM down)
	UNION SELECT confrelid FROM pg_constraint WHERE contype = 'f' AND conrelid IN (SELECT oid FROM mine))
ORDER BY 2, 3`, schemas, names)
	if err != nil {
		return err
	}
	t := new(Table)
	_, err = pgx.ForEachRow(rows, []any{&t.OID, &t.Schema, &t.Relation, (*char)(&t.Kind), &t.Owner, &t.Partition, &t.inherits, &t.partitionKey}, func() error {
		table := *t
		t.partitionKey = nil // the next row's is another array
		table.Protected, _ = r.d.Set.Find(t.Schema, t.Relation)
		r.d.tables[t.Name], r.byOID[t.OID] = &table, &table
		return nil
	})
	return err
}

func (r *reader) readColumns(ctx context.Context) error {
	rows, err := r.tx.Query(ctx, `
SELECT attrelid, attname, format_type(atttypid, atttypmod), attnotnull, attgenerated <> '', COALESCE(pg_get_expr(adbin, adrelid), '')
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = ANY ($1) AND attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum`, r.oids())
	if err != nil {
		return err
	}
	var table uint32
	var c Column
	_, err = pgx.ForEachRow(rows, []any{&table, &c.Name, &c.Type, &c.NotNull, &c.Generated, &c.Default}, func() error {
		r.byOID[table].Columns = append(r.byOID[table].Columns, c)
		return nil
	})
	return err
}

func (r *reader) readIndexes(ctx context.Context) error {
	rows, err := r.tx.Query(ctx, `
SELECT i.indrelid, x.relname, pg_get_indexdef(i.indexrelid), COALESCE(pg_get_constraintdef(o.oid), ''), i.indisprimary, i.indisexclusion,
	COALESCE(o.condeferrable, false),
	ARRAY(SELECT COALESCE(a.attname, '') FROM unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
		LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.place <= i.indnkeyatts ORDER BY k.place)::text[],
	ARRAY(SELECT COALESCE((SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname) FROM pg_opclass c
			JOIN pg_amop m ON m.amopfamily = c.opcfamily AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype AND m.amopstrategy = 3
			JOIN pg_am am ON am.oid = c.opcmethod AND am.amname = 'btree'
			JOIN pg_operator o ON o.oid = m.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE c.oid = k.class), '')
		FROM unnest(i.indclass) WITH ORDINALITY AS k (class, place) WHERE k.place <= i.indnkeyatts ORDER BY k.place)::text[],
	COALESCE(pg_get_expr(i.indpred, i.indrelid), ''),
	EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conindid = i.indexrelid),
	i.indisreplident, EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
LEFT JOIN pg_constraint o ON o.conindid = i.indexrelid AND o.conrelid = i.indrelid AND o.contype IN ('p', 'u', 'x')
WHERE i.indrelid = ANY ($1) AND (i.indisunique OR i.indisexclusion) AND i.indisvalid
ORDER BY i.indrelid, x.relname`, r.oids())
	if err != nil {
		return err
	}
	var table uint32
	var x Index
	_, err = pgx.ForEachRow(rows, []any{
		&table, &x.Name, &x.Definition, &x.Constraint, &x.Primary, &x.Exclusion, &x.Deferrable, &x.Columns, &x.Equal, &x.Where, &x.Needed, &x.Identity, &x.Parted,
	}, func() error {
		index := x
		x.Columns, x.Equal = nil, nil // the next row's are other arrays
		index.Table = r.byOID[table]
		if index.Primary {
			index.Table.Primary = &index
		}
		r.d.Indexes = append(r.d.Indexes, &index)
		return nil
	})
	return err
}

func (r *reader) readKeys(ctx context.Context) error {
	set := "''::int2vector"
	if r.d.Version >= 150000 {
		set = "f.confdelsetcols"
	}
	rows, err := r.tx.Query(ctx, `
SELECT f.oid, f.conname, f.conrelid, f.confrelid, COALESCE(pg_partition_root(f.confrelid)::oid, f.confrelid), f.condeferrable, f.condeferred, f.confdeltype, f.confupdtype, f.confmatchtype = 'f',
	EXISTS (SELECT FROM pg_constraint o WHERE o.conrelid = f.confrelid AND o.conname = f.conname AND o.contype <> 't'),
	ARRAY(SELECT a.attname FROM unnest(f.conkey) WITH ORDINALITY k (n, i) JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.n ORDER BY k.i)::text[],
	ARRAY(SELECT a.attname FROM unnest(f.confkey) WITH ORDINALITY k (n, i) JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.n ORDER BY k.i)::text[],
	ARRAY(SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname) FROM unnest(f.conpfeqop) WITH ORDINALITY k (op, i)
		JOIN pg_operator o ON o.oid = k.op JOIN pg_namespace n ON n.oid = o.oprnamespace ORDER BY k.i)::text[],
	ARRAY(SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname) FROM unnest(f.conppeqop) WITH ORDINALITY k (op, i)
		JOIN pg_operator o ON o.oid = k.op JOIN pg_namespace n ON n.oid = o.oprnamespace ORDER BY k.i)::text[],
	ARRAY(SELECT a.attname FROM unnest(`+set+`) WITH ORDINALITY k (n, i) JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.n ORDER BY k.i)::text[]
FROM pg_constraint f
WHERE f.contype = 'f' AND f.conparentid = 0 AND f.conrelid = ANY ($1) AND f.confrelid = ANY ($1)
ORDER BY f.oid`, r.oids())
	if err != nil {
		return err
	}
	var child, parent, root uint32
	var k ForeignKey
	_, err = pgx.ForEachRow(rows, []any{
		&k.OID, &k.Name, &child, &parent, &root, &k.Deferrable, &k.Deferred, (*char)(&k.OnDelete), (*char)(&k.OnUpdate), &k.Full, &k.taken,
		&k.Columns, &k.Refs, &k.Equal, &k.Same, &k.SetColumns,
	}, func() error {
		key := k
		k.Columns, k.Refs, k.Equal, k.Same, k.SetColumns = nil, nil, nil, nil, nil // the next row's are other arrays
		key.Child, key.Parent = r.byOID[child], r.byOID[parent]
		if whole := r.byOID[root]; whole != nil && root != parent { // what acts on rows of a partition are triggers of the whole
			key.Parent, key.Part = whole, key.Parent
		}
		if len(key.SetColumns) == 0 {
			key.SetColumns = key.Columns
		}
		r.d.Keys = append(r.d.Keys, &key)
		return nil
	})
	if err != nil {
		return err
	}
	var kept []*ForeignKey
	for _, k := range r.d.Keys {
		if k.Child.Protected != nil || k.Parent.Protected != nil || r.d.departs(k.Parent) {
			kept = append(kept, k)
		}
	}
	r.d.Keys = kept
	return nil
}

// readHouse reads what is installed already, and who would be sent it.
func (r *reader) readHouse(ctx context.Context) error {
	r.d.installed, r.d.rows = map[string]string{}, map[uint32]string{}
	err := r.tx.QueryRow(ctx, "SELECT ARRAY(SELECT pubname FROM pg_publication WHERE puballtables ORDER BY pubname)::text[]").Scan(&r.d.publishing)
	if err != nil {
		return err
	}
	err = r.tx.QueryRow(ctx, "SELECT COALESCE((SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1), '')", house).Scan(&r.d.house)
	if err != nil {
		return err
	}
	rows, err := r.tx.Query(ctx, `SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), COALESCE(obj_description(p.oid, 'pg_proc'), '')
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1`, house)
	if err != nil {
		return err
	}
	var name, about string
	if _, err = pgx.ForEachRow(rows, []any{&name, &about}, func() error { r.d.installed[name] = about; return nil }); err != nil {
		return err
	}
	// A partition has those of its table, and of its own those that its own foreign keys need.
	own := "t.tgparentid = 0"
	if r.d.Version < 130000 {
		own = "NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid AND c.relispartition)"
	}
	rows, err = r.tx.Query(ctx, `SELECT s.nspname, c.relname, t.tgname, replace(encode(t.tgargs, 'escape'), '\000', '')
FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace s ON s.oid = c.relnamespace
WHERE n.nspname = $1 AND NOT t.tgisinternal AND `+own+`
ORDER BY 1, 2, 3`, house)
	if err != nil {
		return err
	}
	var i installed
	if _, err = pgx.ForEachRow(rows, []any{&i.table.Schema, &i.table.Relation, &i.name, &i.argument}, func() error { r.d.triggers = append(r.d.triggers, i); return nil }); err != nil {
		return err
	}
	var there, allowed bool
	err = r.tx.QueryRow(ctx, `SELECT count(*) > 0, COALESCE(bool_and(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')), true)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = 'tables'`, house).Scan(&there, &allowed)
	if err == nil && !allowed {
		r.d.Unseen = append(r.d.Unseen, "tombstone.tables")
	}
	if err != nil || !there || !allowed {
		return err
	}
	rows, err = r.tx.Query(ctx, "SELECT relation::oid, concat_ws('|', marker, tells, dead, alive, to_jsonb(key::text[]), texts) FROM tombstone.tables")
	if err != nil {
		return err
	}
	var oid uint32
	if _, err = pgx.ForEachRow(rows, []any{&oid, &about}, func() error { r.d.rows[oid] = about; return nil }); err != nil {
		return err
	}
	return r.tx.QueryRow(ctx, "SELECT count(*) FROM tombstone.tables t WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.relation)").Scan(&r.d.dropped)
}

func (r *reader) oids() []uint32 {
	var oids []uint32
	for oid := range r.byOID {
		oids = append(oids, oid)
	}
	return oids
}

// char scans a value of PostgreSQL's type "char".
type char byte

func (c *char) ScanText(v string) error {
	if len(v) != 1 {
		return fmt.Errorf("%q is not one character", v)
	}
	*c = char(v[0])
	return nil
}
