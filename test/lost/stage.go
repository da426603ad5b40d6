package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/cluster"
	"tombstone/test/chaos"
)

// stage is what all rounds share: the server, the program, and a database with the schema that each round copies.
type stage struct {
	server *cluster.Cluster
	folder string
	binary string
	config string // of the commands
	admin  *pgx.Conn
	proxy  atomic.Pointer[chaos.Process]
}

func newStage(ctx context.Context, log io.Writer) (s *stage, err error) {
	s = new(stage)
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	programs, err := cluster.Ensure(ctx, log, 0)
	if err != nil {
		return s, err
	}
	if s.folder, err = os.MkdirTemp("", "tombstone-lost"); err != nil {
		return s, err
	}
	if s.binary, err = chaos.Build(ctx, s.folder); err != nil {
		return s, err
	}
	if s.server, err = cluster.Start(ctx, cluster.Options{Programs: programs, Settings: map[string]string{
		"max_connections": "60", "deadlock_timeout": "100ms", "autovacuum": "off", "log_min_messages": "panic",
	}}); err != nil {
		return s, err
	}
	s.config = filepath.Join(s.folder, "commands.yaml")
	text := fmt.Sprintf("listen: 127.0.0.1:6432\nupstream: postgres://postgres@%s:%d\n%s", s.server.Host, s.server.Port, policy())
	if err := os.WriteFile(s.config, []byte(text), 0o644); err != nil {
		return s, err
	}
	if s.admin, err = pgx.Connect(ctx, s.server.DSN("postgres")); err != nil {
		return s, err
	}
	for _, sql := range []string{"CREATE ROLE app LOGIN", "CREATE DATABASE model"} {
		if _, err := s.admin.Exec(ctx, sql); err != nil {
			return s, err
		}
	}
	if err := s.model(ctx); err != nil {
		return s, fmt.Errorf("prepare the database: %w", err)
	}
	return s, s.restart()
}

// model makes the database that each round begins with.
func (s *stage) model(ctx context.Context) error {
	db, err := pgx.Connect(ctx, s.server.DSN("model"))
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	// Who may DELETE before prepare is who prepare gives the right to mark.
	const rights = "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO app"
	if _, err := db.PgConn().Exec(ctx, schema+rights).ReadAll(); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, s.binary, "prepare", "--config", s.config, "--dsn", s.server.DSN("model"), "--apply").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if _, err = db.PgConn().Exec(ctx, logSQL).ReadAll(); err != nil {
		return err
	}
	for _, t := range tables {
		if err := db.QueryRow(ctx, `SELECT string_agg(format('(a.row ->> %L)::%s AS %I', attname, format_type(atttypid, atttypmod), attname), ', ')
FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0`, t.name).Scan(&t.archived); err != nil {
			return err
		}
	}
	return fill(ctx, db)
}

// fill writes a row for most keys: of parents first, and then what they refer to in a circle.
func fill(ctx context.Context, db *pgx.Conn) error {
	seed := &client{name: "seed"}
	for range 2 {
		for _, t := range tables {
			many := 1
			for _, k := range t.key {
				many *= k.values
			}
			for range min(many, 40) {
				s := &statement{table: t, tok: fmt.Sprintf("seed.%d", seed.uids)}
				seed.insert(s)
				var e *pgconn.PgError
				if _, err := db.Exec(ctx, s.sql); err != nil && !errors.As(err, &e) { // some refer to nothing, or have a key that there is
					return err
				}
			}
		}
	}
	return nil
}

// restart starts a proxy in place of the one that is dead.
func (s *stage) restart() error {
	p, err := chaos.Start(s.binary, s.folder, "", func(int) string {
		return fmt.Sprintf("upstream: postgres://%s:%d\n%s", s.server.Host, s.server.Port, policy())
	})
	if err == nil {
		s.proxy.Store(p)
	}
	return err
}

func (s *stage) close() (err error) {
	if p := s.proxy.Load(); p != nil {
		p.Kill()
	}
	if s.admin != nil {
		err = s.admin.Close(context.Background())
	}
	if s.server != nil {
		err = errors.Join(err, s.server.Stop())
	}
	return errors.Join(err, os.RemoveAll(s.folder))
}
