package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// tour is the show. Each step sends real statements on real connections, shows what came back, and fails unless that
// is what the proxy promises.
type tour struct {
	*screen
	version           string // PostgreSQL's
	proxyAt, directAt netip.AddrPort
	admin             string // URL

	proxy, direct client
	buried        string // deleted_at of the row, as the server prints it
}

// client is one connection and how the screen calls it.
type client struct {
	*pgconn.PgConn
	name  string
	paint func(string) string
}

// give shows all steps, and stops at the first that does not go as it should.
func (t *tour) give(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, tourLimit)
	defer cancel()
	t.proxy = client{name: "proxy", paint: t.green}
	t.direct = client{name: "direct", paint: t.yellow}
	if t.proxy.PgConn, err = t.dial(ctx, t.proxyAt); err != nil {
		return fmt.Errorf("connect through the proxy: %w", err)
	}
	defer t.proxy.Close(ctx)
	if t.direct.PgConn, err = t.dial(ctx, t.directAt); err != nil {
		return fmt.Errorf("connect past the proxy: %w", err)
	}
	defer t.direct.Close(ctx)
	for i, step := range []struct {
		title string
		run   func(context.Context) error
	}{
		{"A shop in a throwaway PostgreSQL, and the proxy in front of it", t.introduce},
		{"A client deletes a user, in the SQL it always used", t.bury},
		{"Through the proxy the row is gone, in joins and counts too", t.gone},
		{"Behind the proxy the row still stands, with the time of its deletion", t.kept},
		{"Deleted is deleted: a second DELETE finds nothing and changes nothing", t.again},
		{"Taken back: the marker is cleared, and the row is there again", t.restore},
		{"What is not certain to be safe is refused, with a way out", t.refuse},
		{"All of it is counted", t.count},
	} {
		t.heading(i+1, step.title)
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("step %d did not go as it should: %w", i+1, err)
		}
	}
	return nil
}

func (t *tour) dial(ctx context.Context, at netip.AddrPort) (*pgconn.PgConn, error) {
	return connect(ctx, at.Addr().String(), int(at.Port()), "shop", "shop")
}

func (t *tour) introduce(ctx context.Context) error {
	t.line("")
	t.line("   PostgreSQL %s on %s, database shop", t.version, t.directAt)
	t.line("   tombstone on %s, admin endpoint on %s", t.proxyAt, strings.TrimPrefix(t.admin, "http://"))
	t.line("")
	tables := reply{columns: []string{"table", "rows", "a DELETE through the proxy"}}
	for _, table := range []struct{ name, rows, fate string }{
		{"users", "1000", "keeps the row and marks it"},
		{"orders", "2500", "keeps the row and marks it"},
		{"order_items", "6250", "keeps the row and marks it"},
		{"memberships", "1333", "keeps the row and marks it"},
		{"products", "60", "deletes it: not named in the policy"},
		{"audit_log", "1000", "deletes it: not named in the policy"},
	} {
		r, err := send(ctx, t.proxy, "SELECT count(*) FROM "+table.name)
		if err := expect(r, err, table.rows); err != nil {
			return err
		}
		tables.rows = append(tables.rows, []string{table.name, r.String(), table.fate})
	}
	t.table(tables, 3)
	t.line("")
	t.line("   Below, %s is a client of the proxy, %s one that goes past it.", t.proxy.paint("proxy=>"), t.direct.paint("direct=>"))
	return nil
}

func (t *tour) bury(ctx context.Context) error {
	const sql = "DELETE FROM users WHERE id = 5;"
	r, err := send(ctx, t.proxy, sql)
	if err := expect(r, err, "DELETE 1"); err != nil {
		return err
	}
	// The server's own word for it, not our plan's.
	ran, err := send(ctx, t.direct, fmt.Sprintf("SELECT query FROM pg_stat_activity WHERE pid = %d", t.proxy.PID()))
	if err != nil {
		return err
	}
	t.line("")
	t.labelled("client sent", t.green, sql)
	t.labelled("server ran", t.yellow, ran.String())
	t.labelled("client got", t.green, r.String())
	t.note("The middle line is from the server's pg_stat_activity.")
	if text := ran.String(); !strings.HasPrefix(text, "UPDATE users SET deleted_at = now() WHERE ") {
		return fmt.Errorf("the server ran %q, not an UPDATE that sets deleted_at", text)
	}
	return nil
}

func (t *tour) gone(ctx context.Context) error {
	if err := t.ask(ctx, t.proxy, "SELECT id, name FROM users WHERE id = 5;", "(0 rows)"); err != nil {
		return err
	}
	if err := t.ask(ctx, t.proxy, "SELECT count(*) FROM users;", "999"); err != nil {
		return err
	}
	err := t.ask(ctx, t.proxy, "SELECT a.user_id, a.action, u.name FROM audit_log a\n"+
		"LEFT JOIN users u ON u.id = a.user_id WHERE a.user_id = 5;", "5|signed up|NULL")
	if err != nil {
		return err
	}
	t.note("Foreign keys are the database's half: once tombstone prepare has been there, the user's orders go as ON DELETE CASCADE says.")
	return nil
}

