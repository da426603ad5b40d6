package proxy

import (
	"strings"
	"testing"

	"github.com/jackc/pgproto3/v2"
)

// What TestSchedules has found, each in the few messages that show it.

func sqlError(code string) *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: "no"}
}

var otherNames = strings.Replace(testNames, `"public"`, `"other"`, 1)

// asks reports whether a message to the server is one of the session's questions.
func asks(messages []string) bool {
	return strings.Contains(strings.Join(messages, "\n"), "json_build_object")
}

// A Query in a pipeline ends its transaction, as a Sync would, and takes a SET LOCAL back. A DELETE right behind it meant the
// protected table again, and really deleted.
func TestQueryEndsWhatASetLocalMeant(t *testing.T) {
	x := readyTable(t)
	x.client(&pgproto3.Parse{Query: "SET LOCAL search_path = other"}, &pgproto3.Bind{}, &pgproto3.Execute{})
	x.server(&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.CommandComplete{CommandTag: []byte("SET")})
	if !asks(x.client(&pgproto3.Parse{Query: "SELECT * FROM users"})) {
		t.Fatal("names are not read")
	}
	x.server(answers(false, otherNames)...)
	equal(t, "server", x.atServer(), "P |SELECT * FROM users")
	equal(t, "server", x.client(&pgproto3.Query{String: "SELECT 1"}, &pgproto3.Query{String: "DELETE FROM users"})[:1], "Q SELECT 1")
	if !x.Held() {
		t.Error("the DELETE is not held until names are known")
	}
}

// failedTable is a session in a transaction that has failed, and that changed search_path before.
func failedTable(t *testing.T) *table {
	x := readyTable(t)
	x.client(&pgproto3.Query{String: "BEGIN; SET LOCAL search_path = other; SELECT 1/0"})
	x.server(&pgproto3.CommandComplete{CommandTag: []byte("BEGIN")}, &pgproto3.CommandComplete{CommandTag: []byte("SET")}, sqlError("22012"), &pgproto3.ReadyForQuery{TxStatus: 'E'})
	return x
}

// The Parse of a ROLLBACK ends nothing: a question behind it failed with the transaction, and that ended the session.
func TestParseOfARollbackEndsNothing(t *testing.T) {
	x := failedTable(t)
	if sent := x.client(&pgproto3.Parse{Name: "r", Query: "ROLLBACK"}, &pgproto3.Parse{Name: "d", Query: "DELETE FROM users"}, &pgproto3.Sync{}); asks(sent) || len(sent) != 3 {
		t.Errorf("in a transaction that has failed the server is sent %q", sent)
	}
}

// A ROLLBACK that has failed is forgotten when its batch is over, even if another batch is on its way by then.
func TestRollbackOfABatchThatIsOver(t *testing.T) {
	x := failedTable(t)
	x.client(&pgproto3.Parse{Name: "r", Query: "ROLLBACK TO nowhere"}, &pgproto3.Bind{PreparedStatement: "r"}, &pgproto3.Execute{}, &pgproto3.Sync{}, &pgproto3.Parse{Name: "e"})
	x.server(&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, sqlError("3B001"), &pgproto3.ReadyForQuery{TxStatus: 'E'}, &pgproto3.ParseComplete{})
	if sent := x.client(&pgproto3.Parse{Name: "d", Query: "DELETE FROM users"}); asks(sent) {
		t.Errorf("in a transaction that has failed the server is asked %q", sent)
	}
}

// The statement without a name ends with the next Query, and with the next Parse without a name even if that fails.
func TestStatementWithoutAName(t *testing.T) {
	made := func() *table {
		x := readyTable(t)
		x.client(&pgproto3.Parse{Query: "DELETE FROM users"}, &pgproto3.Sync{})
		x.server(&pgproto3.ParseComplete{}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
		return x
	}
	x := made()
	x.client(&pgproto3.Query{String: "SELECT 1"})
	x.server(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	if x.statement("") != nil {
		t.Error("it is still known after a Query")
	}
	x = made()
	x.client(&pgproto3.Parse{Query: "SELEC 1"}, &pgproto3.Sync{})
	x.server(sqlError("42601"), &pgproto3.ReadyForQuery{TxStatus: 'I'})
	if x.statement("") != nil {
		t.Error("it is still known after a Parse that failed")
	}
	// One that the server is only asked about is parsed under another name, so it is ended by hand.
	x = made()
	equal(t, "server", x.client(&pgproto3.Parse{Query: "DELETE FROM users WHER id = 1"}, &pgproto3.Sync{})[:2], "C S", "C S_tombstone")
}

// A COPY that is sent whole, with libpq's early Sync in it, leaves no batch behind.
func TestCopySentWholeLeavesNoBatch(t *testing.T) {
	x := readyTable(t)
	x.client(&pgproto3.Parse{Query: "COPY items FROM STDIN"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{}, &pgproto3.CopyDone{}, &pgproto3.Sync{})
	x.server(&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.CopyInResponse{})
	equal(t, "server", x.client(&pgproto3.Query{String: "DELETE FROM users WHER id = 1"}), "P |DELETE FROM users WHER id = 1", "P |"+sentinelQuery, "S ")
}

// A statement that is executed is planned again when names have changed. The text that executes it is edited by its own tokens
// then, not by those of the statement.
func TestExecuteBeforeAnEdit(t *testing.T) {
	x := readyTable(t)
	x.client(&pgproto3.Query{String: "PREPARE p AS DELETE FROM users WHERE id = 5 AND id = 6 AND id = 7"})
	x.server(&pgproto3.CommandComplete{CommandTag: []byte("PREPARE")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	x.client(&pgproto3.Query{String: "SET search_path = other, public"})
	x.server(&pgproto3.CommandComplete{CommandTag: []byte("SET")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	if !asks(x.client(&pgproto3.Query{String: "EXECUTE p; DELETE FROM users"})) {
		t.Fatal("names are not read")
	}
	x.server(answers(true, strings.Replace(testNames, `"public"`, `"other", "public"`, 1))...)
	equal(t, "server", x.atServer(), "Q EXECUTE p; UPDATE users SET deleted_at = now() WHERE users.deleted_at IS NULL")
}
