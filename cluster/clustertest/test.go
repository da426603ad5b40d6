package clustertest

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tombstone/cluster"
)

// Limit is how long one step of a test may wait for anything. It is there so that a hang fails; nothing takes near as long.
const Limit = time.Minute

// Within is a context that ends before the test's patience does.
func Within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Limit)
	t.Cleanup(cancel)
	return ctx
}

// Start starts a cluster that is stopped with the test.
func Start(t testing.TB, o cluster.Options) *cluster.Cluster {
	t.Helper()
	c, err := start(Within(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Connect opens a connection that is closed with the test.
func Connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(Within(t), dsn)
	if err != nil {
		t.Fatalf("connect to %s: %v", dsn, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Limit)
		defer cancel()
		_ = conn.Close(ctx)
	})
	return conn
}

// Database makes a database and connects to it as the superuser. It stays until the cluster goes.
func Database(t testing.TB, c *cluster.Cluster, name string) *pgx.Conn {
	t.Helper()
	if _, err := Connect(t, c.DSN("postgres")).Exec(Within(t), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return Connect(t, c.DSN(name))
}

// Eventually waits until what is asked for holds. The state of another process can only be asked for again and again.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(Limit)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not within %s: %s", Limit, what)
		case <-tick.C:
		}
	}
}