func (t *tour) kept(ctx context.Context) error {
	r, err := t.show(ctx, t.direct, "SELECT id, name, deleted_at FROM users WHERE id = 5;")
	if err != nil {
		return err
	}
	if len(r.rows) != 1 || len(r.rows[0]) != 3 || r.rows[0][2] == null {
		return fmt.Errorf("the row should stand with its deleted_at; the server says %q", r)
	}
	t.buried = r.rows[0][2]
	if err := expect(r, nil, "5|Keiko Dubois|"+t.buried); err != nil {
		return err
	}
	return t.ask(ctx, t.direct, "SELECT count(*) FROM users;", "1000")
}

func (t *tour) again(ctx context.Context) error {
	if err := t.ask(ctx, t.proxy, "DELETE FROM users WHERE id = 5;", "DELETE 0"); err != nil {
		return err
	}
	return t.ask(ctx, t.direct, "SELECT deleted_at FROM users WHERE id = 5;", t.buried)
}

func (t *tour) restore(ctx context.Context) error {
	if err := t.ask(ctx, t.direct, "UPDATE users SET deleted_at = NULL WHERE id = 5;", "UPDATE 1"); err != nil {
		return err
	}
	if err := t.ask(ctx, t.proxy, "SELECT id, name FROM users WHERE id = 5;", "5|Keiko Dubois"); err != nil {
		return err
	}
	t.note("In a prepared database tombstone restore does this for a row, and tombstone undo for all that one transaction deleted.")
	return nil
}

func (t *tour) refuse(ctx context.Context) error {
	r, err := t.show(ctx, t.proxy, "TRUNCATE users RESTART IDENTITY;")
	if err != nil {
		return err
	}
	if r.err == nil || r.err.Code != "0A000" || r.err.Hint == "" {
		return fmt.Errorf("it should be refused with SQLSTATE 0A000 and a hint; the answer was %q", r)
	}
	return t.ask(ctx, t.proxy, "SELECT count(*) FROM users;", "1000")
}

func (t *tour) count(ctx context.Context) error {
	metrics, err := get(ctx, t.admin+"/metrics")
	if err != nil {
		return err
	}
	t.line("")
	t.line("   GET %s/metrics", t.admin)
	t.line("")
	for _, want := range []string{
		`tombstone_rows_buried_total{table="public.users"} 1`,
		`tombstone_statements_total{action="refused",kind="truncate"} 1`,
	} {
		if !strings.Contains(metrics, "\n"+want+"\n") {
			return fmt.Errorf("no line %q in %s/metrics", want, t.admin)
		}
		t.line("   %s", want)
	}
	return nil
}

func get(ctx context.Context, address string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	r.Close = true // an idle connection would hold up the stop
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", address, answer.Status)
	}
	return string(body), err
}

// ask shows a statement and its answer, which must be the wanted one.
func (t *tour) ask(ctx context.Context, c client, sql, want string) error {
	r, err := t.show(ctx, c, sql)
	return expect(r, err, want)
}

func (t *tour) show(ctx context.Context, c client, sql string) (reply, error) {
	t.prompt(c, sql)
	r, err := send(ctx, c, sql)
	if err != nil {
		return r, err
	}
	t.answer(r)
	return r, nil
}

// null stands for NULL, which psql would leave blank.
const null = "NULL"

// reply is the server's answer to one statement.
type reply struct {
	tag     string
	columns []string // nil when it returns no rows
	rows    [][]string
	err     *pgconn.PgError
}

// send runs one statement with the simple protocol, as psql does. An error of the server's is a reply.
func send(ctx context.Context, c client, sql string) (reply, error) {
	var replies []reply
	results := c.Exec(ctx, sql)
	for results.NextResult() {
		replies = append(replies, read(results.ResultReader()))
	}
	err := results.Close()
	var refused *pgconn.PgError
	if errors.As(err, &refused) && !c.IsClosed() {
		return reply{err: refused}, nil
	}
	if err != nil {
		return reply{}, fmt.Errorf("%s, on the connection called %s: %w", sql, c.name, err)
	}
	if len(replies) != 1 {
		return reply{}, fmt.Errorf("%s: %d answers to one statement", sql, len(replies))
	}
	return replies[0], nil
}

func read(result *pgconn.ResultReader) reply {
	var r reply
	for _, f := range result.FieldDescriptions() {
		r.columns = append(r.columns, f.Name)
	}
	for result.NextRow() {
		row := make([]string, len(r.columns))
		for i, v := range result.Values() {
			row[i] = string(v)
			if v == nil {
				row[i] = null
			}
		}
		r.rows = append(r.rows, row)
	}
	tag, _ := result.Close() // the error comes again from the reader of all results
	r.tag = tag.String()
	return r
}

// String is the answer in short: rows, or what is said instead of rows.
func (r reply) String() string {
	switch {
	case r.err != nil:
		return r.err.Error()
	case r.columns == nil:
		return r.tag
	case len(r.rows) == 0:
		return "(0 rows)"
	}
	lines := make([]string, len(r.rows))
	for i, row := range r.rows {
		lines[i] = strings.Join(row, "|")
	}
	return strings.Join(lines, "\n")
}

func expect(r reply, err error, want string) error {
	if err == nil && r.String() != want {
		err = fmt.Errorf("the answer was %q, not %q", r, want)
	}
	return err
}
