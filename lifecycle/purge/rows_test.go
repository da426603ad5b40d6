package purge

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// Every kind of marker says when its rows have had their time, as far as it tells.
func TestPurgeByMarker(t *testing.T) {
	const schema = `
CREATE TABLE tz (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE tz3 (id int PRIMARY KEY, deleted_at timestamptz(3) NOT NULL DEFAULT 'infinity');
CREATE TABLE ts (id int PRIMARY KEY, deleted_at timestamp);
CREATE TABLE day (id int PRIMARY KEY, deleted_at date);
CREATE TABLE flag (id int PRIMARY KEY, deleted_at boolean);
CREATE TABLE flagged (id int PRIMARY KEY, deleted_at boolean NOT NULL DEFAULT false, deletion_id text);
CREATE TABLE epoch (id int PRIMARY KEY, deleted_at int NOT NULL DEFAULT 0);
CREATE TABLE epoch8 (id int PRIMARY KEY, deleted_at bigint);
ALTER DATABASE %[1]s SET TimeZone = 'Asia/Tokyo';
SET TimeZone = 'Asia/Tokyo';
INSERT INTO tz VALUES (1, NULL), (2, now() - interval '30 days 1 minute'), (3, now() - interval '29 days 23:59'), (4, 'infinity'), (5, '-infinity');
INSERT INTO tz3 VALUES (1, 'infinity'), (2, now() - interval '30 days 1 minute'), (3, now() - interval '29 days 23:59');
INSERT INTO ts VALUES (1, NULL), (2, now() - interval '30 days 1 minute'), (3, now() - interval '29 days 23:59');
INSERT INTO day VALUES (1, NULL), (2, (now() - interval '30 days')::date - 1), (3, (now() - interval '30 days')::date), (4, (now() - interval '29 days')::date);
INSERT INTO flag VALUES (1, NULL), (2, false), (3, true), (4, true), (5, true);
INSERT INTO flagged VALUES (1, false, '12'), (2, true, '11'), (3, true, '12'), (4, true, '77'), (5, true, 'nothing'), (6, true, NULL);
INSERT INTO epoch VALUES (1, 0), (2, extract(epoch FROM now() - interval '30 days 1 minute')), (3, extract(epoch FROM now() - interval '29 days 23:59'));
INSERT INTO epoch8 VALUES (1, 0), (2, extract(epoch FROM now() - interval '30 days 1 minute')), (3, extract(epoch FROM now() - interval '29 days 23:59')), (4, NULL);
`
	tables := "{name: public.tz}, {name: public.tz3, live: infinity}, {name: public.ts}, {name: public.day}, {name: public.flag}, {name: public.flagged, deletion_id: deletion_id}, {name: public.epoch}, {name: public.epoch8}"
	tables = strings.ReplaceAll(tables, "}", ", retention: 30d}")
	for _, prepared := range []bool{false, true} {
		name := fmt.Sprintf("purge_markers_%v", prepared)
		t.Run(name, func(t *testing.T) {
			y := newYard(t, name, fmt.Sprintf(schema, name), tables, prepared)
			want := "day 1, epoch 1, epoch8 1, flag 0 undated=3, flagged 0 undated=5, ts 1, tz 2, tz3 1"
			left := "day134 epoch13 epoch8134 flag12345 flagged123456 ts13 tz134 tz313"
			if prepared {
				// 3 was deleted long ago, 4 too but then again; the clock of whoever deleted ts 4, day 5 was not ours.
				y.run(t, `SET TimeZone = 'Asia/Tokyo';
INSERT INTO tombstone.deletions (id, at, exact, role, tables) VALUES ('11', now() - interval '31 days', false, 'x', '{}'), ('12', now() - interval '1 day', false, 'x', '{}');
INSERT INTO ts VALUES (4, now() - interval '30 days 8 hours');
INSERT INTO tombstone.keyed VALUES ('11', now() - interval '31 days', 'flag', '{3}'), ('11', now() - interval '31 days', 'flag', '{4}'), ('12', now() - interval '1 day', 'flag', '{4}'),
	('12', now() - interval '1 day', 'ts', '{4}')`)
				want = "day 1, epoch 1, epoch8 1, flag 1 undated=1, flagged 1 undated=3, ts 1, tz 2, tz3 1"
				left = "day134 epoch13 epoch8134 flag1245 flagged13456 ts134 tz134 tz313"
			}
			for _, dry := range []bool{true, false} {
				if got := y.purge(t, Options{Dry: dry}).told(); got != want {
					t.Errorf("dry %v:\n got %s\nwant %s", dry, got, want)
				}
			}
			var got []string
			for _, table := range []string{"day", "epoch", "epoch8", "flag", "flagged", "ts", "tz", "tz3"} {
				got = append(got, table+y.one(t, "SELECT string_agg(id::text, '' ORDER BY id) FROM "+table))
			}
			if strings.Join(got, " ") != left {
				t.Errorf("left: %s\nwant: %s", strings.Join(got, " "), left)
			}
			if prepared && y.one(t, "SELECT string_agg(relation::text || key::text, ',' ORDER BY key, at) FROM tombstone.keyed") != "flag{4},flag{4},ts{4}" {
				t.Error(y.one(t, "SELECT string_agg(relation::text || key::text, ',' ORDER BY key, at) FROM tombstone.keyed"))
			}
		})
	}
}

