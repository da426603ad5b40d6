package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// race is what several sessions do at once.
type race struct {
	name     string
	sessions [][]step
}

// step is one thing that a session does. It may have to wait for another session.
type step func(ctx context.Context, t *testing.T, x *twin) error

// sql runs a statement as the proxy would have it run.
func sql(text string) step {
	return func(ctx context.Context, _ *testing.T, x *twin) error {
		_, err := x.PgConn().Exec(ctx, x.rewritten(text)).ReadAll()
		return err
	}
}

const raced = `
CREATE TABLE users (id int PRIMARY KEY, name text UNIQUE, deleted_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE notes (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE SET NULL, deleted_at timestamptz);
CREATE TABLE bills (id int PRIMARY KEY, user_id int REFERENCES users, deleted_at timestamptz);
`

func restoring(table, where string) step {
	return func(ctx context.Context, t *testing.T, x *twin) error {
		d := x.database(t)
		found, err := d.Find(table)
		if err != nil {
			return err
		}
		_, err = Restore(ctx, x.Conn, d, found, where, false)
		var c *CollisionError
		if errors.As(err, &c) || errors.Is(err, errMoved) || err != nil && strings.HasPrefix(err.Error(), "nothing was restored") {
			return nil // it has said so
		}
		return err
	}
}

var races = []race{
	{"child insert against parent bury", [][]step{
		{sql("BEGIN"), sql("DELETE FROM users WHERE id = 1"), sql("COMMIT")},
		{sql("BEGIN"), sql("INSERT INTO orders VALUES (10, 1)"), sql("COMMIT")},
	}},
	{"child insert against parent bury, repeatable read", [][]step{
		{sql("BEGIN ISOLATION LEVEL REPEATABLE READ"), sql("SELECT FROM users"), sql("DELETE FROM users WHERE id = 1"), sql("COMMIT")},
		{sql("BEGIN"), sql("INSERT INTO orders VALUES (10, 1)"), sql("INSERT INTO bills VALUES (10, 1)"), sql("COMMIT")},
	}},
	{"child moved against parent bury, serializable", [][]step{
		{sql("BEGIN ISOLATION LEVEL SERIALIZABLE"), sql("DELETE FROM users WHERE id = 1"), sql("COMMIT")},
		{sql("BEGIN ISOLATION LEVEL SERIALIZABLE"), sql("UPDATE orders SET user_id = 1 WHERE id = 2"), sql("UPDATE notes SET user_id = 1 WHERE id = 2"), sql("COMMIT")},
	}},
	{"double bury", [][]step{
		{sql("BEGIN"), sql("DELETE FROM users WHERE id = 1"), sql("COMMIT")},
		{sql("BEGIN"), sql("DELETE FROM orders WHERE id = 1"), sql("DELETE FROM users WHERE id = 1"), sql("COMMIT")},
	}},
	{"bury against restore of a child", [][]step{
		{sql("BEGIN"), sql("DELETE FROM users WHERE id = 2"), sql("COMMIT")},
		{sql("BEGIN"), sql("UPDATE orders SET deleted_at = NULL WHERE id = 3"), sql("COMMIT")},
		{restoring("orders", "id = 3")},
	}},
	{"bury against restore of the same", [][]step{
		{restoring("users", "id = 3"), sql("DELETE FROM users WHERE id = 3")},
		{restoring("users", "id = 3"), sql("DELETE FROM users WHERE id = 3")},
	}},
	{"key used again against restore", [][]step{
		{sql("BEGIN"), sql("INSERT INTO users VALUES (3, 'again')"), sql("COMMIT")},
		{restoring("users", "id = 3")},
		{sql("INSERT INTO orders VALUES (20, 3)")},
	}},
	{"restore against purge", [][]step{
		{sql("BEGIN"), sql("UPDATE users SET deleted_at = NULL WHERE id = 3"), sql("COMMIT")},
		{func(ctx context.Context, t *testing.T, x *twin) error { return purging(ctx, t, x) }},
		{sql("INSERT INTO orders VALUES (20, 3)")},
	}},
}

// Whatever the order in which sessions get their turn, no live row refers to a deleted one, and none is lost.
func TestRaces(t *testing.T) {
	for i, r := range races {
		t.Run(strings.ReplaceAll(r.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			_, soft := twins(t, fmt.Sprintf("race_%d", i), raced)
			for n, order := range permutations(r.sessions) {
				if got := soft.raw(t, `SET tombstone.delete = purge; DELETE FROM bills; DELETE FROM notes; DELETE FROM orders; DELETE FROM users; RESET tombstone.delete;
TRUNCATE tombstone.archive, tombstone.keyed, tombstone.severed, tombstone.deletions;
INSERT INTO users VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO orders VALUES (1, 1), (2, 2), (3, 2), (4, 3); INSERT INTO notes VALUES (1, 1), (2, 2); INSERT INTO bills VALUES (2, 2)`); got != "" {
					t.Fatal(got)
				}
				for _, gone := range []string{"UPDATE orders SET deleted_at = now() - interval '1 year' WHERE id = 3", "UPDATE bills SET deleted_at = now()", "UPDATE users SET deleted_at = now() - interval '1 year' WHERE id = 3"} {
					if got := soft.raw(t, gone); got != "" {
						t.Fatal(got)
					}
				}
				r.play(t, soft, order)
				soft.whole(t, fmt.Sprintf("order %d, %v", n, order))
				if t.Failed() {
					return
				}
			}
		})
	}
}

