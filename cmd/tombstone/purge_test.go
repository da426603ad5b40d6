package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tombstone/admin"
	"tombstone/cluster"
	"tombstone/config"
	"tombstone/lifecycle/purge"
)

// What purge and erase print, how they end, and that serve purges as the login of its own.
func TestPurgeAndErase(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c, err := cluster.Start(ctx, cluster.Options{Programs: needPostgres(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	const schema = `CREATE TABLE users (id int PRIMARY KEY, email text, legal_hold boolean NOT NULL DEFAULT false, deleted_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL REFERENCES users ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE invoices (id int PRIMARY KEY, order_id int REFERENCES orders ON DELETE CASCADE);
CREATE INDEX ON orders (user_id); CREATE INDEX ON invoices (order_id);
INSERT INTO users SELECT i, 'user' || i || '@example.org', i = 3, now() - interval '40 days' FROM generate_series(1, 5) i;
INSERT INTO users SELECT i, 'user' || i, false, now() - interval '40 days' FROM generate_series(6, 9) i;
INSERT INTO orders SELECT i, 1 + i % 4, now() - interval '35 days' FROM generate_series(1, 8) i; INSERT INTO invoices VALUES (1, 1);
CREATE ROLE purger LOGIN; GRANT pg_read_all_data, pg_write_all_data TO purger;`
	if _, err := c.Psql(ctx, "postgres", schema); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`listen: 127.0.0.1:0
upstream: postgres://127.0.0.1:%d
purge: {login: "postgres://purger@/postgres", batch: 2, rate: 0}
tables:
  - {name: public.users, retention: 30d, hold: legal_hold}
  - {name: public.orders, retention: 30d}
`, c.Port)
	policy := file(t, "tombstone.yaml", text)
	call := func(status int, args ...string) string {
		t.Helper()
		o := tombstone(t, "", append(args[:1:1], append([]string{"--config", policy}, args[1:]...)...)...)
		if o.status != status {
			t.Fatalf("%q: status %d\n%s%s", args, o.status, o.out, o.err)
		}
		return o.out + o.err
	}
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
	if _, err := c.Psql(ctx, "postgres", "CREATE ROLE other SUPERUSER LOGIN"); err != nil {
		t.Fatal(err)
	}
	dsn := fmt.Sprintf("postgres://other@127.0.0.1:%d/postgres", c.Port)
	call(0, "prepare", "--apply", "--dsn", dsn)
	var out purge.Purged
	if err := json.Unmarshal([]byte(call(0, "purge", "--json", "--table", "orders", "--dsn", dsn)), &out); err != nil || out.Outcome != "done" || out.Role != "other" || out.Receipt != 1 || !strings.HasPrefix(out.Who, "tombstone purge by ") {
		t.Errorf("%+v %v", out, err)
	}
	other, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(ctx)
	watcher, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close(ctx)
	if _, err := other.Exec(ctx, "SELECT pg_advisory_lock(1953459554, 1886745191)"); err != nil {
		t.Fatal(err)
	}
	holds(call(0, "purge"), "another purge is at work in this database")
	if _, err := other.Exec(ctx, "SELECT pg_advisory_unlock(1953459554, 1886745191)"); err != nil {
		t.Fatal(err)
	}
	// A signal ends it between two batches, with status 1 and a word on how it goes on.
	slow := file(t, "slow.yaml", strings.Replace(text, "rate: 0", "rate: 1", 1))
	signal, interrupt := context.WithCancel(ctx)
	time.AfterFunc(10*time.Millisecond, func() {
		for n := 0; n < 2 && ctx.Err() == nil; { // the receipt comes with the first batch
			_ = watcher.QueryRow(ctx, "SELECT count(*) FROM tombstone.receipts").Scan(&n)
		}
		interrupt()
	})
	var printed, said bytes.Buffer
	status := run(signal, stdio{strings.NewReader(""), &printed, &said}, []string{"purge", "--config", slow})
	if status != 1 || !strings.Contains(said.String(), "stopped; what went is gone, and the next tombstone purge goes on") || !strings.Contains(printed.String(), " purged, keys 1 to ") || !strings.Contains(printed.String(), "receipt 2 in") {
		t.Errorf("status %d\n%s%s", status, &printed, &said)
	}
	// serve purges as the login in purge.
	settings, err := config.Load(policy)
	if err != nil {
		t.Fatal(err)
	}
	metrics := admin.NewMetrics("", "")
	s := newSchedule(settings, metrics.AddPurges(), slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	ticks := 0
	serving, end := context.WithCancel(ctx)
	s.until = func(context.Context, time.Time, <-chan struct{}) {
		if ticks++; ticks == 2 {
			end()
		}
	}
	s.run(serving)
	var left string
	if err := other.QueryRow(ctx, "SELECT (SELECT string_agg(id::text, ',' ORDER BY id) FROM users) || ' ' || (SELECT string_agg(id::text, ',' ORDER BY id) FROM orders) || ' ' || role || ' ' || who FROM tombstone.receipts ORDER BY id DESC LIMIT 1").Scan(&left); err != nil || !strings.HasPrefix(left, "2,3 1 purger tombstone serve by ") {
		t.Errorf("%s %v", left, err)
	}
}
