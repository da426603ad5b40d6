package proxy

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"

	"tombstone/config/configtest"
	"tombstone/policy"
)

// protect has the session's server go over to a policy for these tables.
func (x *table) protect(tables string) {
	x.t.Helper()
	c := configtest.Parse(x.t, "tables: "+tables)
	x.Current.Store(&Rules{Policy: policy.New(c.Tables, c.Bodies), Snapshots: NewSnapshots(time.Hour), StatementBytes: 1 << 20, MessageBytes: 1 << 30})
}

// unprotected returns a session whose client has been let in when nothing was protected.
func unprotected(t *testing.T) *table {
	t.Helper()
	x := newTable(t)
	x.protect("[]")
	if err := x.FromClient(startup("user", "app", "database", "shop")); err != nil {
		t.Fatal(err)
	}
	x.ToServer.Reset(nil)
	x.ServerConnected()
	x.server(&pgproto3.AuthenticationOk{}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	return x
}

var idle = &pgproto3.ReadyForQuery{TxStatus: 'I'}

// What PREPARE made when nothing was protected is refused for good, and not only until the names have been read.
func TestReloadDistrustsWhatPrepareMade(t *testing.T) {
	x := unprotected(t)
	x.client(&pgproto3.Query{String: "PREPARE p AS DELETE FROM users"})
	x.server(&pgproto3.CommandComplete{CommandTag: []byte("PREPARE")}, idle)
	x.protect("[{name: public.users}]")
	x.client(&pgproto3.Query{String: "DELETE FROM users"})
	x.server(answers(true, testNames, testCatalog)...)
	x.atServer()
	x.server(&pgproto3.CommandComplete{CommandTag: []byte("UPDATE 1")}, idle)

	equal(t, "EXECUTE", x.client(&pgproto3.Query{String: "EXECUTE p"}), "Q "+sentinelQuery)
	x.server(refusedColumn(), idle)
	equal(t, "Bind", x.client(&pgproto3.Bind{PreparedStatement: "p"}, &pgproto3.Execute{}, &pgproto3.Sync{}), "P _tombstone|"+sentinelQuery, "E ", "S ")
	x.server(refusedColumn(), idle)

	x.client(&pgproto3.Query{String: "BEGIN"})
	x.server(&pgproto3.CommandComplete{CommandTag: []byte("BEGIN")}, &pgproto3.ReadyForQuery{TxStatus: 'T'})
	x.client(&pgproto3.Query{String: "SELECT 1/0"})
	x.server(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "22012"}, &pgproto3.ReadyForQuery{TxStatus: 'E'})
	equal(t, "after a failed transaction", x.client(&pgproto3.Query{String: "ROLLBACK; EXECUTE p"}), "Q "+sentinelQuery)
}

// A Parse that is on its way when the policy changes is not looked at as it was.
func TestReloadBetweenParseAndBind(t *testing.T) {
	x := unprotected(t)
	equal(t, "Parse", x.client(&pgproto3.Parse{Name: "d", Query: "DELETE FROM users"}), "P d|DELETE FROM users")
	x.protect("[{name: public.users}]")
	equal(t, "Bind", x.client(&pgproto3.Bind{PreparedStatement: "d"}, &pgproto3.Execute{}, &pgproto3.Sync{}), "H ")
	x.server(&pgproto3.ParseComplete{})
	equal(t, "Bind, its statement being known", x.atServer(), "P _tombstone|"+sentinelQuery, "E ", "S ")
}

// What the parser cannot read is prepared too, and follows what is protected.
func TestReloadOfWhatCannotBeParsed(t *testing.T) {
	long := "DELETE FROM items WHERE id = 1" + strings.Repeat(" + 1", 20000)
	for _, sql := range []string{"MERGE INTO items i USING n ON i.id = n.id WHEN NOT MATCHED BY SOURCE THEN DELETE", long} {
		x := readyTable(t)
		x.client(&pgproto3.Parse{Name: "d", Query: sql}, &pgproto3.Sync{})
		x.server(&pgproto3.ParseComplete{}, idle)
		if len(x.atServer()) > 0 { // it may have changed relations
			x.server(answers(true, testNames, testCatalog)...)
		}
		x.protect("[{name: public.items}]")
		x.client(&pgproto3.Bind{PreparedStatement: "d"}, &pgproto3.Execute{}, &pgproto3.Sync{})
		catalog := strings.Replace(testCatalog, `"kind": "r"}]}`, `"kind": "r", "columns": [["deleted_at", "timestamp with time zone", false]]}]}`, 1)
		x.server(answers(true, testNames, catalog)...)
		equal(t, sql[:30], x.atServer(), "P _tombstone|"+sentinelQuery, "E ", "S ")
	}
}

// A FunctionCall may run SQL, so it goes by the newest policy as well.
func TestReloadBeforeFunctionCall(t *testing.T) {
	x := unprotected(t)
	x.protect("[{name: public.users}]")
	queryToXML := []byte{'F', 0, 0, 0, 14, 0, 0, 0x0b, 0x6b, 0, 0, 0, 0, 0, 0}
	if err := x.FromClient(queryToXML); err != nil {
		t.Fatal(err)
	}
	equal(t, "server", x.atServer(), "Q "+sentinelQuery)
}
