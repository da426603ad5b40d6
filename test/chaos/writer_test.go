package chaos

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"tombstone/cluster"
)

// writers insert rows, and delete every other one, as fast as they can until their connections end, and remember what was acknowledged.
type writers struct {
	name          string
	wait          sync.WaitGroup
	acknowledged  atomic.Int64
	pids          []uint32 // of their backends
	live, deleted []int    // rows of each that must be there: 0, 1, 2, ..; of these the first so many even ones are tombstones
}

func write(t *testing.T, s *subject, name string, count int) *writers {
	t.Helper()
	w := &writers{name: name, live: make([]int, count), deleted: make([]int, count)}
	for i := range w.live {
		conn, err := pgx.Connect(within(t), s.dsn())
		if err != nil {
			t.Fatal(err)
		}
		w.pids = append(w.pids, conn.PgConn().PID())
		ctx := within(t)
		w.wait.Go(func() { // ends with its connection, or its context
			defer conn.Close(ctx)
			for {
				token := fmt.Sprintf("%s-%d-%d", w.name, i, w.live[i])
				if _, err := conn.Exec(ctx, "INSERT INTO kept VALUES (1, $1)", token); err != nil {
					return
				}
				w.live[i]++
				w.acknowledged.Add(1)
				if w.live[i]%2 == 1 {
					tag, err := conn.Exec(ctx, "DELETE FROM kept WHERE token = $1", token)
					if err != nil {
						return
					}
					if tag.String() != "DELETE 1" {
						t.Errorf("%s: %s", token, tag)
					}
					w.deleted[i]++
					w.acknowledged.Add(1)
				}
			}
		})
	}
	return w
}

// await waits until so many commits have been acknowledged.
func (w *writers) await(t *testing.T, n int64) {
	t.Helper()
	eventually(t, "the writers write", func() bool { return w.acknowledged.Load() >= n })
}

// check compares what was acknowledged with what the server has. The writers' connections must have ended.
func (w *writers) check(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	w.wait.Wait()
	tombstone := map[string]bool{}
	for line := range strings.Lines(ask(t, c, "SELECT token || ' ' || (deleted_at IS NOT NULL) FROM kept WHERE token LIKE '"+w.name+"-%'")) {
		token, gone, _ := strings.Cut(strings.TrimSpace(line), " ")
		tombstone[token] = gone == "true"
	}
	for i := range w.live {
		for n := range w.live[i] {
			token := fmt.Sprintf("%s-%d-%d", w.name, i, n)
			gone, there := tombstone[token]
			switch {
			case !there:
				t.Errorf("the insert of %s was acknowledged and it is not there", token)
			case n%2 == 0 && n/2 < w.deleted[i] && !gone:
				t.Errorf("the delete of %s was acknowledged and it is no tombstone", token)
			case n%2 == 1 && gone:
				t.Errorf("%s is a tombstone and nobody deleted it", token)
			}
		}
	}
	t.Logf("%d commits were acknowledged, and all are there", w.acknowledged.Load())
}
