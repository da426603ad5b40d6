package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/cluster"
	"tombstone/config"
	"tombstone/proxy"
)

// Stage is one cluster and the proxy before it. All twins stand on it.
type Stage struct {
	cluster *cluster.Cluster
	front   net.Addr
	major   int // of the server
	log     *journal
	stop    context.CancelFunc
	served  chan error
	serial  int
	mu      sync.Mutex // over serial
	copying sync.Mutex // held while databases are copied
	base    string     // the database that twins are copied from
}

// settings of the server. Nothing may depend on the clock or the machine, and
// no statistics may come to be behind the generator's back.
var settings = map[string]string{
	"autovacuum": "off", "jit": "off", "timezone": "UTC", "max_parallel_workers_per_gather": "0", "synchronous_commit": "off",
	"shared_buffers": "128MB", "wal_level": "minimal", "max_wal_senders": "0", "max_locks_per_transaction": "256", "log_min_messages": "panic",
}

// protects is the policy of every twin, for scripts and generated schemas
// alike: names that begin with p in three schemas, and the shop's.
const protects = `
  - name: "public.p*"
  - name: "app.p*"
  - name: "scratch.p*"
  - name: public.users
  - name: public.orders
  - name: public.items
  - name: public.memberships
  - name: public.nodes
  - name: public.events
  - name: 'public."Größe"'
  - name: tenant.users
`

// NewStage starts a cluster and a proxy. major is PostgreSQL's, 0 for any.
func NewStage(ctx context.Context, log io.Writer, major int, tables string) (*Stage, error) {
	programs, err := cluster.Ensure(ctx, log, major)
	if err != nil {
		return nil, err
	}
	c, err := cluster.Start(ctx, cluster.Options{Programs: programs, Settings: settings})
	if err != nil {
		return nil, err
	}
	s := &Stage{cluster: c, major: programs.Major, log: &journal{}, served: make(chan error, 1)}
	if err := s.makeBase(ctx); err != nil {
		_ = c.Stop()
		return nil, err
	}
	if err := s.listen(tables); err != nil {
		_ = c.Stop()
		return nil, err
	}
	return s, nil
}

// librarySQL is what both sides of every twin have from the same database, so
// that its OIDs are the same: that of an enum is part of a row in binary.
const librarySQL = `CREATE SCHEMA lib;
CREATE TYPE lib.mood AS ENUM ('sad', 'ok', 'happy');
CREATE FUNCTION lib.say(what text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'said %', what; RETURN length(what); END $$;
CREATE FUNCTION lib.twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
`

func (s *Stage) makeBase(ctx context.Context) error {
	admin, err := pgconn.Connect(ctx, s.cluster.DSN("postgres"))
	if err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	defer admin.Close(ctx)
	s.base = "base"
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+s.base).ReadAll(); err != nil {
		return fmt.Errorf("create database %s: %w", s.base, err)
	}
	base, err := pgconn.Connect(ctx, s.cluster.DSN(s.base))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", s.base, err)
	}
	defer base.Close(ctx)
	if _, err := base.Exec(ctx, librarySQL+guardSQL).ReadAll(); err != nil {
		return fmt.Errorf("fill %s: %w", s.base, err)
	}
	return nil
}

func (s *Stage) listen(tables string) error {
	text := fmt.Sprintf("listen: 127.0.0.1:6432\nupstream: postgres://%s:%d\ntables:\n%s", s.cluster.Host, s.cluster.Port, tables)
	cfg, err := config.Parse("parity.yaml", []byte(text))
	if err != nil {
		return err
	}
	o := proxy.From(cfg)
	o.Listen = config.Address{Network: "tcp", Address: "127.0.0.1:0"}
	o.CatalogMaxAge, o.Drain, o.Literals, o.Log = time.Hour, 0, true, slog.New(slog.NewTextHandler(s.log, nil))
	p, err := proxy.Listen(o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.front, s.stop = p.Addr(), cancel
	// Serve ends when Close cancels ctx, and Close waits for it.
	go func() { s.served <- p.Serve(ctx) }()
	return nil
}

// Close ends the proxy and the cluster. The error also tells of an internal
// error that the proxy logged.
func (s *Stage) Close() error {
	s.stop()
	var err error
	select {
	case err = <-s.served:
	case <-time.After(patience):
		err = fmt.Errorf("the proxy has not ended within %s", patience)
	}
	if stopErr := s.cluster.Stop(); err == nil {
		err = stopErr
	}
	if said := s.log.String(); err == nil && strings.Contains(said, "internal error") {
		err = fmt.Errorf("the proxy logged an internal error:\n%s", said)
	}
	return err
}

// journal keeps what the proxy logs, up to a size.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.text.Len() < 1<<20 || strings.Contains(string(p), "internal error") {
		j.text.Write(p)
	}
	return len(p), nil
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}
