package purge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// enlist opens the account of a table that has a retention, or of those of its partitions that have another.
func (p *purger) enlist(ctx context.Context, t, only *grave) {
	if only != nil && t != only {
		p.keepAll(t)
		return
	}
	for _, l := range t.leaves {
		switch {
		case l.cutoff.IsZero() || p.account(l) != nil:
		case l.Unmarked || l.Unreadable:
			p.out.Warnings = append(p.out.Warnings, l.Problem+". "+l.Fix)
			p.keepAll(t)
		default:
			// A hold that is not SQL is found here, before anything goes.
			if _, err := p.conn.Exec(ctx, fmt.Sprintf("SELECT FROM %s WHERE %s LIMIT 0", l.from(l.alias()), l.free())); err != nil {
				p.problem(fmt.Errorf("%s: hold: %w (tables.hold is a condition on a row, in SQL: %s)", t.Name, err, l.Hold))
				p.keepAll(t)
				return
			}
			one := &PurgedTable{Name: t.Name.String(), Retention: l.Retention.Seconds(), Before: l.cutoff}
			if l.cutoff != t.rule.cutoff {
				one.Name, one.leaf = l.name.String(), true
			}
			p.out.Tables = append(p.out.Tables, one)
		}
	}
	for _, k := range t.refs {
		if k.unindexed && slices.ContainsFunc(t.leaves, func(l *leaf) bool { return !l.cutoff.IsZero() }) {
			p.out.Warnings = append(p.out.Warnings, fmt.Sprintf("no index of %s finds what refers to a row of %s (%s): if the table is large, each row takes long; CREATE INDEX ON %s (%s)",
				k.Child.Name, t.Name, k.Name, full(k.Child.Name), idents("", k.Columns)))
		}
	}
}

// keepAll lets no more row of a table go.
func (p *purger) keepAll(t *grave) {
	t.rule.cutoff = time.Time{}
	for _, l := range t.leaves {
		l.cutoff = time.Time{}
	}
	for _, other := range p.tables {
		for _, k := range other.refs {
			if k.rule != nil && slices.Contains(k.from, t) {
				k.rule.cutoff = time.Time{}
			}
		}
	}
}

// account is what is told of the table of a leaf, nil if it has none.
func (p *purger) account(l *leaf) *PurgedTable {
	if i := slices.IndexFunc(p.out.Tables, func(t *PurgedTable) bool { return t.leaf && t.Name == l.name.String() }); i >= 0 {
		return p.out.Tables[i]
	}
	if i := slices.IndexFunc(p.out.Tables, func(t *PurgedTable) bool { return !t.leaf && t.Name == l.of.Name.String() && t.Before.Equal(l.cutoff) }); i >= 0 {
		return p.out.Tables[i]
	}
	return nil
}

// shortened tells of tables whose rows were kept longer at their last purge: more than usual goes then.
func (p *purger) shortened(ctx context.Context) error {
	if !p.has["receipts"] {
		return nil
	}
	for _, t := range p.out.Tables {
		var last float64
		err := p.conn.QueryRow(ctx, `SELECT (t ->> 'retention_seconds')::float8 FROM tombstone.receipts r, pg_catalog.jsonb_array_elements(r.tables) t
WHERE r.command = 'purge' AND t ->> 'name' = $1 AND t ? 'retention_seconds' ORDER BY r.id DESC LIMIT 1`, t.Name).Scan(&last)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
		case err != nil:
			return fmt.Errorf("read tombstone.receipts: %w", err)
		case last > t.Retention:
			p.warn("the retention of %s is %s now, and was %s when rows of it were purged last: more than usual goes",
				t.Name, days(time.Duration(t.Retention*1e9)), days(time.Duration(last*1e9)))
		}
	}
	return nil
}

// days writes a retention as the configuration does.
func days(d time.Duration) string {
	if d >= 24*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	return d.String()
}
