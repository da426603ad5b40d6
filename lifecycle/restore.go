package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/policy/catalog"
)

// Restoration is what was restored, or would be.
type Restoration struct {
	Restored []Count `json:"restored"` // rows by table, those that came back with others too
	Links    int64   `json:"links"`    // references that ON DELETE had cut, and that are there again

	// What is in the way. Nothing is restored then.
	Collisions []Collision `json:"collisions"`
	// References that stay cut, since the rows that had them have changed.
	Changed []Collision `json:"changed"`
}

// Collision is a row that cannot be restored, or not as it was.
type Collision struct {
	Table string `json:"table"`
	Key   string `json:"key"` // the row, such as (id)=(1)
	Why   string `json:"why"`
}

func (c Collision) String() string { return c.Table + " " + c.Key + ": " + c.Why }

// CollisionError is the error of a restoration that something is in the way of.
type CollisionError struct{ Collisions []Collision }

func (e *CollisionError) Error() string {
	const most = 20
	lines := make([]string, 0, most+1)
	for i, c := range e.Collisions {
		if i == most {
			lines = append(lines, fmt.Sprintf("and %d more", len(e.Collisions)-most))
			break
		}
		lines = append(lines, c.String())
	}
	return "nothing was restored:\n  " + strings.Join(lines, "\n  ")
}

// restorer is one restoration under way, in one transaction.
type restorer struct {
	*Database
	tx pgx.Tx
	r  *Restoration
}

// Undo restores all that a deletion took, or nothing: then the error is a *CollisionError, or the server's. In a dry run everything is tried
// and nothing is restored; what would collide is in the result.
func Undo(ctx context.Context, conn *pgx.Conn, d *Database, id uint64, dry bool) (*Restoration, error) {
	list, err := History(ctx, conn, Filter{ID: id})
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, ErrNoDeletion
	case len(list) > 1:
		return nil, fmt.Errorf("there are %d deletions with the number %d, of different clusters", len(list), id)
	}
	return d.restore(ctx, conn, dry, func(ctx context.Context, r *restorer) error { return r.deletion(ctx, id) })
}

// Restore restores the deleted rows of a table that meet a condition, an SQL expression on its columns, and what the same deletion took with
// them: all, or nothing as Undo does. A key that has been deleted more than once is restored as it was the last time.
func Restore(ctx context.Context, conn *pgx.Conn, d *Database, table *Table, where string, dry bool) (*Restoration, error) {
	return d.restore(ctx, conn, dry, func(ctx context.Context, r *restorer) error {
		if err := r.matching(ctx, table, where); err != nil {
			return err
		}
		return r.takeAlong(ctx)
	})
}

// restore is attempt, and says what of the archive could not be read if it fails by that.
func (d *Database) restore(ctx context.Context, conn *pgx.Conn, dry bool, collect func(context.Context, *restorer) error) (*Restoration, error) {
	r, err := d.attempt(ctx, conn, dry, collect)
	if list := d.unreadable(ctx, conn, err); len(list) > 0 {
		if dry {
			return &Restoration{Restored: []Count{}, Collisions: list, Changed: []Collision{}}, nil
		}
		return nil, &CollisionError{list}
	}
	return r, err
}

