package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// What every client has to see after rows 1, 2 and 3 are deleted.
var afterDelete = []struct{ about, sql, want string }{
	{"plain SELECT", "SELECT id FROM users WHERE id < 6 ORDER BY id", "4,5"},
	{"LEFT JOIN, on the right", "SELECT coalesce(u.id, 0) FROM orders o LEFT JOIN users u ON u.id = o.user_id WHERE o.id < 5 ORDER BY o.id", "0,0,4,5"},
	{"LEFT JOIN, on the left", "SELECT DISTINCT u.id FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE u.id < 6 ORDER BY 1", "4,5"},
	{"NOT IN", "SELECT DISTINCT user_id FROM orders WHERE user_id < 6 AND user_id NOT IN (SELECT id FROM users) ORDER BY 1", "1,2,3"},
	{"CTE", "WITH x AS (SELECT * FROM users) SELECT id FROM x WHERE id < 6 ORDER BY id", "4,5"},
	{"aggregate", "SELECT count(*)::int FROM users", "27"},
	{"RETURNING", "DELETE FROM users WHERE id IN (1, 2, 3, 4) RETURNING id", "4"},
	{"RETURNING again", "DELETE FROM users WHERE id IN (1, 2, 3, 4) RETURNING id", ""},
}

const (
	deleteThree = "DELETE FROM users WHERE id IN (1, 2, 3)"
	stamps      = "SELECT string_agg(id || ' ' || coalesce(deleted_at::text, 'live'), ', ' ORDER BY id) FROM users WHERE id < 6"
)

// checkBuried looks behind the proxy before and after a second DELETE.
func checkBuried(t *testing.T, db string, again func()) {
	t.Helper()
	before := ask(t, db, stamps)
	again()
	if after := ask(t, db, stamps); after != before {
		t.Errorf("a second DELETE changed\n%s\nto\n%s", before, after)
	}
	if got := ask(t, db, "SELECT count(*), count(deleted_at), count(deleted_at) FILTER (WHERE id < 5) FROM users"); got != "30|4|4" {
		t.Errorf("behind the proxy: %s, want 30 rows, 4 tombstones, ids 1 to 4", got)
	}
}

func TestPsql(t *testing.T) {
	db := database(t)
	dsn := start(t, shopTables).dsn(db)
	run := func(sql string) string {
		out, errs := psql(t, dsn, "-At", "-c", sql)
		if errs != "" {
			t.Errorf("%s: %s", sql, errs)
		}
		return strings.TrimSpace(out)
	}
	if got := run(deleteThree); got != "DELETE 3" {
		t.Errorf("psql says %q, want DELETE 3", got)
	}
	for _, c := range afterDelete {
		got := strings.ReplaceAll(run(c.sql), "\n", ",")
		want := c.want
		if strings.HasPrefix(c.sql, "DELETE") { // psql -A prints the tag too
			want = strings.Trim(want+fmt.Sprintf(",DELETE %d", len(c.want)), ",")
		}
		if got != want {
			t.Errorf("%s: %s, want %s", c.about, got, want)
		}
	}
	checkBuried(t, db, func() {
		if got := run(deleteThree); got != "DELETE 0" {
			t.Errorf("psql says %q, want DELETE 0", got)
		}
	})
}

// All of pgx's ways to send a query.
func TestPgx(t *testing.T) {
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			db := database(t)
			conn := open(t, start(t, shopTables).dsn(db))
			del := func() string {
				tag, err := conn.Exec(within(t), "DELETE FROM users WHERE id = $1 OR id = $2 OR id = $3", mode, 1, 2, 3)
				if err != nil {
					t.Error(err)
				}
				return tag.String()
			}
			if got := del(); got != "DELETE 3" {
				t.Errorf("pgx says %q, want DELETE 3", got)
			}
			for _, c := range afterDelete {
				rows, err := conn.Query(within(t), c.sql, mode)
				if err != nil {
					t.Fatalf("%s: %v", c.about, err)
				}
				ids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
				if err != nil {
					t.Fatalf("%s: %v", c.about, err)
				}
				if got := strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ","), "[]"); got != c.want {
					t.Errorf("%s: %s, want %s", c.about, got, c.want)
				}
			}
			checkBuried(t, db, func() {
				for range 3 { // the cached statement, too
					if got := del(); got != "DELETE 0" {
						t.Errorf("pgx says %q, want DELETE 0", got)
					}
				}
			})
		})
	}
}

// psql's own commands, and files with more than one statement.
func TestPsqlScript(t *testing.T) {
	w := newTwin(t, shopTables)
	script := `\set ON_ERROR_STOP 0
\timing off
DELETE FROM users WHERE id = 1 RETURNING *;
SELECT count(*) AS n FROM users \gset
\echo :n
SELECT nope FROM users WHERE id = 1;
\copy users (id, name) TO pstdout CSV
\copy audit_log FROM pstdin
500	from psql	1
\.
SELECT * FROM users WHERE id = :n \gdesc
PREPARE d (int) AS DELETE FROM users WHERE id = $1;
EXECUTE d(2);
EXECUTE d(2);
SELECT id FROM users WHERE id < 5 \g (format=unaligned)
SELECT 'DELETE FROM orders WHERE id = ' || id FROM users WHERE id < 5 \gexec
\set FETCH_COUNT 3
SELECT id FROM users ORDER BY id;
BEGIN; DELETE FROM users WHERE id = 4 \; SELECT count(*) FROM users; ROLLBACK;
`
	file := filepath.Join(t.TempDir(), "script.sql")
	if err := os.WriteFile(file, []byte(strings.NewReplacer("pstdout", "stdout", "pstdin", "stdin").Replace(script)), 0o644); err != nil {
		t.Fatal(err)
	}
	hardOut, hardErr := psql(t, keywords(w.hard), "-f", file)
	softOut, softErr := psql(t, w.front.dsn(w.soft), "-f", file)
	if hardOut != softOut || hardErr != softErr {
		t.Errorf("direct\n%s%s\nthrough the proxy\n%s%s", hardOut, hardErr, softOut, softErr)
	}
	w.sameContents(t, "the script")
}
