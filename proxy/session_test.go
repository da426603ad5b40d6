package proxy

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"

	"tombstone/config"
	"tombstone/policy"
	"tombstone/proxy/wire"
	"tombstone/rewrite"
)

const testPolicy = `
listen: 127.0.0.1:6432
upstream: postgres://127.0.0.1
tables: [{name: public.users}]
`

const (
	testNames   = `{"database": "shop", "path": ["pg_catalog", "public"], "temp": []}`
	testCatalog = `{"database": "shop", "relations": [
		{"oid": 1, "schema": "public", "name": "users", "kind": "r", "columns": [["id", "integer", false], ["deleted_at", "timestamp with time zone", false]]},
		{"oid": 2, "schema": "public", "name": "items", "kind": "r"}]}`
)

// table drives a session by hand: it is both the client and the server.
type table struct {
	*Session
	t testing.TB
}

func newTable(t testing.TB) *table {
	t.Helper()
	c, err := config.Parse("policy.yaml", []byte(testPolicy))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1, 0)
	rules := &atomic.Pointer[Rules]{}
	rules.Store(&Rules{Policy: policy.New(c.Tables, c.Bodies), Snapshots: NewSnapshots(time.Hour), StatementBytes: 1 << 20, MessageBytes: 1 << 30})
	return &table{t: t, Session: NewSession(&Settings{
		Current: rules, Plans: rewrite.NewCache(1 << 20),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Observer: silent{}, Now: func() time.Time { return now },
	})}
}

func bytesOfMessages(messages ...pgproto3.Message) []byte {
	var b []byte
	for _, m := range messages {
		b = encode(b, m)
	}
	return b
}

// client sends messages and returns what the server gets. Then it spoils them:
// a session keeps none of what it is given.
func (x *table) client(messages ...pgproto3.Message) []string {
	x.t.Helper()
	b := bytesOfMessages(messages...)
	defer spoil(b)
	if err := x.FromClient(b); err != nil {
		x.t.Fatalf("from the client: %v", err)
	}
	return x.atServer()
}

func spoil(b []byte) {
	for i := range b {
		b[i] = 0xee
	}
}

// server sends messages and returns what the client gets.
func (x *table) server(messages ...pgproto3.Message) []string {
	x.t.Helper()
	b := bytesOfMessages(messages...)
	defer spoil(b)
	if err := x.FromServer(b); err != nil {
		x.t.Fatalf("from the server: %v, to the client %.300q", err, x.ToClient.Take())
	}
	return x.atClient()
}

func (x *table) atServer() []string {
	return trace(x.t, x.ToServer.Take())
}

func (x *table) atClient() []string {
	return trace(x.t, x.ToClient.Take())
}

// trace writes messages so that they can be compared: type and strings.
func trace(t testing.TB, b []byte) []string {
	t.Helper()
	var list []string
	s := &wire.Splitter{Head: func(_ byte, size int) (int, error) { return size, nil }}
	for len(b) > 0 {
		part, n, err := s.Next(b)
		if err != nil || !part.Whole() {
			t.Fatalf("not a message: %q %v", b, err)
		}
		list = append(list, strings.TrimRight(string(part.Type)+" "+strings.ReplaceAll(string(part.Body()), "\x00", "|"), "|"))
		b = b[n:]
	}
	return list
}

