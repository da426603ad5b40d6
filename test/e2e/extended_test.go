package e2e

import (
	"strings"
	"testing"

	pp "github.com/jackc/pgx/v5/pgproto3"
)

// Raw protocol messages get the same replies, message by message, as from the
// server itself.
func TestTranscripts(t *testing.T) {
	const (
		delete3  = "DELETE FROM users WHERE id IN (1, 2, 3)"
		returns  = "DELETE FROM users WHERE id < 9 RETURNING id, deleted_at"
		prepared = "DELETE FROM users WHERE id = $1"
	)
	w := newTwin(t, shopTables)
	for _, c := range []struct {
		name  string
		turns []turn
		has   []string // lines that must be among the replies, in this order
	}{
		{"delete", []turn{say(batch(all(delete3), syncing())...), say(batch(all(delete3), syncing())...)},
			[]string{"CommandComplete DELETE 3", "CommandComplete DELETE 0"}},
		{"multi-statement query", []turn{say(query(delete3 + "; SELECT count(*) FROM users; UPDATE audit_log SET what = '' WHERE id < 3; DELETE FROM orders WHERE id < 4; DELETE FROM audit_log WHERE id = 9; TRUNCATE memberships; " + delete3))},
			[]string{"CommandComplete DELETE 3", "CommandComplete SELECT 1", "CommandComplete UPDATE 2", "CommandComplete DELETE 3", "CommandComplete DELETE 1", "CommandComplete TRUNCATE TABLE", "CommandComplete DELETE 0"}},
		{"multi-statement query that fails", []turn{say(query(delete3 + "; SELECT 1/0; " + delete3)), say(query("SELECT count(*) FROM users"))},
			[]string{"CommandComplete DELETE 3", "Error ERROR 22012"}},
		{"multi-statement query with its own transaction", []turn{say(query("BEGIN; " + delete3 + "; COMMIT; DELETE FROM users WHERE id = 4; SELECT 1/0"))},
			[]string{"CommandComplete DELETE 3", "CommandComplete COMMIT", "CommandComplete DELETE 1", "Error"}},
		{"empty queries", []turn{say(query("")), say(query(";;")), say(query("; " + delete3 + ";; ;")), say(batch(all(""), syncing())...)}, nil},
		{"row limit", []turn{
			say(batch(parse("", "SELECT id FROM users ORDER BY id"), bind("", ""), execute("", 2), execute("", 3), execute("", 0), execute("", 0), syncing())...)},
			[]string{"PortalSuspended", "PortalSuspended", "CommandComplete SELECT"}},
		{"row limit of a delete", []turn{
			until('s', batch(parse("", returns), bind("p", ""), describe('P', "p"), execute("p", 2), flush())...),
			until('s', batch(execute("p", 3), flush())...),
			say(batch(execute("p", 0), syncing())...)},
			[]string{"PortalSuspended", "PortalSuspended", "CommandComplete DELETE 2"}},
		{"row limit in a transaction", []turn{
			say(query("BEGIN")),
			say(batch(parse("s", returns), bind("p", "s"), execute("p", 2), syncing())...),
			say(query("SELECT count(*) FROM users")),
			say(batch(execute("p", 1), syncing())...),
			say(batch(execute("p", 0), closing('P', "p"), syncing())...),
			say(query("ROLLBACK"))},
			[]string{"PortalSuspended", "PortalSuspended", "CommandComplete DELETE"}},
		{"portal outlives its statement", []turn{
			say(query("BEGIN")),
			say(batch(parse("s", delete3), bind("p", "s"), closing('S', "s"), parse("s", "SELECT 1"), execute("p", 0), bind("q", "s"), execute("q", 0), syncing())...),
			say(query("COMMIT"))},
			[]string{"CommandComplete DELETE 3", "CommandComplete SELECT 1"}},
		{"unnamed replaced", []turn{
			say(batch(parse("", delete3), parse("", "UPDATE users SET name = 'x' WHERE id = 4"), bind("", ""), execute("", 0), syncing())...),
			say(batch(parse("", "UPDATE audit_log SET what = 'x'"), bind("p", ""), parse("", delete3), execute("p", 0), bind("p2", ""), execute("p2", 0), syncing())...)},
			[]string{"CommandComplete UPDATE 1", "CommandComplete UPDATE 20", "CommandComplete DELETE 3"}},
		{"describe before execute", []turn{
			until('T', batch(parse("s", returns), describe('S', "s"), flush())...),
			say(batch(bind("", "s"), describe('P', ""), execute("", 0), syncing())...),
			until('n', batch(parse("t", prepared), describe('S', "t"), flush())...),
			say(batch(bind("", "t", "9"), describe('P', ""), execute("", 0), syncing())...)}, nil},
		{"named, deallocated", []turn{
			say(batch(parse("s", prepared), syncing())...),
			say(batch(bind("", "s", "1"), execute("", 0), bind("", "s", "1"), execute("", 0), syncing())...),
			say(query("DEALLOCATE s")),
			say(batch(bind("", "s", "2"), execute("", 0), syncing())...),
			say(batch(parse("s", "UPDATE users SET city = 'x' WHERE id = $1"), bind("", "s", "3"), execute("", 0), syncing())...)},
			[]string{"CommandComplete DELETE 1", "CommandComplete DELETE 0", "CommandComplete DEALLOCATE", "Error ERROR 26000", "CommandComplete UPDATE 1"}},
		{"named, closed", []turn{
			say(batch(parse("s", prepared), bind("", "s", "1"), closing('S', "s"), closing('S', "never"), syncing())...),
			say(batch(bind("", "s", "1"), syncing())...)}, []string{"Error ERROR 26000"}},
		{"discard all", []turn{
			say(batch(parse("s", prepared), syncing())...),
			say(query("DISCARD ALL")),
			say(batch(bind("", "s", "1"), execute("", 0), syncing())...),
			say(batch(parse("s", prepared), bind("", "s", "1"), execute("", 0), syncing())...)},
			[]string{"Error ERROR 26000", "CommandComplete DELETE 1"}},
		{"name taken", []turn{
			say(batch(parse("s", prepared), syncing())...),
			say(batch(parse("s", "UPDATE users SET name = 'x' WHERE id = $1"), syncing())...),
			say(batch(bind("", "s", "1"), execute("", 0), syncing())...)},
			[]string{"Error ERROR 42P05", "CommandComplete DELETE 1"}},
		{"a statement that failed to parse has no name", []turn{
			say(batch(parse("s", "DELETE FROM users WHERE nope = 1"), bind("", "s"), execute("", 0), syncing())...),
			say(batch(parse("s", delete3), bind("", "s"), execute("", 0), syncing())...)},
			[]string{"Error ERROR 42703", "CommandComplete DELETE 3"}},
		{"long names are cut", []turn{
			say(batch(parse(strings.Repeat("s", 70), delete3), syncing())...),
			say(batch(bind("", strings.Repeat("s", 63)), execute("", 0), syncing())...),
			say(query("DEALLOCATE " + strings.Repeat("s", 80)))}, nil},
		{"prepare and execute", []turn{
			say(query("PREPARE d (int) AS DELETE FROM users WHERE id = $1")),
			say(query("EXECUTE d(1)")), say(query("EXECUTE d(1)")), say(query("EXECUTE D ( 5 )")), say(query(`EXECUTE "d"(2); EXECUTE d(3); SELECT 1`)),
			say(batch(all("EXECUTE d(4)"), syncing())...),
			say(batch(bind("", "d", "6"), execute("", 0), syncing())...),
			say(query("DEALLOCATE d; PREPARE d AS UPDATE users SET name = 'x' WHERE id = 7; EXECUTE d")),
			say(query("DEALLOCATE PREPARE ALL")), say(query("EXECUTE d"))},
			[]string{"CommandComplete PREPARE", "CommandComplete DELETE 1", "CommandComplete DELETE 0", "CommandComplete DELETE 0", "CommandComplete DELETE 1", "CommandComplete DELETE 1", "CommandComplete SELECT 1", "CommandComplete DELETE 1", "CommandComplete DELETE 1", "CommandComplete UPDATE 1"}},
		{"parse by protocol, execute by SQL", []turn{
			say(batch(parse("s", prepared), syncing())...), say(query("EXECUTE s(1); EXECUTE s(2)")), say(query("EXPLAIN (COSTS off) EXECUTE nobody"))},
			[]string{"CommandComplete DELETE 1", "CommandComplete DELETE 1"}},
		{"path moved by a prepared statement", []turn{
			say(batch(parse("go", "SELECT set_config('search_path', $1, false)"), syncing())...),
			say(batch(bind("", "go", "archive"), execute("", 0), syncing())...), say(query("SELECT count(*) FROM users")),
			say(batch(bind("", "go", "public"), execute("", 0), syncing())...), say(query("DELETE FROM users WHERE id = 1")),
			say(batch(bind("", "go", "archive"), execute("", 0), all("SELECT count(*) FROM users"), bind("", "go", "public"), execute("", 0), all("DELETE FROM users WHERE id = 2"), syncing())...),
			say(query("SELECT count(*) FROM users"))},
			[]string{"CommandComplete DELETE 1", "CommandComplete DELETE 1"}},
		{"prepare in a transaction that is rolled back", []turn{
			say(query("BEGIN; PREPARE d AS DELETE FROM users WHERE id = 1")), say(query("ROLLBACK")), say(query("EXECUTE d"))},
			[]string{"CommandComplete DELETE 1"}},
		{"cursor", []turn{
			say(query("BEGIN; DECLARE c SCROLL CURSOR FOR SELECT id FROM users WHERE id > 3 ORDER BY id")),
			say(query("FETCH 2 FROM c; MOVE 1 IN c; FETCH BACKWARD 1 FROM c; CLOSE c; COMMIT"))}, nil},
		{"delete at a cursor", []turn{
			say(query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM users WHERE id > 3 FOR UPDATE")),
			say(query("FETCH c")), say(query("DELETE FROM users WHERE CURRENT OF c")),
			say(query("FETCH c")), say(query("DELETE FROM users WHERE CURRENT OF c RETURNING *")),
			say(query("FETCH c")), say(query("UPDATE users SET name = 'x' WHERE CURRENT OF c")),
			say(query("FETCH c; COMMIT"))},
			[]string{"CommandComplete DELETE 1", "CommandComplete DELETE 1", "CommandComplete UPDATE 1"}},
		{"portal as cursor", []turn{
			say(query("BEGIN")),
			say(batch(parse("", "SELECT id FROM users ORDER BY id FOR UPDATE"), bind("p", ""), execute("p", 2), syncing())...),
			say(query("DELETE FROM users WHERE CURRENT OF p")), say(query("COMMIT"))}, nil},
		{"savepoints", []turn{
			say(query("BEGIN; SAVEPOINT a")), say(query("DELETE FROM users WHERE id = 1")), say(query("SELECT nope")), say(query("SELECT 1")),
			say(query("ROLLBACK TO a; SELECT count(*) FROM users WHERE id = 1; DELETE FROM users WHERE id = 2; RELEASE a; COMMIT")),
			say(query("SELECT id FROM users ORDER BY id LIMIT 2"))}, nil},
		{"pipeline with an error", []turn{
			say(batch(all(delete3), all("DELETE FROM users WHERE nope = 1"), all("DELETE FROM users WHERE id = 4"), syncing(),
				all("DELETE FROM users WHERE id = 4"), syncing(), all("SELECT 1/0"), all(delete3), syncing(), syncing(), all(delete3), syncing())...)},
			[]string{"CommandComplete DELETE 3", "Error ERROR 42703", "CommandComplete DELETE 1", "Error ERROR 22012", "CommandComplete DELETE 3"}},
		{"pipeline with an error in a transaction", []turn{
			say(query("BEGIN")),
			say(batch(all(delete3), syncing(), all("SELECT 1/0"), syncing(), all(delete3), syncing(), all("ROLLBACK"), syncing(), all(delete3), syncing())...)}, nil},
		{"query after an error in a batch", []turn{
			until('Z', batch(all("SELECT nope"), query("SELECT 1"), all(delete3), syncing())...), say(query("SELECT 2"))}, nil},
		{"copy in, simple", []turn{
			until('G', query("COPY audit_log FROM STDIN; DELETE FROM users WHERE id = 1")),
			{send: []pp.FrontendMessage{copyData("100\tone\t1\n101\t"), copyData("two\t2\n"), copyDone()}, till: 'Z'}},
			[]string{"CommandComplete COPY 2", "CommandComplete DELETE 1"}},
		{"copy in that fails", []turn{
			until('G', query("COPY users (id, name) FROM STDIN")),
			{send: []pp.FrontendMessage{copyData("100\tone\nnot a number\ttwo\n"), copyDone()}, till: 'Z'},
			say(query("SELECT count(*) FROM users"))}, nil},
		{"copy in, client fails it", []turn{
			until('G', query("COPY users (id, name) FROM STDIN")),
			{send: []pp.FrontendMessage{copyData("100\tone\n"), copyFail("changed my mind")}, till: 'Z'},
			say(query("SELECT count(*) FROM users"))}, nil},
		{"copy in, extended, Sync sent early", []turn{
			until('G', batch(all("COPY users (id, name) FROM STDIN"), syncing())...),
			{send: []pp.FrontendMessage{copyData("100\tone\n"), copyDone(), syncing()}, till: 'Z'},
			say(batch(all(delete3), syncing())...)},
			[]string{"CommandComplete COPY 1", "CommandComplete DELETE 3"}},
		{"copy in, extended, Sync after", []turn{
			until('G', batch(all("COPY users (id, name) FROM STDIN"), flush())...),
			{send: []pp.FrontendMessage{copyData("100\tone\n"), copyDone(), syncing()}, till: 'Z'}}, nil},
		{"copy in, extended, fails", []turn{
			until('G', batch(all("COPY users (id, name) FROM STDIN"), syncing())...),
			{send: []pp.FrontendMessage{copyData("not a number\tone\n"), copyDone(), syncing()}, till: 'Z'},
			say(batch(all(delete3), syncing())...)}, nil},
		{"copy in, extended, client fails it", []turn{
			until('G', batch(all("COPY users (id, name) FROM STDIN"), syncing())...),
			{send: []pp.FrontendMessage{copyFail("no"), syncing()}, till: 'Z'},
			say(batch(all(delete3), syncing())...)}, nil},
		{"copy data that nobody waits for", []turn{say(copyData("x"), copyDone(), copyFail("x"), query(delete3))}, nil},
		{"copy out", []turn{say(query("COPY users TO STDOUT; " + delete3 + "; COPY memberships (team, user_id) TO STDOUT (FORMAT csv)")),
			say(batch(all("COPY users TO STDOUT"), syncing())...)}, nil},
		{"function call", []turn{say(&pp.FunctionCall{Function: 177, ArgFormatCodes: []uint16{0}, Arguments: [][]byte{[]byte("3"), []byte("4")}})}, nil},
		{"listen and notify", []turn{say(query("LISTEN news")), say(query("NOTIFY news, 'DELETE FROM users'; " + delete3)), say(batch(all("NOTIFY news"), syncing())...)}, []string{"Notification news"}},
		{"notices", []turn{say(query("DO $$ BEGIN RAISE NOTICE 'one'; END $$; SELECT 1")), say(query(delete3 + " RETURNING say(name)"))}, []string{"Notice", "Notice", "CommandComplete DELETE 3"}},
		{"transaction left failed", []turn{say(query("BEGIN; SELECT nope")), say(query(delete3)), say(batch(all(delete3), syncing())...), say(query("COMMIT")), say(query(delete3))}, nil},
		{"statements forbidden in a pipeline", []turn{say(batch(all(delete3), all("VACUUM users"), syncing())...)}, nil},
		{"close of what is not there", []turn{say(closing('S', "x"), closing('P', "y"), closing('Z', "z"), syncing())}, nil},
		{"bind with the wrong number", []turn{say(parse("s", prepared), bind("", "s"), execute("", 0), syncing()), say(bind("", "s", "1"), execute("", 0), syncing())}, nil},
		{"execute without a portal", []turn{say(execute("nobody", 0), syncing()), say(describe('P', "nobody"), syncing()), say(describe('S', "nobody"), syncing())}, nil},
		{"flush and sync alone", []turn{say(flush(), syncing()), say(syncing()), say(flush(), query("SELECT 1"))}, nil},
		{"portals end with the transaction", []turn{say(parse("", delete3), bind("p", ""), syncing()), say(execute("p", 0), syncing())}, []string{"Error ERROR 34000"}},
		{"temporary settings", []turn{say(query("SET LOCAL search_path = archive")), say(query("BEGIN; SET LOCAL search_path = archive")), say(query("DELETE FROM users WHERE id = 1; COMMIT")), say(query("DELETE FROM users WHERE id = 1"))}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.reset(t)
			got := w.sameTranscript(t, c.turns...)
			rest := got
			for _, line := range c.has {
				_, after, ok := strings.Cut(rest, line)
				if !ok {
					t.Fatalf("no %q in its place in\n%s", line, got)
				}
				rest = after
			}
		})
	}
}

