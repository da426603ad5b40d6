package chaos

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tombstone/admin"
	"tombstone/cluster"
	"tombstone/config"
	"tombstone/proxy"
)

// legs say how a client gets to the server: with TLS or without on either side of the proxy, let in by the server or by the proxy, and
// moved by event loops or by goroutines, as is all with TLS.
type legs struct {
	name       string
	client     bool   // TLS
	server     bool   // TLS
	auth       string // setting; "" for the server's part
	goroutines bool   // also without TLS
}

// asked and listed are where a proxy that authenticates has verifiers from.
const (
	asked  = "auth: {mode: terminate, query_as: \"postgres://scram_user:secret@/postgres\"}\n"
	listed = "auth: {mode: terminate, users_file: %s}\n"
)

var plain = legs{name: "plain"}

// others are all but the plain ones. What goes wrong there is a sample of what goes wrong on plain legs.
var others = []legs{
	{name: "goroutines", goroutines: true},
	{name: "TLS from clients", client: true},
	{name: "TLS to the server", server: true},
	{name: "TLS on both sides", client: true, server: true},
	{name: "the proxy authenticates", auth: listed},
	{name: "the proxy authenticates, with TLS on both sides", client: true, server: true, auth: asked},
}

// subject is a proxy on its legs.
type subject struct {
	*Process
	legs
	before, behind *relay // nil for none
}

// stand puts a proxy, on its legs and without relays, before a server.
func (l legs) stand(t *testing.T, c *cluster.Cluster) *subject {
	t.Helper()
	return &subject{Process: l.start(t, c, address(c)), legs: l}
}

// between is a proxy between two relays, before the shared server.
func (l legs) between(t *testing.T) *subject {
	t.Helper()
	s := &subject{legs: l, behind: startRelay(t, address(server))}
	s.Process = l.start(t, server, s.behind.Addr().String())
	s.before = startRelay(t, s.Address())
	return s
}

// start runs the proxy until the test ends. c is the server that is reached at the address upstream.
func (l legs) start(t *testing.T, c *cluster.Cluster, upstream string) *Process {
	t.Helper()
	text := tables + "upstream: postgres://" + upstream + "/"
	if l.server {
		text += "?sslmode=verify-full&sslrootcert=" + certificate
	}
	text += "\n"
	if l.client {
		text += fmt.Sprintf("tls: {certificate: %s, key: %s}\n", certificate, key)
	}
	if strings.Contains(l.auth, "%s") {
		users := filepath.Join(t.TempDir(), "users")
		line := ask(t, c, `SELECT format('"%s" "%s"', rolname, rolpassword) FROM pg_authid WHERE rolname = 'scram_user'`)
		if err := os.WriteFile(users, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf(l.auth, users)
	} else {
		text += l.auth
	}
	binary := program
	if l.goroutines || l.client || l.server { // so that the race detector, if it is on, looks at them
		binary = os.Args[0]
	}
	p, err := Start(binary, scratch, "", func(int) string { return text })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !p.Alive() {
			t.Errorf("the proxy has ended:\n%s", p.Said())
		}
		p.Kill()
		if said := p.Said(); strings.Contains(said, "DATA RACE") || strings.Contains(said, "internal error") {
			t.Errorf("the proxy says\n%s", said)
		}
	})
	return p
}

// dsn is how a client logs in, at the proxy itself or at the relay before it.
func (s *subject) dsn() string {
	if s.auth == "" {
		return s.dsnOf("postgres")
	}
	return s.dsnOf("scram_user")
}

func (s *subject) dsnOf(user string) string {
	at := s.Address()
	if s.before != nil {
		at = s.before.Addr().String()
	}
	host, port, _ := strings.Cut(at, ":")
	dsn := fmt.Sprintf("host=%s port=%s user=%s password=secret dbname=postgres sslmode=", host, port, user)
	if !s.client {
		return dsn + "disable"
	}
	dsn += "verify-full sslrootcert=" + certificate
	if s.server && s.auth == "" { // what cannot pass; see docs/connections.md
		dsn += " channel_binding=disable"
	}
	return dsn
}

// serveByGoroutines is `tombstone serve` without event loops, as it is where there are none.
func serveByGoroutines(file string) error {
	c, err := config.Load(file)
	if err != nil {
		return err
	}
	metrics := admin.NewMetrics("", "")
	o := proxy.From(c)
	o.Loops, o.Observer = -1, metrics
	o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: c.Log.Level}))
	p, err := proxy.Listen(o)
	if err != nil {
		return err
	}
	a, err := admin.NewServer(c.Admin, metrics, false, func(context.Context) error { return nil })
	if err != nil {
		return err
	}
	go func() { _ = a.Serve(context.Background()) }() // ends with the process
	return p.Serve(context.Background())
}
