package proxy

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgproto3/v2"
)

// tally counts what is observed.
type tally struct {
	silent
	counts map[string]int
}

func (t tally) Observed(table, action string)   { t.counts[table+" "+action]++ }
func (t tally) ObservedRule(table, rule string) { t.counts[table+" "+rule]++ }

// tally has the session count, and log into the buffer that it returns.
func (x *table) tally() (counts map[string]int, log *bytes.Buffer) {
	log, counts = new(bytes.Buffer), map[string]int{}
	x.Observer = tally{counts: counts}
	x.Log = slog.New(slog.NewTextHandler(log, nil))
	x.Root = x.Log
	return counts, log
}

// learns answers the questions that the session asks, and returns what it sends then. sent is what it has sent last.
func (x *table) learns(sent []string) []string {
	x.t.Helper()
	for len(sent) > 0 && sent[0] == "C S"+ownName {
		rows := []string{testNames, testCatalog}[:strings.Count(strings.Join(sent, "\n"), "P "+ownName)]
		x.server(answers(sent[len(sent)-1] == "S ", rows...)...)
		sent = x.atServer()
	}
	return sent
}

// sessionUnder returns a session whose client has been let in under a policy.
func sessionUnder(t *testing.T, tables string) *table {
	t.Helper()
	x := newTable(t)
	x.protect(tables)
	if err := x.FromClient(startup("user", "app", "database", "shop")); err != nil {
		t.Fatal(err)
	}
	x.ToServer.Reset(nil)
	x.ServerConnected()
	x.server(&pgproto3.AuthenticationOk{}, idle)
	return x
}

// letIn is the same, once the session knows the names.
func letIn(t *testing.T, tables string) *table {
	t.Helper()
	x := sessionUnder(t, tables)
	x.learns(x.atServer())
	return x
}

const (
	observed = "[{name: public.users, mode: observe}]"
	enforced = "[{name: public.users}]"
	off      = `[{name: public.users, mode: "off"}]`
)

func deleted(n int) *pgproto3.CommandComplete {
	return &pgproto3.CommandComplete{CommandTag: fmt.Appendf(nil, "DELETE %d", n)}
}

// An observed table's statements go on as they came. They are counted each time that they run, and logged once.
func TestObservedIsCountedEachTime(t *testing.T) {
	x := letIn(t, observed)
	counts, log := x.tally()
	for i := range 3 {
		sql := fmt.Sprintf("DELETE FROM users WHERE id = %d", i)
		equal(t, "server", x.client(&pgproto3.Query{String: sql}), "Q "+sql)
		equal(t, "client", x.server(deleted(1), idle), "C DELETE 1", "Z I")
	}
	x.client(&pgproto3.Parse{Name: "p", Query: "SELECT * FROM users"}, &pgproto3.Sync{})
	x.server(&pgproto3.ParseComplete{}, idle)
	for range 4 {
		x.client(&pgproto3.Bind{PreparedStatement: "p"}, &pgproto3.Execute{}, &pgproto3.Sync{})
		x.server(&pgproto3.BindComplete{}, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 0")}, idle)
	}
	x.client(&pgproto3.Query{String: "PREPARE q AS UPDATE users SET id = 1"})
	x.server(&pgproto3.CommandComplete{CommandTag: []byte("PREPARE")}, idle)
	for range 2 {
		equal(t, "server", x.client(&pgproto3.Query{String: "EXECUTE q"}), "Q EXECUTE q")
		x.server(&pgproto3.CommandComplete{CommandTag: []byte("UPDATE 0")}, idle)
	}
	equal(t, "server", x.client(&pgproto3.Query{String: "TRUNCATE users RESTART IDENTITY"}), "Q TRUNCATE users RESTART IDENTITY")
	x.server(&pgproto3.CommandComplete{CommandTag: []byte("TRUNCATE TABLE")}, idle)
	want := map[string]int{
		"public.users buried": 3, "public.users bury-delete": 3, "public.users hidden": 6, "public.users hide-where": 4, "public.users update-live": 2,
		"public.users refused": 1, "public.users truncate-restart": 1,
	}
	if fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("counted %v\nwant    %v", counts, want)
	}
	for _, line := range []string{
		`level=INFO msg="an observed statement would be edited" table=public.users would_be=buried rules=bury-delete sql="DELETE FROM users WHERE id = ?" would_send="UPDATE users SET deleted_at = now() WHERE (id = ?) AND users.deleted_at IS NULL"`,
		`level=WARN msg="an observed statement would be refused" table=public.users rule=truncate-restart sqlstate=0A000 reason="TRUNCATE .. RESTART IDENTITY of protected table \"public.users\" is not supported" hint="Its deleted rows`,
	} {
		if strings.Count(log.String(), line) != 1 {
			t.Errorf("not logged once: %s\nlog:\n%s", line, log)
		}
	}
	if n := strings.Count(log.String(), "an observed statement"); n != 4 {
		t.Errorf("%d lines for 4 shapes:\n%s", n, log)
	}
}

// With nothing protected nothing is refused: what would be is told.
func TestObservingRefusesNothing(t *testing.T) {
	x := letIn(t, observed)
	counts, log := x.tally()
	for _, sql := range []string{
		"DELETE FROM users USING items a NATURAL JOIN items b RETURNING *", "DELETE FROM users WHER id = 1", "SELECT query_to_xml($1, true, true, '')",
		`SELECT 1 AS U&"a""b" FROM`, "MERGE INTO users u USING items i ON u.id = i.id WHEN NOT MATCHED BY SOURCE THEN DELETE",
	} {
		equal(t, "server", x.client(&pgproto3.Query{String: sql}), "Q "+sql)
		x.server(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "42601", Message: "whatever"}, idle)
		x.learns(x.atServer()) // what cannot be read may have changed relations
	}
	queryToXML := []byte{'F', 0, 0, 0, 14, 0, 0, 0x0b, 0x6b, 0, 0, 0, 0, 0, 0}
	if err := x.FromClient(bytes.Clone(queryToXML)); err != nil {
		t.Fatal(err)
	}
	if got := x.ToServer.Take(); !bytes.Equal(got, queryToXML) {
		t.Errorf("a FunctionCall becomes %q", got)
	}
	if counts["public.users refused"] != 3 || counts["(any) function-call"] != 1 || counts["(any) runs-strings"] != 1 {
		t.Errorf("counted %v", counts)
	}
	if !strings.Contains(log.String(), "rule=function-call") {
		t.Error(log)
	}
}

