package purge

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tombstone/lifecycle"
)

// Partitions have the retention of their table or their own, and foreign keys of and to all of them count.
func TestPurgePartitions(t *testing.T) {
	const schema = `
CREATE TABLE events (id int, day date, up int, deleted_at timestamptz, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE events_old PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE events_new PARTITION OF events FOR VALUES FROM ('2021-01-01') TO ('2030-01-01') PARTITION BY LIST (id);
CREATE TABLE events_one PARTITION OF events_new FOR VALUES IN (1, 2, 3);
CREATE TABLE events_rest PARTITION OF events_new DEFAULT;
CREATE UNIQUE INDEX ON events_old (id);
CREATE TABLE of_all (id int PRIMARY KEY, event int, day date, deleted_at timestamptz, FOREIGN KEY (event, day) REFERENCES events ON DELETE CASCADE);
CREATE TABLE of_old (id int PRIMARY KEY, event int REFERENCES events_old (id) ON DELETE CASCADE);
INSERT INTO events SELECT i, '2020-01-01'::date + 100 * i, NULL, now() - interval '40 days' FROM generate_series(1, 10) i;
INSERT INTO of_all VALUES (1, 1, '2020-04-10', now() - interval '40 days'), (2, 2, '2020-07-19', NULL), (9, 9, '2022-06-19', now() - interval '1 day');
INSERT INTO of_old VALUES (3, 3);
-- a partition alone is protected, and a key is to its parent
CREATE TABLE logs (id int PRIMARY KEY, deleted_at timestamptz) PARTITION BY RANGE (id);
CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM (0) TO (100);
CREATE TABLE logs_2 PARTITION OF logs FOR VALUES FROM (100) TO (200);
CREATE TABLE of_logs (id int PRIMARY KEY, log int REFERENCES logs ON DELETE CASCADE);
INSERT INTO logs SELECT i, now() - interval '40 days' FROM (VALUES (1), (2), (101)) v (i);
INSERT INTO of_logs VALUES (1, 1);
`
	y := newYard(t, "purge_partitions", schema, "{name: public.events, retention: 30d}, {name: public.events_one, retention: 60d}, {name: public.of_all, retention: 30d}, {name: public.logs_1, retention: 30d}", false)
	const want = "events 7 referred:of_all=1 referred:of_old=1 kept:of_all=1, events_one 0, logs_1 1 referred:of_logs=1, of_all 1"
	y.run(t, "UPDATE events SET day = '2029-01-01' WHERE id = 8; INSERT INTO events VALUES (1, '2028-01-01', NULL, now() - interval '40 days'), (2, '2028-01-01', NULL, NULL)")
	for _, dry := range []bool{true, false} {
		if got := y.purge(t, Options{Dry: dry}).told(); got != want {
			t.Errorf("dry %v:\n got %s\nwant %s", dry, got, want)
		}
	}
	if got := y.one(t, "SELECT string_agg(id || ' ' || day, ',' ORDER BY id, day) FROM events"); got != "1 2028-01-01,2 2020-07-19,2 2028-01-01,3 2020-10-27,9 2022-06-19" {
		t.Error(got)
	}
	if got := y.one(t, "SELECT (SELECT count(*) FROM of_all) || ' ' || (SELECT count(*) FROM of_old) || ' ' || (SELECT count(*) FROM of_logs) || ' ' || (SELECT string_agg(id::text, ',' ORDER BY id) FROM logs)"); got != "2 1 1 1,101" {
		t.Error(got)
	}
	conn := connect(t, y.name)
	for table, want := range map[string]string{"public.events_old": "a partition of public.events", "of_old": "does not protect", "nothing": "there is no table"} {
		if _, err := Run(within(t), conn, y.policy, quick(Options{Table: table})); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", table, err)
		}
	}
}

