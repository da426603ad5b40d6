package doctor

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"tombstone/lifecycle"
	"tombstone/policy"
	"tombstone/policy/catalog"
)

// Count is how many tombstones a table has, its partitions included.
type Count struct {
	Table      string
	Rows       int64     // all, live ones and tombstones
	Tombstones int64     // -1 if nothing is known
	Oldest     time.Time // the marker of the oldest; zero if there is none or it is not known
	How        string    // how it was found out, in words
	exact      bool      // every row was counted
	scanned    bool      // no index tells the oldest of a large table
	pages      int64     // of 8 KiB as a rule
}

// Share is the part of the rows that are tombstones, 0 to 1.
func (c *Count) Share() float64 {
	if c.Rows <= 0 || c.Tombstones <= 0 {
		return 0
	}
	return min(1, float64(c.Tombstones)/float64(c.Rows))
}

// Tables of up to so many pages, 8 MiB, are counted; of larger ones statistics tell.
const smallTable = 1024

// A table of so many pages, 1 GiB, takes seconds to be read, and so do history, undo and each purge without an index of its tombstones.
const hugeTable = 131072

// manyTombstones is the share from which on an index of all rows is worth an index of live ones, and muchIndex its size in bytes.
const (
	manyTombstones = 0.2
	muchIndex      = 1 << 20
)

