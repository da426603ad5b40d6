package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/time/rate"

	"tombstone/config"
	"tombstone/policy"
)

// PurgeOptions say how to purge. Zero values of those that config.Purge does not have are good.
type PurgeOptions struct {
	config.Purge
	Table  string          // only this one, as in SQL; "" for all
	Dry    bool            // change nothing
	Who    string          // who asked for it, for the receipt
	Stop   <-chan struct{} // closed when it shall end, after the batch that it is at
	Say    func(string)    // what goes on meanwhile; nil for nobody
	Paused func(bool)      // it waits for a lock, or goes on; nil for nobody
	Pause  time.Duration   // how long, default 5 s
}

// purgeLock is the advisory lock of the one who purges a database: "tomb", "purg".
const purgeLock = "1953459554, 1886745191"

// errStopped ends a purge that was told to stop.
var errStopped = errors.New("stopped")

// purger is a purge at work.
type purger struct {
	*graph
	conn  *pgx.Conn
	o     PurgeOptions
	out   *Purged
	size  int // rows in a batch, fewer than asked for when a statement took too long
	limit *rate.Limiter
	pages int // how many blocks of a table are looked at at once
	major int
}

// Purge deletes for good the tombstones whose retention has ended, those first that refer to others. A tombstone that anything still refers to
// stays, and with it what it refers to; so does one that is held. Each batch is a transaction: what was done before an error or a stop is done,
// and the next purge goes on. The error says that nothing was begun; what went wrong later is among Purged.Problems.
//
// The connection is this purge's own: it has other settings afterwards.
func Purge(ctx context.Context, conn *pgx.Conn, rules *policy.Policy, o PurgeOptions) (*Purged, error) {
	p := &purger{conn: conn, o: o, size: max(o.Batch, 1), limit: rate.NewLimiter(rate.Inf, 0), pages: 256}
	if o.Rate > 0 {
		p.limit = rate.NewLimiter(rate.Limit(o.Rate), p.size)
		p.limit.AllowN(time.Now(), p.size) // the first batch is paid for afterwards, like all others
	}
	if p.o.Pause == 0 {
		p.o.Pause = lockPause
	}
	p.out = &Purged{Outcome: "done", DryRun: o.Dry, Who: o.Who, Tables: []*PurgedTable{}}
	if err := settle(ctx, conn, o.Purge); err != nil {
		return nil, err
	}
	var recovering bool
	if err := conn.QueryRow(ctx, "SELECT pg_catalog.clock_timestamp(), session_user, pg_catalog.pg_is_in_recovery()").Scan(&p.out.Started, &p.out.Role, &recovering); err != nil {
		return nil, err
	}
	p.out.Started = p.out.Started.UTC()
	if recovering {
		return nil, errors.New("this server is a standby, where nothing can be deleted; name the primary, e.g. with target_session_attrs=read-write")
	}
	if !o.Dry {
		if other, err := p.alone(ctx); err != nil || other != "" {
			p.out.Outcome, p.out.Warnings, p.out.Finished = "busy", []string{other}, time.Now().UTC()
			return p.out, err
		}
		defer func() {
			_, _ = conn.Exec(context.WithoutCancel(ctx), "SELECT pg_catalog.pg_advisory_unlock("+purgeLock+")")
		}()
	}
	err := p.patiently(ctx, func() error { // also of those who alter a table: its definition cannot be read meanwhile
		d, err := Read(ctx, conn, rules)
		if err == nil {
			p.major = d.Version / 10000
			p.graph, err = readGraph(ctx, conn, d, p.out.Started)
		}
		return err
	})
	switch {
	case errors.Is(err, errStopped):
		p.out.Outcome, p.out.Finished = "stopped", time.Now().UTC()
		return p.out, nil
	case err != nil:
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	p.dry = o.Dry
	if o.Dry {
		if _, err := conn.Exec(ctx, "CREATE TEMP TABLE IF NOT EXISTS tombstone_going (leaf oid, place tid, key text[], at timestamptz, PRIMARY KEY (leaf, place)); TRUNCATE pg_temp.tombstone_going"); err != nil {
			return nil, fmt.Errorf("a dry run keeps its notes in a temporary table: %w", err)
		}
	}
	var only *grave
	if o.Table != "" {
		if only, err = p.find(ctx, conn, o.Table); err != nil {
			return nil, err
		}
	}
	err = p.all(ctx, only)
	switch {
	case errors.Is(err, errStopped):
		p.out.Outcome = "stopped"
	case err != nil:
		p.problem(err)
	}
	if len(p.out.Problems) > 0 {
		p.out.Outcome = "failed"
	}
	p.out.Finished = time.Now().UTC()
	return p.out, nil
}

// settle makes the session's settings those that a purge needs.
func settle(ctx context.Context, conn *pgx.Conn, c config.Purge) error {
	_, err := conn.Exec(ctx, fmt.Sprintf(
		// Rows that a policy hides would pass for rows that are not there: with row_security off that is an error.
		"SET statement_timeout = %d; SET lock_timeout = %d; SET row_security = off; SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off; SET idle_in_transaction_session_timeout = 0",
		c.StatementTimeout.Milliseconds(), c.LockTimeout.Milliseconds()))
	return err
}

// alone takes the lock of the one who purges this database, or tells who has it.
func (p *purger) alone(ctx context.Context) (other string, err error) {
	var mine bool
	if err := p.conn.QueryRow(ctx, "SELECT pg_catalog.pg_try_advisory_lock("+purgeLock+")").Scan(&mine); err != nil || mine {
		return "", err
	}
	err = p.conn.QueryRow(ctx, `SELECT COALESCE((SELECT pg_catalog.format('process %s, %s, connected since %s', a.pid, COALESCE(NULLIF(a.application_name, ''), 'unnamed'), pg_catalog.date_trunc('second', a.backend_start))
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
	AND (l.classid::int8, l.objid::int8, l.objsubid) = (`+purgeLock+`, 2) LIMIT 1), 'which has just ended')`).Scan(&other)
	return "another purge is at work in this database (" + other + "); it does what is to be done", err
}

// all purges every table that has a retention, the archive, and what is known of deletions that nothing is left of.
func (p *purger) all(ctx context.Context, only *grave) error {
	groups := p.groups()
	for _, g := range groups {
		for _, t := range g.tables {
			p.enlist(ctx, t, only)
		}
	}
	if err := p.shortened(ctx); err != nil {
		return err
	}
	for _, g := range groups {
		if err := p.group(ctx, g, only); err != nil {
			return err
		}
	}
	if err := p.archive(ctx, only); err != nil {
		return err
	}
	return p.records(ctx)
}

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
			if l.cutoff != t.leaves[0].cutoff {
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

// group purges tables of which none goes before the others.
func (p *purger) group(ctx context.Context, g *group, only *grave) error {
	var left []place // of a circle
	for _, t := range g.tables {
		if only != nil && t != only {
			continue
		}
		for _, l := range t.leaves {
			if l.cutoff.IsZero() {
				continue
			}
			err := p.seek(ctx, l, func(found []place) error {
				stays, err := p.leaves(ctx, g, found)
				if err != nil {
					return err
				}
				if g.circle {
					left = append(left, stays...)
					return nil
				}
				return p.stay(ctx, l, split(stays)[l.oid])
			})
			if fatal(ctx, err) {
				return err
			}
			if err != nil { // the other tables can go on
				p.problem(fmt.Errorf("%s: %w", l.name, err))
				p.keepAll(t)
			}
		}
	}
	if !g.circle {
		return nil
	}
	err := p.circles(ctx, left)
	if err == nil {
		byLeaf := split(left)
		for _, t := range g.tables {
			for _, l := range t.leaves {
				for part := range slices.Chunk(byLeaf[l.oid], 10000) {
					if err = p.stay(ctx, l, part); err != nil {
						break
					}
				}
			}
		}
	}
	if err != nil && !fatal(ctx, err) {
		p.problem(fmt.Errorf("%s: %w", g.tables[0].Name, err))
		return nil
	}
	return err
}

// fatal reports whether an error ends the whole purge.
func fatal(ctx context.Context, err error) bool {
	var e *pgconn.PgError
	return err != nil && (errors.Is(err, errStopped) || ctx.Err() != nil || !errors.As(err, &e) && !errors.Is(err, errChanged))
}

func (p *purger) problem(err error) { p.out.Problems = append(p.out.Problems, err.Error()) }

func (p *purger) warn(format string, values ...any) {
	text := fmt.Sprintf(format, values...)
	p.out.Warnings = append(p.out.Warnings, text)
	p.say(text)
}

func (p *purger) say(text string) {
	if p.o.Say != nil {
		p.o.Say(text)
	}
}

// rest is between two batches: it waits until n rows may go, and ends the purge if it shall end.
func (p *purger) rest(ctx context.Context, n int) error {
	for n > 0 && !p.o.Dry && p.limit.Limit() != rate.Inf {
		part := min(n, p.limit.Burst())
		n -= part
		if err := p.sleep(ctx, p.limit.ReserveN(time.Now(), part).Delay()); err != nil {
			return err
		}
	}
	return p.sleep(ctx, 0)
}

func (p *purger) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	if d <= 0 {
		select {
		case <-p.o.Stop:
			return errStopped
		default:
			return ctx.Err()
		}
	}
	select {
	case <-p.o.Stop:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
