package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// together runs n clients at the same time, each with a session of its own,
// and lets them go when all are connected.
func together(t *testing.T, dsn string, n int, do func(ctx context.Context, i int, conn *pgx.Conn) error) {
	t.Helper()
	ctx := within(t)
	var connected, finished sync.WaitGroup
	connected.Add(n)
	gate := make(chan struct{})
	problems := make(chan error, n)
	for i := range n {
		finished.Go(func() {
			conn, err := pgx.Connect(ctx, dsn)
			connected.Done()
			if err != nil {
				problems <- fmt.Errorf("client %d: %w", i, err)
				return
			}
			defer conn.Close(ctx)
			<-gate
			if err := do(ctx, i, conn); err != nil {
				problems <- fmt.Errorf("client %d: %w", i, err)
			}
		})
	}
	connected.Wait()
	close(gate)
	finished.Wait()
	close(problems)
	for err := range problems {
		t.Error(err)
	}
}

// 200 sessions at the same time delete their own rows.
func TestManySessions(t *testing.T) {
	const sessions = 200
	db := database(t)
	ask(t, db, fmt.Sprintf("TRUNCATE orders; INSERT INTO orders SELECT i, i / 10 FROM generate_series(0, %d) i", sessions*10-1))
	f := start(t, shopTables)
	together(t, f.dsn(db), sessions, func(ctx context.Context, i int, conn *pgx.Conn) error {
		for j := range 9 {
			tag, err := conn.Exec(ctx, "DELETE FROM orders WHERE id = $1", i*10+j)
			if err != nil || tag.String() != "DELETE 1" {
				return fmt.Errorf("row %d: %s, %w", j, tag, err)
			}
			var left int
			if err := conn.QueryRow(ctx, "SELECT count(*) FROM orders WHERE user_id = $1", i).Scan(&left); err != nil || left != 9-j {
				return fmt.Errorf("%d rows left after %d deletes, %v", left, j+1, err)
			}
		}
		return nil
	})
	if got := ask(t, db, "SELECT count(*), count(deleted_at) FROM orders"); got != "2000|1800" {
		t.Errorf("behind the proxy: %s", got)
	}
}

// Of 50 sessions that delete the same row, one does.
func TestRaceForARow(t *testing.T) {
	db := database(t)
	f := start(t, shopTables)
	for id := 1; id <= 3; id++ {
		var mu sync.Mutex
		tags := map[string]int{}
		together(t, f.dsn(db), 50, func(ctx context.Context, _ int, conn *pgx.Conn) error {
			tag, err := conn.Exec(ctx, "DELETE FROM users WHERE id = $1", id)
			mu.Lock()
			defer mu.Unlock()
			tags[tag.String()]++
			return err
		})
		if tags["DELETE 1"] != 1 || tags["DELETE 0"] != 49 {
			t.Errorf("row %d: %v", id, tags)
		}
	}
}