// What was prepared when nothing was looked at runs on while the table is observed, and is refused once it is enforced.
func TestObservePreparedBefore(t *testing.T) {
	x := unprotected(t)
	x.client(&pgproto3.Parse{Name: "d", Query: "DELETE FROM users"}, &pgproto3.Sync{})
	x.server(&pgproto3.ParseComplete{}, idle)
	x.client(&pgproto3.Query{String: "PREPARE p AS DELETE FROM users"})
	x.server(&pgproto3.CommandComplete{CommandTag: []byte("PREPARE")}, idle)
	runs := []pgproto3.Message{&pgproto3.Bind{PreparedStatement: "d"}, &pgproto3.Execute{}, &pgproto3.Sync{}}

	x.protect(observed)
	equal(t, "EXECUTE under observe", x.learns(x.client(&pgproto3.Query{String: "EXECUTE p"})), "Q EXECUTE p")
	x.server(deleted(0), idle)
	equal(t, "Bind under observe", x.client(runs...), "B |d", "E ", "S ")
	x.server(&pgproto3.BindComplete{}, deleted(0), idle)

	x.protect(enforced)
	x.learns(x.client(&pgproto3.Query{String: "SELECT 1 FROM users"}))
	x.server(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 0")}, idle)
	equal(t, "EXECUTE under enforce", x.client(&pgproto3.Query{String: "EXECUTE p"}), "Q "+sentinelQuery)
	x.server(refusedColumn(), idle)
	equal(t, "Bind under enforce", x.client(runs...), "P _tombstone|"+sentinelQuery, "E ", "S ")
}

// What was prepared under one mode does not run under another that would do something else.
func TestPreparedFollowsTheMode(t *testing.T) {
	refused, runs := []string{"P _tombstone|" + sentinelQuery, "E ", "S "}, []string{"B |d", "E ", "S "}
	for _, c := range []struct {
		from, to string
		want     []string
	}{
		{observed, enforced, refused}, {observed, off, runs}, {off, observed, runs}, {off, enforced, refused}, {enforced, observed, refused}, {enforced, off, refused},
		{observed, observed + " ", runs},
	} {
		x := letIn(t, c.from)
		x.client(&pgproto3.Parse{Name: "d", Query: "DELETE FROM users"}, &pgproto3.Sync{})
		x.server(&pgproto3.ParseComplete{}, idle)
		x.protect(c.to)
		got := x.learns(x.client(&pgproto3.Bind{PreparedStatement: "d"}, &pgproto3.Execute{}, &pgproto3.Sync{}))
		equal(t, c.from+" to "+c.to, got, c.want...)
	}
}

// A portal that was bound while its table was only observed does not delete once it is enforced.
func TestPortalFollowsTheMode(t *testing.T) {
	for _, from := range []string{observed, off} {
		for _, arrived := range []bool{true, false} {
			x := letIn(t, from)
			x.client(&pgproto3.Parse{Name: "d", Query: "DELETE FROM users"}, &pgproto3.Bind{DestinationPortal: "c", PreparedStatement: "d"}, &pgproto3.Flush{})
			if arrived {
				x.server(&pgproto3.ParseComplete{}, &pgproto3.BindComplete{})
			}
			x.protect(enforced)
			got := x.client(&pgproto3.Execute{Portal: "c"}, &pgproto3.Sync{})
			if !arrived {
				equal(t, "a Bind on its way", got, "H ")
				x.server(&pgproto3.ParseComplete{}, &pgproto3.BindComplete{})
				got = x.atServer()
			}
			equal(t, fmt.Sprint(from, arrived), x.learns(got), "P _tombstone|"+sentinelQuery, "S ")
		}
	}
	// One that was bound since is what it was looked at for.
	x := letIn(t, observed)
	x.protect(enforced)
	got := x.client(&pgproto3.Parse{Query: "DELETE FROM users"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{})
	equal(t, "bound since", x.learns(got), "P |UPDATE users SET deleted_at = now() WHERE users.deleted_at IS NULL", "B ", "E ", "S ")
}

// That the names cannot be read keeps nobody out whose statements are only observed.
func TestObservingWithoutNames(t *testing.T) {
	x := sessionUnder(t, observed)
	_, log := x.tally()
	if got := x.atServer(); len(got) != 15 {
		t.Fatalf("questions: %q", got)
	}
	equal(t, "client", x.server(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "42501", Message: "permission denied for view pg_class"}, idle), "Z I")
	equal(t, "server", x.client(&pgproto3.Query{String: "DELETE FROM users"}), "Q DELETE FROM users")
	equal(t, "client", x.server(deleted(1), idle), "C DELETE 1", "Z I")
	if !strings.Contains(log.String(), `level=WARN msg="the statements of this session are not observed`) {
		t.Error(log)
	}
	x.protect(enforced)
	equal(t, "enforced", x.learns(x.client(&pgproto3.Query{String: "DELETE FROM users"})), "Q UPDATE users SET deleted_at = now() WHERE users.deleted_at IS NULL")
}
