package purge

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// benchRows is how many rows the table of a benchmark has.
func benchRows(b *testing.B) int {
	b.Helper()
	text := os.Getenv("TOMBSTONE_PURGE_ROWS")
	if text == "" {
		return 100_000
	}
	rows, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return rows
}

// BenchmarkPurge purges tombstones that are spread over a table, one in ten rows, with a child table whose rows have gone and nothing in the way.
// TOMBSTONE_PURGE_ROWS is how many rows the table has, default 100,000; 10,000,000 take some minutes and 3 GB:
//
//	TOMBSTONE_PURGE_ROWS=10000000 go test ./lifecycle/purge -run '^$' -bench Purge -benchtime 1x -timeout 1h
func BenchmarkPurge(b *testing.B) {
	rows := benchRows(b)
	made := 0 // a benchmark is begun anew until it takes long enough
	for _, index := range []string{"", "CREATE INDEX ON users (deleted_at) WHERE deleted_at IS NOT NULL;"} {
		for _, prepared := range []bool{false, true} {
			b.Run(fmt.Sprintf("index=%v/prepared=%v", index != "", prepared), func(b *testing.B) {
				ctx := context.Background()
				for range b.N {
					b.StopTimer()
					made++
					name := fmt.Sprintf("bench_%d", made)
					y := newYard(b, name, `CREATE TABLE users (id bigint PRIMARY KEY, name text, deleted_at timestamptz);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint REFERENCES users ON DELETE CASCADE, deleted_at timestamptz); CREATE INDEX ON orders (user_id)`,
						"{name: public.users, retention: 30d}, {name: public.orders, retention: 30d}", prepared)
					if _, err := y.Exec(ctx, fmt.Sprintf(`INSERT INTO users SELECT i, 'user ' || i || repeat('x', 60), CASE WHEN i %% 10 = 0 THEN now() - interval '40 days' END FROM generate_series(1, %d) i`, rows)); err != nil {
						b.Fatal(err)
					}
					for _, sql := range []string{index, "VACUUM ANALYZE"} {
						if _, err := y.Exec(ctx, sql); err != nil {
							b.Fatal(err)
						}
					}
					conn := connect(b, name)
					o := Options{}
					o.Batch = 1000
					o.StatementTimeout, o.LockTimeout = time.Minute, time.Second
					b.StartTimer()
					out, err := Run(ctx, conn, y.policy, o)
					if err != nil || out.told() != fmt.Sprintf("orders 0, users %d", rows/10) {
						b.Fatal(err, out)
					}
					b.ReportMetric(float64(rows/10)/out.Finished.Sub(out.Started).Seconds(), "rows/s")
					b.StopTimer()
					_ = conn.Close(ctx)
				}
			})
		}
	}
}
