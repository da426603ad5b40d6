package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"tombstone/admin"
	"tombstone/cluster/clustertest"
	"tombstone/config"
	"tombstone/lifecycle/purge"
)

// What purge and erase print, how they end, and that serve purges as the login of its own.
func TestPurgeAndErase(t *testing.T) {
	tables := `purge: {login: "postgres://purger@/postgres", batch: 2, rate: 0}
tables:
  - {name: public.users, retention: 30d, hold: legal_hold}
  - {name: public.orders, retention: 30d}
`
	s := newStage(t, `CREATE TABLE users (id int PRIMARY KEY, email text, legal_hold boolean NOT NULL DEFAULT false, deleted_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL REFERENCES users ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE invoices (id int PRIMARY KEY, order_id int REFERENCES orders ON DELETE CASCADE);
CREATE INDEX ON orders (user_id); CREATE INDEX ON invoices (order_id);
INSERT INTO users SELECT i, 'user' || i || '@example.org', i = 3, now() - interval '40 days' FROM generate_series(1, 5) i;
INSERT INTO users SELECT i, 'user' || i, false, now() - interval '40 days' FROM generate_series(6, 9) i;
INSERT INTO orders SELECT i, 1 + i % 4, now() - interval '35 days' FROM generate_series(1, 8) i; INSERT INTO invoices VALUES (1, 1);
CREATE ROLE purger LOGIN; GRANT pg_read_all_data, pg_write_all_data TO purger;`, tables)
	ctx, call := s.ctx, s.call
	holds := func(got string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(got, part) {
				t.Errorf("%q is not in:\n%s", part, got)
			}
		}
	}
	holds(call(0, "purge", "--dry-run"), "public.orders: 7 rows would be purged, keys 2 to 8, deleted from ", "  kept: 1 row of public.orders, still referred to by public.invoices\n",
		"public.users: 7 rows would be purged", "  kept: 1 row of public.users, held\n", "  kept: 1 row of public.users, still referred to by deleted rows of public.orders that stay\n")
	holds(call(1, "erase", "users", "--key", "2"), "nothing is erased:\n  2 deleted rows of public.orders still refer to public.users", "--cascade")
	holds(call(1, "erase", "users", "--key", "2", "--cascade"), "1 live row of public.invoices still refer")
	holds(call(1, "erase", "users", "--key", "99"), "no row is meant")
	holds(call(2, "erase", "users"), "Usage: tombstone erase")
	holds(call(2, "erase", "--key", "2"), "Usage: tombstone erase")
	holds(call(2, "erase", "users", "--key", `"`), "is no key")
	holds(call(1, "purge", "--table", "nothing"), "there is no table nothing")
	holds(call(0, "erase", "--cascade", "--where", "email = 'user4@example.org'", "public.users"), "public.orders: 2 rows erased\n", "public.users: 1 row erased\n", "no receipt is kept")
	s.sql("CREATE ROLE other SUPERUSER LOGIN")
	dsn := s.direct("other")
	call(0, "prepare", "--apply", "--dsn", dsn)
	var out purge.Purged
	if err := json.Unmarshal([]byte(call(0, "purge", "--json", "--table", "orders", "--dsn", dsn)), &out); err != nil || out.Outcome != "done" || out.Role != "other" || out.Receipt != 1 || !strings.HasPrefix(out.Who, "tombstone purge by ") {
		t.Errorf("%+v %v", out, err)
	}
	other, watcher := clustertest.Connect(t, dsn), clustertest.Connect(t, dsn)
	if _, err := other.Exec(ctx, "SELECT pg_advisory_lock(1953459554, 1886745191)"); err != nil {
		t.Fatal(err)
	}
	holds(call(0, "purge"), "another purge is at work in this database")
	if _, err := other.Exec(ctx, "SELECT pg_advisory_unlock(1953459554, 1886745191)"); err != nil {
		t.Fatal(err)
	}
	// A signal ends it between two batches, with status 1 and a word on how it goes on.
	usual := s.file
	s.policy(strings.Replace(tables, "rate: 0", "rate: 1", 1))
	signal, interrupt := context.WithCancel(ctx)
	time.AfterFunc(10*time.Millisecond, func() {
		for n := 0; n < 2 && ctx.Err() == nil; { // the receipt comes with the first batch
			_ = watcher.QueryRow(ctx, "SELECT count(*) FROM tombstone.receipts").Scan(&n)
		}
		interrupt()
	})
	var printed, said bytes.Buffer
	status := run(signal, stdio{strings.NewReader(""), &printed, &said}, []string{"purge", "--config", s.file})
	if status != 1 || !strings.Contains(said.String(), "stopped; what went is gone, and the next tombstone purge goes on") || !strings.Contains(printed.String(), " purged, keys 1 to ") || !strings.Contains(printed.String(), "receipt 2 in") {
		t.Errorf("status %d\n%s%s", status, &printed, &said)
	}
	// serve purges as the login in purge.
	settings, err := config.Load(usual)
	if err != nil {
		t.Fatal(err)
	}
	metrics := admin.NewMetrics("", "")
	schedule := newSchedule(settings, metrics.AddPurges(), slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	ticks := 0
	serving, end := context.WithCancel(ctx)
	schedule.until = func(context.Context, time.Time, <-chan struct{}) {
		if ticks++; ticks == 2 {
			end()
		}
	}
	schedule.run(serving)
	var left string
	if err := other.QueryRow(ctx, "SELECT (SELECT string_agg(id::text, ',' ORDER BY id) FROM users) || ' ' || (SELECT string_agg(id::text, ',' ORDER BY id) FROM orders) || ' ' || role || ' ' || who FROM tombstone.receipts ORDER BY id DESC LIMIT 1").Scan(&left); err != nil || !strings.HasPrefix(left, "2,3 1 purger tombstone serve by ") {
		t.Errorf("%s %v", left, err)
	}
}