// attempt collects rows, looks what is in their way, and brings them back.
func (d *Database) attempt(ctx context.Context, conn *pgx.Conn, dry bool, collect func(context.Context, *restorer) error) (*Restoration, error) {
	if !d.has("tombstone.evict(leaf regclass, place tid, path text)") {
		if d.house != "" {
			return nil, ErrRemoved
		}
		return nil, ErrUnprepared
	}
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	r := &restorer{d, tx, &Restoration{Restored: []Count{}, Collisions: []Collision{}, Changed: []Collision{}}}
	err = r.exec(ctx, `CREATE TEMP TABLE restoring_path ON COMMIT DROP AS SELECT pg_catalog.current_setting('search_path') AS path`,
		// Under the session's path, too: event triggers that others have made go by it.
		`CREATE TEMP TABLE restoring (relation pg_catalog.oid NOT NULL, leaf pg_catalog.oid, place pg_catalog.tid, archived bigint, key pg_catalog.text[] NOT NULL,
deletion pg_catalog.xid8, at pg_catalog.timestamptz) ON COMMIT DROP`,
		// Without these, each row that is taken in is compared with all others, if the planner takes its table for an empty one.
		`CREATE INDEX ON pg_temp.restoring (leaf, place)`, `CREATE INDEX ON pg_temp.restoring (archived)`,
		`SET LOCAL search_path = pg_catalog, pg_temp`)
	if err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return collect(ctx, r) },
		r.first, r.count, r.collisions,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	if len(r.r.Collisions) > 0 {
		if dry {
			return r.r, nil
		}
		return nil, &CollisionError{r.r.Collisions}
	}
	if err := r.bringBack(ctx); err != nil {
		// Keys of expressions and exclusion constraints are the server's to judge.
		var e *pgconn.PgError
		if !errors.As(err, &e) || !slices.Contains([]string{"23505", "23P01", "23503", "23514", "23502"}, e.Code) {
			return nil, err
		}
		r.r.Collisions = append(r.r.Collisions, Collision{Table: shown(catalog.Name{Schema: e.SchemaName, Relation: e.TableName}), Key: e.ConstraintName, Why: e.Message + ". " + e.Detail})
		if !dry {
			return nil, &CollisionError{r.r.Collisions}
		}
	}
	if dry {
		return r.r, nil
	}
	return r.r, tx.Commit(ctx)
}

