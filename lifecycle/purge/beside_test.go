package purge

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tombstone/cluster"
	"tombstone/cluster/clustertest"
	"tombstone/config/configtest"
	"tombstone/policy"
)

// BenchmarkPurgeBeside tells what a purge does to those who work beside it: how much longer their transactions take than when no purge is at work, of
// pgbench on tables of its own (own-), and of selects and updates by key of live rows in the very table that is purged (same-). Both are at work all
// the time; the purge takes turns with nothing, so that what else a machine does meets both. Each turn is a whole purge, as one in the night is, of a
// tenth of the tombstones (of half of them if they are few), and after it the same time passes without. The ratio is the median over the turns of a quantile by that of the idle turns
// before and after; -ratio-all is that of all turns together.
//
// pgbench runs at a rate that leaves room, as production does. A load that saturates the machine would tell how two processes share two cores, and
// that is the kernel's to say.
//
// The server is one of its own, with fsync and nearly all else as it comes, since what a purge writes is waited for there. TOMBSTONE_PURGE_ROWS is how
// many rows the table has, default 100,000; one in ten is a tombstone. TOMBSTONE_PURGE is what a configuration says under purge, such as "rate: 0".
// 10,000,000 rows take half an hour and 10 GB:
//
//	TOMBSTONE_PURGE_ROWS=10000000 go test ./lifecycle/purge -run '^$' -bench PurgeBeside -benchtime 1x -timeout 2h -v
func BenchmarkPurgeBeside(b *testing.B) {
	const rate = 100 // transactions a second, of each pgbench
	rows := benchRows(b)
	turns := min(10, max(2, rows/10/4000)) // of two seconds or more at the rate that a purge has by default
	settings := configtest.Parse(b, "purge: {"+os.Getenv("TOMBSTONE_PURGE")+"}\n")
	ctx := context.Background()
	programs, err := cluster.Find()
	if err != nil {
		b.Fatal(err)
	}
	program := findPgbench(b, programs)
	server := clustertest.Start(b, cluster.Options{Programs: programs, Settings: map[string]string{
		"fsync": "on", "full_page_writes": "on", "shared_buffers": "1GB",
		"max_wal_size": "4GB", "min_wal_size": "4GB", // files of the log are used again, as in a server that has been at work for a while
	}})
	for range b.N {
		b.StopTimer()
		conn, err := pgx.Connect(ctx, server.DSN("postgres"))
		if err != nil {
			b.Fatal(err)
		}
		fill(ctx, b, conn, rows, turns)
		if out, err := exec.Command(program, "--initialize", "--quiet", "--scale=10", server.DSN("postgres")).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		script := filepath.Join(b.TempDir(), "same.sql")
		// One in ten is a tombstone: those whose number ends in 0.
		if err := os.WriteFile(script, fmt.Appendf(nil, `\set id 10 * random(0, %d) + random(1, 9)
BEGIN;
SELECT name FROM users WHERE id = :id AND deleted_at IS NULL;
UPDATE users SET name = 'user ' || :id || ' renamed', seen = seen + 1 WHERE id = :id AND deleted_at IS NULL;
END;
`, rows/10-1), 0o600); err != nil {
			b.Fatal(err)
		}
		if _, err := conn.Exec(ctx, "CHECKPOINT"); err != nil {
			b.Fatal(err)
		}
		own := drive(b, program, server.DSN("postgres"), "own", rate, 1, "--builtin=simple-update")
		same := drive(b, program, server.DSN("postgres"), "same", rate, 2, "--file="+script)
		time.Sleep(3 * time.Second) // until everything is warm
		var idle, busy []turn
		var purged int64
		var total time.Duration
		rest := func(d time.Duration) {
			from := time.Now()
			time.Sleep(d)
			idle = append(idle, turn{from, time.Now()})
		}
		rest(max(time.Second, time.Duration(rows/10/turns)*time.Second/2000))
		b.StartTimer()
		for i := range turns {
			purger, err := pgx.Connect(ctx, server.DSN("postgres"))
			if err != nil {
				b.Fatal(err)
			}
			from := time.Now()
			out, err := Run(ctx, purger, aged(b, 10*(turns-i)), Options{Purge: settings.Purge, Who: "a benchmark"})
			_ = purger.Close(ctx)
			if err != nil || out.Outcome != "done" {
				b.Fatal(err, out)
			}
			busy = append(busy, turn{from, time.Now()})
			for _, t := range out.Tables {
				purged += t.Purged
			}
			took := time.Since(from)
			total += took
			rest(took)
		}
		b.StopTimer()
		if purged != int64(rows/10) {
			b.Fatalf("%d tombstones were purged, and there were %d", purged, rows/10)
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(purged)/total.Seconds(), "rows/s")
		for _, t := range []*traffic{own, same} {
			all := t.end(b, conn)
			for _, q := range []struct {
				name  string
				share float64
			}{{"p50", 0.5}, {"p99", 0.99}} {
				one, other := pooled(all, idle, q.share), pooled(all, busy, q.share)
				b.ReportMetric(ratio(all, idle, busy, q.share), t.name+"-"+q.name+"-ratio")
				b.ReportMetric(float64(other)/float64(one), t.name+"-"+q.name+"-ratio-all")
				b.ReportMetric(float64(one.Microseconds())/1000, t.name+"-"+q.name+"-idle-ms")
			}
			for i := 0; i < len(busy) && testing.Verbose(); i++ {
				p := func(t turn) string {
					times := t.times(all)
					return fmt.Sprintf("%d p50 %v p99 %v", len(times), quantile(times, 0.5), quantile(times, 0.99))
				}
				b.Logf("%s %d: %.1fs, idle %s; purge %s; idle %s", t.name, i, busy[i].to.Sub(busy[i].from).Seconds(), p(idle[i]), p(busy[i]), p(idle[i+1]))
			}
		}
	}
}

// aged is the policy that keeps tombstones for a number of days.
func aged(b *testing.B, days int) *policy.Policy {
	b.Helper()
	return policyOf(b, fmt.Sprintf("tables: [{name: public.users, retention: %dd}, {name: public.orders, retention: 1y}]\n", days))
}

// fill makes a table of rows, one in ten a tombstone and all over it, and one that refers to live ones. A tenth of the tombstones is ten days older than
// the next.
func fill(ctx context.Context, b *testing.B, conn *pgx.Conn, rows, turns int) {
	b.Helper()
	for _, sql := range []string{
		"DROP TABLE IF EXISTS orders, users; DROP SCHEMA IF EXISTS tombstone CASCADE",
		"CREATE TABLE users (id bigint, name text, note text, seen int NOT NULL DEFAULT 0, deleted_at timestamptz)",
		fmt.Sprintf(`INSERT INTO users SELECT i, 'user ' || i, repeat('x', 60), 0,
CASE WHEN i %% 10 = 0 THEN now() - interval '5 days' - interval '10 days' * (%[2]d - i / 10 %% %[2]d) END FROM generate_series(1::bigint, %[1]d) i`, rows, turns),
		"CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, deleted_at timestamptz)",
		fmt.Sprintf("INSERT INTO orders SELECT i, 2 * i - 1 FROM generate_series(1::bigint, %d) i", rows/2),
		"ALTER TABLE users ADD PRIMARY KEY (id)",
		"CREATE INDEX ON orders (user_id)",
		"ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			b.Fatalf("%v\n%s", err, sql)
		}
	}
	prepared(ctx, b, conn, aged(b, 365))
	if _, err := conn.Exec(ctx, "VACUUM ANALYZE"); err != nil {
		b.Fatal(err)
	}
}
