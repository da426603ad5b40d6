package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// livesOnly makes the test binary a stand-in for a tombstone that is killed: see TestWatchdog.
const livesOnly = "TOMBSTONE_TEST_CLUSTER_LIVES"

func TestMain(m *testing.M) {
	if os.Getenv(livesOnly) != "" {
		liveUntilKilled()
	}
	os.Exit(m.Run())
}

// start is a cluster for a test, stopped after it.
func start(t *testing.T, o Options) *Cluster {
	t.Helper()
	if o.Programs.Bin == "" {
		p, err := Find()
		if err != nil {
			t.Fatal(err) // a test that runs nothing must not pass
		}
		o.Programs = p
	}
	c, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func psql(t *testing.T, c *Cluster, sql string) string {
	t.Helper()
	out, err := c.Psql(t.Context(), "postgres", sql)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// processes are the postmaster and all its children.
func processes(t *testing.T, c *Cluster) []int {
	t.Helper()
	pids := []int{c.server.cmd.Process.Pid, c.dog.cmd.Process.Pid}
	for pid := range strings.SplitSeq(psql(t, c, "select pid from pg_stat_activity where pid <> pg_backend_pid()"), "\n") {
		n, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, n)
	}
	return pids
}

func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func gone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, os.ErrNotExist)
}

func TestStartAndStop(t *testing.T) {
	var log strings.Builder
	c := start(t, Options{
		SuperUser: "o hara",
		Settings:  map[string]string{"application_name": "a b", "port": "1", "log_statement": "all"},
		Log:       &log,
	})
	if got := psql(t, c, "select current_user, current_setting('port'), current_setting('fsync');\nselect '☃', pg_encoding_to_char(encoding) from pg_database where datname = 'template1'"); got !=
		fmt.Sprintf("o hara|%d|off\n☃|UTF8", c.Port) {
		t.Errorf("psql: %q", got)
	}
	_, err := c.Psql(t.Context(), "postgres", "select 1;\nselect nonsense;\nselect 2")
	if err == nil || !strings.Contains(err.Error(), `column "nonsense" does not exist`) {
		t.Errorf("a wrong statement: %v", err)
	}

	conn, err := pgx.Connect(t.Context(), c.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.Ping(t.Context()); err != nil {
		t.Error(err)
	}

	pids := processes(t, c)
	if len(pids) < 5 {
		t.Errorf("processes %v, want the postmaster, the watchdog and several children", pids)
	}
	for range 2 {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
	if !gone(c.home) || !gone(c.SocketDir) {
		t.Errorf("%s is still there", c.home)
	}
	if err := c.Restart(t.Context()); err == nil {
		t.Error("a stopped cluster restarted")
	}
	if !strings.Contains(log.String(), "select nonsense") {
		t.Error("Options.Log saw nothing")
	}
}

func TestKillAndRestart(t *testing.T) {
	c := start(t, Options{})
	psql(t, c, "create table kept (n int); insert into kept values (42)")
	busy, err := pgx.Connect(t.Context(), c.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close(context.Background())

	c.Kill()
	if err := busy.Ping(t.Context()); err == nil {
		t.Error("the server answers after Kill")
	}
	if _, err := net.Dial("tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port))); err == nil {
		t.Error("somebody listens after Kill")
	}
	for _, how := range []string{"killed", "running"} {
		if err := c.Restart(t.Context()); err != nil {
			t.Fatalf("restart when %s: %v", how, err)
		}
		if got := psql(t, c, "select n from kept"); got != "42" {
			t.Errorf("after restart when %s: %q", how, got)
		}
	}
}

func TestScram(t *testing.T) {
	c := start(t, Options{HBA: "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256"})
	psql(t, c, "set password_encryption = 'scram-sha-256'; create role alice login password 'wonder land'")
	connect := func(password string) error {
		config, err := pgx.ParseConfig(c.DSN("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		config.User, config.Password = "alice", password
		conn, err := pgx.ConnectConfig(t.Context(), config)
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	}
	if err := connect("wonder land"); err != nil {
		t.Error(err)
	}
	if err := connect("mad hatter"); err == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("a wrong password: %v", err)
	}
	// Nobody gets in without a password, and still the cluster is seen to be ready.
	start(t, Options{HBA: "local all all scram-sha-256"})
	start(t, Options{HBA: "host all all 127.0.0.1/32 reject"})
}

func TestStartFails(t *testing.T) {
	p, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	parent := openDir(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, o := range map[string]Options{
		"invalid value for parameter": {Settings: map[string]string{"work_mem": "lots"}},
		"superuser name":              {SuperUser: "pg_me"},
		"no/such/folder":              {Dir: "no/such/folder"},
	} {
		o.Programs = p
		if o.Dir == "" {
			o.Dir = parent
		}
		if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want an error with %q, got %v", name, err)
		}
	}
	if _, err := Start(cancelled, Options{Programs: p, Dir: parent}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	left, err := os.ReadDir(parent)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// A parent whose path is too long for a socket.
func TestLongPath(t *testing.T) {
	parent := openDir(t) + "/" + strings.Repeat("long", 25)
	if err := os.Mkdir(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	c := start(t, Options{Dir: parent})
	psql(t, c, "select 1")
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	if !gone(c.home) || !gone(c.SocketDir) {
		t.Errorf("%s or %s is still there", c.home, c.SocketDir)
	}
}

// openDir is t.TempDir for a server that runs as another user.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tombstone-test-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestPortTaken(t *testing.T) {
	c := start(t, Options{})
	other := start(t, Options{})
	other.Kill()
	mine := other.Port
	other.Port = c.Port
	err := other.Restart(t.Context())
	if !says(err, "could not create any TCP/IP sockets") {
		t.Errorf("on a taken port: %v", err)
	}
	other.Port = mine
	if err := other.Restart(t.Context()); err != nil {
		t.Error(err)
	}
}

// A process with a cluster dies without a word. The server and its folder go too.
func TestWatchdog(t *testing.T) {
	if _, err := Find(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), livesOnly+"=yes")
	cmd.Stderr = os.Stderr
	_, inErr := cmd.StdinPipe() // held open until it is killed
	out, err := cmd.StdoutPipe()
	if err = errors.Join(inErr, err); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var port, home string
	if _, err := fmt.Sscan(line, &port, &home); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	address := net.JoinHostPort("127.0.0.1", port)
	if conn, err := net.Dial("tcp", address); err != nil {
		t.Fatal(err)
	} else {
		conn.Close()
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	// The folder goes last.
	for limit := time.Now().Add(30 * time.Second); !gone(home); time.Sleep(pollEvery) {
		if time.Now().After(limit) {
			t.Fatalf("%s is still there", home)
		}
	}
	// Not by process id: where nobody reaps orphans, dead ones keep theirs.
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("the server answers")
	}
}

func liveUntilKilled() {
	c, err := Start(context.Background(), Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(c.Port, c.home)
	_, _ = io.Copy(io.Discard, os.Stdin) // ends only if the test dies first
	_ = c.Stop()
	os.Exit(0)
}
