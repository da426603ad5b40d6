package bypass

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/test/serve"
)

// shopTables are protected unless a case says otherwise.
const shopTables = `public.users, public.orders, public.codes, public.people, public.guests, public.teams, public.members, public.events, public.animals, public."Größe", public."we""ird name", tenant.users`

// place is where one case runs: a database, and a proxy before it or, for the
// control, none.
type place struct {
	c       *running
	db      string
	addr    string // where clients connect
	user    string
	connect string
	clients map[string]*client
	direct  *pgconn.PgConn

	mu   sync.Mutex
	told []byte // all that clients were told
}

// client is a connection whose every byte is kept.
type client struct{ *pgconn.PgConn }

func newPlace(t *testing.T, a *attack, r *running, behind bool) *place {
	t.Helper()
	p := &place{c: r, db: r.copy(t), user: a.keys["user"], connect: a.keys["connect"], clients: map[string]*client{}}
	if p.user == "" {
		p.user = "postgres"
	}
	p.addr = net.JoinHostPort(r.Host, strconv.Itoa(r.Port))
	if behind {
		p.addr = startProxy(t, r, a.keys["policy"])
	}
	var err error
	if p.direct, err = pgconn.Connect(within(t), r.DSN(p.db)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		_ = p.direct.Close(ctx)
		for _, c := range p.clients {
			_ = c.Close(ctx)
		}
	})
	return p
}

// startProxy runs a proxy until the test ends and returns its address.
func startProxy(t *testing.T, r *running, tables string) string {
	t.Helper()
	if tables == "" {
		tables = shopTables
	}
	text := ""
	for _, name := range strings.Split(tables, ", ") {
		text += fmt.Sprintf("  - name: '%s'\n", name)
	}
	log := &serve.Journal{}
	o, err := serve.Before(r.Cluster, text, log)
	if err != nil {
		t.Fatal(err)
	}
	o.Literals, o.Limits.StatementBytes = false, 1<<20
	return serve.InProcess(t, o, log, limit).Addr().String()
}

// dsn is the address for clients.
func (p *place) dsn() string {
	host, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		return err.Error()
	}
	return p.fill(fmt.Sprintf("host=%s port=%s user=%s dbname=%s sslmode=disable %s", host, port, p.user, p.db, p.connect))
}

// client returns a connection by name, made when it is first asked for.
func (p *place) client(t *testing.T, who string) (*client, error) {
	t.Helper()
	if c := p.clients[who]; c != nil {
		return c, nil
	}
	cfg, err := pgconn.ParseConfig(p.dsn())
	if err != nil {
		t.Fatalf("%s: %v", p.dsn(), err)
	}
	if who == "admin" {
		cfg.User = "postgres"
	}
	dial := cfg.DialFunc
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &ear{c, p}, nil
	}
	conn, err := pgconn.ConnectConfig(within(t), cfg)
	if err != nil {
		return nil, err
	}
	p.clients[who] = &client{conn}
	return p.clients[who], nil
}

// ear is a connection that keeps what it hears.
type ear struct {
	net.Conn
	p *place
}

func (e *ear) Read(b []byte) (int, error) {
	n, err := e.Conn.Read(b)
	e.p.hear(b[:n])
	return n, err
}

func (p *place) hear(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, b...)
}

// heard returns all that clients were told so far.
func (p *place) heard() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.told
}

// program runs one of PostgreSQL's programs as a client; what stands behind
// <<< is its input. The error carries what it said.
func (p *place) program(t *testing.T, command string) (string, error) {
	t.Helper()
	command, input, _ := strings.Cut(command, " <<< ")
	words := argv(command)
	name := filepath.Join(p.c.programs.Bin, words[0])
	if _, err := os.Stat(name); err != nil {
		if name, err = exec.LookPath(words[0]); err != nil {
			t.Skipf("%s is not on this machine", words[0])
		}
	}
	host, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(within(t), name, words[1:]...)
	cmd.Dir, cmd.Stdin = t.TempDir(), strings.NewReader(input)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PG") && !strings.HasPrefix(e, "LC_") && !strings.HasPrefix(e, "LANG") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, "LC_ALL=C.UTF-8", "PSQLRC=/dev/null", "PGHOST="+host, "PGPORT="+port, "PGUSER="+p.user, "PGDATABASE="+p.db)
	out, err := cmd.CombinedOutput()
	p.hear(out)
	// What it wrote into files it was told too.
	walkErr := filepath.WalkDir(cmd.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		p.hear(b)
		return err
	})
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", words[0], err, bytes.TrimSpace(out))
	}
	return string(out), errors.Join(err, walkErr)
}
