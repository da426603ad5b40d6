package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/config"
	"tombstone/lifecycle"
	"tombstone/policy"
	"tombstone/rewrite"
)

// Report is what was found in one database at one moment.
type Report struct {
	Database string
	At       time.Time // of the snapshot, by the server's clock
	Took     time.Duration
	Findings []Finding      // the worst first
	Counts   []Count        // of each protected table, by name
	Looked   map[string]int // how many of what was looked at: tables, views, functions
}

// Worst is the severity of the worst finding, Info if there is none.
func (r *Report) Worst() Severity {
	if len(r.Findings) == 0 {
		return Info
	}
	return r.Findings[0].Severity
}

// Count says how many findings have a severity.
func (r *Report) Count(s Severity) (n int) {
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// timeout bounds each statement. The doctor is no reason for a long query on a busy server; what takes longer is not looked at, and said.
const timeout = 10 * time.Second

// patient is the database while it is looked at.
type patient struct {
	tx     pgx.Tx
	config *config.Config
	*lifecycle.Database
	version   int
	now       time.Time
	relations []*relation // those of Set.Tables that exist, by name
	byOID     map[uint32]*relation
	missing   map[string]bool     // objects, as lifecycle.Step has them, that lack a step
	path      []string            // the search_path of the login
	unread    map[string][]string // what could not be looked at, by the reason
	report    *Report
}

// Examine looks at a database. It reads, in one transaction, and changes nothing.
func Examine(ctx context.Context, conn *pgx.Conn, c *config.Config) (*Report, error) {
	began := time.Now()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	p := &patient{tx: tx, config: c, missing: map[string]bool{}, byOID: map[uint32]*relation{}, unread: map[string][]string{}, report: &Report{Looked: map[string]int{}}}
	if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d; SET LOCAL lock_timeout = %[1]d", timeout.Milliseconds())); err != nil {
		return nil, err
	}
	err = tx.QueryRow(ctx, "SELECT pg_catalog.current_database(), pg_catalog.now(), pg_catalog.current_schemas(true)::text[]").Scan(&p.report.Database, &p.now, &p.path)
	if err != nil {
		return nil, err
	}
	p.report.At = p.now.UTC()
	if p.Database, err = lifecycle.ReadIn(ctx, tx, policy.New(c.Tables, c.Bodies)); err != nil {
		return nil, err
	}
	p.version = p.Version
	for _, what := range p.Unseen {
		p.unseen(what, noRight)
	}
	for _, look := range []struct {
		what string
		look func(context.Context) error
	}{
		{"the protected tables", p.readRelations},
		{"the policy", p.entries}, {"roles of the policy", p.roles}, {"the database's half", p.prepared}, {"markers", p.markers},
		{"holds", p.holds}, {"triggers", p.triggers}, {"foreign keys", p.keys}, {"rules", p.rules}, {"views", p.views}, {"functions", p.functions},
		{"row-level security", p.rowSecurity}, {"rights", p.grants}, {"tombstones", p.tombstones}, {"indexes", p.indexes},
		{"the record of deletions", p.records}, {"publications", p.publications},
	} {
		if err := p.apart(ctx, look.what, look.look); err != nil {
			return nil, fmt.Errorf("look at %s: %w", look.what, err)
		}
	}
	p.tellUnseen()
	p.report.Findings = sorted(p.report.Findings)
	p.report.Took = time.Since(began)
	return p.report, nil
}

// apart runs a part so that its failure, for want of a right or of time, does not end the others.
func (p *patient) apart(ctx context.Context, what string, look func(context.Context) error) error {
	outer := p.tx
	inner, err := outer.Begin(ctx) // a savepoint
	if err != nil {
		return err
	}
	p.tx = inner
	defer func() { p.tx = outer }()
	err = look(ctx)
	var e *pgconn.PgError
	switch {
	case err == nil:
		return inner.Commit(ctx)
	case errors.As(err, &e) && e.Code == "42501":
		p.unseen(what, noRight)
		return inner.Rollback(ctx)
	case errors.As(err, &e) && (e.Code == "57014" && ctx.Err() == nil || e.Code == "55P03"):
		p.unseen(what, noTime)
		return inner.Rollback(ctx)
	}
	return err
}

// Why something could not be looked at.
const (
	noRight = "the login has no right to read it"
	noTime  = "it took too long, or somebody holds a lock"
)

func (p *patient) unseen(what, why string) { p.unread[why] = append(p.unread[why], what) }

// tellUnseen says what could not be looked at: that nothing was found there means nothing.
func (p *patient) tellUnseen() {
	for why, advice := range map[string]string{
		noRight: "Log in as the owner of the tables, or as a superuser, or let the login read: GRANT pg_read_all_data.",
		noTime:  "Try again when the server is less busy.",
	} {
		if list := p.unread[why]; len(list) > 0 {
			p.find(Finding{Severity: Warning, Check: "unseen", Object: some(list), Why: "It was not looked at: " + why + ".", Advice: advice})
		}
	}
}

func (p *patient) find(f Finding) { p.report.Findings = append(p.report.Findings, f) }

// prepareAdvice is the fix of what tombstone prepare mends.
func (p *patient) prepareAdvice() string {
	return fmt.Sprintf("Run tombstone prepare --config %s --apply", p.config.File)
}

// env is what a definition means in which names are looked up along a path.
func (p *patient) env(path []string) *rewrite.Env { return &rewrite.Env{Set: p.Set, Path: path} }

// each runs a query and calls f for each row, scanned into into.
func (p *patient) each(ctx context.Context, sql string, args, into []any, f func()) error {
	rows, err := p.tx.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, into, func() error { f(); return nil })
	return err
}

func idents(names []string) string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = lifecycle.Ident(n)
	}
	return strings.Join(list, ", ")
}