func (r *restorer) exec(ctx context.Context, statements ...string) error {
	for _, sql := range statements {
		if _, err := r.tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// deletion collects all rows of a deletion.
func (r *restorer) deletion(ctx context.Context, id uint64) error {
	number := literal(strconv.FormatUint(id, 10))
	for _, t := range r.known() {
		if t.Protected == nil {
			continue
		}
		var where string
		err := r.tx.QueryRow(ctx, `SELECT tombstone.rows_of(d, t) FROM tombstone.deletions d, tombstone.tables t
WHERE d.id = `+number+`::xid8 AND t.relation = $1::oid AND t.relation = ANY (d.tables)`, t.OID).Scan(&where)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err != nil {
			return err
		}
		if err := r.collect(ctx, t, where, `(SELECT "the deletion" FROM tombstone.deletions "the deletion" WHERE "the deletion".id = `+number+"::xid8 LIMIT 1)"); err != nil {
			return err
		}
		if err := r.share(ctx, t, number); err != nil {
			return err
		}
	}
	for _, t := range r.known() {
		if err := r.collectArchived(ctx, t, fmt.Sprintf(`"tombstone deletion" = %s::xid8`, number)); err != nil {
			return err
		}
	}
	return nil
}

// share leaves, of equal rows that several deletions took, as many as this one did: which of them does not matter.
func (r *restorer) share(ctx context.Context, t *Table, number string) error {
	if tells(t.Protected) || r.Database.key(t) != nil {
		return nil
	}
	return r.exec(ctx, fmt.Sprintf(`DELETE FROM pg_temp.restoring r USING (
	SELECT s.leaf, s.place, s.key, row_number() OVER (PARTITION BY s.key ORDER BY s.leaf, s.place DESC) AS n FROM pg_temp.restoring s WHERE s.relation = %[1]s AND s.archived IS NULL) s
WHERE r.relation = %[1]s AND r.leaf = s.leaf AND r.place = s.place
	AND s.n > (SELECT count(*) FROM tombstone.keyed k WHERE k.deletion = %[2]s::xid8 AND k.relation = %[1]s AND k.key = s.key)`, regclass(t), number))
}

// matching collects the deleted rows of a table that meet a condition.
func (r *restorer) matching(ctx context.Context, t *Table, where string) error {
	// A condition is a person's, who does not write schemas before operators.
	if err := r.exec(ctx, `SET LOCAL search_path = pg_catalog, `+ident(t.Schema)+`, public, pg_temp`); err != nil {
		return err
	}
	if err := r.collect(ctx, t, dead(t.Protected, "x.")+" AND ("+where+"\n)", r.deletionOf(t, "x.")); err != nil {
		return fmt.Errorf("--where: %w", err)
	}
	if err := r.collectArchived(ctx, t, "("+where+"\n)"); err != nil {
		return fmt.Errorf("--where: %w", err)
	}
	return r.exec(ctx, `SET LOCAL search_path = pg_catalog, pg_temp`, `DELETE FROM pg_temp.restoring r USING pg_temp.restoring s
WHERE r.relation = s.relation AND r.key = s.key AND COALESCE(r.at, CASE WHEN r.archived IS NULL THEN timestamptz 'infinity' ELSE '-infinity' END)
	< COALESCE(s.at, CASE WHEN s.archived IS NULL THEN timestamptz 'infinity' ELSE '-infinity' END)`)
}

// first leaves, of several rows that had one key in a transaction, the one that was there before it: the first to be deleted.
func (r *restorer) first(ctx context.Context) error {
	for _, t := range r.Protected() {
		if r.Database.key(t) == nil {
			continue // they may be alike, and all are meant
		}
		if err := r.exec(ctx, fmt.Sprintf(`DELETE FROM pg_temp.restoring r USING pg_temp.restoring s WHERE r.relation = %s AND s.relation = r.relation
AND r.key = s.key AND COALESCE(r.archived, 9223372036854775807) > COALESCE(s.archived, 9223372036854775807)`, regclass(t))); err != nil {
			return err
		}
	}
	return nil
}

// deletionOf writes the deletion of a row.
func (r *restorer) deletionOf(t *Table, alias string) string {
	return fmt.Sprintf("tombstone.deletion_of(%s, %s, %s)", regclass(t), strings.Replace(instant(t.Protected), "NEW.", alias, 1), t.texts(alias, r.identity(t)))
}

// collect takes in rows of a table that meet a condition on x and are of a deletion, and locks them.
func (r *restorer) collect(ctx context.Context, t *Table, where, deletion string) error {
	key := t.texts("x.", r.identity(t))
	return r.exec(ctx, fmt.Sprintf(`INSERT INTO pg_temp.restoring SELECT %[1]s, x.leaf, x.place, NULL, x.key, (x.d).id, (x.d).at
FROM (SELECT x.tableoid AS leaf, x.ctid AS place, %[2]s AS key, %[3]s AS d FROM %[4]s x WHERE %[5]s FOR UPDATE) x
WHERE NOT EXISTS (SELECT FROM pg_temp.restoring r WHERE r.leaf = x.leaf AND r.place = x.place)`,
		regclass(t), key, deletion, t.only(), where))
}

// collectArchived takes in rows of a table that are in the archive and meet a condition on x, and locks them.
//
// Without that, one that is purged meanwhile would be live all the same.
func (r *restorer) collectArchived(ctx context.Context, t *Table, where string) error {
	return r.exec(ctx, fmt.Sprintf(`INSERT INTO pg_temp.restoring SELECT %[1]s, NULL, NULL, x."tombstone archive", %[2]s, x."tombstone deletion", x."tombstone at"
FROM (SELECT a.id AS "tombstone archive", a.deletion AS "tombstone deletion", a.at AS "tombstone at", p.* FROM tombstone.archive a, LATERAL %[3]s
	WHERE a.relation = %[1]s) x
WHERE %[4]s AND NOT EXISTS (SELECT FROM pg_temp.restoring r WHERE r.archived = x."tombstone archive") FOR UPDATE OF x`,
		regclass(t), t.texts("x.", r.identity(t)), shape("a.", t.Columns, "p"), where))
}

// takeAlong takes in what the same deletion took because of rows that are taken in.
func (r *restorer) takeAlong(ctx context.Context) error {
	for {
		before, err := r.size(ctx)
		if err != nil {
			return err
		}
		for _, k := range r.Keys {
			if k.OnDelete != 'c' {
				continue
			}
			of := func(id, at string) string {
				return fmt.Sprintf(`EXISTS (SELECT FROM %s p WHERE %s AND p."tombstone deletion" = %s AND p."tombstone at" = %s)`, r.taken(k.Parent), k.matches("p.", "x."), id, at)
			}
			if k.Child.Protected != nil {
				d := r.deletionOf(k.Child, "x.")
				if err := r.collect(ctx, k.Child, dead(k.Child.Protected, "x.")+" AND "+of("("+d+").id", "("+d+").at"), d); err != nil {
					return err
				}
			}
			if err := r.collectArchived(ctx, k.Child, of(`x."tombstone deletion"`, `x."tombstone at"`)); err != nil {
				return err
			}
		}
		if after, err := r.size(ctx); err != nil || after == before {
			return err
		}
	}
}

func (r *restorer) size(ctx context.Context) (n int64, err error) {
	err = r.tx.QueryRow(ctx, "SELECT count(*) FROM pg_temp.restoring").Scan(&n)
	return n, err
}

// count counts what is taken in.
func (r *restorer) count(ctx context.Context) error {
	rows, err := r.tx.Query(ctx, `SELECT n.nspname, c.relname, count(*) FROM pg_temp.restoring r JOIN pg_class c ON c.oid = r.relation
JOIN pg_namespace n ON n.oid = c.relnamespace GROUP BY 1, 2 ORDER BY n.nspname || '.' || c.relname`)
	if err != nil {
		return err
	}
	var name catalog.Name
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&name.Schema, &name.Relation, &n}, func() error {
		r.r.Restored = append(r.r.Restored, Count{shown(name), n})
		return nil
	})
	return err
}

