package purge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/config"
	"tombstone/lifecycle"
	"tombstone/policy"
)

// Options say how to purge. Zero values of those that config.Purge does not have are good.
type Options struct {
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
	o     Options
	out   *Purged
	pace  *pace
	bound bool // something is in pg_temp.tombstone_bound
	pages int  // how many blocks of a table are looked at at once
	major int
}

// Run deletes for good the tombstones whose retention has ended, those first that refer to others. A tombstone that anything still refers to
// stays, and with it what it refers to; so does one that is held. Each batch is a transaction: what was done before an error or a stop is done,
// and the next purge goes on. The error says that nothing was begun; what went wrong later is among Purged.Problems.
//
// The connection is this purge's own: it has other settings afterwards.
func Run(ctx context.Context, conn *pgx.Conn, rules *policy.Policy, o Options) (*Purged, error) {
	p := &purger{conn: conn, o: o, pace: newPace(o.Purge, o.Dry), pages: 256}
	if p.o.Pause == 0 {
		p.o.Pause = pause
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
	if err := p.pace.ping(ctx, conn); err != nil {
		return nil, err
	}
	if recovering {
		return nil, errors.New("this server is a standby, where nothing can be deleted; name the primary, e.g. with target_session_attrs=read-write")
	}
	if !o.Dry {
		other, err := p.alone(ctx)
		switch {
		case errors.Is(err, errStopped):
			p.out.Outcome, p.out.Finished = "stopped", time.Now().UTC()
			return p.out, nil
		case err != nil:
			return nil, err
		case other != "":
			p.out.Outcome, p.out.Warnings, p.out.Finished = "busy", []string{other}, time.Now().UTC()
			return p.out, nil
		}
		defer func() {
			_, _ = conn.Exec(context.WithoutCancel(ctx), "SELECT pg_catalog.pg_advisory_unlock("+purgeLock+")")
		}()
	}
	err := p.patiently(ctx, 0, func() error { // also of those who alter a table: its definition cannot be read meanwhile
		d, err := lifecycle.Read(ctx, conn, rules)
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
	p.pace.worked = 0 // that was little, and once
	p.dry = o.Dry
	if o.Dry {
		if _, err := conn.Exec(ctx, "CREATE TEMP TABLE IF NOT EXISTS tombstone_going (leaf oid, place tid, key text[], at timestamptz, PRIMARY KEY (leaf, place)); CREATE TEMP TABLE IF NOT EXISTS tombstone_gone (id bigint PRIMARY KEY); TRUNCATE pg_temp.tombstone_going, pg_temp.tombstone_gone"); err != nil {
			return nil, fmt.Errorf("a dry run keeps its notes in a temporary table: %w", err)
		}
	}
	var only *grave
	if o.Table != "" {
		if only, err = p.find(ctx, conn, o.Table); err != nil {
			return nil, err
		}
	}
	if !o.Dry && p.has["receipts"] {
		// Who commits beside this need not wait for its batches to reach the disk. After a crash of the server the rows of the last moment are there
		// again, and the receipt does not tell of them, since it is written with them.
		if _, err := conn.Exec(ctx, "SET synchronous_commit = off"); err != nil {
			return nil, err
		}
	}
	err = p.all(ctx, only)
	if err := p.seal(ctx); err != nil {
		p.problem(err)
	}
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
func (p *purger) alone(ctx context.Context) (string, error) {
	for try := 0; ; try++ {
		var mine bool
		var other string
		if err := p.conn.QueryRow(ctx, "SELECT pg_catalog.pg_try_advisory_lock("+purgeLock+")").Scan(&mine); err != nil || mine {
			return "", err
		}
		err := p.conn.QueryRow(ctx, `SELECT COALESCE((SELECT pg_catalog.format('process %s, %s, connected since %s', a.pid, COALESCE(NULLIF(a.application_name, ''), 'unnamed'), pg_catalog.date_trunc('second', a.backend_start))
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
	AND (l.classid::int8, l.objid::int8, l.objsubid) = (`+purgeLock+`, 2) LIMIT 1), '')`).Scan(&other)
		switch {
		case err != nil:
			return "", err
		case other != "" || try == 10:
			return "another purge is at work in this database (" + other + "); it does what is to be done", nil
		}
		if err := p.sleep(ctx, 50*time.Millisecond); err != nil { // a session that has just ended lets go in a moment
			return "", err
		}
	}
}

// all purges every table that has a retention, with what is archived of it, and what is known of deletions that nothing is left of.
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
		if !g.goes() {
			continue
		}
		if err := p.bind(ctx, g); fatal(ctx, err) {
			return err
		} else if err != nil {
			p.problem(fmt.Errorf("what rows in tombstone.archive refer to of %s: %w", g.tables[0].Name, err))
			for _, t := range g.tables {
				p.keepAll(t)
			}
		}
		if err := p.group(ctx, g, only); err != nil {
			return err
		}
		if err := p.archive(ctx, g); err != nil {
			return err
		}
	}
	if only == nil && p.has["archive"] {
		if err := p.taken(ctx); err != nil {
			return err
		}
	}
	return p.records(ctx)
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