// permutations lists the orders in which sessions can take their steps, each a list of sessions.
func permutations(sessions [][]step) [][]int {
	left := make([]int, len(sessions))
	total := 0
	for i, s := range sessions {
		left[i] = len(s)
		total += len(s)
	}
	var all [][]int
	var extend func(order []int)
	extend = func(order []int) {
		if len(order) == total {
			all = append(all, append([]int(nil), order...))
			return
		}
		for i := range left {
			if left[i] > 0 {
				left[i]--
				extend(append(order, i))
				left[i]++
			}
		}
	}
	extend(nil)
	return all
}

// play has the sessions take their steps in an order. One that waits for another goes on as soon as it can.
func (r *race) play(t *testing.T, soft *twin, order []int) {
	t.Helper()
	ctx := within(t)
	type running struct {
		x    *twin
		next int
		done chan error // of the step under way, nil if none is
	}
	all := make([]*running, len(r.sessions))
	for i := range all {
		conn, err := pgx.Connect(ctx, soft.Config().ConnString())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.WithoutCancel(ctx))
		all[i] = &running{x: &twin{Conn: conn, set: soft.set}}
	}
	finish := func(s *running, err error) {
		s.done = nil
		var e *pgconn.PgError
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("%s, %v: %v", r.name, order, err)
		}
	}
	wait := func(s *running) { // until the step is done, or waits for a lock
		for s.done != nil {
			select {
			case err := <-s.done:
				finish(s, err)
			case <-time.After(20 * time.Millisecond):
				if soft.do(t, fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND wait_event_type = 'Lock'", s.x.PgConn().PID())) == "[1]\n1;" {
					return
				}
			}
		}
	}
	take := func(s *running, steps []step) {
		s.done = make(chan error, 1)
		go func(take step, done chan error) { done <- take(ctx, t, s.x) }(steps[s.next], s.done) // ends with ctx
		s.next++
		wait(s)
	}
	for _, i := range order {
		if all[i].done != nil {
			wait(all[i])
		}
		if all[i].done == nil {
			take(all[i], r.sessions[i])
		}
	}
	for left := true; left; { // those that had to wait
		left = false
		for i, s := range all {
			wait(s)
			if s.done == nil && s.next < len(r.sessions[i]) {
				take(s, r.sessions[i])
			}
			left = left || s.done != nil || s.next < len(r.sessions[i])
		}
	}
}

// whole holds that no live row refers to a deleted one, and that every row that there ever was is live, a tombstone, or in the archive.
func (x *twin) whole(t *testing.T, about string) {
	t.Helper()
	for _, child := range []string{"orders", "notes", "bills"} {
		if got := x.do(t, fmt.Sprintf(`SELECT c.id FROM %s c WHERE c.deleted_at IS NULL AND c.user_id IS NOT NULL AND NOT EXISTS (SELECT FROM users u WHERE u.id = c.user_id AND u.deleted_at IS NULL)`, child)); got != "0;" {
			t.Errorf("%s: live rows of %s refer to none: %s", about, child, got)
		}
	}
	for table, ids := range map[string][]int{"users": {1, 2}, "orders": {1, 2}, "notes": {1, 2}, "bills": {2}} {
		for _, id := range ids {
			if got := x.raw(t, fmt.Sprintf(`DO $$ BEGIN IF NOT EXISTS (SELECT FROM %[1]s WHERE id = %[2]d) AND NOT EXISTS (SELECT FROM tombstone.archive WHERE relation = '%[1]s'::regclass AND row ->> 'id' = '%[2]d') THEN
RAISE EXCEPTION 'lost'; END IF; END $$`, table, id)); got != "" {
				t.Errorf("%s: %s %d: %s", about, table, id, got)
			}
		}
	}
}

// purging deletes users whose time has come.
func purging(ctx context.Context, _ *testing.T, x *twin) error {
	_, err := x.PgConn().Exec(ctx, `BEGIN; SET LOCAL tombstone.delete = purge;
DELETE FROM orders WHERE deleted_at < now() - interval '30 days'; DELETE FROM users WHERE deleted_at < now() - interval '30 days'; COMMIT`).ReadAll()
	if err != nil {
		_, _ = x.PgConn().Exec(ctx, "ROLLBACK").ReadAll()
	}
	return err
}