// Rows are found through an index where there is one, and else by one pass over the table; what is kept is looked at once.
func TestPurgeFinds(t *testing.T) {
	for _, index := range []string{"", "CREATE INDEX ON users (deleted_at)", "CREATE INDEX ON users (deleted_at) WHERE deleted_at IS NOT NULL"} {
		name := fmt.Sprintf("purge_finds_%d", len(index))
		y := newYard(t, name, `CREATE TABLE users (id int PRIMARY KEY, referrer int, text text, deleted_at timestamptz);
INSERT INTO users SELECT i, NULL, repeat('x', 100), CASE WHEN i % 97 = 0 THEN now() - interval '40 days' END FROM generate_series(1, 60000) i;
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users);
CREATE INDEX ON orders (user_id);
INSERT INTO orders SELECT i, i * 97 FROM generate_series(1, 600) i WHERE i % 2 = 0;
`+index+"; ANALYZE", "{name: public.users, retention: 30d}", false)
		alone := func() { // what a session has done is counted when it is gone
			_ = y.Close(within(t))
			y.Conn = connect(t, name)
			for y.one(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()") != "1" {
				time.Sleep(time.Millisecond)
			}
		}
		alone()
		y.run(t, "SELECT pg_stat_reset()")
		o := Options{}
		o.Batch = 20
		out := y.purge(t, o)
		if got := out.told(); got != "users 309 referred:orders=309" && got != "users 318 referred:orders=300" {
			t.Errorf("%q: %s", index, got)
		}
		if k := out.Tables[0].KeptOldest; k == nil || out.Started.Sub(*k).Hours() < 900 {
			t.Errorf("%v", k)
		}
		alone()
		scans := y.one(t, "SELECT seq_scan || ' ' || seq_tup_read FROM pg_stat_user_tables WHERE relname = 'users'")
		if want := map[bool]string{true: "0 60000", false: "0 0"}[index == ""]; scans != want {
			t.Errorf("%q: sequential scans and rows: %s, want %s", index, scans, want)
		}
	}
}

