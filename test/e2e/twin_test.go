package e2e

import (
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// twin is two databases with the same schema and rows. In hard rows are
// deleted; soft is used through the proxy, which buries them.
type twin struct {
	hard, soft     string // names of the databases
	front          *front
	direct, behind *watched

	// defines says that the statements make tables, whose OIDs differ.
	defines bool
}

// watched is a connection that keeps the notices it gets.
type watched struct {
	*pgconn.PgConn
	notices []string
}

// newTwin makes a twin in which some rows have been deleted already, so that
// soft holds tombstones from the start.
func newTwin(t *testing.T, tables string) *twin {
	t.Helper()
	w := &twin{hard: database(t), soft: database(t), front: start(t, tables)}
	w.direct = watch(t, server.DSN(w.hard))
	w.behind = watch(t, w.front.dsn(w.soft))
	for _, sql := range []string{
		"DELETE FROM users WHERE id % 5 = 0",
		"DELETE FROM orders WHERE id % 7 = 0",
		"DELETE FROM memberships WHERE team = 'blue' AND user_id > 6",
		`DELETE FROM "Größe" WHERE "Maß" = 3`,
		"DELETE FROM tenant.users WHERE id = 2",
	} {
		w.same(t, sql)
	}
	if n := ask(t, w.soft, "SELECT count(*) FROM users WHERE deleted_at IS NOT NULL"); n != "6" {
		t.Fatalf("%s tombstones of users, want 6", n)
	}
	for _, db := range []string{w.hard, w.soft} {
		ask(t, db, keep)
	}
	return w
}

// shopNames are the tables of the shop.
var shopNames = []string{"users", "orders", "memberships", `"Größe"`, "files", "audit_log", "archive.users", "tenant.users"}

// keep puts a copy of all rows aside, tombstones too.
var keep = func() string {
	sql := "CREATE SCHEMA kept"
	for i, n := range shopNames {
		sql += fmt.Sprintf("; CREATE TABLE kept.t%d AS TABLE %s", i, n)
	}
	return sql
}()

// reset brings both databases back to what newTwin made of them.
func (w *twin) reset(t *testing.T) {
	t.Helper()
	sql := ""
	for i, n := range shopNames {
		sql += fmt.Sprintf("TRUNCATE %s; INSERT INTO %[1]s TABLE kept.t%d; ", n, i)
	}
	for _, db := range []string{w.hard, w.soft} {
		ask(t, db, sql)
	}
}

func watch(t *testing.T, dsn string) *watched {
	t.Helper()
	c, err := pgconn.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{}
	c.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		w.notices = append(w.notices, "notice: "+problem((*pgconn.PgError)(n)))
	}
	w.PgConn, err = pgconn.ConnectConfig(within(t), c)
	if err != nil {
		t.Fatalf("connect to %s: %v", dsn, err)
	}
	t.Cleanup(func() { _ = w.Close(within(t)) })
	return w
}

// A way sends a statement and returns all that the client is told.
type way struct {
	name string
	send func(t *testing.T, c *watched, sql string, args []string) string
}

// ways are the three that the protocol has.
var ways = []way{{"simple", simple}, {"unnamed", unnamed}, {"prepared", prepared}}

// simple sends a Query, which has no parameters.
func simple(t *testing.T, c *watched, sql string, _ []string) string {
	var out report
	results, err := c.Exec(within(t), sql).ReadAll()
	for _, r := range results {
		out.result(r)
	}
	out.problem(err)
	return out.done(c)
}

// unnamed sends Parse, Bind, Describe, Execute and Sync.
func unnamed(t *testing.T, c *watched, sql string, args []string) string {
	var out report
	r := c.ExecParams(within(t), sql, values(args), nil, nil, nil).Read()
	out.result(r)
	out.problem(r.Err)
	return out.done(c)
}

// prepared sends a Parse and asks for its description, then executes it twice:
// in a transaction, so the second time finds the rows gone.
func prepared(t *testing.T, c *watched, sql string, args []string) string {
	var out report
	d, err := c.Prepare(within(t), "a statement", sql, nil)
	if err != nil {
		out.problem(err)
		return out.done(c)
	}
	out.line("parameters %v", d.ParamOIDs)
	out.fields(d.Fields)
	for range 2 {
		r := c.ExecPrepared(within(t), "a statement", values(args), nil, nil).Read()
		out.result(r)
		out.problem(r.Err)
	}
	if err := c.Deallocate(within(t), "a statement"); err != nil {
		out.problem(err)
	}
	return out.done(c)
}

func values(args []string) [][]byte {
	list := make([][]byte, len(args))
	for i, a := range args {
		list[i] = []byte(a)
	}
	return list
}

// report is what a client was told, as text.
type report struct{ strings.Builder }

func (r *report) line(format string, args ...any) { fmt.Fprintf(r, format+"\n", args...) }

func (r *report) fields(list []pgconn.FieldDescription) {
	for _, f := range list {
		r.line("column %q type %d size %d modifier %d table %d.%d format %d",
			f.Name, f.DataTypeOID, f.DataTypeSize, f.TypeModifier, f.TableOID, f.TableAttributeNumber, f.Format)
	}
}

