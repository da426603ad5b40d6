package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"tombstone/cluster"
)

// Stage is the server, what stands before it, and the folder of the run.
type Stage struct {
	Options  Options
	Targets  []*Target
	Machine  Machine
	Notes    []string // what the report must say besides
	programs cluster.Programs
	cluster  *cluster.Cluster
	pgbench  string
	folder   string
	dog      *watchdog
	huge     bool   // the server's shared memory is in huge pages
	fake     *child // the server of the idle connections; nil until it is needed
}

// settings of the server: everything in memory, nothing on its own at some moment. cluster turns fsync off.
var settings = map[string]string{
	"shared_buffers": "512MB", "max_connections": "600", "work_mem": "64MB", "synchronous_commit": "off",
	"autovacuum": "off", "checkpoint_timeout": "1h", "max_wal_size": "16GB", "wal_level": "minimal", "max_wal_senders": "0",
	"jit": "off", "max_parallel_workers_per_gather": "0", "log_min_messages": "panic",
}

// newStage starts everything. Close ends what was started, whatever the error.
func newStage(ctx context.Context, o Options) (*Stage, error) {
	s := &Stage{Options: o}
	say := func(what string) { fmt.Fprintln(os.Stderr, what) }
	// A proxy has two files for each idle connection, and a few of its own.
	if err := raiseFiles(uint64(2*o.Idle + 500)); err != nil {
		return s, err
	}
	if note := busy(); note != "" {
		s.Notes = append(s.Notes, note)
		say(note)
	}
	var err error
	if s.folder, err = os.MkdirTemp("/tmp", "tombstone-bench-"); err != nil {
		return s, err
	}
	if err := os.Chmod(s.folder, 0o755); err != nil { // PgBouncer is another user than root
		return s, err
	}
	if s.dog, err = startWatchdog(s.folder); err != nil {
		return s, err
	}
	if s.programs, err = cluster.Ensure(ctx, os.Stderr, o.Major); err != nil {
		return s, err
	}
	if s.pgbench, err = findPgbench(s.programs); err != nil {
		return s, err
	}
	say("starting PostgreSQL " + s.programs.Version)
	if err := s.startServer(ctx, say); err != nil {
		return s, err
	}
	if err := s.load(ctx); err != nil {
		return s, err
	}
	proxies, err := s.proxies(ctx, say)
	if err != nil {
		return s, err
	}
	s.Targets = append(s.Targets, &Target{Name: direct, Port: s.cluster.Port})
	for _, p := range proxies {
		t := &Target{Name: p.Name, proxy: p}
		if t.child, err = p.start(ctx, s, p.Name, s.cluster.Port, benchClients); err != nil {
			return s, err
		}
		t.Port = t.child.Port
		s.Targets = append(s.Targets, t)
	}
	s.Machine = describe(ctx, s)
	return s, nil
}

// startServer starts PostgreSQL, with its shared memory in huge pages where they can be had. Every session has a new server process,
// which with pages of 4 KiB meets a page fault for each of tens of thousands that it touches: with many clients that is most of what it
// does for the first 20 seconds, and hides what a proxy costs.
func (s *Stage) startServer(ctx context.Context, say func(string)) error {
	start := func(hugePages string) (err error) {
		all := maps.Clone(settings)
		all["huge_pages"] = hugePages
		s.cluster, err = cluster.Start(ctx, cluster.Options{Programs: s.programs, Settings: all})
		return err
	}
	made, err := reserveHugePages(sharedMemory)
	if err == nil {
		if err := s.dog.owe(made); err != nil {
			return errors.Join(err, returnHugePages(made))
		}
		// It may still not start, for example where a container may not have them.
		if err = start("on"); err == nil || ctx.Err() != nil {
			s.huge = err == nil
			return err
		}
	}
	reason, _, _ := strings.Cut(err.Error(), "\n")
	note := "The server has no huge pages, so figures with many clients include the page faults of new server processes (" + reason + ")."
	s.Notes = append(s.Notes, note)
	say(note)
	return start("off")
}

// load makes pgbench's tables, and the column that the policy needs.
func (s *Stage) load(ctx context.Context) error {
	if _, err := s.cluster.Psql(ctx, "postgres", "CREATE DATABASE "+database); err != nil {
		return err
	}
	if err := s.runPgbench(ctx, s.cluster.Port, "-i", "-q", "-s", strconv.Itoa(s.Options.Scale)); err != nil {
		return err
	}
	return s.sql(ctx, `ALTER TABLE pgbench_accounts ADD COLUMN deleted_at timestamptz;
CREATE UNLOGGED TABLE bulk (line text);
VACUUM ANALYZE;
CHECKPOINT`)
}

// sql runs a script on the server itself.
func (s *Stage) sql(ctx context.Context, script string) error {
	_, err := s.cluster.Psql(ctx, database, script)
	return err
}

// Close ends everything and removes the folder.
func (s *Stage) Close() error {
	for _, t := range s.Targets {
		if t.child != nil {
			t.child.stop()
		}
	}
	if s.fake != nil {
		s.fake.stop()
	}
	var err error
	if s.cluster != nil {
		err = s.cluster.Stop()
	}
	if s.dog != nil {
		err = errors.Join(err, s.dog.close())
	}
	if s.folder != "" {
		err = errors.Join(err, os.RemoveAll(s.folder))
	}
	return err
}

// findPgbench looks beside the server, where its version is right, and in PATH.
func findPgbench(p cluster.Programs) (string, error) {
	program, err := exec.LookPath(filepath.Join(p.Bin, "pgbench"))
	if err != nil {
		program, err = exec.LookPath("pgbench")
	}
	if err != nil {
		return "", errors.New("pgbench is neither beside postgres nor in PATH; on Debian it comes with apt-get install postgresql-15")
	}
	return program, nil
}