// tombstones counts, table by table, and sees to retention.
func (p *patient) tombstones(ctx context.Context) error {
	counts := map[catalog.Name]*Count{}
	for _, r := range p.relations {
		if r.View() || r.Kind == 'f' || r.Ordinal < 0 || r.Unreadable {
			continue
		}
		name := p.root(r)
		c := counts[name]
		if c == nil {
			p.report.Counts = append(p.report.Counts, Count{})
			c = &Count{Table: name.String(), exact: true}
			counts[name] = c
		}
		if r.Kind == 'p' {
			continue
		}
		if err := p.apart(ctx, "tombstones of "+r.object(), func(ctx context.Context) error { return p.count(ctx, r, c) }); err != nil {
			return err
		}
	}
	p.report.Counts = p.report.Counts[:0]
	for _, r := range p.relations {
		if c := counts[r.Name]; c != nil {
			p.report.Counts = append(p.report.Counts, *c)
			p.tell(r, c)
			if err := p.apart(ctx, "retention of "+r.object(), func(ctx context.Context) error { return p.retention(ctx, r, c) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// root is the protected table that a partition is of, itself for any other.
func (p *patient) root(r *relation) catalog.Name {
	for parent := p.relation(r.parent); parent != nil; parent = p.relation(r.parent) {
		r = parent
	}
	return r.Name
}

// count adds the rows and tombstones of one table, without partitions and children. A small one is counted. Of a large one the server's
// statistics tell: reading it to count would take longer than the answer is worth.
func (p *patient) count(ctx context.Context, r *relation, c *Count) error {
	var rows, dead int64
	var oldest *time.Time
	from := "ONLY " + r.full() + " AS x"
	moment := instant(r.Table)
	c.pages += r.pages
	if r.pages <= smallTable && r.rows <= smallTable*200 {
		var size int64
		if err := p.tx.QueryRow(ctx, "SELECT pg_relation_size($1::oid)", r.oid).Scan(&size); err != nil {
			return err
		}
		if size <= smallTable*8192 {
			err := p.tx.QueryRow(ctx, fmt.Sprintf("SELECT count(*), count(*) FILTER (WHERE %[1]s), min(%[2]s) FILTER (WHERE %[1]s) FROM %[3]s", lifecycle.Dead(r.Table, "x."), moment, from)).Scan(&rows, &dead, &oldest)
			if err == nil {
				c.add(rows, dead, oldest, true)
			}
			return err
		}
	}
	share, known, err := p.shareByStatistics(ctx, r)
	if err != nil {
		return err
	}
	if r.rows < 0 || !known {
		c.add(int64(max(r.rows, 0)), -1, nil, false)
		return nil
	}
	if oldest, err = p.oldest(ctx, r, c, moment, from); err != nil {
		return err
	}
	c.add(int64(r.rows), int64(math.Round(r.rows*share)), oldest, false)
	return nil
}

func (c *Count) add(rows, dead int64, oldest *time.Time, exact bool) {
	c.Rows += rows
	switch {
	case dead < 0 || c.Tombstones < 0:
		c.Tombstones = -1
	default:
		c.Tombstones += dead
	}
	if oldest != nil && (c.Oldest.IsZero() || oldest.Before(c.Oldest)) {
		c.Oldest = oldest.UTC()
	}
	c.exact = c.exact && exact
	c.How = map[bool]string{true: "counted", false: "by the server's statistics"}[c.exact]
	if c.Tombstones < 0 {
		c.How = "not known: run ANALYZE"
	}
}

// instant writes the marker of a tombstone as a time; NULL if it does not tell.
func instant(t *policy.Table) string {
	column := "x." + lifecycle.Ident(t.Marker)
	switch t.Live.Value {
	case policy.False:
		return "NULL::timestamptz"
	case policy.Zero:
		return "to_timestamp(" + column + ")"
	}
	return "CASE WHEN isfinite(" + column + ") THEN " + column + "::timestamptz END"
}

// shareByStatistics is the share of tombstones by pg_stats of the marker.
func (p *patient) shareByStatistics(ctx context.Context, r *relation) (share float64, known bool, err error) {
	var null float64
	var values []string
	var frequencies []float64
	err = p.each(ctx, "SELECT null_frac::float8, COALESCE(most_common_vals::text::text[], '{}'), COALESCE(most_common_freqs::float8[], '{}') FROM pg_stats WHERE schemaname = $1 AND tablename = $2 AND attname = $3 AND NOT inherited",
		[]any{r.Schema, r.Relation, r.Marker}, []any{&null, &values, &frequencies}, func() { known = true })
	live := null // NULL is live wherever it may stand
	want := map[policy.LiveValue]string{policy.False: "f", policy.Zero: "0", policy.Infinity: "infinity"}[r.Live.Value]
	for i, v := range values {
		if want != "" && v == want && i < len(frequencies) {
			live += frequencies[i]
		}
	}
	return max(0, 1-live), known, err
}

// oldest is the marker of the oldest tombstone of a large table, from an index of the marker, else about that from statistics.
func (p *patient) oldest(ctx context.Context, r *relation, c *Count, moment, from string) (oldest *time.Time, err error) {
	var indexed bool
	if r.Live.Value == policy.False {
		return nil, nil
	}
	err = p.tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
		WHERE i.indrelid = $1 AND a.attname = $2::text AND i.indisvalid AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', $2::text)))`,
		r.oid, r.Marker).Scan(&indexed)
	if err != nil {
		return nil, err
	}
	if !indexed {
		c.scanned = true
		value := "v::timestamptz"
		if r.Live.Value == policy.Zero {
			value = "to_timestamp(NULLIF(v::bigint, 0))"
		}
		err = p.tx.QueryRow(ctx, `SELECT min(m) FROM (SELECT `+value+` AS m FROM pg_stats, unnest(COALESCE(histogram_bounds::text::text[], '{}') || COALESCE(most_common_vals::text::text[], '{}')) AS v
			WHERE schemaname = $1 AND tablename = $2 AND attname = $3 AND NOT inherited) t WHERE isfinite(m)`, r.Schema, r.Relation, r.Marker).Scan(&oldest)
		return oldest, err
	}
	column := "x." + lifecycle.Ident(r.Marker)
	condition := column + " IS NOT NULL"
	if r.Live.Value == policy.Zero {
		condition += " AND " + column + " > 0"
	}
	err = p.tx.QueryRow(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT 1", moment, from, condition, column)).Scan(&oldest)
	if err != nil && strings.Contains(err.Error(), "no rows") {
		return nil, nil
	}
	return oldest, err
}

func (p *patient) tell(r *relation, c *Count) {
	if c.Tombstones == 0 {
		return
	}
	why := fmt.Sprintf("%d of its %d rows are tombstones (%.1f %%)", c.Tombstones, c.Rows, 100*c.Share())
	if !c.exact {
		why = fmt.Sprintf("About %.0f %% of its about %d rows are tombstones", 100*c.Share(), c.Rows)
	}
	if c.Tombstones < 0 {
		why = "How many of its rows are tombstones is not known: it is too large to count, and has no statistics, or the login may not see them. Run ANALYZE"
	}
	if !c.Oldest.IsZero() {
		why += ", the oldest of " + c.Oldest.Format(time.DateTime)
	}
	if c.Tombstones > 0 {
		why += " (" + c.How + ")"
	}
	p.find(Finding{Severity: Info, Check: "tombstones", Object: r.object(), Why: why + "."})
	if c.scanned && c.pages >= hugeTable && !r.Indexed {
		p.find(Finding{
			Severity: Info, Check: "unindexed", Object: r.object(),
			Why:    fmt.Sprintf("It has %d GiB, and no index finds its tombstones: history, undo and each purge read all of it.", c.pages/hugeTable),
			Advice: fmt.Sprintf("Set index: true for it in %s, and run tombstone prepare --apply. A deletion costs about a third more then.", p.config.File),
		})
	}
}

// retention looks for tombstones that are a day older than the policy lets them get, legal holds excepted.
//
// Without it, what the privacy notice says is gone after 30 days is there for ever, because nobody runs the purge.
func (p *patient) retention(ctx context.Context, r *relation, c *Count) error {
	if r.Retention == 0 || r.Live.Value == policy.False {
		return nil
	}
	cutoff := p.now.Add(-r.Retention - 24*time.Hour)
	if !c.Oldest.IsZero() && c.Oldest.After(cutoff) || c.Tombstones == 0 {
		return nil
	}
	hold := ""
	if r.Hold != "" {
		hold = " AND (" + r.Hold + ") IS NOT TRUE"
	}
	advice := fmt.Sprintf("Run tombstone purge --config %s, and see in the log of tombstone serve whether it does so on schedule.", p.config.File)
	if c.scanned || c.Tombstones < 0 { // to look for them would be to read it all
		if !c.Oldest.IsZero() {
			p.find(Finding{
				Severity: Warning, Check: "retention-behind", Object: r.object(), Advice: advice,
				Why: fmt.Sprintf("The policy keeps tombstones for %s, and by the server's statistics there are some of %s. They are kept if they are on hold or live rows refer to them; else no purge has come by. Without an index of the marker a purge reads the whole table.",
					days(r.Retention), c.Oldest.Format(time.DateOnly)),
			})
		}
		return nil
	}
	alias := lifecycle.Ident(r.Relation)
	var overdue int64
	err := p.tx.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM (SELECT FROM %s AS %s WHERE %s AND %s < $1%s LIMIT 100000) t",
		r.full(), alias, lifecycle.Dead(r.Table, alias+"."), strings.ReplaceAll(instant(r.Table), "x.", alias+"."), hold), cutoff).Scan(&overdue)
	if err != nil || overdue == 0 {
		return err
	}
	many := fmt.Sprint(overdue)
	if overdue == 100000 {
		many += " or more"
	}
	p.find(Finding{
		Severity: Warning, Check: "retention-behind", Object: r.object(),
		Why: fmt.Sprintf("The policy keeps tombstones for %s, and %s are more than a day older than that and on no hold. They are kept if live rows refer to them; else no purge has come by.",
			days(r.Retention), many),
		Advice: advice,
	})
	return nil
}

func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}

// holds tries the policy's conditions of legal holds.
func (p *patient) holds(ctx context.Context) error {
	for _, r := range p.relations {
		if r.Hold == "" || r.View() || r.partition {
			continue
		}
		inner, err := p.tx.Begin(ctx)
		if err != nil {
			return err
		}
		_, err = inner.Exec(ctx, fmt.Sprintf("SELECT FROM %s WHERE (%s) LIMIT 0", r.full(), r.Hold))
		if err != nil {
			p.find(Finding{
				Severity: Error, Check: "wrong-hold", Object: r.object(),
				Why:    fmt.Sprintf("The policy's hold is no condition on its rows: %v. No purge can tell which rows are on hold.", plainError(err)),
				Advice: "Correct hold in " + p.config.File + ".",
			})
		}
		if err := inner.Rollback(ctx); err != nil {
			return err
		}
	}
	return nil
}
