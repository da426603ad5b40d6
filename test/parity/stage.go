package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/cluster"
	"tombstone/proxy"
	"tombstone/test/serve"
)

// Stage is one cluster and the proxy before it. All twins stand on it.
type Stage struct {
	cluster *cluster.Cluster
	proxy   *proxy.Server
	major   int          // of the server
	stop    func() error // ends the proxy
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
func NewStage(ctx context.Context, w io.Writer, major int, tables string) (*Stage, error) {
	programs, err := cluster.Ensure(ctx, w, major)
	if err != nil {
		return nil, err
	}
	c, err := cluster.Start(ctx, cluster.Options{Programs: programs, Settings: settings})
	if err != nil {
		return nil, err
	}
	s := &Stage{cluster: c, major: programs.Major}
	log := &serve.Journal{Most: 1 << 20}
	o, err := serve.Before(c, tables, log)
	if err == nil {
		err = s.makeBase(ctx)
	}
	if err == nil {
		s.proxy, s.stop, err = serve.Begin(o, log, patience)
	}
	if err != nil {
		return nil, errors.Join(err, c.Stop())
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

// Close ends the proxy and the cluster. The error also tells of an internal
// error that the proxy logged.
func (s *Stage) Close() error { return errors.Join(s.stop(), s.cluster.Stop()) }
