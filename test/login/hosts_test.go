package login

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// several is the address of servers in their order, for the setting upstream. A login is user:password@, or nothing.
func several(login string, params string, ports ...int) string {
	hosts := make([]string, len(ports))
	for i, p := range ports {
		hosts[i] = "localhost:" + strconv.Itoa(p)
	}
	return fmt.Sprintf("postgres://%s%s/postgres?%s", login, strings.Join(hosts, ","), params)
}

// nobody is a port at which nobody listens, nor will until the end of the test: a proxy that was given it would call itself, again and again.
func nobody(t testing.TB) int {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(socket) })
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return at.(*syscall.SockaddrInet4).Port
}

// where is the port of the server that a client is let in by, or what it is told.
func where(t testing.TB, dsn string) string {
	t.Helper()
	conn, err := pgx.Connect(within(t), dsn+" password="+thePassword+" sslmode=disable")
	if err != nil {
		return told(err)
	}
	defer conn.Close(within(t))
	return one(t, conn, "SELECT inet_server_port()")
}

// told is what the other side says in an error.
func told(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return strings.TrimRight(fmt.Sprintf("%s %s: %s\n%s\n%s", e.Severity, e.Code, e.Message, e.Detail, e.Hint), "\n")
	}
	return err.Error()
}

// Every target_session_attrs, with every way to log in, goes to the server that libpq goes to when it is given both.
func TestTargetSessionAttrs(t *testing.T) {
	t.Parallel()
	s := standby(t)
	names := map[string]string{strconv.Itoa(server.Port): "the primary", strconv.Itoa(s.Port): "the standby"}
	for _, attrs := range []string{"any", "read-write", "read-only", "primary", "standby", "prefer-standby"} {
		for _, order := range [][]int{{server.Port, s.Port}, {s.Port, server.Port}} {
			libpq, _ := psql(t, fmt.Sprintf("host=127.0.0.1,127.0.0.1 port=%d,%d dbname=postgres user=trust_user target_session_attrs=%s", order[0], order[1], attrs),
				"SELECT inet_server_port()")
			if names[libpq] == "" {
				t.Fatalf("libpq says %s", libpq)
			}
			for _, way := range []struct{ about, login, user, auth string }{
				{"trust", "", "trust_user", ""},
				{"trust, terminated", "", "trust_user", ask},
				{"SCRAM, terminated", "", "scram_user", ask},
				{"SCRAM, and the proxy has a login", "asker:fragen@", "scram_user", ""},
				{"SCRAM, and the proxy has a login and terminates", "asker:fragen@", "scram_user", ask},
				{"SCRAM", "", "scram_user", ""},
			} {
				r := start(t, several(way.login, "sslmode=disable&target_session_attrs="+attrs, order...), way.auth)
				got := where(t, r.to("user="+way.user))
				if got != libpq && way.about == "SCRAM" {
					// Only the client's own login tells what the server is: once it has told, the next goes where it should.
					if attrs != "prefer-standby" && !strings.Contains(got, "target_session_attrs="+attrs) {
						t.Errorf("%s, %s first: %s", attrs, names[strconv.Itoa(order[0])], got)
					}
					got = where(t, r.to("user="+way.user))
				}
				if got != libpq {
					t.Errorf("%s, %s, %s first: %s%s; libpq goes to %s", attrs, way.about, names[strconv.Itoa(order[0])], names[got], got, names[libpq])
				}
			}
		}
	}
}

// No server will do: the client is told which were tried, and what they are.
func TestNoServerWillDo(t *testing.T) {
	dead := nobody(t)
	for _, auth := range []string{"", ask} {
		r := start(t, several("", "sslmode=disable&target_session_attrs=standby", dead, server.Port), auth)
		got := where(t, r.to("user=trust_user"))
		for _, want := range []string{fmt.Sprintf("localhost:%d", dead), "refused", fmt.Sprintf("localhost:%d is a primary, and target_session_attrs=standby", server.Port)} {
			if auth != "" {
				want = "cannot look up verifiers" // since that takes such a server, too
			}
			if !strings.Contains(got, want) {
				t.Errorf("no %q in %s", want, got)
			}
		}
	}
}

// Hosts that are dead, or that start up or shut down, are passed over. When nothing else is left, the server's own words count.
func TestHostsThatCannot(t *testing.T) {
	c := plainServer(t)
	held := open(t, c.DSN("postgres"))
	shutDown(t, c)
	defer restart(t, c)
	want := strconv.Itoa(server.Port)
	for _, auth := range []string{"", terminate(usersFile(t, server, "scram_user", "trust_user"))} {
		for _, user := range []string{"trust_user", "scram_user"} {
			for _, attrs := range []string{"any", "primary", "prefer-standby"} {
				for _, order := range [][]int{{nobody(t), server.Port}, {c.Port, server.Port}, {server.Port, c.Port}, {c.Port, nobody(t), server.Port}} {
					r := start(t, several("", "sslmode=disable&target_session_attrs="+attrs, order...), auth)
					if got := where(t, r.to("user="+user)); got != want {
						t.Errorf("%s, %s, %s, %v: %s, want %s", auth, user, attrs, order, got, want)
					}
				}
			}
			for _, order := range [][]int{{c.Port}, {nobody(t), c.Port}, {c.Port, c.Port}} {
				r := start(t, several("", "sslmode=disable", order...), auth)
				if got := where(t, r.to("user="+user)); !strings.Contains(got, "the database system is shutting down") {
					t.Errorf("%s, %s, %v: %s", auth, user, order, got)
				}
			}
		}
	}
	_ = held.Close(within(t))
}

