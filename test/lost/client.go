package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// patience is how long a transaction may take before it counts as hung. Nothing takes near as long.
const patience = 30 * time.Second

// client is a session of the application. One goroutine at a time uses it, but for socket.
type client struct {
	round *round
	name  string
	uids  int64 // the last that it gave a row

	conn       *pgx.Conn
	socket     atomic.Pointer[net.Conn] // for who cuts it
	statements int
	count      int
	told       []*transaction // since the last audit
	tally      *tally
}

// run does one transaction after the other until the end of ctx, none of them at a quiet moment.
func (c *client) run(ctx context.Context, deletesOnly bool) {
	for ctx.Err() == nil {
		c.round.gate.RLock()
		c.turn(context.WithoutCancel(ctx), deletesOnly)
		c.round.gate.RUnlock()
		if deletesOnly { // there is something to be undone for each
			_ = pause(ctx, 10, 100)
		}
	}
}

func (c *client) turn(ctx context.Context, deletesOnly bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if c.conn == nil || c.conn.IsClosed() {
		conn, err := pgx.Connect(ctx, c.round.stage.proxy.Load().DSN("app", c.round.database))
		if err != nil {
			time.Sleep(5 * time.Millisecond) // the proxy is being started, which nobody tells
			return
		}
		socket := conn.PgConn().Conn()
		c.conn = conn
		c.socket.Store(&socket)
	}
	c.count++
	t := &transaction{name: fmt.Sprintf("%s-%d", c.name, c.count), restored: -1}
	c.told = append(c.told, t)
	kinds := []string{"insert", "insert", "insert", "insert", "insert", "update", "update", "update", "delete", "delete", "delete", "destroy"}
	if deletesOnly {
		kinds = []string{"delete"}
	}
	n := 1
	block := rand.IntN(2) == 0
	if block {
		n += rand.IntN(4)
	}
	for range n {
		s := c.write(kinds[rand.IntN(len(kinds))])
		t.destroys = t.destroys || s.table.loose && s.kind == "delete"
		t.statements = append(t.statements, s)
	}
	err := c.play(ctx, t, block)
	if ctx.Err() != nil {
		c.tally.bad("%s hangs: %v%s", t.name, err, t.script())
	}
	c.tally.count(t, err)
}

// play sends a transaction and notes what it is told.
func (c *client) play(ctx context.Context, t *transaction, block bool) error {
	sent := t.statements
	t.statements = nil
	t.verdict = refused
	begin := "SET"
	if block {
		begin = "BEGIN; SET LOCAL"
		if rand.IntN(8) == 0 {
			begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL"
		}
	}
	if _, err := c.exec(ctx, begin+" application_name = '"+t.name+"'"); err != nil {
		return err
	}
	for i, s := range sent {
		savepoint := block && rand.IntN(3) == 0
		if savepoint {
			if _, err := c.exec(ctx, "SAVEPOINT s"); err != nil {
				return err
			}
		}
		t.statements = append(t.statements, s)
		if !block {
			t.verdict = doubtful
		}
		tag, err := c.exec(ctx, s.sql)
		s.rows = tag.RowsAffected()
		if s.kind == "delete" && tag.String() == "TRUNCATE TABLE" {
			s.rows = 0 // it does not say
		}
		switch {
		case broken(err):
			return err
		case err == nil && !block:
			t.verdict = committed
			return nil
		case err != nil && (!block || !savepoint):
			s.void, t.verdict = true, refused
			if block {
				_, _ = c.exec(ctx, "ROLLBACK")
			}
			return err
		case savepoint && (err != nil || rand.IntN(4) == 0):
			c.tally.failed(err)
			s.void = true
			if _, err := c.exec(ctx, "ROLLBACK TO s"); err != nil {
				return err
			}
		}
		if i == len(sent)-1 && rand.IntN(10) == 0 {
			_, err := c.exec(ctx, "ROLLBACK")
			return err
		}
	}
	t.verdict = doubtful
	tag, err := c.exec(ctx, "COMMIT")
	switch {
	case broken(err):
	case err != nil || tag.String() != "COMMIT":
		t.verdict = refused
	default:
		t.verdict = committed
	}
	return err
}

func (c *client) exec(ctx context.Context, sql string) (pgconn.CommandTag, error) {
	if rand.IntN(2) == 0 && !strings.Contains(sql, ";") {
		return c.conn.Exec(ctx, sql, pgx.QueryExecModeExec)
	}
	results, err := c.conn.PgConn().Exec(ctx, sql).ReadAll()
	if len(results) == 0 || err != nil {
		return pgconn.CommandTag{}, err
	}
	return results[len(results)-1].CommandTag, nil
}

// broken reports whether nobody knows what became of what was sent.
func broken(err error) bool {
	var e *pgconn.PgError
	return err != nil && (!errors.As(err, &e) || e.Severity == "FATAL" || e.Severity == "PANIC")
}

// cut ends the connection as a network does.
func (c *client) cut() bool {
	socket := c.socket.Load()
	if socket == nil {
		return false
	}
	if tcp, ok := (*socket).(*net.TCPConn); ok && rand.IntN(2) == 0 {
		_ = tcp.SetLinger(0) // a reset rather than an end
	}
	return (*socket).Close() == nil
}

func (c *client) close() {
	if c.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = c.conn.Close(ctx)
	}
}