// What came with a deletion from a table that is not protected stays in the archive until that deletion is over; and so does what is known of it.
func TestPurgeArchiveAndRecords(t *testing.T) {
	y := newYard(t, "purge_records", `
CREATE TABLE users (id int PRIMARY KEY, name text, deleted_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE loose (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, extra numeric[]);
CREATE TABLE notes (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE SET NULL, deleted_at timestamptz);
CREATE TABLE watch (id int PRIMARY KEY, order_id int REFERENCES orders);
INSERT INTO users SELECT i FROM generate_series(1, 6) i; INSERT INTO orders SELECT i, i FROM generate_series(1, 6) i; INSERT INTO loose SELECT i, i, '{1,2}' FROM generate_series(1, 6) i;
INSERT INTO notes SELECT i, i FROM generate_series(1, 6) i;
`, "{name: public.users, retention: 30d, hold: id = 2}, {name: public.orders, retention: 20d}, {name: public.notes}", true)
	for id := 1; id <= 4; id++ {
		y.run(t, fmt.Sprintf("UPDATE users SET deleted_at = now() WHERE id = %d", id))
	}
	y.run(t, "INSERT INTO users VALUES (4, 'again')") // evicts 4, with its order
	age := func(days int, ids string) {
		for _, sql := range []string{
			"UPDATE tombstone.deletions d SET at = at - interval '%[1]d days' WHERE id::text::bigint IN (SELECT DISTINCT id::text::bigint FROM aged WHERE user_id IN (%[2]s))",
			"UPDATE tombstone.severed d SET at = at - interval '%[1]d days' WHERE deletion::text::bigint IN (SELECT DISTINCT id::text::bigint FROM aged WHERE user_id IN (%[2]s))",
			"UPDATE tombstone.archive d SET at = at - interval '%[1]d days' WHERE deletion::text::bigint IN (SELECT DISTINCT id::text::bigint FROM aged WHERE user_id IN (%[2]s))",
			"SET session_replication_role = replica; UPDATE users SET deleted_at = deleted_at - interval '%[1]d days' WHERE id IN (%[2]s) AND deleted_at IS NOT NULL",
			"UPDATE orders SET deleted_at = deleted_at - interval '%[1]d days' WHERE id IN (%[2]s) AND deleted_at IS NOT NULL; RESET session_replication_role",
		} {
			y.run(t, fmt.Sprintf(sql, days, ids))
		}
	}
	y.run(t, "CREATE TABLE aged AS SELECT row_number() OVER (ORDER BY at) AS user_id, id FROM tombstone.deletions")
	state := func() string {
		return y.one(t, `SELECT (SELECT count(*) FROM users) || ' ' || (SELECT count(*) FROM orders) || ' archive ' || (SELECT string_agg(relation::text || (row ->> 'id'), ',' ORDER BY relation::text, row ->> 'id') FROM tombstone.archive)
	|| ' severed ' || (SELECT string_agg(key::text, '' ORDER BY key) FROM tombstone.severed) || ' deletions ' || (SELECT count(*) FROM tombstone.deletions)`)
	}
	if got := state(); got != "6 5 archive loose1,loose2,loose3,loose4,orders4,users4 severed {1}{2}{3}{4} deletions 4" {
		t.Fatal(got)
	}
	age(25, "1,2,3,4") // over for orders, not for users
	for _, dry := range []bool{true, false} {
		if got := y.purge(t, Options{Dry: dry}).told(); got != "orders 4, users 0" {
			t.Errorf("dry %v: %s", dry, got)
		}
	}
	if got := state(); got != "6 2 archive loose1,loose2,loose3,loose4,users4 severed {1}{2}{3}{4} deletions 4" {
		t.Error(got)
	}
	age(10, "1,2,4") // 3 has five days to go, 2 is held
	for _, dry := range []bool{true, false} {
		if got := y.purge(t, Options{Dry: dry}).told(); got != "loose 2, orders 0, users 2 held=1" {
			t.Errorf("dry %v: %s", dry, got)
		}
	}
	if got := state(); got != "5 2 archive loose2,loose3 severed {2}{3} deletions 2" {
		t.Error(got)
	}
	// What can be undone still is.
	var id string
	if id = y.one(t, "SELECT id FROM aged WHERE user_id = 3"); id == "" {
		t.Fatal("no deletion")
	}
	number, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	d, err := lifecycle.Read(within(t), y.Conn, y.policy)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := lifecycle.Undo(within(t), y.Conn, d, number, false); err != nil || fmt.Sprint(r.Restored, r.Links) != "[{public.loose 1} {public.users 1}] 1" {
		t.Errorf("undone: %+v %v", r, err)
	}
	if got := y.one(t, "SELECT (SELECT string_agg(id || ' ' || coalesce(user_id, 0), ',' ORDER BY id) FROM loose)||' '||(SELECT string_agg(id || ' ' || coalesce(user_id, 0), ',' ORDER BY id) FROM notes)"); got != "3 3,5 5,6 6 1 0,2 0,3 3,4 0,5 5,6 6" {
		t.Error(got)
	}
}

// A key that was made after the keys were read would take live rows along: the purge sees it under its lock.
func TestPurgeSeesNewKeys(t *testing.T) {
	y := newYard(t, "purge_new_keys", "CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz); CREATE TABLE orders (id int, user_id int)", "{name: public.users, retention: 30d}", false)
	d, err := lifecycle.Read(within(t), y.Conn, y.policy)
	if err != nil {
		t.Fatal(err)
	}
	g, err := readGraph(within(t), y.Conn, d, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	hold := func() error {
		return pgx.BeginFunc(within(t), y.Conn, func(tx pgx.Tx) error {
			var do pgx.Batch
			g.tables[0].leaves[0].hold(&do)
			return tx.SendBatch(within(t), &do).Close()
		})
	}
	if err := hold(); err != nil {
		t.Error(err)
	}
	y.run(t, "ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE")
	if err := hold(); !errors.Is(err, errChanged) {
		t.Errorf("a new key is not noticed: %v", err)
	}
}
