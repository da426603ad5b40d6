package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tombstone/cluster"
	"tombstone/test/source"
)

//go:embed marker.sql
var markerSQL string

// database is named as pg_regress names it, because some scripts name it too. So each twin is a cluster: roles and
// tablespaces, which scripts make as well, belong to a whole cluster.
const database = "regression"

// Twin is a server on which the scripts run.
type Twin struct {
	Name    string
	cluster *cluster.Cluster
	port    int    // where psql connects: the server, or the proxy before it
	folder  string // PG_ABS_BUILDDIR: scripts and server write into its folder results
	suite   source.Source
	lib     string // PG_LIBDIR
	psql    string
}

// settings of both servers. Nothing may happen on its own: a vacuum at some moment would change plans and the order of rows.
var settings = map[string]string{
	"autovacuum":                "off",
	"max_prepared_transactions": "2", // as pg_regress sets it
	"max_connections":           "40",
	"timezone_abbreviations":    "Default",
}

// newTwin starts a server and sets its database up as pg_regress does, plus the event trigger that adds the marker.
func newTwin(ctx context.Context, name string, programs cluster.Programs, suite source.Source, scratch string) (*Twin, error) {
	t := &Twin{Name: name, suite: suite, folder: filepath.Join(scratch, name), lib: filepath.Join(scratch, name, "lib")}
	for _, dir := range []string{t.folder, t.lib, filepath.Join(t.folder, "results")} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			return nil, fmt.Errorf("folder of the %s twin: %w", name, err)
		}
		if err := os.Chmod(dir, 0o777); err != nil { // the server is another user than root
			return nil, err
		}
	}
	if err := suite.LinkLibraries(programs.Bin, t.lib); err != nil {
		return nil, err
	}
	t.psql = filepath.Join(programs.Bin, "psql")
	if _, err := os.Stat(t.psql); err != nil {
		return nil, fmt.Errorf("psql of the server's version is not beside postgres: %w", err)
	}
	var err error
	if t.cluster, err = cluster.Start(ctx, cluster.Options{Programs: programs, Settings: settings}); err != nil {
		return nil, fmt.Errorf("start the %s twin: %w", name, err)
	}
	t.port = t.cluster.Port
	if err := t.setUp(ctx); err != nil {
		return nil, fmt.Errorf("set up the %s twin: %w", name, err)
	}
	return t, nil
}

func (t *Twin) setUp(ctx context.Context) error {
	sql := "CREATE DATABASE " + database + " TEMPLATE template0;\n"
	for _, setting := range []string{"lc_messages TO 'C'", "lc_monetary TO 'C'", "lc_numeric TO 'C'", "lc_time TO 'C'",
		"bytea_output TO 'hex'", "timezone_abbreviations TO 'Default'"} {
		sql += "ALTER DATABASE " + database + " SET " + setting + ";\n"
	}
	if _, err := t.cluster.Psql(ctx, "postgres", sql); err != nil {
		return err
	}
	_, err := t.cluster.Psql(ctx, database, markerSQL)
	return err
}

// environment is what pg_regress gives psql. A setting of ours that begins with PG or LC_ must not reach the scripts.
func (t *Twin) environment(file string) []string {
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "PG") && !strings.HasPrefix(entry, "LC_") && !strings.HasPrefix(entry, "LANG") {
			env = append(env, entry)
		}
	}
	return append(env, "LC_MESSAGES=C", "PGHOST="+t.cluster.Host, fmt.Sprintf("PGPORT=%d", t.port), "PGUSER=postgres",
		"PGDATABASE="+database, "PGSSLMODE=disable", "PGAPPNAME=pg_regress/"+file,
		"PGTZ=PST8PDT", "PGDATESTYLE=Postgres, MDY", "PGOPTIONS=-c intervalstyle=postgres_verbose",
		"PG_ABS_SRCDIR="+t.suite.Regress(), "PG_ABS_BUILDDIR="+t.folder, "PG_LIBDIR="+t.lib, "PG_DLSUFFIX=.so")
}

// Stop ends the twin's server and removes its files.
func (t *Twin) Stop() error { return t.cluster.Stop() }
