package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/lifecycle"
)

// Twin is two databases of one graph: in hard rows are really deleted, in soft the proxy and the database keep them.
type Twin struct {
	stage      *Stage
	graph      *Graph
	hard, soft *Side
	admin      *pgx.Conn // of soft, past the proxy: the commands' own login
	prepared   *lifecycle.Database
}

// Side is one database of a twin and those who use it.
type Side struct {
	name, db string
	clients  []*Client      // a session each; in soft, through the proxy
	direct   *pgconn.PgConn // beside them, never through the proxy
	reset    string
	contents string
}

// Client is one session.
type Client struct {
	*pgconn.PgConn
	notices []string
	backend string // the server's process
}

// NewTwin makes two databases for a graph.
func (s *Stage) NewTwin(ctx context.Context, g *Graph, sessions int) (*Twin, error) {
	n := s.serial.Add(1)
	t := &Twin{stage: s, graph: g, hard: &Side{name: "hard", db: fmt.Sprintf("hard%d", n)}, soft: &Side{name: "soft", db: fmt.Sprintf("soft%d", n)}}
	err := t.make(ctx, sessions)
	if errors.Is(err, errOrder) {
		t.Close()
		return s.NewTwin(ctx, g, sessions)
	}
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// errOrder is bad luck: the server goes through foreign keys by the names of their triggers, which end in numbers. Those of five figures
// and of six do not sort by number, and then the two databases may have their keys in different orders.
var errOrder = errors.New("object identifiers of a graph have different lengths")

func (t *Twin) sides() []*Side { return []*Side{t.hard, t.soft} }

func (t *Twin) make(ctx context.Context, sessions int) error {
	if err := t.databases(ctx, "CREATE DATABASE %s"); err != nil {
		return err
	}
	for _, side := range t.sides() {
		var err error
		if side.direct, err = pgconn.Connect(ctx, t.stage.cluster.DSN(side.db)); err != nil {
			return err
		}
		if err := side.do(ctx, "SET lock_timeout = '10s'; "+t.graph.DDL()); err != nil {
			return err
		}
		lengths, err := side.ask(ctx, "SELECT DISTINCT length(oid::text) FROM pg_constraint WHERE contype = 'f' UNION SELECT DISTINCT length(oid::text) FROM pg_trigger WHERE tgisinternal")
		if err != nil {
			return err
		}
		if len(lengths) > 1 {
			return errOrder
		}
	}
	if err := t.hard.do(ctx, t.graph.witness()); err != nil {
		return err
	}
	var err error
	if t.admin, err = pgx.Connect(ctx, t.stage.cluster.DSN(t.soft.db)); err != nil {
		return err
	}
	d, err := lifecycle.Read(ctx, t.admin, t.stage.policy)
	if err != nil {
		return err
	}
	if err := lifecycle.Prepare(d).Missing().Apply(ctx, t.admin, io.Discard); err != nil {
		return &unprepared{err}
	}
	if t.prepared, err = lifecycle.Read(ctx, t.admin, t.stage.policy); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(t.stage.proxy.Addr().String())
	if err != nil {
		return err
	}
	for _, side := range t.sides() {
		dsn := t.stage.cluster.DSN(side.db)
		if side == t.soft {
			dsn = fmt.Sprintf("host=%s port=%s user=postgres dbname=%s sslmode=disable", host, port, side.db)
		}
		for range sessions {
			c, err := dial(ctx, dsn)
			if err != nil {
				return err
			}
			side.clients = append(side.clients, c)
		}
		side.reset, side.contents = t.graph.reset(side == t.soft), t.graph.contents(side == t.soft)
	}
	return nil
}

// unprepared is a graph that soft cannot be prepared for: a difference as well.
type unprepared struct{ error }

func (e *unprepared) difference() *Difference {
	gist := e.Error()
	var p *pgconn.PgError
	if errors.As(e.error, &p) {
		gist = p.Code + " " + namesGone(p.Message)
	}
	return &Difference{Stage: "prepare", Class: gist, Soft: []string{e.Error()}}
}

func dial(ctx context.Context, dsn string) (*Client, error) {
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	c := &Client{}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		c.notices = append(c.notices, n.Severity+" "+n.Code+" "+n.Message)
	}
	if c.PgConn, err = pgconn.ConnectConfig(ctx, cfg); err != nil {
		return nil, err
	}
	results, err := c.Exec(ctx, "SELECT pg_backend_pid()").ReadAll()
	if err != nil {
		return nil, err
	}
	c.backend = rowsOf(results[0])[0]
	return c, nil
}

// databases says the same of both.
func (t *Twin) databases(ctx context.Context, sql string) error {
	t.stage.copying.Lock()
	defer t.stage.copying.Unlock()
	conn, err := pgconn.Connect(ctx, t.stage.cluster.DSN("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, side := range t.sides() {
		if _, err := conn.Exec(ctx, fmt.Sprintf(sql, side.db)).ReadAll(); err != nil {
			return err
		}
	}
	return nil
}

// Close drops both databases.
func (t *Twin) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, side := range t.sides() {
		for _, c := range side.clients {
			_ = c.Close(ctx)
		}
		if side.direct != nil {
			_ = side.direct.Close(ctx)
		}
	}
	if t.admin != nil {
		_ = t.admin.Close(ctx)
	}
	_ = t.databases(ctx, "DROP DATABASE IF EXISTS %s WITH (FORCE)") // the cluster goes soon
}

// Reset empties all tables.
func (t *Twin) Reset(ctx context.Context) error {
	for _, side := range t.sides() {
		for _, c := range side.clients {
			if c.TxStatus() != 'I' {
				if _, err := c.Exec(ctx, "ROLLBACK").ReadAll(); err != nil {
					return err
				}
			}
		}
		if err := side.do(ctx, side.reset); err != nil {
			return err
		}
	}
	return nil
}

// reset is without triggers, or it would be refused.
func (g *Graph) reset(soft bool) string {
	var b strings.Builder
	var names []string
	for _, t := range g.Tables {
		names = append(names, t.Name)
	}
	// TRUNCATE, not DELETE: rows come to lie in the same order on both sides, whatever was there before. Which of two rows is deleted first
	// decides about errors.
	fmt.Fprintf(&b, "SET session_replication_role = replica; TRUNCATE %s RESTART IDENTITY;\n", strings.Join(names, ", "))
	if soft {
		b.WriteString("DELETE FROM tombstone.deletions; DELETE FROM tombstone.keyed; DELETE FROM tombstone.severed; DELETE FROM tombstone.archive; DELETE FROM tombstone.undoing;\n")
	} else {
		b.WriteString("DELETE FROM witness.gone;\n")
	}
	b.WriteString("RESET session_replication_role;")
	return b.String()
}

func (s *Side) do(ctx context.Context, sql string) error {
	_, err := s.ask(ctx, sql)
	return err
}

// ask runs SQL beside the clients and returns the rows of its last statement, sorted.
func (s *Side) ask(ctx context.Context, sql string) ([]string, error) {
	results, err := s.direct.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %.2000s: %w", s.db, sql, err)
	}
	if len(results) == 0 {
		return nil, nil
	}
	return rowsOf(results[len(results)-1]), nil
}