func startup(params ...string) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 4), 3<<16)
	for _, p := range params {
		b = append(append(b, p...), 0)
	}
	b = append(b, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// answers are the replies to n questions about names.
func answers(sync bool, rows ...string) []pgproto3.Message {
	var m []pgproto3.Message
	for _, r := range rows {
		m = append(m, &pgproto3.CloseComplete{}, &pgproto3.CloseComplete{}, &pgproto3.ParseComplete{}, &pgproto3.BindComplete{},
			&pgproto3.DataRow{Values: [][]byte{[]byte(base64.StdEncoding.EncodeToString([]byte(r)))}}, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")},
			&pgproto3.CloseComplete{}, &pgproto3.CloseComplete{})
	}
	if sync {
		m = append(m, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	}
	return m
}

// ready returns a session whose client has been let in.
func readyTable(t testing.TB) *table {
	t.Helper()
	x := newTable(t)
	if err := x.FromClient(startup("user", "app", "database", "shop")); err != nil || !x.WantsServer() {
		t.Fatalf("startup: %v", err)
	}
	x.ToServer.Reset(nil)
	x.ServerConnected()
	x.server(&pgproto3.AuthenticationOk{}, &pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	if got := x.server(&pgproto3.ReadyForQuery{TxStatus: 'I'}); len(got) != 0 {
		t.Fatalf("ReadyForQuery was not held back: %q", got)
	}
	if got := x.atServer(); len(got) != 15 {
		t.Fatalf("questions: %q", got)
	}
	if got := x.server(answers(true, testNames, testCatalog)...); len(got) != 1 || got[0] != "Z I" {
		t.Fatalf("after the answers the client gets %q", got)
	}
	return x
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func refusedColumn() *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42703",
		Message: `column "tombstone refused this statement" does not exist`, Position: 8}
}

const sentinelQuery = `SELECT "tombstone refused this statement"`

func TestQueryIsEditedAndItsTagPutBack(t *testing.T) {
	x := readyTable(t)
	equal(t, "server", x.client(&pgproto3.Query{String: "DELETE FROM users; SELECT 1; DELETE FROM items"}),
		"Q UPDATE users SET deleted_at = now() WHERE users.deleted_at IS NULL; SELECT 1; DELETE FROM items")
	equal(t, "client", x.server(&pgproto3.CommandComplete{CommandTag: []byte("UPDATE 3")},
		&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}, &pgproto3.CommandComplete{CommandTag: []byte("DELETE 2")},
		&pgproto3.ReadyForQuery{TxStatus: 'I'}),
		"C DELETE 3", "C SELECT 1", "C DELETE 2", "Z I")
}

// An UPDATE that the client sent keeps its tag, also where a DELETE was meant
// to run and the statement before it failed.
func TestTagsFollowTheirStatements(t *testing.T) {
	x := readyTable(t)
	x.client(&pgproto3.Query{String: "UPDATE users SET id = 1; DELETE FROM users"}, &pgproto3.Query{String: "UPDATE users SET id = 2"})
	equal(t, "client", x.server(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "23505", Message: "no"}, &pgproto3.ReadyForQuery{TxStatus: 'I'},
		&pgproto3.CommandComplete{CommandTag: []byte("UPDATE 1")}, &pgproto3.ReadyForQuery{TxStatus: 'I'}),
		"E SERROR|C23505|Mno", "Z I", "C UPDATE 1", "Z I")
}

func TestExtendedProtocol(t *testing.T) {
	x := readyTable(t)
	equal(t, "server", x.client(
		&pgproto3.Parse{Name: "d", Query: "DELETE FROM users WHERE id = $1", ParameterOIDs: []uint32{23}},
		&pgproto3.Bind{PreparedStatement: "d", Parameters: [][]byte{[]byte("1")}}, &pgproto3.Execute{}, &pgproto3.Sync{})[:1],
		"P d|UPDATE users SET deleted_at = now() WHERE (id = $1) AND users.deleted_at IS NULL||\x01|||\x17")
	equal(t, "client", x.server(&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.CommandComplete{CommandTag: []byte("UPDATE 1")},
		&pgproto3.ReadyForQuery{TxStatus: 'I'}), "1 ", "2 ", "C DELETE 1", "Z I")
	// The same statement again, and EXECUTE of it in the simple protocol.
	x.client(&pgproto3.Bind{PreparedStatement: "d", Parameters: [][]byte{[]byte("1")}}, &pgproto3.Execute{}, &pgproto3.Sync{},
		&pgproto3.Query{String: "EXECUTE d (1)"}, &pgproto3.Query{String: "DEALLOCATE d"}, &pgproto3.Query{String: "EXECUTE d (1)"})
	equal(t, "client", x.server(&pgproto3.BindComplete{}, &pgproto3.CommandComplete{CommandTag: []byte("UPDATE 0")}, &pgproto3.ReadyForQuery{TxStatus: 'I'},
		&pgproto3.CommandComplete{CommandTag: []byte("UPDATE 0")}, &pgproto3.ReadyForQuery{TxStatus: 'I'},
		&pgproto3.CommandComplete{CommandTag: []byte("DEALLOCATE")}, &pgproto3.ReadyForQuery{TxStatus: 'I'},
		&pgproto3.CommandComplete{CommandTag: []byte("UPDATE 7")}, &pgproto3.ReadyForQuery{TxStatus: 'I'}),
		"2 ", "C DELETE 0", "Z I", "C DELETE 0", "Z I", "C DEALLOCATE", "Z I", "C UPDATE 7", "Z I")
}