// The primary is gone and the standby takes its place: new connections reach it, without a pause.
func TestFailover(t *testing.T) {
	t.Parallel()
	primary, err := secured(within(t), installed, hba)
	if err != nil {
		t.Fatal(err)
	}
	admin(t, primary, roles)
	second, err := standbyOf(primary)
	if err != nil {
		t.Fatal(err)
	}
	relays := map[string]*relay{}
	for name, way := range map[string][2]string{"pass": {"", ""}, "a login": {"asker:fragen@", ""}, "terminate": {"", ask}} {
		relays[name] = start(t, several(way[0], "sslmode=disable&target_session_attrs=primary", second.Port, primary.Port), way[1], protect)
	}
	for name, r := range relays {
		where(t, r.to("user=scram_user")) // the first may be the one that finds out
		if got := where(t, r.to("user=scram_user")); got != strconv.Itoa(primary.Port) {
			t.Errorf("%s, before: %s", name, got)
		}
	}
	open := map[string]*pgx.Conn{}
	for name, r := range relays {
		open[name] = connect(t, r)
	}
	primary.Kill()
	admin(t, second, "SELECT pg_promote()")
	for name, r := range relays {
		if _, err := open[name].Exec(within(t), "SELECT 1"); err == nil {
			t.Errorf("%s: the session outlives its server", name)
		}
		if got := where(t, r.to("user=scram_user")); got != strconv.Itoa(second.Port) {
			t.Errorf("%s, after: %s", name, got)
		}
	}
}

// connect lets scram_user in.
func connect(t testing.TB, r *relay) *pgx.Conn {
	t.Helper()
	return open(t, r.to("user=scram_user sslmode=disable password="+thePassword))
}

// With load_balance_hosts=random, clients come to both.
func TestRandomHosts(t *testing.T) {
	s := standby(t)
	r := start(t, several("", "sslmode=disable&load_balance_hosts=random", server.Port, s.Port))
	seen := map[string]bool{}
	for range 60 { // 2^-59 to be wrong
		conn := open(t, r.to("user=trust_user sslmode=disable"))
		seen[one(t, conn, "SELECT inet_server_port()")] = true
		_ = conn.Close(within(t))
		if len(seen) == 2 {
			return
		}
	}
	t.Errorf("all went to %v", seen)
}

// A server older than 14 does not tell what it is; it is asked.
func TestOldServerIsAsked(t *testing.T) {
	t.Parallel()
	old := major(t, 13)
	admin(t, old, roles)
	for _, way := range []struct{ about, login, user, auth string }{
		{"trust", "", "trust_user", ""},
		{"terminate", "", "scram_user", ask},
		{"the proxy has a login", "asker:fragen@", "scram_user", ""},
	} {
		for attrs, want := range map[string]bool{"any": true, "primary": true, "read-write": true, "prefer-standby": true, "standby": false, "read-only": false} {
			r := start(t, several(way.login, "sslmode=disable&target_session_attrs="+attrs, nobody(t), old.Port), way.auth)
			if got := where(t, r.to("user="+way.user)); (got == strconv.Itoa(old.Port)) != want {
				t.Errorf("%s, %s: %s", way.about, attrs, got)
			}
		}
	}
	r := start(t, several("", "sslmode=disable&target_session_attrs=primary", old.Port))
	if got := where(t, r.to("user=scram_user")); !strings.Contains(got, "a user and a password in the proxy's upstream") {
		t.Errorf("SCRAM, and nobody can ask: %s", got)
	}
}

// A host that takes the connection and says nothing costs connect_timeout, with TLS and without; then the next one is tried.
func TestHostThatIsSilent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes connections for it; nobody ever reads
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	silent := l.Addr().(*net.TCPAddr).Port
	for _, params := range []string{"sslmode=disable", verified(), "sslmode=disable&target_session_attrs=primary"} {
		for _, login := range []string{"", "asker:fragen@"} {
			r := start(t, several(login, params+"&connect_timeout=1", silent, server.Port))
			if got := where(t, r.to("user=trust_user")); got != portOf(server) {
				t.Errorf("%s%s: %s", login, params, got)
			}
		}
	}
	r := start(t, several("", verified()+"&connect_timeout=1", silent))
	if got := where(t, r.to("user=trust_user")); !strings.Contains(got, "deadline exceeded") {
		t.Errorf("nobody else: %s", got)
	}
}