// known lists the tables that may have rows to restore, by name.
func (d *Database) known() []*Table {
	list := d.Protected()
	for _, k := range d.Keys {
		if k.Child.Protected == nil && !slices.Contains(list, k.Child) {
			list = append(list, k.Child)
		}
	}
	return list
}

// taken writes the rows of a table that are taken in, as they will be once restored, with the deletion that each is of.
func (r *restorer) taken(t *Table) string {
	var columns, values []string
	if t.Protected != nil {
		columns, values = revival(t.Protected)
	}
	list := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		list[i] = "x." + ident(c.Name)
		if at := slices.Index(columns, c.Name); at >= 0 {
			list[i] = fmt.Sprintf("(%s)::%s AS %s", values[at], c.Type, ident(c.Name))
		}
	}
	extra := `, r.key AS "tombstone key", r.deletion AS "tombstone deletion", r.at AS "tombstone at"`
	return fmt.Sprintf(`(SELECT %[1]s%[2]s FROM %[3]s x JOIN pg_temp.restoring r ON r.leaf = x.tableoid AND r.place = x.ctid
UNION ALL SELECT %[1]s%[2]s FROM pg_temp.restoring r JOIN tombstone.archive a ON a.id = r.archived AND r.relation = %[4]s, LATERAL %[5]s)`,
		strings.Join(list, ", "), extra, t.only(), regclass(t), shape("a.", t.Columns, "x"))
}

// Find returns a table by a name as people write it: with its schema, or without if it is in public or no other has the name.
func (d *Database) Find(name string) (*Table, error) {
	var found []*Table
	for _, t := range d.Protected() {
		if name == t.Name.String() || name == full(t.Name) || name == shown(t.Name) || t.Name == (catalog.Name{Schema: "public", Relation: name}) {
			return t, nil
		}
		if name == t.Relation {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("the policy protects no table %s of this database", name)
	}
	return nil, fmt.Errorf("there is a table %s in several schemas; write e.g. %s", name, shown(found[0].Name))
}

// Key writes the condition that a row has a key, one value for each column of the table's identity.
func (d *Database) Key(t *Table, values []string) (string, error) {
	columns := d.identity(t)
	if len(columns) != len(values) {
		return "", fmt.Errorf("the key of %s is (%s): write %d value(s), separated by commas, or --where", shown(t.Name), strings.Join(columns, ", "), len(columns))
	}
	list := make([]string, len(columns))
	for i, name := range columns {
		list[i] = fmt.Sprintf("x.%s = %s::%s", ident(name), literal(values[i]), t.typeOf(name))
	}
	return strings.Join(list, " AND "), nil
}
