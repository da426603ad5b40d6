package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Side is one database of a twin and its client.
type Side struct {
	name   string // hard or soft
	db     string
	dsn    string         // of the client
	client *Peer          // asks the questions; in soft, through the proxy
	direct *pgconn.PgConn // beside the client, and never through the proxy
	names  *Names
}

// Twin is two databases with the same columns and the same live rows.
type Twin struct {
	stage      *Stage
	hard, soft *Side
}

// NewTwin makes two databases, with nothing but the library and the guard.
func (s *Stage) NewTwin(ctx context.Context) (*Twin, error) {
	s.mu.Lock()
	s.serial++
	n := s.serial
	s.mu.Unlock()
	admin, err := pgconn.Connect(ctx, s.cluster.DSN("postgres"))
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	defer admin.Close(ctx)
	// One source cannot be copied twice at a time.
	s.copying.Lock()
	defer s.copying.Unlock()
	// Both have names of one length and nothing else in them, in case one shows.
	t := &Twin{stage: s, hard: &Side{name: "hard", db: fmt.Sprintf("hard%d", n)}, soft: &Side{name: "soft", db: fmt.Sprintf("soft%d", n)}}
	for _, side := range t.sides() {
		sql := "CREATE DATABASE " + side.db + " TEMPLATE " + s.base
		if _, err := admin.Exec(ctx, sql).ReadAll(); err != nil {
			return nil, fmt.Errorf("create database %s: %w", side.db, err)
		}
	}
	t.hard.dsn = s.cluster.DSN(t.hard.db)
	host, port, err := net.SplitHostPort(s.proxy.Addr().String())
	if err != nil {
		return nil, err
	}
	t.soft.dsn = fmt.Sprintf("host=%s port=%s user=postgres dbname=%s sslmode=disable", host, port, t.soft.db)
	for _, side := range t.sides() {
		if side.direct, err = pgconn.Connect(ctx, s.cluster.DSN(side.db)); err != nil {
			return nil, fmt.Errorf("connect to %s: %w", side.db, err)
		}
		// A lock that a client still holds is an error, not a hang.
		if err := side.Do(ctx, "SET lock_timeout = '10s'"); err != nil {
			return nil, err
		}
		side.names = newNames(side.direct)
	}
	return t, nil
}

func (t *Twin) sides() []*Side { return []*Side{t.hard, t.soft} }

// Connect gives both sides a fresh client.
func (t *Twin) Connect(ctx context.Context) error {
	t.disconnect()
	for _, side := range t.sides() {
		var err error
		if side.client, err = Dial(ctx, side.dsn); err != nil {
			return err
		}
		side.names.forget()
	}
	return nil
}

// disconnect ends both clients.
func (t *Twin) disconnect() {
	for _, side := range t.sides() {
		if side.client != nil {
			side.client.Close()
			side.client = nil
		}
	}
}

// Close drops both databases.
func (t *Twin) Close(ctx context.Context) error {
	t.disconnect()
	for _, side := range t.sides() {
		_ = side.direct.Close(ctx)
	}
	admin, err := pgconn.Connect(ctx, t.stage.cluster.DSN("postgres"))
	if err != nil {
		return fmt.Errorf("connect to the cluster: %w", err)
	}
	defer admin.Close(ctx)
	for _, side := range t.sides() {
		if _, err := admin.Exec(ctx, "DROP DATABASE "+side.db+" WITH (FORCE)").ReadAll(); err != nil {
			return fmt.Errorf("drop database %s: %w", side.db, err)
		}
	}
	return nil
}

// Do runs SQL beside the client.
func (s *Side) Do(ctx context.Context, sql string) error {
	_, err := s.Ask(ctx, sql)
	return err
}

// Ask runs SQL beside the client and returns its rows, a list for each
// statement.
func (s *Side) Ask(ctx context.Context, sql string) ([][]string, error) {
	results, err := s.direct.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %.300s: %w", s.db, sql, err)
	}
	lists := make([][]string, len(results))
	for i, r := range results {
		for _, row := range r.Rows {
			fields := make([]string, len(row))
			for k, f := range row {
				fields[k] = "NULL"
				if f != nil {
					fields[k] = string(f)
				}
			}
			lists[i] = append(lists[i], strings.Join(fields, "|"))
		}
		slices.Sort(lists[i])
	}
	return lists, nil
}
