package purge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tombstone/cluster"
	"tombstone/cluster/clustertest"
	"tombstone/config/configtest"
	"tombstone/lifecycle"
	"tombstone/policy"
)

var server *cluster.Cluster

func TestMain(m *testing.M) {
	clustertest.Main(m, func(s *clustertest.Shared) (err error) {
		server, err = s.Start(cluster.Options{Settings: map[string]string{"autovacuum": "off"}})
		return err
	})
}

var within = clustertest.Within

func connect(t testing.TB, db string) *pgx.Conn {
	t.Helper()
	return clustertest.Connect(t, server.DSN(db))
}

func policyOf(t testing.TB, tables string) *policy.Policy {
	t.Helper()
	c := configtest.Parse(t, tables)
	return policy.New(c.Tables, c.Bodies)
}

// yard is a database with a policy.
type yard struct {
	*pgx.Conn
	name   string
	policy *policy.Policy
}

// newYard makes a database of a schema under a policy, with the database's half of it if it is to be prepared.
func newYard(t testing.TB, name, schema, tables string, prepare bool) *yard {
	t.Helper()
	y := &yard{clustertest.Database(t, server, name), name, policyOf(t, "tables: ["+tables+"]\n")}
	y.run(t, schema)
	if prepare {
		prepared(within(t), t, y.Conn, y.policy)
	}
	return y
}

// prepared gives a database its half.
func prepared(ctx context.Context, t testing.TB, conn *pgx.Conn, p *policy.Policy) {
	t.Helper()
	d, err := lifecycle.Read(ctx, conn, p)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range lifecycle.Prepare(d) {
		for _, sql := range step.SQL {
			if _, err := conn.Exec(ctx, sql); err != nil {
				t.Fatalf("%v:\n%s", err, sql)
			}
		}
	}
}

func (y *yard) run(t testing.TB, sql string) {
	t.Helper()
	if _, err := y.PgConn().Exec(within(t), sql).ReadAll(); err != nil {
		t.Fatalf("%v:\n%s", err, sql)
	}
}

// one returns the only value that a query gives, as text.
func (y *yard) one(t testing.TB, sql string) string {
	t.Helper()
	results, err := y.PgConn().Exec(within(t), sql).ReadAll()
	if err != nil {
		t.Fatalf("%v:\n%s", err, sql)
	}
	last := results[len(results)-1]
	if len(last.Rows) == 0 {
		return ""
	}
	return string(last.Rows[0][0])
}

func quick(o Options) Options {
	if o.Batch == 0 {
		o.Batch = 3
	}
	o.StatementTimeout, o.LockTimeout, o.Who = 30*time.Second, 300*time.Millisecond, "a test"
	if o.Pause == 0 {
		o.Pause = 10 * time.Millisecond
	}
	return o
}

// purge purges on a connection of its own.
func (y *yard) purge(t testing.TB, o Options) *Purged {
	t.Helper()
	conn := connect(t, y.name)
	defer conn.Close(context.Background())
	out, err := Run(within(t), conn, y.policy, quick(o))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// told writes what a purge told, for comparison: what went, then what stays.
func (p *Purged) told() string {
	var list []string
	for _, t := range p.Tables {
		text := fmt.Sprintf("%s %d", strings.TrimPrefix(t.Name, "public."), t.Purged)
		for _, k := range t.Kept {
			text += fmt.Sprintf(" %s%s=%d", k.Reason, map[bool]string{true: ":" + strings.TrimPrefix(k.By, "public.")}[k.By != ""], k.Count)
		}
		list = append(list, text)
	}
	slices.Sort(list)
	if p.Outcome != "done" {
		list = append(list, p.Outcome+" "+strings.Join(p.Problems, "; "))
	}
	return strings.Join(list, ", ")
}
