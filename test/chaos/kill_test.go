package chaos

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"tombstone/cluster"
)

// running is the state of a statement that takes for ever.
var running = state{name: "a statement runs", act: func(token string) []pgproto3.FrontendMessage {
	return list(query("SELECT '" + token + "', pg_sleep(3600)"))
}}

// TestServerKilled ends the server, or a session's backend, while there is a session in every state. Each must be told, in the
// server's words or the proxy's, and nothing that was acknowledged may be lost.
func TestServerKilled(t *testing.T) {
	c, err := startServer(within(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	var subjects []*subject
	var settled []Sample
	for _, l := range append([]legs{plain}, others...) {
		s := l.stand(t, c)
		serves(t, s)
		subjects = append(subjects, s)
		settled = append(settled, sampled(t, s.Process, Sample{}))
	}
	all := append(slices.Clone(states), running)
	for _, how := range []struct {
		name string
		kill func(*testing.T, []uint32)
		back bool // the server has to be started again
		legs int  // how many of them, which costs time
	}{
		{"each backend is terminated", func(t *testing.T, pids []uint32) {
			list := strings.ReplaceAll(strings.Trim(fmt.Sprint(pids), "[]"), " ", ",")
			ask(t, c, "SELECT pg_terminate_backend(pid) FROM unnest('{"+list+"}'::int[]) pid")
		}, false, len(subjects)},
		{"one backend is killed, and the server restarts itself", func(t *testing.T, pids []uint32) {
			if err := syscall.Kill(int(pids[0]), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}, false, 1},
		{"the server is killed", func(*testing.T, []uint32) { c.Kill() }, true, len(subjects)},
		{"the server stops at once", func(t *testing.T, _ []uint32) {
			if err := syscall.Kill(postmaster(t, c), syscall.SIGQUIT); err != nil {
				t.Fatal(err)
			}
		}, true, 1},
	} {
		t.Run(how.name, func(t *testing.T) {
			var writing []*writers
			var clients []*client
			var names []string
			var pids []uint32
			subjects := subjects[:how.legs]
			for _, s := range subjects {
				for i := range all {
					one, pid := inState(t, s, &all[i])
					defer one.Close()
					clients, names, pids = append(clients, one), append(names, s.name+": "+all[i].name), append(pids, pid)
				}
			}
			for i, s := range subjects {
				w := write(t, s, "w"+fresh(), max(1, 4-3*i)) // four on plain legs
				writing, pids = append(writing, w), append(pids, w.pids...)
			}
			for _, w := range writing {
				w.await(t, 20)
			}
			how.kill(t, pids)
			var wait sync.WaitGroup
			for i := range clients {
				wait.Go(func() { told(t, names[i], clients[i]) })
			}
			wait.Wait()
			if how.back {
				if err := c.Restart(within(t)); err != nil {
					t.Fatal(err)
				}
			}
			for i, s := range subjects {
				eventually(t, "the server takes logins again: "+s.name, func() bool {
					conn, err := pgx.Connect(within(t), s.dsn())
					if err == nil {
						_ = conn.Close(within(t))
					}
					return err == nil
				})
				writing[i].check(t, c)
			}
			if got := ask(t, c, "SELECT count(*) FROM kept WHERE token LIKE 'uncommitted%'"); got != "0" {
				t.Errorf("%s rows that nobody committed", got)
			}
		})
	}
	for i, s := range subjects {
		serves(t, s)
		if err := LeftOver(settled[i], sampled(t, s.Process, settled[i])); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
	}
}

// inState is a client whose session is in the middle of a state, and its backend's process.
func inState(t *testing.T, by *subject, s *state) (*client, uint32) {
	t.Helper()
	conn, err := pgconn.Connect(within(t), by.dsn())
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	pid := conn.PID()
	c, err := takeOver(conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.arrive(c); err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	if s.tail != nil || s.name == running.name { // else it would be over, and commit
		c.send(s.act("uncommitted " + fresh()))
	}
	return c, pid
}

// told reads to the end of a connection, which must say why it ends.
func told(t *testing.T, name string, c *client) {
	_ = c.SetDeadline(time.Now().Add(limit)) // those who came first have waited for the last
	c.until('!', 1, "no token")
	var fatal *pgconn.PgError
	switch {
	case hung(c.err):
		t.Errorf("%s: it hangs after %q", name, c.trace)
	case errors.As(c.err, &fatal):
		if !slices.Contains([]string{"08006", "57P01", "57P02"}, fatal.Code) {
			t.Errorf("%s: %v", name, c.err)
		}
	case !c.frames.Partial() && !slices.ContainsFunc(c.trace, func(m string) bool { return strings.HasSuffix(m, "57P02") }):
		t.Errorf("%s: the client is not told: %v after %q", name, c.err, c.trace)
	}
}

// ask asks the server itself.
func ask(t *testing.T, c *cluster.Cluster, sql string) string {
	t.Helper()
	out, err := c.Psql(within(t), "postgres", sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// postmaster is the server's first process.
func postmaster(t *testing.T, c *cluster.Cluster) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.SplitN(ask(t, c, "SELECT pg_read_file('postmaster.pid')"), "\n", 2)[0])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}