func (r *report) result(x *pgconn.Result) {
	r.fields(x.FieldDescriptions)
	for _, row := range x.Rows {
		fields := make([]string, len(row))
		for i, f := range row {
			fields[i] = "NULL"
			if f != nil {
				fields[i] = fmt.Sprintf("%q", f)
			}
		}
		r.line("row %s", strings.Join(fields, ", "))
	}
	r.line("tag %q", x.CommandTag.String())
}

func (r *report) problem(err error) {
	var e *pgconn.PgError
	switch {
	case err == nil:
	case errors.As(err, &e):
		r.line("error: %s", problem(e))
	default:
		r.line("broken: %v", err)
	}
}

// done adds the notices and the state that the transaction is left in.
func (r *report) done(c *watched) string {
	for _, n := range c.notices {
		r.line("%s", n)
	}
	c.notices = nil
	r.line("transaction %c", c.TxStatus())
	return r.String()
}

// problem is an error or notice with all that a client may act upon. What is
// left out is where in the server's own source it arose.
func problem(e *pgconn.PgError) string {
	return fmt.Sprintf("%s %s %q detail %q hint %q position %d internal %d %q where %q object %q.%q.%q %q %q",
		e.Severity, e.Code, e.Message, e.Detail, e.Hint, e.Position, e.InternalPosition, e.InternalQuery, e.Where,
		e.SchemaName, e.TableName, e.ColumnName, e.DataTypeName, e.ConstraintName)
}

// same sends a statement to both and compares what they say. It returns what
// the client behind the proxy was told.
func (w *twin) same(t *testing.T, sql string) string {
	t.Helper()
	return w.sameIn(t, ways[0], sql, nil)
}

func (w *twin) sameIn(t *testing.T, y way, sql string, args []string) string {
	t.Helper()
	hard, soft := y.send(t, w.direct, sql, args), y.send(t, w.behind, sql, args)
	if w.defines {
		hard, soft = origin.ReplaceAllString(hard, " table any."), origin.ReplaceAllString(soft, " table any.")
	}
	if d := difference(compare(hard, sql), compare(soft, sql), strings.Contains(sql, "RETURNING")); d != "" {
		t.Errorf("%s: %s %q\n%s", y.name, sql, args, d)
	}
	return soft
}

// origin is where a report says which table a column comes from.
var origin = regexp.MustCompile(` table [1-9][0-9]*\.`)

// difference shows the lines in which two reports differ, "" if in none.
func difference(hard, soft string, returning bool) string {
	a, b := strings.Split(hard, "\n"), strings.Split(soft, "\n")
	var out strings.Builder
	for i := range max(len(a), len(b)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y && !(returning && sameButOrigin(x, y)) {
			fmt.Fprintf(&out, "  direct:  %s\n  through: %s\n", x, y)
		}
	}
	return out.String()
}

// sameButOrigin reports whether two lines differ only in which table a column
// comes from. In RETURNING of a DELETE the proxy puts NULL where the marker
// stood, so through it that column is of no table.
func sameButOrigin(hard, soft string) bool {
	name, rest, ok := strings.Cut(soft, " table 0.0 ")
	was, origin, isColumn := strings.Cut(hard, " table ")
	return ok && isColumn && name == was && strings.HasSuffix(origin, rest)
}

// compare brings a report into a form that can be compared: the order of rows
// counts only where the statement asks for one, and two databases of one
// cluster have two names.
func compare(told, sql string) string {
	if strings.Contains(strings.ToLower(sql), "order by") {
		return told
	}
	lines := strings.Split(told, "\n")
	for i := 0; i < len(lines); i++ {
		j := i
		for j < len(lines) && strings.HasPrefix(lines[j], "row ") {
			j++
		}
		sort.Strings(lines[i:j])
		i = j
	}
	return strings.Join(lines, "\n")
}

// contents are statements that show all that a client can see.
var contents = []string{
	"SELECT * FROM users ORDER BY id",
	"SELECT * FROM orders ORDER BY id",
	"SELECT * FROM memberships ORDER BY user_id, team",
	`SELECT * FROM "Größe" ORDER BY 1`,
	"SELECT * FROM audit_log ORDER BY id",
	"SELECT * FROM files ORDER BY id",
	"SELECT * FROM archive.users ORDER BY id",
	"SELECT * FROM tenant.users ORDER BY id",
}

// sameContents compares what both clients now see.
func (w *twin) sameContents(t *testing.T, after string) {
	t.Helper()
	for _, sql := range contents {
		hard, soft := simple(t, w.direct, sql, nil), simple(t, w.behind, sql, nil)
		if d := difference(hard, soft, false); d != "" {
			t.Errorf("after %s\n%s\n%s", after, sql, d)
		}
	}
}

// try sends a statement in each way, each time in a transaction that is rolled
// back, and compares what it said and what it left.
func (w *twin) try(t *testing.T, sql string, args ...string) {
	t.Helper()
	for _, y := range ways {
		if y.name == "simple" && len(args) > 0 {
			continue
		}
		w.same(t, "BEGIN")
		w.sameIn(t, y, sql, args)
		if w.behind.TxStatus() == 'T' && w.direct.TxStatus() == 'T' {
			w.sameContents(t, sql)
		}
		w.same(t, "ROLLBACK")
	}
}
