package bypass

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/cluster"
	"tombstone/cluster/clustertest"
)

var update = flag.Bool("update", false, "write README.md from the cases")

// limit is how long one step may wait for anything, so that a hang fails.
const limit = clustertest.Limit

// usual is the major version that a case is for unless it says otherwise. What
// is known or a bug differs between versions, so it is fixed.
const usual = 15

// servers are the clusters, by major version.
var servers = struct {
	mu      sync.Mutex
	running map[int]*running
}{running: map[int]*running{}}

// running is one cluster, started when a case first asks for it.
type running struct {
	*cluster.Cluster
	programs cluster.Programs
	err      error
	made     atomic.Int64 // databases
}

// settings make room for every kind of attack: logical decoding, two-phase
// commits.
var settings = map[string]string{
	"max_connections": "60", "autovacuum": "off", "shared_buffers": "64MB", "log_min_messages": "panic",
	"wal_level": "logical", "max_prepared_transactions": "10", "max_replication_slots": "10", "max_wal_senders": "10",
}

func TestMain(m *testing.M) {
	flag.Parse()
	// The cases wait for the server more than they work.
	if err := flag.Set("test.parallel", "4"); err != nil {
		fmt.Fprintln(os.Stderr, "bypass:", err)
		os.Exit(1)
	}
	status := m.Run()
	for _, r := range servers.running {
		if r.Cluster == nil {
			continue
		}
		if err := r.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "bypass:", err)
			status = 1
		}
	}
	os.Exit(status)
}

// serverOf returns a cluster of a major version, or skips the test.
func serverOf(t *testing.T, major int) *running {
	t.Helper()
	servers.mu.Lock()
	defer servers.mu.Unlock()
	r := servers.running[major]
	if r == nil {
		r = &running{}
		servers.running[major] = r
		r.err = r.start(major)
	}
	if errors.Is(r.err, cluster.ErrNotFound) && major != usual {
		t.Skipf("PostgreSQL %d is not on this machine", major)
	}
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r
}

func (r *running) start(major int) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if major == usual {
		r.programs, err = cluster.Ensure(ctx, os.Stderr, major)
	} else if r.programs, err = cluster.FindMajor(major); errors.Is(err, cluster.ErrNotFound) && os.Getenv("TOMBSTONE_TEST_MAJORS") != "" {
		r.programs, err = cluster.Fetch(ctx, os.Stderr, major)
	}
	if err != nil {
		return err
	}
	if r.Cluster, err = cluster.Start(ctx, cluster.Options{Programs: r.programs, Settings: settings, Dir: memory()}); err != nil {
		return err
	}
	script, err := os.ReadFile("testdata/shop.sql")
	if err != nil {
		return err
	}
	if err := r.run(ctx, "postgres", "CREATE ROLE alice LOGIN", "CREATE DATABASE shop"); err != nil {
		return err
	}
	if err := r.run(ctx, "shop", string(script)); err != nil {
		return fmt.Errorf("load the shop: %w", err)
	}
	return nil
}

// memory is a folder that is not on a disk and has room for some hundred
// copies of a database, or "". There a copy takes a tenth of the time.
func memory() string {
	const folder, room = "/dev/shm", 4 << 30
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil || s.Bavail*uint64(s.Bsize) < room {
		return ""
	}
	return folder
}

// run sends messages to a database as the superuser.
func (r *running) run(ctx context.Context, db string, messages ...string) error {
	c, err := pgconn.Connect(ctx, r.DSN(db))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	for _, sql := range messages {
		if _, err := c.Exec(ctx, sql).ReadAll(); err != nil {
			return fmt.Errorf("%.80s: %w", sql, err)
		}
	}
	return nil
}

// copy makes a copy of the shop for one run. It goes when the test ends.
func (r *running) copy(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("t%d", r.made.Add(1))
	how := ""
	if r.programs.Major >= 15 {
		how = " STRATEGY file_copy" // as before 15
	}
	if err := r.run(within(t), "postgres", "CREATE DATABASE "+name+" TEMPLATE shop"+how); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := r.run(ctx, "postgres", "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return name
}

var within = clustertest.Within
