package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	lockTimeout = 3 * time.Second // how long a step waits for a lock, and others behind it
	lockTries   = 20              // how often
	lockPause   = 5 * time.Second // how long others have their turn in between
)

// Alone waits until nobody else prepares the database, for as long as conn is open. It asks again and again rather than wait in the server: a
// session that waits there would keep CREATE INDEX CONCURRENTLY waiting.
func Alone(ctx context.Context, conn *pgx.Conn, w io.Writer) error {
	for try := 0; ; try++ {
		var mine bool
		if err := conn.QueryRow(ctx, "SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtext('tombstone'), pg_catalog.hashtext('prepare'))").Scan(&mine); err != nil || mine {
			return err
		}
		if try == 0 {
			fmt.Fprintln(w, "another tombstone prepare is at work in this database; waiting for it")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// Apply takes the steps and tells of each on w. A step that does not get its lock in time lets those go first who wait behind it, and
// is tried again. What was done before an error stays, and other tables go on: what is missing then is told by the next look.
func (s Script) Apply(ctx context.Context, conn *pgx.Conn, w io.Writer) error {
	// Names of the catalog come first, and those of the session behind them, for what others have made that runs now: event triggers, and functions in
	// indexes. An index takes as long as it takes, whatever the role may let its queries take.
	_, err := conn.Exec(ctx, fmt.Sprintf(`SET lock_timeout = %d; SET statement_timeout = 0; SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', 'pg_catalog', NULLIF(pg_catalog.current_setting('search_path'), '')), false)`, lockTimeout.Milliseconds()))
	if err != nil {
		return err
	}
	failed := map[string]error{} // by object: what comes behind needs what failed
	var all []error
	for i, step := range s {
		if failed[step.Object] != nil {
			continue
		}
		fmt.Fprintf(w, "%d of %d  %s: %s\n", i+1, len(s), step.Object, step.Why)
		err := step.apply(ctx, conn, w)
		if err == nil {
			continue
		}
		err = fmt.Errorf("%s: %w", step.Object, err)
		if ctx.Err() != nil || conn.IsClosed() || step.Object == houseObject {
			return errors.Join(append(all, err)...)
		}
		fmt.Fprintf(w, "    failed: %v; what else it needs is left out\n", err)
		failed[step.Object] = err
		all = append(all, err)
	}
	return errors.Join(all...)
}

func (s *Step) apply(ctx context.Context, conn *pgx.Conn, w io.Writer) error {
	for try := 1; ; try++ {
		err := s.once(ctx, conn)
		var e *pgconn.PgError
		if !errors.As(err, &e) || e.Code != "55P03" && e.Code != "40P01" || try == lockTries {
			return err
		}
		fmt.Fprintf(w, "    somebody holds the lock (%s); trying again in %s\n", e.Message, lockPause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPause):
		}
	}
}

func (s *Step) once(ctx context.Context, conn *pgx.Conn) error {
	if s.Alone {
		for _, sql := range s.SQL {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, sql := range s.SQL {
			if _, err := tx.Conn().PgConn().Exec(ctx, sql).ReadAll(); err != nil { // it may be several statements
				return err
			}
		}
		return nil
	})
}

// Remove takes out what acts: triggers and functions. What is known of deletions stays, and the columns and indexes of the tables.
func Remove(d *Database) Script {
	var s Script
	for _, t := range d.triggers {
		s = append(s, Step{
			Object: "table " + t.table.String(), Why: "trigger " + t.name,
			SQL: []string{fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON %s", ident(t.name), full(t.table))},
		})
	}
	for name := range d.installed {
		s = append(s, Step{Object: "function " + name, Why: "it is called by nothing any more", SQL: []string{"DROP FUNCTION IF EXISTS " + name}})
	}
	return s
}
