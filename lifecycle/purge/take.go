package purge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	tries = 20              // how often a lock is waited for
	pause = 5 * time.Second // how long others have their turn in between, unless Options say otherwise
)

// errChanged is a foreign key that has come or gone since the graph was read.
var errChanged = errors.New("the foreign keys to the table have changed meanwhile; run it again")

// patiently does something that waits for locks no longer than lock_timeout: it lets those go first who wait behind it, and tries again. The pace
// goes by how long it took, and a batch by its n rows, too.
func (p *purger) patiently(ctx context.Context, n int, do func() error) error {
	for try := 1; ; try++ {
		begun := time.Now()
		err := do()
		if err == nil {
			p.pace.work(n, time.Since(begun))
			return nil
		}
		var e *pgconn.PgError
		if !errors.As(err, &e) || e.Code != "55P03" && e.Code != "40P01" && e.Code != "40001" || try == tries {
			return err
		}
		p.say(fmt.Sprintf("somebody holds the lock (%s); trying again in %s", e.Message, p.o.Pause))
		p.paused(true)
		err = p.sleep(ctx, p.o.Pause)
		p.paused(false)
		if err != nil {
			return err
		}
	}
}

func (p *purger) paused(yes bool) {
	if p.o.Paused != nil {
		p.o.Paused(yes)
	}
}

// leaves takes those of the rows that nothing refers to, and then those that only they referred to, as long as these are of the group. It returns those
// of the rows that stay for now.
func (p *purger) leaves(ctx context.Context, g *group, found []place) (left []place, err error) {
	took := map[place]bool{}
	for all := found; ; {
		if len(found) == 0 {
			return slices.DeleteFunc(all, func(row place) bool { return took[row] }), nil
		}
		var next []place
		by := split(found)
		for _, oid := range slices.Sorted(maps.Keys(by)) {
			for tids := by[oid]; len(tids) > 0; {
				n := min(p.pace.size, len(tids))
				if err := p.rest(ctx, 0); err != nil {
					return nil, err
				}
				var up []place
				var went []gone
				err := p.patiently(ctx, n, func() (err error) {
					up, went, err = p.batch(ctx, g, p.graph.leaves[oid], tids[:n])
					return err
				})
				switch {
				case cancelled(err) && n > 1:
					p.pace.halve(n) // one statement takes too long
					continue
				case cancelled(err):
					return nil, fmt.Errorf("one row takes longer than purge.statement_timeout; is there an index for each foreign key to the table? %w", err)
				case err != nil:
					return nil, err
				}
				for _, row := range went {
					took[row.place] = true
				}
				next = append(next, up...)
				tids = tids[n:]
				if err := p.rest(ctx, len(went)); err != nil {
					return nil, err
				}
			}
		}
		slices.SortFunc(next, place.compare)
		found = slices.Compact(next)
	}
}

func (a place) compare(b place) int {
	switch {
	case a.leaf != b.leaf:
		return int(int64(a.leaf) - int64(b.leaf))
	case a.tid.BlockNumber != b.tid.BlockNumber:
		return int(int64(a.tid.BlockNumber) - int64(b.tid.BlockNumber))
	}
	return int(a.tid.OffsetNumber) - int(b.tid.OffsetNumber)
}

// batch takes rows of one leaf in one transaction: those that are still expired, not held, and that nothing refers to. It returns the rows of the
// group that these referred to.
func (p *purger) batch(ctx context.Context, g *group, l *leaf, tids []pgtype.TID) (up []place, went []gone, err error) {
	err = p.transaction(ctx, func(tx pgx.Tx) (err error) {
		if tids, err = p.lock(ctx, tx, l, tids); err != nil || len(tids) == 0 {
			return err
		}
		if g.circle {
			if up, err = p.above(ctx, tx, g, l, tids); err != nil {
				return err
			}
		}
		went, err = p.delete(ctx, tx, map[*leaf][]pgtype.TID{l: tids}, func(l *leaf) string {
			return l.expired(l.alias()) + " AND " + l.free() + p.unreferred(l, l.alias())
		})
		if len(went) == 0 {
			up = nil
		}
		if err != nil {
			return err
		}
		return p.enter(ctx, tx, went)
	})
	return up, went, err
}

// transaction does something, and what it has told the receipt counts only if it is committed.
func (p *purger) transaction(ctx context.Context, do func(pgx.Tx) error) error {
	before := make([]PurgedTable, len(p.out.Tables))
	for i, t := range p.out.Tables {
		before[i] = *t
	}
	receipt := p.out.Receipt
	err := pgx.BeginTxFunc(ctx, p.conn, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}, do)
	if err != nil {
		for i := range before {
			*p.out.Tables[i] = before[i]
		}
		p.out.Tables, p.out.Receipt = p.out.Tables[:len(before)], receipt
	}
	return err
}

// enter writes rows down that have just gone.
func (p *purger) enter(ctx context.Context, tx pgx.Tx, rows []gone) error {
	for _, row := range rows {
		p.account(p.graph.leaves[row.leaf]).count(row)
	}
	if len(rows) == 0 || p.dry || !p.has["receipts"] {
		return nil
	}
	return p.out.write(ctx, tx, "purge")
}

