package lifecycle

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/cluster"
	"tombstone/cluster/clustertest"
	"tombstone/config/configtest"
	"tombstone/policy"
	"tombstone/rewrite"
)

var server *cluster.Cluster

func TestMain(m *testing.M) {
	clustertest.Main(m, func(s *clustertest.Shared) (err error) {
		server, err = s.Start(cluster.Options{Settings: map[string]string{"autovacuum": "off"}})
		return err
	})
}

var within = clustertest.Within

// twin is a database that really deletes, or one that keeps what is deleted.
type twin struct {
	*pgx.Conn
	set *policy.Set // nil for the one that really deletes

	// In a race: what is known of it, and rows that somebody was told are live.
	known    *Database
	promises chan string
}

func database(t testing.TB, name string) *pgx.Conn {
	t.Helper()
	return clustertest.Database(t, server, name)
}

func connect(t testing.TB, db string) *pgx.Conn {
	t.Helper()
	return clustertest.Connect(t, server.DSN(db))
}

func policyOf(t testing.TB, tables string) *policy.Policy {
	t.Helper()
	c := configtest.Parse(t, tables)
	return policy.New(c.Tables, c.Bodies)
}

// prepared makes a pair of twins of a schema.
func twins(t testing.TB, name, schema string) (hard, soft *twin) {
	t.Helper()
	hard, soft = &twin{Conn: database(t, name+"_hard")}, &twin{Conn: database(t, name+"_soft")}
	for _, x := range []*twin{hard, soft} {
		if _, err := x.Exec(within(t), schema); err != nil {
			t.Fatal(err)
		}
	}
	soft.prepare(t, "tables: [{name: \"*.*\"}]\n")
	return hard, soft
}

// prepare has the database keep what is deleted.
func (x *twin) prepare(t testing.TB, config string) {
	t.Helper()
	p := policyOf(t, config)
	d, err := Read(within(t), x.Conn, p)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range Prepare(d) {
		for _, sql := range step.SQL {
			if _, err := x.Exec(within(t), sql); err != nil {
				t.Fatalf("%v:\n%s", err, sql)
			}
		}
	}
	if d, err = Read(within(t), x.Conn, p); err != nil {
		t.Fatal(err)
	}
	x.set = d.Set
}

// database reads the twin anew.
func (x *twin) database(t testing.TB) *Database {
	t.Helper()
	d, err := Read(within(t), x.Conn, policyOf(t, "tables: [{name: \"*.*\"}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// do runs a statement as a client would and returns what it is told.
func (x *twin) do(t testing.TB, sql string) string {
	t.Helper()
	results, err := x.PgConn().Exec(within(t), x.rewritten(sql)).ReadAll()
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return strings.Join([]string{e.Code, e.Message, e.Detail, e.TableName, e.ConstraintName}, "|")
	}
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range results {
		for _, row := range r.Rows {
			fmt.Fprintf(&b, "%s\n", row)
		}
		_, count, _ := strings.Cut(r.CommandTag.String(), " ")
		if count == "TABLE" { // of TRUNCATE the proxy makes the tag
			count = "0"
		}
		b.WriteString(count + ";")
	}
	return b.String()
}

// rewritten is what the proxy sends for a statement, or one that gives its refusal.
func (x *twin) rewritten(sql string) string {
	if x.set == nil {
		return sql
	}
	plan := rewrite.Rewrite(sql, &rewrite.Env{Set: x.set, Path: []string{"pg_catalog", "public"}})
	if plan.Refusal != nil {
		return "DO $$ BEGIN RAISE EXCEPTION 'refused by the proxy: " + strings.ReplaceAll(plan.Refusal.Message, "'", "''") + "' USING ERRCODE = '" + plan.Refusal.Code + "'; END $$"
	}
	return plan.Apply(sql)
}

// alike holds that both twins answer a statement in the same way, and are in the same state after it.
func alike(t *testing.T, hard, soft *twin, sql, state string) {
	t.Helper()
	if want, got := hard.do(t, sql), soft.do(t, sql); want != got {
		t.Errorf("%s:\n got %s\nwant %s", sql, got, want)
	}
	hard.do(t, "ROLLBACK")
	soft.do(t, "ROLLBACK")
	if want, got := hard.do(t, state), soft.do(t, state); want != got {
		t.Errorf("after %s:\n got %s\nwant %s", sql, got, want)
	}
}