// A hold keeps rows, in the table and in the archive, also when it cannot be decided; one that is not SQL keeps all of them and is told.
func TestPurgeHold(t *testing.T) {
	const schema = `
CREATE SCHEMA court; CREATE TABLE court.holds (id int, user_id int);
CREATE TABLE users (id int PRIMARY KEY, legal_hold boolean, deleted_at timestamptz);
INSERT INTO users VALUES (1, true, now() - interval '40 days'), (2, false, now() - interval '40 days'), (3, NULL, now() - interval '40 days'), (4, false, now() - interval '40 days'), (5, false, NULL), (6, false, now() - interval '41 days');
INSERT INTO court.holds VALUES (1, 4);
`
	y := newYard(t, "purge_hold", schema, "{name: public.users, retention: 30d, hold: 'legal_hold OR users.id IN (SELECT user_id FROM court.holds) OR false'}", true)
	// In the archive: one held, one not, one undecided, one too young.
	y.run(t, `INSERT INTO tombstone.archive (deletion, at, relation, row) SELECT '5', now() - interval '40 days', 'users', jsonb_build_object('id', i::text, 'legal_hold', h, 'deleted_at', '2020-01-01 00:00:00+00')
	FROM (VALUES (21, 'true'), (22, 'false'), (23, NULL), (4, 'f')) v (i, h);
INSERT INTO tombstone.archive (at, relation, row) VALUES (now(), 'users', '{"id": "25", "legal_hold": "f"}')`)
	for _, dry := range []bool{true, false} {
		if got := y.purge(t, Options{Dry: dry}).told(); got != "users 3 held=4 undecided=2" {
			t.Errorf("dry %v: %s", dry, got)
		}
	}
	if got := y.one(t, "SELECT string_agg(id::text, ',' ORDER BY id) FROM users"); got != "1,3,4,5" {
		t.Error(got)
	}
	if got := y.one(t, "SELECT string_agg(row ->> 'id', ',' ORDER BY id) FROM tombstone.archive"); got != "21,23,4,25" {
		t.Error(got)
	}
	if got := y.one(t, "SELECT tables::text FROM tombstone.receipts"); !strings.Contains(got, `"purged": 3, "archived": 1, "last_key": "22", "first_key": "2"`) && !strings.Contains(got, `"archived": 1`) {
		t.Error(got)
	}
	y.policy = policyOf(t, "tables: [{name: public.users, retention: 1d, hold: 'legal_hodl'}]\n")
	if got := y.purge(t, Options{}); got.Outcome != "failed" || len(got.Problems) != 1 || !strings.Contains(got.Problems[0], "public.users: hold: ") || !strings.Contains(got.Problems[0], "legal_hodl") {
		t.Errorf("%+v", got)
	}
}