// lock locks those rows of a leaf that are still expired and not held. A row that somebody else has locked is left to them: they may be restoring it, or
// about to refer to it. From here on nobody can do either: they wait, and find that it is gone.
func (p *purger) lock(ctx context.Context, tx pgx.Tx, l *leaf, tids []pgtype.TID) ([]pgtype.TID, error) {
	// In one round trip: the batch is short, and to wait for an answer is much of what it takes.
	var do pgx.Batch
	update := ""
	if !p.dry {
		l.hold(&do)
		update = " FOR UPDATE OF " + ident(l.of.Relation) + " SKIP LOCKED"
	}
	var locked []pgtype.TID
	do.Queue(fmt.Sprintf("SELECT %[1]sctid FROM %[2]s WHERE %[1]sctid = ANY ($1) AND %[3]s AND %[4]s%[5]s%[6]s",
		l.alias(), l.from(l.alias()), l.expired(l.alias()), l.free(), p.there(l.alias()), update), tids).Query(func(rows pgx.Rows) (err error) {
		locked, err = pgx.CollectRows(rows, pgx.RowTo[pgtype.TID])
		return err
	})
	err := tx.SendBatch(ctx, &do).Close()
	return locked, err
}

// hold keeps the foreign keys to a leaf as they are until the end of the transaction, and makes sure that they are those that are known.
//
// Without it, a key ON DELETE CASCADE that was made a moment ago would take live rows along.
func (l *leaf) hold(do *pgx.Batch) {
	do.Queue("LOCK TABLE ONLY " + full(l.name) + " IN ROW EXCLUSIVE MODE")
	do.Queue(`SELECT f.oid FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND f.conparentid = 0
	AND (f.confrelid = $1::pg_catalog.oid OR f.confrelid IN (SELECT a.relid FROM pg_catalog.pg_partition_ancestors($1::pg_catalog.oid) a)) ORDER BY f.oid`, l.oid).Query(func(rows pgx.Rows) error {
		oids, err := pgx.CollectRows(rows, pgx.RowTo[uint32])
		if err == nil && !slices.EqualFunc(oids, l.refs, func(oid uint32, k *reference) bool { return oid == k.OID }) {
			err = errChanged
		}
		return err
	})
}

// delete deletes rows of leaves in one statement, each leaf's under a condition, and what the house knows of them. In a dry run it notes them.
func (g *graph) delete(ctx context.Context, tx pgx.Tx, rows map[*leaf][]pgtype.TID, where func(*leaf) string) ([]gone, error) {
	var do pgx.Batch
	if !g.dry {
		do.Queue("SELECT pg_catalog.set_config('tombstone.delete', 'purge', true), pg_catalog.set_config('tombstone.sighted', 'yes', true)")
	}
	var parts, results []string
	var values []any
	for _, l := range slices.SortedFunc(maps.Keys(rows), func(a, b *leaf) int { return int(int64(a.oid) - int64(b.oid)) }) {
		values = append(values, rows[l])
		n := len(values)
		a := l.alias()
		condition := fmt.Sprintf("%sctid = ANY ($%d) AND %s", a, n, where(l))
		out := fmt.Sprintf("%stableoid AS leaf, %sctid AS place, %s AS key, %s AS at", a, a, l.texts(a, l.identity), l.moment(a))
		name := fmt.Sprintf("gone%d", n)
		if g.dry {
			parts = append(parts, fmt.Sprintf("%s AS (INSERT INTO pg_temp.tombstone_going SELECT %s FROM %s WHERE %s%s RETURNING leaf, place, key, at)", name, out, l.from(a), condition, g.there(a)))
		} else {
			for i, k := range l.refs {
				if g.severs(k) {
					out += fmt.Sprintf(", %s AS was%d", k.was(a), i)
				}
			}
			parts = append(parts, fmt.Sprintf("%s AS (DELETE FROM %s WHERE %s RETURNING %s)", name, l.from(a), condition, out))
			parts = append(parts, g.forget(l, name)...)
		}
		results = append(results, "SELECT leaf, place, key, at FROM "+name)
	}
	var went []gone
	do.Queue("WITH "+strings.Join(parts, ",\n")+"\n"+strings.Join(results, " UNION ALL "), values...).Query(func(rows pgx.Rows) (err error) {
		went, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r gone, err error) {
			err = row.Scan(&r.leaf, &r.tid, &r.key, &r.at)
			return r, err
		})
		return err
	})
	err := tx.SendBatch(ctx, &do).Close()
	return went, err
}

// severs reports whether a deletion may have cut references by a key, and has written that down.
func (g *graph) severs(k *reference) bool {
	return g.has["severed"] && (k.OnDelete == 'n' || k.OnDelete == 'd')
}

// was writes the reference to a row as tombstone.severed has it.
func (k *reference) was(row string) string {
	list := make([]string, len(k.SetColumns))
	for i, name := range k.SetColumns {
		list[i] = k.RefOf(name)
	}
	return k.Parent.Texts(row, list)
}

// forget deletes what the house knows of rows that go: which deletion took them, and which references that cut. Nobody can restore them any more.
func (g *graph) forget(l *leaf, from string) []string {
	var parts []string
	if g.has["keyed"] {
		parts = append(parts, fmt.Sprintf("%s_keyed AS (DELETE FROM tombstone.keyed k USING %s g WHERE k.relation = %s AND k.key = g.key)", from, from, l.relation()))
	}
	if g.has["severed"] {
		parts = append(parts, fmt.Sprintf("%s_severed AS (DELETE FROM tombstone.severed s USING %s g WHERE s.relation = %s AND s.key = g.key)", from, from, l.relation()))
	}
	for i, k := range l.refs {
		if g.severs(k) {
			parts = append(parts, fmt.Sprintf("%s_was%d AS (DELETE FROM tombstone.severed s USING %s g WHERE s.relation = %s::pg_catalog.regclass AND s.constraint_name = %s AND s.was = g.was%d)",
				from, i, from, literal(full(k.Child.Name)), literal(k.Name), i))
		}
	}
	return parts
}
