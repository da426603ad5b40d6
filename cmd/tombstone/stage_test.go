package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tombstone/cluster"
	"tombstone/cluster/clustertest"
	"tombstone/config"
)

// stage is a database, a configuration for it, and a proxy before it once somebody has asked for one.
type stage struct {
	t      *testing.T
	ctx    context.Context
	server *cluster.Cluster
	file   string
	front  string // address of the proxy, once there is one
}

// newStage makes a database with a schema, and a configuration with tables as YAML.
func newStage(t *testing.T, schema, tables string) *stage {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	s := &stage{t: t, ctx: ctx, server: clustertest.Start(t, cluster.Options{Programs: needPostgres(t)})}
	s.sql(schema)
	s.policy(tables)
	return s
}

// sql runs statements on the server itself, as a superuser, and returns what psql prints.
func (s *stage) sql(sql string) string {
	s.t.Helper()
	out, err := s.server.Psql(s.ctx, "postgres", sql)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// call runs a command with the configuration, which must end with a status, and returns all that it prints.
func (s *stage) call(status int, args ...string) string {
	s.t.Helper()
	o := tombstone(s.t, "", append(args[:1:1], append([]string{"--config", s.file}, args[1:]...)...)...)
	if o.status != status {
		s.t.Fatalf("%q: status %d, want %d\n%s%s", args, o.status, status, o.out, o.err)
	}
	return o.out + o.err
}

// direct is the address of the server itself for a role.
func (s *stage) direct(role string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres", url.PathEscape(role), s.server.Port)
}

// proxy logs a role in through the proxy.
func (s *stage) proxy(role string) *pgx.Conn {
	s.t.Helper()
	return clustertest.Connect(s.t, s.through(role))
}

// through is the address of the proxy for a role.
func (s *stage) through(role string) string {
	s.t.Helper()
	if s.front == "" {
		c, err := config.Load(s.file)
		if err != nil {
			s.t.Fatal(err)
		}
		p, err := start(c, slog.New(slog.DiscardHandler), nil)
		if err != nil {
			s.t.Fatal(err)
		}
		serving, stop := context.WithCancel(s.ctx)
		done := make(chan error, 1)
		go func() { done <- p.run(serving) }() // ends with serving
		s.t.Cleanup(func() {
			stop()
			if err := <-done; err != nil {
				s.t.Error(err)
			}
		})
		s.front = p.proxy.Addr().String()
	}
	return fmt.Sprintf("postgres://%s@%s/postgres", url.PathEscape(role), s.front)
}

// policy writes another list of tables into the configuration.
func (s *stage) policy(tables string) {
	s.t.Helper()
	s.file = file(s.t, "tombstone.yaml", fmt.Sprintf("listen: 127.0.0.1:0\nupstream: %s\n%s\n", s.direct("postgres"), tables))
}
