package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/lifecycle"
	"tombstone/rewrite"
)

// indexes looks for large indexes of all rows that could be of live rows only, on tables with many tombstones. Reads through the proxy test
// the marker, so that they can use either.
func (p *patient) indexes(ctx context.Context) error {
	var oid uint32
	var name, definition, where string
	var size int64
	return p.each(ctx, `
SELECT i.indrelid, x.relname, pg_get_indexdef(x.oid), COALESCE(pg_get_expr(i.indpred, i.indrelid), ''), pg_relation_size(x.oid)
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
WHERE i.indrelid = ANY ($1) AND NOT i.indisunique AND NOT i.indisexclusion AND i.indisvalid AND NOT i.indisreplident AND x.relkind = 'i'
	AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = x.oid)
ORDER BY 1, 2`, []any{p.oids()}, []any{&oid, &name, &definition, &where, &size}, func() {
		r := p.relation(oid)
		if r.Ordinal < 0 || r.Problem != "" || size < muchIndex || rewrite.LiveOnly(r.Table, where) {
			return
		}
		if rewrite.Names(where, r.Marker) && where != "" || p.share(r) < manyTombstones {
			return // it is for tombstones
		}
		_, on, _ := strings.Cut(definition, " ON ")
		if strings.Contains(on, "("+lifecycle.Ident(r.Marker)+")") || strings.Contains(on, "("+r.Marker+")") {
			return // it is about the marker: the purge's
		}
		condition := lifecycle.Live(r.Table, "")
		if where != "" {
			on = strings.TrimSuffix(on, " WHERE "+where)
			condition = "(" + where + ") AND " + condition
		}
		fresh := lifecycle.Named(name, "live")
		p.find(Finding{
			Severity: Info, Check: "bloated-index", Object: "index " + r.Schema + "." + name,
			Why: fmt.Sprintf("It has %d MiB and holds every row, and about %.0f %% of the rows of %s are tombstones, which reads do not want. One of live rows is smaller.", size>>20, 100*p.share(r), r.Name),
			SQL: []string{
				fmt.Sprintf("CREATE INDEX CONCURRENTLY %s ON %s WHERE %s", lifecycle.Ident(fresh), on, condition),
				fmt.Sprintf("DROP INDEX CONCURRENTLY %s.%s", lifecycle.Ident(r.Schema), lifecycle.Ident(name)),
				fmt.Sprintf("ALTER INDEX %s.%s RENAME TO %s", lifecycle.Ident(r.Schema), lifecycle.Ident(fresh), lifecycle.Ident(name)),
			},
		})
	})
}

// share is the part of a table's rows that are tombstones, as far as it is known.
func (p *patient) share(r *relation) float64 {
	for i := range p.report.Counts {
		if c := &p.report.Counts[i]; c.Table == r.Name.String() {
			return c.Share()
		}
	}
	return 0
}

// records looks for deletions that are written down and of which nothing is left: they were undone, or purged.
func (p *patient) records(ctx context.Context) error {
	var there bool
	if err := p.tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'tombstone' AND c.relname = 'deletions')").Scan(&there); err != nil || !there {
		return err
	}
	conditions := ""
	for i := range p.report.Counts {
		if !p.report.Counts[i].exact {
			return nil // looking for their rows would take too long
		}
	}
	for _, r := range p.relations {
		if r.View() || r.Kind == 'f' || r.Ordinal < 0 || r.partition || r.Problem != "" || r.MarkerType != "timestamp with time zone" {
			continue
		}
		conditions += fmt.Sprintf(" AND NOT EXISTS (SELECT FROM %s x WHERE x.%s = d.at)", r.full(), lifecycle.Ident(r.Marker))
	}
	var n int64
	err := p.tx.QueryRow(ctx, `SELECT count(*) FROM tombstone.deletions d WHERE d.exact
	AND NOT EXISTS (SELECT FROM tombstone.keyed k WHERE k.deletion = d.id AND k.at = d.at)
	AND NOT EXISTS (SELECT FROM tombstone.archive a WHERE a.deletion = d.id AND a.at = d.at)
	AND NOT EXISTS (SELECT FROM tombstone.severed s WHERE s.deletion = d.id AND s.at = d.at)`+conditions).Scan(&n)
	if err == nil && n > 0 {
		p.find(Finding{
			Severity: Info, Check: "empty-deletion", Object: "table tombstone.deletions",
			Why: fmt.Sprintf("Of %d recorded deletions no row is left: they were undone, restored or purged. They show in tombstone history with nothing beside them.", n),
		})
	}
	return err
}

// plainError is what the server said, without what the driver adds.
func plainError(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}
