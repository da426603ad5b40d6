package login

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tombstone/cluster"
	"tombstone/config"
	"tombstone/proxy"

	"tombstone/test/serve"
)

// shown is the certificate that new clients are shown.
func shown(t testing.TB, address string) *x509.Certificate {
	t.Helper()
	k := converse(t, dial(t, address))
	defer k.Close()
	k.say(sslRequest)
	k.byte()
	c := tls.Client(k.Conn, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().PeerCertificates[0]
}

// A reload with renewed files, other users, other limits and another server counts for who comes then. Who is in stays as it is.
func TestReload(t *testing.T) {
	dir := t.TempDir()
	renew := func() pair {
		t.Helper()
		p, err := ca.issue(dir, "renewed", "front", "localhost", "127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := renew()
	users := filepath.Join(dir, "users.txt")
	list := func(c *cluster.Cluster, names ...string) {
		t.Helper()
		text, err := os.ReadFile(usersFile(t, c, names...))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(users, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list(server, "scram_user")
	settings := []string{fmt.Sprintf("tls: {certificate: %s, key: %s}\n", p.crt, p.key), terminate(users)}
	r := start(t, url(server, verified()), settings...)
	login := "password=geheim sslmode=verify-full sslrootcert=" + ca.file + " user="
	before := open(t, r.to(login+"scram_user"))
	plain := open(t, r.to("password=geheim sslmode=disable user=scram_user"))
	one(t, before, "BEGIN")
	serial := shown(t, r.addr.String()).SerialNumber

	renew()
	list(server, "other_user")
	reload := func(upstream string, more ...string) error {
		return r.Reload(read(t, upstream, append(settings, more...)...))
	}
	if err := reload(url(server, verified())); err != nil {
		t.Fatal(err)
	}
	if now := shown(t, r.addr.String()).SerialNumber; now.Cmp(serial) == 0 {
		t.Error("new clients are shown the old certificate")
	}
	for user, want := range map[string]string{"scram_user": "28P01", "other_user": portOf(server)} {
		if got := where(t, r.to("user="+user)); !strings.Contains(got, want) {
			t.Errorf("%s: %s", user, got)
		}
	}

	// Whole or not at all.
	o := read(t, url(server, verified()), settings...)
	if err := os.WriteFile(p.key, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Limits.Connections = 1
	if err := r.Reload(o); err == nil {
		t.Error("a key that is none is taken")
	}
	if got := where(t, r.to("user=other_user")); got != portOf(server) {
		t.Errorf("after a reload that failed: %s", got)
	}
	renew()

	if err := reload(url(server, verified()), "limits: {connections: 2}\n"); err != nil {
		t.Fatal(err)
	}
	if got := where(t, r.to("user=other_user")); !strings.Contains(got, "53300") {
		t.Errorf("the limit counts who is in: %s", got)
	}
	list(plainServer(t), "other_user")
	if err := reload(url(plainServer(t), "sslmode=disable")); err != nil {
		t.Fatal(err)
	}
	if got := where(t, r.to("user=other_user")); got != portOf(plainServer(t)) {
		t.Errorf("another server: %s", got)
	}
	for name, conn := range map[string]interface{ IsClosed() bool }{"TLS": before, "plain": plain} {
		if conn.IsClosed() {
			t.Errorf("%s: the session is gone", name)
		}
	}
	if got := one(t, before, "SELECT inet_server_port()"); got != portOf(server) {
		t.Errorf("the transaction that was open: %s", got)
	}
	if got := one(t, plain, "SELECT inet_server_port()"); got != portOf(server) {
		t.Errorf("the session without TLS: %s", got)
	}
}

func portOf(c *cluster.Cluster) string { return fmt.Sprint(c.Port) }

// Reloads and logins at the same time: nobody is turned away, and the connection that asks for verifiers stays one.
func TestReloadUnderLoad(t *testing.T) {
	parts := []string{offer(), ask}
	r := start(t, url(server, verified()), parts...)
	var options []proxy.Options
	for range 20 {
		options = append(options, read(t, url(server, verified()), parts...))
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		for _, o := range options {
			if err := r.Reload(o); err != nil {
				t.Error(err)
			}
		}
	})
	for range 4 {
		wait.Go(func() {
			for range 10 {
				if got := where(t, r.to("user=scram_user")); got != portOf(server) {
					t.Errorf("during a reload: %s", got)
				}
			}
		})
	}
	wait.Wait()
	eventually(t, "one connection asks", func() bool {
		return admin(t, server, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'asker'") <= "1"
	})
}

// program is the built one.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "tombstone")
	if out, err := exec.Command("go", "build", "-o", path, "tombstone/cmd/tombstone").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// SIGHUP, and a renewal that nobody tells of: a file in the place of another, and a link that points elsewhere.
func TestRenewedFiles(t *testing.T) {
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	issue := func(name string) {
		t.Helper()
		sub := filepath.Join(dir, name)
		if err := os.Mkdir(sub, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := ca.issue(sub, "tls", name, "localhost"); err != nil {
			t.Fatal(err)
		}
		// As Kubernetes does it: the link is replaced in one step.
		next := filepath.Join(dir, "next")
		if err := os.Symlink(sub, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(dir, "now")); err != nil {
			t.Fatal(err)
		}
	}
	issue("first")
	file := filepath.Join(dir, "tombstone.yaml")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	write := func(more string) {
		t.Helper()
		text := fmt.Sprintf("listen: %s\nupstream: %s\ntls: {certificate: %s, key: %s}\n%s", address, url(server, verified()),
			filepath.Join(dir, "now", "tls.crt"), filepath.Join(dir, "now", "tls.key"), more)
		if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write(protect)
	cmd := exec.CommandContext(within(t), path, "serve", "--config", file)
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log := &serve.Journal{}
	ended := make(chan struct{})
	go func() { // ends with the program
		defer close(ended)
		for s := bufio.NewScanner(errs); s.Scan(); {
			_, _ = log.Write([]byte(s.Text() + "\n"))
		}
	}()
	eventually(t, "the program listens", func() bool { return log.Has("proxy listens") })
	host, port, _ := net.SplitHostPort(address)
	dsn := fmt.Sprintf("host=%s port=%s user=trust_user dbname=postgres sslmode=", host, port)
	secure, plain := open(t, dsn+"require"), open(t, dsn+"disable")
	name := func() string { return shown(t, address).Subject.CommonName }
	if got := name(); got != "first" {
		t.Errorf("at the start: %s", got)
	}
	issue("second")
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "SIGHUP renews the certificate", func() bool { return name() == "second" })
	issue("third")
	eventually(t, "a look at the files renews the certificate", func() bool { return name() == "third" })
	write("tables: [{name: public.users}]\nlimits: {connections: x}\n")
	eventually(t, "what is wrong is said", func() bool { return log.Has("limits.connections") && log.Has("the old one stays in force") })
	write("limits: {connections: 1}\n") // and nothing is protected
	eventually(t, "the configuration is another", func() bool { return strings.Contains(where(t, dsn), "53300") })
	for sslmode, conn := range map[string]interface{ IsClosed() bool }{"require": secure, "disable": plain} {
		if conn.IsClosed() {
			t.Errorf("sslmode=%s: the session is gone", sslmode)
		}
	}
	if one(t, secure, "SELECT 1") != "1" || one(t, plain, "SELECT 1") != "1" {
		t.Error("a session does not go on")
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ended
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, log)
	}
}

// A Unix socket tells who is at its other end.
func TestPeer(t *testing.T) {
	dir, err := os.MkdirTemp("", "tombstone")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, ".s.PGSQL.6432")
	me, err := exec.Command("id", "-un").Output()
	if err != nil {
		t.Skip(err)
	}
	user := strings.TrimSpace(string(me))
	admin(t, server, fmt.Sprintf(`DO $$ BEGIN CREATE ROLE %q LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$`, user))
	cfg, err := config.Parse("test.yaml", fmt.Appendf(nil, "listen: unix:%s\nupstream: postgres:///?host=%s&port=%d\nauth: {mode: terminate, client: peer}\n",
		socket, server.SocketDir, server.Port))
	if err != nil {
		t.Fatal(err)
	}
	r := launch(t, proxy.From(cfg))
	dsn := "host=" + dir + " port=6432 dbname=postgres user="
	if out, said := psql(t, dsn+user, "SELECT session_user"); out != user {
		t.Errorf("%s %s", out, said)
	}
	if out, said := psql(t, dsn+"trust_user", "SELECT 1"); out != "" || !strings.Contains(said, `Peer authentication failed for user "trust_user"`) {
		t.Errorf("%s %s", out, said)
	}
	if !r.log.Has(fmt.Sprintf(`the process belongs to \"%s\"`, user)) {
		t.Errorf("the log does not say whose process it was:\n%s", r.log)
	}
	// A Unix socket never has TLS, as in PostgreSQL.
	if _, said := psql(t, dsn+user+" sslmode=require", "SELECT 1"); said != "" {
		t.Errorf("sslmode=require through a Unix socket: %s", said)
	}
}
