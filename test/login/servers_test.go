package login

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tombstone/cluster"
)

// bare is a server without TLS, on which a test may do as it likes, as long as it runs again in the end.
var bare = sync.OnceValues(func() (*cluster.Cluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c, err := begin(ctx, installed, hba)
	if err != nil {
		return nil, err
	}
	_, err = c.Psql(ctx, "postgres", roles)
	return c, err
})

func plainServer(t testing.TB) *cluster.Cluster {
	t.Helper()
	c, err := bare()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// replicated makes a streaming standby of the shared server.
var replicated = sync.OnceValues(func() (*cluster.Cluster, error) { return standbyOf(server) })

func standby(t testing.TB) *cluster.Cluster {
	t.Helper()
	c, err := replicated()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the standby has all that the primary has", func() bool {
		return admin(t, c, "SELECT pg_last_wal_replay_lsn() >= '"+admin(t, server, "SELECT pg_current_wal_lsn()")+"'::pg_lsn") == "t"
	})
	return c
}

// standbyOf puts a copy of a server in the place of a fresh one's files, and starts it as a standby.
func standbyOf(primary *cluster.Cluster) (*cluster.Cluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c, err := begin(ctx, installed, hba)
	if err != nil {
		return nil, err
	}
	c.Kill()
	if err := os.RemoveAll(c.DataDir); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(installed.Bin, "pg_basebackup"), "-D", c.DataDir, "-R", "-c", "fast", "-X", "stream",
		"-h", primary.SocketDir, "-p", strconv.Itoa(primary.Port), "-U", "postgres")
	cmd.Env = environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.New(string(out))
	}
	// The folder's owner is still the user that PostgreSQL runs as; what is in it is ours.
	home, err := os.Stat(filepath.Dir(c.DataDir))
	if err != nil {
		return nil, err
	}
	if id, ok := home.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := os.Chown(c.DataDir, int(id.Uid), int(id.Gid)); err != nil {
			return nil, err
		}
	}
	if err := own(c.DataDir); err != nil {
		return nil, err
	}
	return c, c.Restart(ctx)
}

// shutDown tells a server to stop as soon as its sessions have ended, and returns when it takes no new ones. To whoever
// comes then it says 57P03.
func shutDown(t testing.TB, c *cluster.Cluster) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.DataDir, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server shuts down", func() bool {
		_, said := psql(t, straight(c, "user=postgres"), "SELECT 1")
		return strings.Contains(said, "the database system is shutting down")
	})
}

func restart(t testing.TB, c *cluster.Cluster) {
	t.Helper()
	if err := c.Restart(within(t)); err != nil {
		t.Fatal(err)
	}
}
