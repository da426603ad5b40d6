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

	"tombstone/policy"
)

// race is what several sessions do at once.
type race struct {
	name     string
	sessions [][]step
	lasting  bool   // nothing is deleted meanwhile: what was restored is live at the end
	before   string // what else has happened before
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

// restoring restores rows, and promises that they are live if it said so: those, and of others those that came back with them.
func restoring(table, where string, others ...string) step {
	return func(ctx context.Context, t *testing.T, x *twin) error {
		found, err := x.known.Find(table)
		if err != nil {
			return err
		}
		r, err := Restore(ctx, x.Conn, x.known, found, where, false)
		var c *CollisionError
		if errors.As(err, &c) || errors.Is(err, errMoved) || err != nil && strings.HasPrefix(err.Error(), "nothing was restored") {
			return nil // it has said so
		}
		if err == nil {
			for _, one := range r.Restored {
				for _, rows := range append(others, table+" WHERE "+where) {
					if strings.HasPrefix("public."+rows, one.Name+" ") {
						x.promises <- rows
					}
				}
			}
		}
		return err
	}
}

// reviving restores rows as who may see them would, in the transaction that is open. The proxy would hide them from anybody else.
func reviving(rows string) step {
	return func(ctx context.Context, _ *testing.T, x *twin) error {
		table, where, _ := strings.Cut(rows, " WHERE ")
		tag, err := x.Exec(ctx, "UPDATE "+table+" SET deleted_at = NULL WHERE deleted_at IS NOT NULL AND "+where)
		if err == nil && tag.RowsAffected() > 0 {
			x.promises <- rows
		}
		return err
	}
}

// emptying takes the archive away, as a purge does and with less ado.
func emptying(ctx context.Context, _ *testing.T, x *twin) error {
	tag, err := x.Exec(ctx, "DELETE FROM tombstone.archive")
	if err == nil && tag.RowsAffected() > 0 {
		x.promises <- "no users WHERE id = 3"
		x.promises <- "no orders WHERE id = 4"
	}
	return err
}

var races = []race{
	{"child insert against parent bury", [][]step{
		{sql("BEGIN"), sql("DELETE FROM users WHERE id = 1"), sql("COMMIT")},
		{sql("BEGIN"), sql("INSERT INTO orders VALUES (10, 1)"), sql("COMMIT")},
	}, false, ""},
	{"child insert against parent bury, repeatable read", [][]step{
		{sql("BEGIN ISOLATION LEVEL REPEATABLE READ"), sql("SELECT FROM users"), sql("DELETE FROM users WHERE id = 1"), sql("COMMIT")},
		{sql("BEGIN"), sql("INSERT INTO orders VALUES (10, 1)"), sql("INSERT INTO bills VALUES (10, 1)"), sql("COMMIT")},
	}, false, ""},
	{"child moved against parent bury, serializable", [][]step{
		{sql("BEGIN ISOLATION LEVEL SERIALIZABLE"), sql("DELETE FROM users WHERE id = 1"), sql("COMMIT")},
		{sql("BEGIN ISOLATION LEVEL SERIALIZABLE"), sql("UPDATE orders SET user_id = 1 WHERE id = 2"), sql("UPDATE notes SET user_id = 1 WHERE id = 2"), sql("COMMIT")},
	}, false, ""},
	{"double bury", [][]step{
		{sql("BEGIN"), sql("DELETE FROM users WHERE id = 1"), sql("COMMIT")},
		{sql("BEGIN"), sql("DELETE FROM orders WHERE id = 1"), sql("DELETE FROM users WHERE id = 1"), sql("COMMIT")},
	}, false, ""},
	{"bury against restore of a child", [][]step{
		{sql("BEGIN"), sql("DELETE FROM users WHERE id = 2"), sql("COMMIT")},
		{sql("BEGIN"), reviving("orders WHERE id = 3"), sql("COMMIT")},
		{restoring("orders", "id = 3")},
	}, false, ""},
	{"bury against restore of the same", [][]step{
		{restoring("users", "id = 3"), sql("DELETE FROM users WHERE id = 3")},
		{restoring("users", "id = 3"), sql("DELETE FROM users WHERE id = 3")},
	}, false, ""},
	{"key used again against restore", [][]step{
		{sql("BEGIN"), sql("INSERT INTO users VALUES (3, 'again')"), sql("COMMIT")},
		{restoring("users", "id = 3")},
		{sql("INSERT INTO orders VALUES (20, 3)")},
	}, false, ""},
	{"restore against purge", [][]step{
		{sql("BEGIN"), reviving("users WHERE id = 3"), sql("COMMIT")},
		{purging},
		{sql("INSERT INTO orders VALUES (20, 3)")},
	}, true, ""},
	// A purge that has taken rows and cannot write that down yet.
	{"restore against purge of parent and child", [][]step{
		{sql("BEGIN"), sql("LOCK TABLE tombstone.receipts IN SHARE MODE"), sql("COMMIT")},
		{purging},
		{restoring("users", "id = 3", "orders WHERE id = 4")},
	}, true, ""},
	{"restore of child and parent against purge", [][]step{
		{restoring("orders", "id = 4")}, {restoring("users", "id = 3", "orders WHERE id = 4")}, {purging},
	}, true, ""},
	{"restore against purge of the archive", [][]step{
		{sql("BEGIN"), emptying, sql("COMMIT")},
		{restoring("users", "id = 3", "orders WHERE id = 4")},
		{restoring("users", "id = 3", "orders WHERE id = 4")},
	}, true, "INSERT INTO users VALUES (3, 'again'); SET tombstone.delete = purge; DELETE FROM users WHERE id = 3; RESET tombstone.delete"},
}

// Whatever the order in which sessions get their turn, no live row refers to a deleted one, and none is lost.
func TestRaces(t *testing.T) {
	for i, r := range races {
		t.Run(strings.ReplaceAll(r.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			_, soft := twins(t, fmt.Sprintf("race_%d", i), raced)
			soft.known = soft.database(t)
			for n, order := range permutations(r.sessions) {
				if got := soft.raw(t, `SET tombstone.delete = purge; DELETE FROM bills; DELETE FROM notes; DELETE FROM orders; DELETE FROM users; RESET tombstone.delete;
TRUNCATE tombstone.archive, tombstone.keyed, tombstone.severed, tombstone.deletions;
INSERT INTO users VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO orders VALUES (1, 1), (2, 2), (3, 2), (4, 3); INSERT INTO notes VALUES (1, 1), (2, 2); INSERT INTO bills VALUES (2, 2)`); got != "" {
					t.Fatal(got)
				}
				for _, gone := range []string{
					"UPDATE orders SET deleted_at = now() WHERE id = 3", "UPDATE users SET deleted_at = now() WHERE id = 3",
					// As if that had been a year ago.
					`BEGIN; UPDATE tombstone.deletions SET at = at - interval '1 year'; UPDATE users SET deleted_at = deleted_at - interval '1 year' WHERE deleted_at IS NOT NULL;
UPDATE orders SET deleted_at = deleted_at - interval '1 year' WHERE deleted_at IS NOT NULL; COMMIT`,
					"UPDATE bills SET deleted_at = now()", r.before,
				} {
					if got := soft.raw(t, gone); got != "" {
						t.Fatal(got)
					}
				}
				soft.promises = make(chan string, 10)
				r.play(t, soft, order)
				close(soft.promises)
				for promise := range soft.promises {
					rows, gone := strings.CutPrefix(promise, "no ")
					if got := soft.do(t, "SELECT FROM "+rows+" AND deleted_at IS NULL"); r.lasting && (got == "0;") != gone {
						t.Errorf("order %d, %v: promised were %s; live are %s", n, order, promise, got)
					}
				}
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
		all[i] = &running{x: &twin{Conn: conn, set: soft.set, known: soft.known, promises: soft.promises}}
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

// Purge is purge.Run. That room imports this one, so that only a test from outside can hand it in (purging_test.go).
var Purge func(ctx context.Context, conn *pgx.Conn, p *policy.Policy) error

// purging purges. It waits for locks as long as it takes, so that it is seen to wait.
func purging(ctx context.Context, t *testing.T, x *twin) error {
	return Purge(ctx, x.Conn, policyOf(t, "tables: [{name: \"*.*\", retention: 30d}]\n"))
}
