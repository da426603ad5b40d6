package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"tombstone/cluster"
	"tombstone/test/chaos"
)

// trouble is something that happens again and again.
type trouble struct {
	name  string
	every time.Duration
	do    func(context.Context) error
	tally *tally
}

func (t *trouble) run(load context.Context) {
	tick := time.NewTicker(t.every)
	defer tick.Stop()
	for {
		select {
		case <-load.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(load), patience, errHung)
		if err := hung(ctx, t.do(ctx)); err != nil {
			t.tally.failed(t.name, err)
		}
		cancel()
	}
}

func troubles(p *chaos.Process, server *cluster.Cluster, t *tally, reloads bool) []*trouble {
	list := []*trouble{
		{name: "login", every: 100 * time.Millisecond, do: func(ctx context.Context) error { return login(ctx, p, t) }},
		{name: "cancel", every: 500 * time.Millisecond, do: func(ctx context.Context) error { return cancel(ctx, p) }},
		{name: "statement timeout", every: time.Second, do: func(ctx context.Context) error { return statementTimeout(ctx, p) }},
		{name: "DDL", every: 2 * time.Second, do: func(ctx context.Context) error { return ddl(ctx, p) }},
		{name: "terminate", every: 3 * time.Second, do: func(ctx context.Context) error { return terminate(ctx, server) }},
		{name: "vanish", every: time.Second, do: func(ctx context.Context) error { return vanish(ctx, p) }},
	}
	if reloads {
		list = append(list, &trouble{name: "reload", every: 5 * time.Second, do: func(context.Context) error { t.reloads.Add(1); return p.Reload() }})
	}
	for _, one := range list {
		one.tally = t
	}
	return list
}

// login is a client that has one question.
func login(ctx context.Context, p *chaos.Process, t *tally) error {
	conn, err := pgx.Connect(ctx, dsn(p, "soak-login"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	t.logins.Add(1)
	want := fmt.Sprintf("login-%d", rand.Uint64())
	var got string
	if err := conn.QueryRow(ctx, "SELECT $1::text", want).Scan(&got); err != nil {
		return err
	}
	return expect(got, want)
}

// cancel ends a statement that would take for ever.
func cancel(ctx context.Context, p *chaos.Process) error {
	conn, err := pgconn.Connect(ctx, dsn(p, "soak-cancel"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	done := make(chan error, 1)
	go func() { // ends with the statement
		_, err := conn.Exec(ctx, "SELECT pg_sleep(3600)").ReadAll()
		done <- err
	}()
	again := time.NewTicker(20 * time.Millisecond) // a request that comes before the statement cancels nothing
	defer again.Stop()
	for {
		select {
		case err := <-done:
			if err == nil {
				return wrongReply("an hour has passed")
			}
			if classOf(err) == "57014" {
				return nil
			}
			return err
		case <-again.C:
			if err := conn.CancelRequest(ctx); err != nil {
				return err
			}
		}
	}
}

func statementTimeout(ctx context.Context, p *chaos.Process) error {
	conn, err := pgx.Connect(ctx, dsn(p, "soak-timeout"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.PgConn().Exec(ctx, "SET statement_timeout = 30; SELECT count(*) FROM kept; SELECT pg_sleep(3600)").ReadAll()
	if err == nil {
		return wrongReply("an hour has passed")
	}
	if classOf(err) == "57014" {
		return nil
	}
	return err
}

// ddl makes a table that a wildcard protects, deletes from it, and drops it. Every other session reads the names again.
func ddl(ctx context.Context, p *chaos.Process) error {
	conn, err := pgx.Connect(ctx, dsn(p, "soak-ddl"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	table := fmt.Sprintf("ddl_%d", rand.IntN(10))
	for _, s := range []struct{ sql, tag string }{
		{"DROP TABLE IF EXISTS " + table, "DROP TABLE"}, // of a turn that was cut short
		{"CREATE TABLE " + table + " (n integer, deleted_at timestamptz)", "CREATE TABLE"},
		{"INSERT INTO " + table + " SELECT generate_series(1, 3)", "INSERT 0 3"},
		{"DELETE FROM " + table, "DELETE 3"},
		{"SET tombstone_soak.seen = 1; SELECT 1 FROM " + table, "SELECT 0"},
		{"DROP TABLE " + table, "DROP TABLE"},
	} {
		results, err := conn.PgConn().Exec(ctx, s.sql).ReadAll()
		if err != nil {
			return err
		}
		if err := expect(results[len(results)-1].CommandTag.String(), s.tag); err != nil {
			return err
		}
	}
	return nil
}

// terminate ends a backend of ours, any one, as an administrator would.
func terminate(ctx context.Context, server *cluster.Cluster) error {
	conn, err := pgx.Connect(ctx, server.DSN("soak"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'soak-%' ORDER BY random() LIMIT 1")
	return err
}

// vanish is a client that goes in the middle of a result, without a word.
func vanish(ctx context.Context, p *chaos.Process) error {
	conn, err := pgconn.Connect(ctx, dsn(p, "soak-vanish"))
	if err != nil {
		return err
	}
	h, err := conn.Hijack()
	if err != nil {
		return err
	}
	defer h.Conn.Close()
	h.Frontend.Send(&pgproto3.Query{String: "SELECT repeat('x', 1000) FROM generate_series(1, 10000000)"})
	if err := h.Frontend.Flush(); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, h.Conn, 100000); err != nil {
		return err
	}
	if tcp, ok := h.Conn.(*net.TCPConn); ok && rand.IntN(2) == 0 {
		_ = tcp.SetLinger(0) // a reset rather than an end
	}
	return nil
}