// A row that is being restored, or to which somebody begins to refer, is theirs; one that the purge has locked is gone for them.
func TestPurgeAgainstOthers(t *testing.T) {
	const schema = `
CREATE TABLE parents (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents ON DELETE CASCADE);
CREATE INDEX ON children (parent);
INSERT INTO parents SELECT i, now() - interval '40 days' FROM generate_series(1, 6) i;
`
	y := newYard(t, "purge_against", schema, "{name: public.parents, retention: 30d}", false)
	other := connect(t, y.name)
	if _, err := other.Exec(within(t), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"UPDATE parents SET deleted_at = NULL WHERE id = 1", "INSERT INTO children VALUES (1, 2)"} {
		if _, err := other.Exec(within(t), sql); err != nil {
			t.Fatal(err)
		}
	}
	if got := y.purge(t, Options{}).told(); got != "parents 4 locked=2" {
		t.Error(got)
	}
	if _, err := other.Exec(within(t), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if got := y.purge(t, Options{}).told(); got != "parents 0 referred:children=1" {
		t.Error(got)
	}
	// The other way round: the purge has its lock, and stands still before it deletes.
	y.run(t, `UPDATE parents SET deleted_at = now() - interval '40 days'; DELETE FROM children;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock_shared(7); RETURN OLD; END $$;
CREATE TRIGGER slow BEFORE DELETE ON parents FOR EACH ROW EXECUTE FUNCTION slow();
SELECT pg_advisory_lock(7)`)
	var wait sync.WaitGroup
	done := make(chan *Purged, 1)
	wait.Go(func() {
		conn := connect(t, y.name)
		out, err := Run(within(t), conn, y.policy, quick(Options{}))
		if err != nil {
			t.Error(err)
		}
		done <- out
	})
	waiting := func(n int) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); y.one(t, fmt.Sprintf("SELECT count(*) >= %d FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'", n)) != "t"; {
			if time.Now().After(end) {
				y.run(t, "SELECT pg_advisory_unlock(7)")
				t.Fatalf("fewer than %d wait for a lock", n)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	waiting(1)
	results := make([]string, 2)
	for i, sql := range []string{"UPDATE parents SET deleted_at = NULL WHERE id = 1", "INSERT INTO children VALUES (1, 2)"} {
		conn := connect(t, y.name)
		wait.Go(func() {
			tag, err := conn.Exec(within(t), sql)
			results[i] = fmt.Sprint(tag, err)
		})
		waiting(i + 2)
	}
	y.run(t, "SELECT pg_advisory_unlock(7)")
	wait.Wait()
	if results[0] != "UPDATE 0<nil>" && results[0] != "UPDATE 0 <nil>" {
		t.Errorf("restored: %s", results[0])
	}
	if !strings.Contains(results[1], "23503") {
		t.Errorf("referred: %s", results[1])
	}
	if got := (<-done).told(); got != "parents 2" {
		t.Error(got)
	}
}

// Restores and purges of the same rows, all at once: what was told to be restored is there.
func TestPurgeLosesNothingRestored(t *testing.T) {
	y := newYard(t, "purge_race", `
CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL REFERENCES users ON DELETE CASCADE, deleted_at timestamptz);
CREATE INDEX ON orders (user_id);
INSERT INTO users SELECT i FROM generate_series(1, 300) i; INSERT INTO orders SELECT i, 1 + i % 300 FROM generate_series(1, 900) i;
`, "{name: public.users, retention: 30d}, {name: public.orders, retention: 30d}", true)
	y.run(t, `UPDATE users SET deleted_at = now() - interval '40 days';
UPDATE orders SET deleted_at = now() - interval '40 days'; UPDATE tombstone.keyed SET at = now() - interval '40 days'; UPDATE tombstone.deletions SET at = now() - interval '40 days'`)
	restored := map[int]bool{}
	conn := connect(t, y.name)
	var wait sync.WaitGroup
	stop := make(chan struct{})
	wait.Go(func() {
		for i := 1; i <= 300; i += 3 {
			tag, err := conn.Exec(within(t), "UPDATE users SET deleted_at = NULL WHERE id = $1", i)
			if err != nil {
				t.Error(err)
			}
			if tag.RowsAffected() == 1 {
				restored[i] = true
			}
		}
		close(stop)
	})
	for more := true; more; {
		select {
		case <-stop:
			more = false
		default:
		}
		if out := y.purge(t, Options{Table: "public.users"}); len(out.Problems) > 0 {
			t.Error(out.Problems)
		}
		if out := y.purge(t, Options{}); len(out.Problems) > 0 {
			t.Error(out.Problems)
		}
	}
	wait.Wait()
	if len(restored) == 0 {
		t.Error("the purge was always first, so this shows nothing")
	}
	for id := range restored {
		if got := y.one(t, fmt.Sprintf("SELECT count(*) FROM users WHERE id = %d AND deleted_at IS NULL", id)); got != "1" {
			t.Errorf("user %d was restored and is lost", id)
		}
	}
	if got := y.one(t, "SELECT count(*) FROM orders o WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = o.user_id) OR deleted_at IS NOT NULL"); got != "0" {
		t.Errorf("%s orders are left over", got)
	}
}

// A purge that was cut off is gone on with by the next; meanwhile nobody else purges; the receipt tells exactly what went.
func TestPurgeGoesOn(t *testing.T) {
	y := newYard(t, "purge_goes_on", `CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz);
INSERT INTO users SELECT i, now() - interval '40 days' FROM generate_series(1, 20) i`, "{name: public.users, retention: 30d}", true)
	// The 8th row ends its session, as a server that is killed does.
	y.run(t, `CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN OLD; END $$;
CREATE TRIGGER cut BEFORE DELETE ON users FOR EACH ROW WHEN (OLD.id = 8) EXECUTE FUNCTION cut()`)
	if got := y.purge(t, Options{}); got.Outcome != "failed" {
		t.Errorf("%+v", got)
	}
	if got := y.one(t, "SELECT count(*) || ' ' || (SELECT tables->0->>'purged' FROM tombstone.receipts) FROM users"); got != "14 6" {
		t.Errorf("after the cut: %s", got)
	}
	y.run(t, "DROP TRIGGER cut ON users")
	for y.one(t, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") != "0" { // the session that was cut off is still ending
		time.Sleep(time.Millisecond)
	}
	if got := y.purge(t, Options{}); got.told() != "users 14" || got.Receipt == 0 {
		t.Errorf("%+v", got)
	}
	if got := y.one(t, "SELECT string_agg(command || ' ' || (tables->0->>'purged') || ' ' || (tables->0->>'first_key') || '-' || (tables->0->>'last_key'), ',' ORDER BY id) FROM tombstone.receipts"); got != "purge 6 1-6,purge 14 7-20" {
		t.Error(got)
	}
	// Told to stop, it ends between two batches.
	y.run(t, "INSERT INTO users SELECT i, now() - interval '40 days' FROM generate_series(1, 20) i")
	stop := make(chan struct{})
	o := Options{Stop: stop}
	o.Rate = 1 // after the first batch it would wait for seconds
	var wait sync.WaitGroup
	wait.Go(func() {
		for end := time.Now().Add(30 * time.Second); y.one(t, "SELECT count(*) FROM users") == "20" && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		close(stop)
	})
	if got := y.purge(t, o); got.Outcome != "stopped" || got.Tables[0].Purged != 3 {
		t.Errorf("%+v %+v", got, got.Tables[0])
	}
	wait.Wait()
	// Somebody else is at it.
	y.run(t, "SELECT pg_advisory_lock("+purgeLock+")")
	if got := y.purge(t, Options{}); got.Outcome != "busy" || !strings.Contains(got.Warnings[0], "another purge is at work") || !strings.Contains(got.Warnings[0], "process ") {
		t.Errorf("%+v", got)
	}
	if got := y.purge(t, Options{Dry: true}).told(); got != "users 17" {
		t.Error(got)
	}
	y.run(t, "SELECT pg_advisory_unlock("+purgeLock+")")
	// A shorter retention is told.
	y.policy = policyOf(t, "tables: [{name: public.users, retention: 10d}]\n")
	if got := y.purge(t, Options{Dry: true}); len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "the retention of public.users is 10d now, and was 30d") {
		t.Errorf("%+v", got)
	}
	// A lock on the table is waited for.
	other := connect(t, y.name)
	if _, err := other.Exec(within(t), "BEGIN; LOCK TABLE users"); err != nil {
		t.Fatal(err)
	}
	paused := make(chan bool, 100)
	o = Options{Paused: func(yes bool) {
		paused <- yes
		if yes {
			_, _ = other.Exec(context.Background(), "COMMIT")
		}
	}}
	o.Batch = 100
	if got := y.purge(t, o).told(); got != "users 17" || len(paused) != 2 {
		t.Errorf("%s, %d pauses", got, len(paused))
	}
}

// A batch that takes too long is tried again in halves, and in the end a row by itself.
func TestPurgeOfSlowRows(t *testing.T) {
	y := newYard(t, "purge_slow", `CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz);
INSERT INTO users SELECT i, now() - interval '40 days' FROM generate_series(1, 8) i;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.4); RETURN OLD; END $$;
CREATE TRIGGER slow BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION slow()`, "{name: public.users, retention: 30d}", false)
	conn := connect(t, y.name)
	o := quick(Options{})
	o.Batch, o.StatementTimeout = 8, time.Second
	out, err := Run(within(t), conn, y.policy, o)
	if err != nil || out.told() != "users 8" {
		t.Errorf("%v %v", out, err)
	}
	y.run(t, "INSERT INTO users VALUES (1, now() - interval '40 days')")
	o.StatementTimeout = 200 * time.Millisecond
	if out, err = Run(within(t), conn, y.policy, o); err != nil || out.Outcome != "failed" || !strings.Contains(out.Problems[0], "is there an index for each foreign key") {
		t.Errorf("%+v %v", out, err)
	}
}
