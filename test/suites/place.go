package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tombstone/cluster"
	"tombstone/test/serve"
)

// Mode is how a suite reaches its server.
type Mode struct {
	Name   string
	Tables string // the policy; "" for no proxy
}

// direct is what the other modes are compared with.
var direct = Mode{Name: "direct"}

var modes = []Mode{
	{"empty", "tables: []\n"},
	{"guarded", "tables:\n  - name: guarded.never\n"},
}

// guardedSQL makes the table that no suite touches. It is there in every mode, so that a list of all tables is the same.
const guardedSQL = `CREATE SCHEMA guarded;
CREATE TABLE guarded.never (id bigint PRIMARY KEY, name text, deleted_at timestamptz);
INSERT INTO guarded.never VALUES (1, 'live', NULL), (2, 'tombstone', '2020-01-01');
`

// Place is a fresh server, the proxy before it unless the mode is direct, and a folder. Port and folder are the same for
// every mode, because some tests print them.
type Place struct {
	Port    int    // where clients connect
	Folder  string // open to everybody: the server, which is not root, writes there too
	cluster *cluster.Cluster
	proxy   *serve.Proxy
}

// settings of every server. Nothing may happen on its own: a vacuum at some moment would change plans and the order of rows.
var settings = map[string]string{
	"autovacuum":                "off",
	"max_prepared_transactions": "10",
	"max_connections":           "100",
	"timezone_abbreviations":    "Default",
}

// open starts a server, and the proxy if the mode has one.
func (b *Bench) open(ctx context.Context, s *Suite, m Mode) (p *Place, err error) {
	p = &Place{Port: b.port, Folder: filepath.Join(b.scratch, "place")}
	defer func() {
		if err != nil {
			err = fmt.Errorf("a place for %s, %s: %w", s.Name, m.Name, errors.Join(err, p.Close()))
		}
	}()
	if err := os.RemoveAll(p.Folder); err != nil {
		return p, err
	}
	for _, dir := range []string{p.Folder, filepath.Join(p.Folder, "results")} {
		if err := errors.Join(os.Mkdir(dir, 0o777), os.Chmod(dir, 0o777)); err != nil {
			return p, err
		}
	}
	o := cluster.Options{Programs: b.programs, Settings: settings, HBA: s.HBA}
	if m == direct {
		o.Port = p.Port
	}
	if p.cluster, err = cluster.Start(ctx, o); err != nil {
		return p, err
	}
	if err := b.setUp(ctx, s, p.cluster); err != nil {
		return p, err
	}
	if m == direct {
		return p, nil
	}
	p.proxy, err = serve.Start(ctx, b.program, b.scratch, p.Port, fmt.Sprintf("upstream: postgres://127.0.0.1:%d\n%s", p.cluster.Port, m.Tables))
	return p, err
}

// setUp makes the suite's database, with the settings that pg_regress gives its own.
func (b *Bench) setUp(ctx context.Context, s *Suite, c *cluster.Cluster) error {
	sql := "CREATE DATABASE " + s.Database + " TEMPLATE template0;\n"
	for _, setting := range []string{"lc_messages TO 'C'", "lc_monetary TO 'C'", "lc_numeric TO 'C'", "lc_time TO 'C'",
		"bytea_output TO 'hex'", "timezone_abbreviations TO 'Default'"} {
		sql += "ALTER DATABASE " + s.Database + " SET " + setting + ";\n"
	}
	if _, err := c.Psql(ctx, "postgres", sql); err != nil {
		return err
	}
	_, err := c.Psql(ctx, s.Database, guardedSQL+s.SetUp)
	return err
}

// Close ends proxy and server. The error is a proxy that has ended before.
func (p *Place) Close() error {
	var err error
	if p.proxy != nil {
		err = p.proxy.Alive()
		p.proxy.Stop()
	}
	if p.cluster != nil {
		err = errors.Join(err, p.cluster.Stop())
	}
	return err
}

// environment is ours without what is about somebody's real server or language, plus more.
func environment(more ...string) []string {
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "PG") && !strings.HasPrefix(entry, "LC_") && !strings.HasPrefix(entry, "LANG") {
			env = append(env, entry)
		}
	}
	return append(env, more...)
}
