package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/jackc/pgx/v5"

	"tombstone/config"
	"tombstone/lifecycle"
	"tombstone/policy"
)

// Preparer gives the soft twin the database's half, as `tombstone prepare --apply` does, again and again while a script
// changes the schema.
type Preparer struct {
	policy  *policy.Policy
	direct  *pgx.Conn // to the server
	through *pgx.Conn // to the proxy
}

// newPreparer logs in to the soft twin's server, and to the proxy, which is there already.
func newPreparer(ctx context.Context, soft *Twin, rules string) (*Preparer, error) {
	cfg, err := config.Parse("regress.yaml", []byte("listen: 127.0.0.1:6432\n"+rules))
	if err != nil {
		return nil, err
	}
	p := &Preparer{policy: policy.New(cfg.Tables, cfg.Bodies)}
	for port, conn := range map[int]**pgx.Conn{soft.cluster.Port: &p.direct, soft.port: &p.through} {
		if *conn, err = pgx.Connect(ctx, fmt.Sprintf("host=%s port=%d user=postgres dbname=%s sslmode=disable", soft.cluster.Host, port, database)); err != nil {
			return nil, errors.Join(fmt.Errorf("connect to the soft twin: %w", err), p.Close())
		}
	}
	return p, nil
}

// Prepare takes the steps that are missing, unless a transaction is open: what that has made nobody else sees, and what it has
// locked would have to be waited for. The end of the transaction is the next occasion.
func (p *Preparer) Prepare(ctx context.Context) error {
	var open bool
	err := p.direct.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity
WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid() AND backend_type = 'client backend' AND xact_start IS NOT NULL)`).Scan(&open)
	if err != nil || open {
		return err
	}
	d, err := lifecycle.Read(ctx, p.direct, p.policy)
	if err != nil {
		return err
	}
	missing := lifecycle.Prepare(d).Missing()
	if len(missing) == 0 {
		return nil
	}
	if err := missing.Apply(ctx, p.direct, io.Discard); err != nil {
		return err
	}
	return p.through.PgConn().Exec(ctx, tell).Close()
}

// tell is DDL, after which the proxy has all sessions look at the catalog again. Else it would do so within catalog.max_age.
const tell = "DROP VIEW IF EXISTS tombstone_regress.nothing"

// Close ends its sessions.
func (p *Preparer) Close() error {
	var err error
	for _, conn := range []*pgx.Conn{p.direct, p.through} {
		if conn != nil {
			err = errors.Join(err, conn.Close(context.Background()))
		}
	}
	return err
}

// migrates are the statements after which something may be missing.
var migrates = regexp.MustCompile(`(?i)^\s*(create|alter|drop)\b`)

var temporary = regexp.MustCompile(`(?i)^(\s*create\s+)(?:temp|temporary)\s+(table\b)`)

// lasting makes ordinary tables of the temporary ones of a script. A temporary table is its session's own and never protected: the keys
// between two of them would show nothing.
func lasting(statements []Statement) {
	for i := range statements {
		statements[i].SQL = temporary.ReplaceAllString(statements[i].SQL, "$1$2")
	}
}