// A Parse that failed does not give its name a meaning.
func TestStatementExistsAfterParseComplete(t *testing.T) {
	x := readyTable(t)
	x.client(&pgproto3.Parse{Name: "s", Query: "UPDATE users SET id = 1"}, &pgproto3.Sync{},
		&pgproto3.Parse{Name: "s", Query: "DELETE FROM users"}, &pgproto3.Sync{},
		&pgproto3.Bind{PreparedStatement: "s"}, &pgproto3.Execute{}, &pgproto3.Sync{})
	equal(t, "client", x.server(&pgproto3.ParseComplete{}, &pgproto3.ReadyForQuery{TxStatus: 'I'},
		&pgproto3.ErrorResponse{Severity: "ERROR", Code: "42P05", Message: "exists"}, &pgproto3.ReadyForQuery{TxStatus: 'I'},
		&pgproto3.BindComplete{}, &pgproto3.CommandComplete{CommandTag: []byte("UPDATE 5")}, &pgproto3.ReadyForQuery{TxStatus: 'I'}),
		"1 ", "Z I", "E SERROR|C42P05|Mexists", "Z I", "2 ", "C UPDATE 5", "Z I")
}

func TestRefusalTakesTheServersTurn(t *testing.T) {
	x := readyTable(t)
	equal(t, "server", x.client(&pgproto3.Query{String: "SELECT 1; DELETE FROM users USING items a NATURAL JOIN items b RETURNING *"}),
		"Q SELECT 1; "+sentinelQuery)
	got := x.server(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}, refusedColumn(), &pgproto3.ReadyForQuery{TxStatus: 'E'})
	if len(got) != 3 || !strings.Contains(got[1], "|C0A000|MRETURNING * of a DELETE") || !strings.Contains(got[1], "|P74") || got[2] != "Z E" {
		t.Errorf("client: %q", got)
	}
	// In a pipeline: what follows is skipped by the server itself.
	x.client(&pgproto3.Parse{Query: "DELETE FROM users USING items a NATURAL JOIN items b RETURNING *"}, &pgproto3.Bind{}, &pgproto3.Execute{},
		&pgproto3.Parse{Query: "DELETE FROM users"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{}, &pgproto3.Query{String: "DELETE FROM users"})
	got = x.server(refusedColumn(), &pgproto3.ReadyForQuery{TxStatus: 'I'}, &pgproto3.CommandComplete{CommandTag: []byte("UPDATE 1")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	if len(got) != 4 || !strings.Contains(got[0], "|C0A000|MRETURNING") || fmt.Sprint(got[1:]) != "[Z I C DELETE 1 Z I]" {
		t.Errorf("client: %q", got)
	}
	// In a transaction that has failed the server's own error stays.
	x.client(&pgproto3.Query{String: "DELETE FROM users USING items a NATURAL JOIN items b RETURNING *"})
	equal(t, "client", x.server(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "25P02", Message: "aborted"}, &pgproto3.ReadyForQuery{TxStatus: 'E'}),
		"E SERROR|C25P02|Maborted", "Z E")
}

// A syntax error near a protected table is the server's own, and nothing runs
// to get it.
func TestProbe(t *testing.T) {
	x := readyTable(t)
	equal(t, "server", x.client(&pgproto3.Query{String: "DELETE FROM users WHER id = 1"}),
		"P |DELETE FROM users WHER id = 1", "P |"+sentinelQuery, "S ")
	equal(t, "client", x.server(&pgproto3.ErrorResponse{Severity: "ERROR", Code: "42601", Message: "syntax", Position: 24}, &pgproto3.ReadyForQuery{TxStatus: 'I'}),
		"E SERROR|C42601|Msyntax|P24", "Z I")
	// A server that takes the syntax does not run it either.
	x.client(&pgproto3.Query{String: "DELETE FROM users WHER id = 1"})
	got := x.server(&pgproto3.ParseComplete{}, refusedColumn(), &pgproto3.ReadyForQuery{TxStatus: 'I'})
	if len(got) != 2 || !strings.Contains(got[0], "C0A000") {
		t.Errorf("client: %q", got)
	}
	x.client(&pgproto3.Parse{Name: "n", Query: "DELETE FROM users WHER id = 1"}, &pgproto3.Bind{PreparedStatement: "n"}, &pgproto3.Execute{}, &pgproto3.Sync{})
	got = x.server(&pgproto3.CloseComplete{}, &pgproto3.ParseComplete{}, refusedColumn(), &pgproto3.ReadyForQuery{TxStatus: 'I'})
	if len(got) != 2 || !strings.Contains(got[0], "C0A000") || got[1] != "Z I" {
		t.Errorf("client: %q", got)
	}
}

// libpq sends Sync right behind the Execute of a COPY FROM; the server reads
// it as part of the COPY and ignores it.
func TestCopyInIgnoresEarlySyncs(t *testing.T) {
	x := readyTable(t)
	x.client(&pgproto3.Parse{Query: "COPY items FROM STDIN"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{})
	x.server(&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.CopyInResponse{})
	x.client(&pgproto3.CopyData{Data: []byte("1\n")}, &pgproto3.CopyDone{}, &pgproto3.Sync{}, &pgproto3.Query{String: "DELETE FROM users"})
	equal(t, "client", x.server(&pgproto3.CommandComplete{CommandTag: []byte("COPY 1")}, &pgproto3.ReadyForQuery{TxStatus: 'I'},
		&pgproto3.CommandComplete{CommandTag: []byte("UPDATE 2")}, &pgproto3.ReadyForQuery{TxStatus: 'I'}),
		"C COPY 1", "Z I", "C DELETE 2", "Z I")
}

// A Sync that a failed COPY has read is forgotten when the server answers what
// came later: the pipeline that fails then is still being sent.
func TestFailedCopyIsForgotten(t *testing.T) {
	x := readyTable(t)
	x.client(&pgproto3.Parse{Query: "COPY items FROM STDIN"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{})
	x.server(&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.CopyInResponse{})
	x.client(&pgproto3.CopyData{Data: []byte("x\n")}, &pgproto3.CopyDone{}, &pgproto3.Sync{})
	failed := &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "22P02", Message: "invalid input"}
	equal(t, "client", x.server(failed, &pgproto3.ReadyForQuery{TxStatus: 'I'}), "E SERROR|VERROR|C22P02|Minvalid input", "Z I")
	x.client(&pgproto3.Parse{Query: "SELECT 1"}, &pgproto3.Bind{}, &pgproto3.Execute{})
	x.server(&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, failed)
	equal(t, "server", x.client(&pgproto3.Parse{Query: "SELECT 1"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{}), "S ")
	equal(t, "client", x.server(&pgproto3.ReadyForQuery{TxStatus: 'I'}), "Z I")
}

// What a client sends without waiting for an answer waits itself when it has become much: it takes memory until it is answered.
func TestCrowded(t *testing.T) {
	x := readyTable(t)
	x.client(&pgproto3.Query{String: "SELECT pg_sleep(9)"})
	const syncs = 3 * mostRequests
	var flood []byte
	for range syncs {
		flood = encode(flood, &pgproto3.Sync{})
	}
	if err := x.FromClient(flood); err != nil {
		t.Fatal(err)
	}
	passed := len(x.atServer())
	if !x.Held() || x.queue.size() != mostRequests || passed != mostRequests-1 {
		t.Fatalf("held %t, %d requests, %d Syncs sent on", x.Held(), x.queue.size(), passed)
	}
	x.server(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	answered := 0
	for ; answered < passed; passed += len(x.atServer()) {
		x.server(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		answered++
		if x.queue.size() > mostRequests {
			t.Fatalf("%d requests", x.queue.size())
		}
	}
	if x.Held() || answered != syncs {
		t.Errorf("%d of %d Syncs are answered, held %t", answered, syncs, x.Held())
	}
	// A server need not answer a batch before it is told to.
	x = readyTable(t)
	x.most = 2
	equal(t, "server", x.client(&pgproto3.Parse{Query: "SELECT 1"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{}),
		"P |SELECT 1", "B ", "H ")
	x.server(&pgproto3.ParseComplete{})
	equal(t, "server", x.atServer(), "E ", "H ")
	x.server(&pgproto3.BindComplete{})
	equal(t, "server", x.atServer(), "S ")
	// COPY data waits for no answer, however much it is.
	x = readyTable(t)
	x.client(&pgproto3.Query{String: "COPY items FROM STDIN"})
	x.server(&pgproto3.CopyInResponse{})
	for range 100 {
		data := encode(nil, &pgproto3.CopyData{Data: make([]byte, 1<<20)})
		for _, piece := range [][]byte{data[:1000], data[1000:]} {
			if err := x.FromClient(piece); err != nil {
				t.Fatal(err)
			}
		}
		x.ToServer.Reset(nil)
	}
	if x.client(&pgproto3.CopyDone{}); x.Held() {
		t.Error("COPY data is held back")
	}
	// Nor does it for what came before it, or with it.
	pad := strings.Repeat("x", 600000)
	for name, ahead := range map[string][]string{
		"a second text over the limit": {"SELECT '" + pad + "'", "SELECT '" + pad + "'; COPY items FROM STDIN"},
		"a text as long as may be":     {"SELECT 1 /*" + strings.Repeat("x", 1<<20-len("SELECT 1 /**/; COPY items FROM STDIN")) + "*/; COPY items FROM STDIN"},
	} {
		x = readyTable(t)
		for _, sql := range ahead {
			x.client(&pgproto3.Query{String: sql})
		}
		x.client(&pgproto3.CopyData{Data: []byte("1\n")}, &pgproto3.CopyDone{})
		if len(ahead) > 1 {
			x.server(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
		}
		x.server(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}, &pgproto3.CopyInResponse{})
		if x.Held() {
			t.Errorf("%s: the server waits for data that is held back", name)
		}
	}
	x = readyTable(t)
	x.client(&pgproto3.Query{String: "COPY items FROM STDIN"})
	x.server(&pgproto3.CopyInResponse{})
	flushes := bytes.Repeat(bytesOfMessages(&pgproto3.CopyData{Data: []byte("1\n")}, &pgproto3.Flush{}, &pgproto3.Sync{}), 200000)
	if err := x.FromClient(flushes); err != nil || x.Held() {
		t.Errorf("what is said in a COPY is held back: %v", err)
	}
	// Nothing may come between the parts of one message.
	x = readyTable(t)
	x.client(&pgproto3.Query{String: "SELECT 1"})
	x.most = 1
	bind := encode(nil, &pgproto3.Bind{Parameters: [][]byte{make([]byte, 2*bindHead)}})
	x.most = 2
	if err := x.FromClient(bind[:bindHead+1000]); err != nil {
		t.Fatal(err)
	}
	x.most = 1
	if err := x.FromClient(bind[bindHead+1000:]); err != nil {
		t.Fatal(err)
	}
	if x.Held() {
		t.Error("half a message is held back")
	}
}

// After SET search_path the client's next statement waits for the new names.
func TestNamesAreReadAgain(t *testing.T) {
	x := readyTable(t)
	x.client(&pgproto3.Query{String: "SET search_path = other"}, &pgproto3.Query{String: "DELETE FROM users"})
	if !x.Held() {
		t.Fatal("the DELETE was not held")
	}
	equal(t, "client", x.server(&pgproto3.CommandComplete{CommandTag: []byte("SET")}, &pgproto3.ReadyForQuery{TxStatus: 'I'}), "C SET", "Z I")
	if got := x.atServer(); len(got) != 8 {
		t.Fatalf("questions: %q", got)
	}
	equal(t, "client", x.server(answers(true, strings.Replace(testNames, "public", "other", 1))...))
	equal(t, "server", x.atServer(), "Q DELETE FROM users")
	if x.Held() {
		t.Error("still held")
	}
	// In the middle of a batch the question goes between.
	x = readyTable(t)
	equal(t, "server", x.client(&pgproto3.Parse{Query: "SET search_path = other"}, &pgproto3.Bind{}, &pgproto3.Execute{},
		&pgproto3.Parse{Query: "DELETE FROM users"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{}),
		"P |SET search_path = other", "B ", "E ", "H ")
	x.server(&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.CommandComplete{CommandTag: []byte("SET")})
	if got := x.atServer(); len(got) != 8 || got[7] != "H " {
		t.Fatalf("questions: %q", got)
	}
	equal(t, "client", x.server(answers(false, testNames)...))
	equal(t, "server", x.atServer(), "P |UPDATE users SET deleted_at = now() WHERE users.deleted_at IS NULL", "B ", "E ", "S ")
}

// A server connection that comes from a pool may have temporary tables from
// before, which the first question does not ask for.
func TestTemporaryTablesFromBefore(t *testing.T) {
	x := newTable(t)
	if err := x.FromClient(startup("user", "app", "database", "shop")); err != nil {
		t.Fatal(err)
	}
	x.ToServer.Reset(nil)
	x.ServerConnected()
	x.server(&pgproto3.AuthenticationOk{}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	if got := x.atServer(); strings.Contains(got[2], "pg_class") {
		t.Errorf("the first question reads pg_class: %q", got[2])
	}
	const before = `{"database": "shop", "path": ["pg_temp_3", "pg_catalog", "public"]`
	equal(t, "client", x.server(answers(true, before+"}", testCatalog)...))
	if got := x.atServer(); len(got) != 8 || !strings.Contains(got[2], "pg_class") {
		t.Fatalf("the second question: %q", got)
	}
	equal(t, "client", x.server(answers(true, before+`, "temp": ["users"]}`)...), "Z I")
	equal(t, "server", x.client(&pgproto3.Query{String: "DELETE FROM users"}), "Q DELETE FROM users")
}

// A reply that nobody awaits ends the session rather than going to somebody.
func TestUnexpectedRepliesEndTheSession(t *testing.T) {
	for _, m := range []pgproto3.Message{
		&pgproto3.ReadyForQuery{TxStatus: 'I'}, &pgproto3.ParseComplete{}, &pgproto3.CommandComplete{CommandTag: []byte("DELETE 1")}, &pgproto3.DataRow{},
	} {
		x := readyTable(t)
		if err := x.FromServer(bytesOfMessages(m)); err == nil {
			t.Errorf("%T: no error", m)
		}
		if got := x.atClient(); len(got) != 1 || !strings.Contains(got[0], "C08P01") {
			t.Errorf("%T: the client gets %q", m, got)
		}
	}
}

func TestEncryptionIsDeclinedAndCancelPassedOn(t *testing.T) {
	x := newTable(t)
	ssl := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, wire.SSLRequest)
	gss := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, wire.GSSENCRequest)
	if err := errors.Join(x.FromClient(gss), x.FromClient(ssl)); err != nil || string(x.ToClient.Take()) != "NN" {
		t.Fatalf("%q %v", x.ToClient.own, err)
	}
	if err := x.FromClient(ssl); err == nil {
		t.Error("asked twice, answered twice")
	}
	for _, request := range [][]byte{gss, ssl} { // what comes with it was sent before the answer could be read
		x = newTable(t)
		if err := x.FromClient(append(request, startup("user", "app")...)); err == nil || x.WantsServer() || !strings.Contains(string(x.ToClient.Take()), "C08P01") {
			t.Error("what was sent behind a request for encryption is taken")
		}
	}
	x = newTable(t)
	cancel := append(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 16}, wire.CancelRequest), 1, 2, 3, 4, 5, 6, 7, 8)
	if err := x.FromClient(cancel); err != nil || !x.WantsCancel() || !bytes.Equal(x.ToServer.Take(), cancel) {
		t.Fatalf("%q %v", x.ToServer.own, err)
	}
}

func TestStatementTooLarge(t *testing.T) {
	x := readyTable(t)
	big := "SELECT '" + strings.Repeat("x", 2<<20) + "'"
	equal(t, "server", x.client(&pgproto3.Query{String: big}, &pgproto3.Query{String: "SELECT 1"}), "Q "+sentinelQuery, "Q SELECT 1")
	got := x.server(refusedColumn(), &pgproto3.ReadyForQuery{TxStatus: 'I'}, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	if len(got) != 4 || !strings.Contains(got[0], "C54000") {
		t.Errorf("client: %q", got)
	}
	equal(t, "server", x.client(&pgproto3.Parse{Name: "big", Query: big}, &pgproto3.Sync{}), "P big|"+sentinelQuery, "S ")
}

func TestServerGone(t *testing.T) {
	x := readyTable(t)
	x.ServerGone()
	if got := x.atClient(); len(got) != 1 || !strings.Contains(got[0], "SFATAL") || !strings.Contains(got[0], "C08006") {
		t.Errorf("client: %q", got)
	}
	// What it has not answered may have been carried out; what was open has not been committed.
	for status, hint := range map[byte]string{'I': "crashed.", 'T': "crashed. The transaction that was open has been rolled back.", 'C': "crashed. Whether what it had not answered took effect is not known."} {
		x = readyTable(t)
		if status != 'I' {
			x.client(&pgproto3.Query{String: "BEGIN"})
			x.server(&pgproto3.CommandComplete{CommandTag: []byte("BEGIN")}, &pgproto3.ReadyForQuery{TxStatus: 'T'})
		}
		if status == 'C' {
			x.client(&pgproto3.Query{String: "COMMIT"})
		}
		x.ServerGone()
		if got := x.atClient(); len(got) != 1 || !strings.HasSuffix(got[0], hint) {
			t.Errorf("%c: %q, want %q", status, got, hint)
		}
	}
	x = newTable(t)
	if err := x.FromClient(startup("user", "app")); err != nil {
		t.Fatal(err)
	}
	x.ServerConnected()
	x.ServerGone()
	if got := x.atClient(); len(got) != 1 || !strings.HasSuffix(got[0], "crashed.") {
		t.Errorf("at the login: %q", got)
	}
	// The server's own last words are enough.
	x = readyTable(t)
	_ = x.FromServer(bytesOfMessages(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P01", Message: "bye"}))
	x.ServerGone()
	equal(t, "client", x.atClient(), "E SFATAL|VFATAL|C57P01|Mbye")
}

// FuzzSession: whatever either side sends, in whatever pieces, a session does
// not panic, and what it sends the server is messages.
func FuzzSession(f *testing.F) {
	f.Add(bytesOfMessages(&pgproto3.Query{String: "DELETE FROM users"}), bytesOfMessages(&pgproto3.CommandComplete{CommandTag: []byte("UPDATE 1")}, &pgproto3.ReadyForQuery{TxStatus: 'I'}), uint8(7))
	f.Add(bytesOfMessages(&pgproto3.Parse{Name: "a", Query: "SELECT * FROM users WHER"}, &pgproto3.Bind{PreparedStatement: "a"}, &pgproto3.Execute{}, &pgproto3.Sync{}), bytesOfMessages(refusedColumn()), uint8(3))
	f.Add(bytesOfMessages(&pgproto3.Query{String: "SET search_path = a"}, &pgproto3.Query{String: "TABLE users"}, &pgproto3.Terminate{}),
		append(bytesOfMessages(&pgproto3.CommandComplete{CommandTag: []byte("SET")}, &pgproto3.ReadyForQuery{TxStatus: 'T'}), bytesOfMessages(answers(true, testNames)...)...), uint8(200))
	f.Add([]byte("B\x00\x00\x00\x0e\x00s\x00\xff\xff\xff\xff\xff\xff"), []byte("E\x00\x00\x00\x04"), uint8(1))
	f.Add([]byte("Q\x00\x00\x00\x04"), []byte("D\x7f\xff\xff\xffxx"), uint8(1))
	f.Fuzz(func(t *testing.T, client, server []byte, size uint8) {
		if len(client) > 1<<14 || len(server) > 1<<14 {
			t.Skip()
		}
		x := readyTable(t)
		step := int(size) + 1
		for len(client) > 0 || len(server) > 0 {
			n := min(step, len(client))
			if x.Held() {
				n = 0
			}
			if n > 0 {
				if x.FromClient(client[:n]) != nil {
					break
				}
				client = client[n:]
			}
			m := min(step, len(server))
			if m > 0 && x.FromServer(server[:m]) != nil {
				break
			}
			server = server[m:]
			if n == 0 && m == 0 {
				break
			}
		}
		x.ServerGone()
		if len(x.in) > 1<<16 {
			t.Fatalf("%d bytes of the client are held", len(x.in))
		}
	})
}

// A DELETE prepared while its name meant an unprotected table must not run as
// it is when the name has come to mean a protected one.
func TestPreparedStatementsFollowTheirNames(t *testing.T) {
	x := readyTable(t)
	other := strings.Replace(testNames, `"public"`, `"other"`, 1)
	x.client(&pgproto3.Query{String: "SET search_path = other"})
	x.server(&pgproto3.CommandComplete{CommandTag: []byte("SET")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	x.client(&pgproto3.Parse{Name: "d", Query: "DELETE FROM users"}, &pgproto3.Sync{})
	x.server(answers(true, other)...)
	equal(t, "server", x.atServer(), "P d|DELETE FROM users", "S ")
	x.server(&pgproto3.ParseComplete{}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	x.client(&pgproto3.Query{String: "PREPARE p AS DELETE FROM users"})
	x.server(&pgproto3.CommandComplete{CommandTag: []byte("PREPARE")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	x.client(&pgproto3.Bind{PreparedStatement: "d"}, &pgproto3.Execute{}, &pgproto3.Sync{})
	x.server(&pgproto3.BindComplete{}, &pgproto3.CommandComplete{CommandTag: []byte("DELETE 1")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})

	x.client(&pgproto3.Query{String: "SET search_path = public"})
	x.server(&pgproto3.CommandComplete{CommandTag: []byte("SET")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	x.client(&pgproto3.Bind{PreparedStatement: "d"}, &pgproto3.Execute{}, &pgproto3.Sync{})
	x.server(answers(true, testNames)...)
	equal(t, "server", x.atServer(), "P _tombstone|"+sentinelQuery, "E ", "S ")
	got := x.server(refusedColumn(), &pgproto3.ReadyForQuery{TxStatus: 'I'})
	if len(got) != 2 || !strings.Contains(got[0], "|C0A000|Mcached plan must not change result type") {
		t.Errorf("client: %q", got)
	}
	equal(t, "server", x.client(&pgproto3.Query{String: "EXECUTE p"}), "Q "+sentinelQuery)
	x.server(refusedColumn(), &pgproto3.ReadyForQuery{TxStatus: 'I'})
	// Prepared again, it is buried, and stays so while the names stay.
	x.client(&pgproto3.Parse{Name: "e", Query: "DELETE FROM users"}, &pgproto3.Sync{})
	x.server(&pgproto3.ParseComplete{}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	equal(t, "server", x.client(&pgproto3.Bind{PreparedStatement: "e"}, &pgproto3.Execute{}, &pgproto3.Sync{}), "B |e", "E ", "S ")
}