// A statement that the proxy refuses is to what surrounds it as one that the
// server rejects.
func TestRefusalsStandInTheirPlace(t *testing.T) {
	const (
		refused  = "DELETE FROM users USING audit_log a NATURAL JOIN audit_log b RETURNING *"
		rejected = "SELECT nope"
		delete3  = "DELETE FROM users WHERE id IN (1, 2, 3)"
	)
	w := newTwin(t, shopTables)
	for _, c := range []struct {
		name  string
		turns func(bad string) []turn
	}{
		{"alone", func(bad string) []turn { return []turn{say(query(bad)), say(query(delete3))} }},
		{"multi-statement", func(bad string) []turn {
			return []turn{say(query(delete3 + "; " + bad + "; DELETE FROM users")), say(query(delete3))}
		}},
		{"multi-statement, after a commit", func(bad string) []turn {
			return []turn{say(query("BEGIN; " + delete3 + "; COMMIT; " + bad + "; SELECT 1"))}
		}},
		{"transaction", func(bad string) []turn {
			return []turn{say(query("BEGIN")), say(query(delete3)), say(query(bad)), say(query(delete3)), say(query("COMMIT")), say(query(delete3))}
		}},
		{"savepoint", func(bad string) []turn {
			return []turn{say(query("BEGIN; SAVEPOINT s")), say(query(bad)), say(query("ROLLBACK TO s")), say(query(delete3 + "; COMMIT"))}
		}},
		{"pipeline", func(bad string) []turn {
			return []turn{say(batch(all(delete3), all(bad), all("DELETE FROM users"), syncing(), all(delete3), syncing(), query("SELECT count(*) FROM users"))...)}
		}},
		{"pipeline, each with a Sync", func(bad string) []turn {
			return []turn{say(batch(all(delete3), syncing(), all(bad), syncing(), all(delete3), syncing())...)}
		}},
		{"pipeline in a transaction", func(bad string) []turn {
			return []turn{say(query("BEGIN")), say(batch(all(delete3), all(bad), syncing(), all(delete3), syncing(), all("ROLLBACK"), syncing())...)}
		}},
		{"named statement", func(bad string) []turn {
			return []turn{say(parse("s", bad), syncing()), say(bind("", "s"), execute("", 0), syncing()), say(parse("s", delete3), bind("", "s"), execute("", 0), syncing())}
		}},
		{"parse and flush", func(bad string) []turn {
			return []turn{until('E', parse("", bad), flush()), until('Z', bind("", ""), execute("", 0), query(delete3), syncing()), say(query(delete3))}
		}},
		{"prepare", func(bad string) []turn {
			return []turn{say(query("PREPARE p AS " + bad)), say(query("EXECUTE p"))}
		}},
		{"in a failed transaction", func(bad string) []turn {
			return []turn{say(query("BEGIN; SELECT 1/0")), say(query("ROLLBACK; " + bad + "; SELECT 1"))}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.reset(t)
			soft := w.likeTranscript(t, c.turns(rejected), c.turns(refused), kinds)
			if !strings.Contains(soft, "Error ERROR 0A000") {
				t.Errorf("no refusal in\n%s", soft)
			}
		})
	}
}
