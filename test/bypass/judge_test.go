package bypass

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// secrets are what no client may be told, in capitals: what deleted rows say,
// in the forms in which a server may say it.
var secrets = func() (forms [][]byte) {
	const word = "SECRET-"
	list := []string{word, hex.EncodeToString([]byte(word)), "-TERCES", "77700000"}
	for shift := range 3 {
		// Inside of base64 the word can begin at each of three places; what stands before and after it is not known.
		coded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + word))
		list = append(list, strings.TrimRight(coded[(shift*8+5)/6:len(coded)-4], "="))
	}
	for _, s := range list {
		forms = append(forms, capitals([]byte(s)))
	}
	for i := range 10 { // the numbers, as binary integers
		forms = append(forms, capitals(binary.BigEndian.AppendUint32(nil, uint32(777000000+i))))
	}
	return forms
}()

// leaked returns the first piece of a deleted row in what a client was told,
// with a little of what stands around it, or "".
func leaked(told []byte) string {
	upper := capitals(told)
	for _, s := range secrets {
		if i := bytes.Index(upper, s); i >= 0 {
			return fmt.Sprintf("%q", told[max(0, i-60):min(len(told), i+len(s)+20)])
		}
	}
	return ""
}

// capitals are for bytes that need not be text.
func capitals(b []byte) []byte {
	upper := make([]byte, len(b))
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper[i] = c
	}
	return upper
}

// records are the protected rows of a database: by table, by id.
type records map[tableID]map[string]record

type tableID struct{ oid, name string }

type record struct {
	columns map[string]any
	dead    bool
}

// tablesQuery lists what may hold protected rows: every table with a marker
// and an id, except those that are there not to be protected.
const tablesQuery = `SELECT c.oid, c.oid::regclass::text FROM pg_class c WHERE relkind = 'r' AND relpersistence <> 't'
	AND c.relnamespace <> ALL (ARRAY['archive'::regnamespace, 'pg_catalog'::regnamespace])
	AND 2 = (SELECT count(*) FROM pg_attribute a WHERE attrelid = c.oid AND NOT attisdropped AND attname IN ('id', 'deleted_at')) ORDER BY c.oid`

// read returns the protected rows, the deleted ones too.
func read(t *testing.T, c *pgconn.PgConn) records {
	t.Helper()
	found := records{}
	for _, table := range table(t, c, "SET LOCAL search_path = pg_catalog; "+tablesQuery) {
		found[tableID{table[0], table[1]}] = rows(t, c, table[1], "deleted_at IS NOT NULL")
	}
	return found
}

func rows(t *testing.T, c *pgconn.PgConn, name, dead string) map[string]record {
	t.Helper()
	list := map[string]record{}
	for _, r := range table(t, c, fmt.Sprintf("SELECT to_jsonb(t), %s FROM ONLY %s t", dead, name)) {
		columns := map[string]any{}
		if err := json.Unmarshal([]byte(r[0]), &columns); err != nil {
			t.Fatal(err)
		}
		list[fmt.Sprint(columns["id"])] = record{columns, r[1] == "t"}
	}
	return list
}

// table runs a query and returns its rows as text.
func table(t *testing.T, c *pgconn.PgConn, sql string) [][]string {
	t.Helper()
	results, err := c.Exec(within(t), sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	var list [][]string
	for _, r := range results {
		for _, row := range r.Rows {
			fields := make([]string, len(row))
			for i, f := range row {
				fields[i] = string(f)
			}
			list = append(list, fields)
		}
	}
	return list
}

// lost says what has become of protected rows that must not have, or "".
// Tables are known by their OID, whatever they are called now. A live row that
// may change can change its key and its partition too: it is only counted.
func lost(t *testing.T, c *pgconn.PgConn, before records, mayChange bool) string {
	t.Helper()
	var out []string
	had, have := 0, 0
	for id, old := range before {
		had += len(old)
		now := table(t, c, "SET LOCAL search_path = pg_catalog; SELECT c.oid::regclass::text FROM pg_class c WHERE c.oid = "+id.oid)
		if len(now) == 0 {
			if len(old) > 0 {
				out = append(out, fmt.Sprintf("table %s is gone", id.name))
			}
			continue
		}
		after := rows(t, c, now[0][0], "false")
		have += len(after)
		for key, was := range old {
			is, ok := after[key]
			switch {
			case !was.dead && mayChange:
			case !ok:
				out = append(out, fmt.Sprintf("%s: row %s is gone", id.name, key))
			default:
				out = append(out, was.changed(is, id.name+": row "+key)...)
			}
		}
	}
	if have < had {
		out = append(out, fmt.Sprintf("%d rows of %d are left", have, had))
	}
	slices.Sort(out)
	if len(out) > 5 {
		out = append(out[:5], fmt.Sprintf("and %d more", len(out)-5))
	}
	return strings.Join(out, "\n")
}

// changed says which columns are not what they were. Columns may be added, and
// a live row may be marked.
func (r record) changed(now record, what string) (list []string) {
	for name, value := range r.columns {
		is, ok := now.columns[name]
		if !ok {
			list = append(list, fmt.Sprintf("%s has lost column %s", what, name))
			continue
		}
		if !reflect.DeepEqual(value, is) && (r.dead || name != "deleted_at") {
			list = append(list, fmt.Sprintf("%s: %s was %v, is %v", what, name, value, is))
		}
	}
	return list
}

// The judge itself has to see what it is there to see.
func TestJudge(t *testing.T) {
	for _, told := range []string{"x SECRET-6 y", "secret-6", `\x534543524554` + "2d36", "777000006", "\x00" + string(binary.BigEndian.AppendUint32(nil, 777000006)), "6-TERCES",
		base64.StdEncoding.EncodeToString([]byte("SECRET-6")), base64.StdEncoding.EncodeToString([]byte(" SECRET-6")), base64.StdEncoding.EncodeToString([]byte("  SECRET-6 "))} {
		if leaked([]byte(told)) == "" {
			t.Errorf("no leak is seen in %q", told)
		}
	}
	if got := leaked([]byte("LIVE-1 111000001 2024-02-02 SECRE 77700 2026-01-01 00:00:00.777123+00")); got != "" {
		t.Errorf("a leak is seen in what is none: %s", got)
	}
	r := serverOf(t, usual)
	c, err := pgconn.Connect(within(t), r.DSN(r.copy(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	before := read(t, c)
	for _, x := range []struct {
		sql  string
		lost bool
	}{
		{"SELECT 1", false},
		{"UPDATE users SET deleted_at = now() WHERE id = 1", false},
		{"ALTER TABLE users ADD COLUMN more int DEFAULT 1", false},
		{"ALTER TABLE users RENAME TO people2", false},
		{"ALTER TABLE people2 RENAME TO users", false},
		{"UPDATE users SET deleted_at = NULL WHERE id = 6", true},
		{"UPDATE users SET deleted_at = now() WHERE id = 6", true},
		{"UPDATE users SET name = 'x' WHERE id = 6", true},
		{"UPDATE users SET name = 'x' WHERE id = 1", true},
		{"DELETE FROM users WHERE id = 5; DELETE FROM dogs", true},
		{"ALTER TABLE users DROP COLUMN deleted_at", true},
		{"DROP TABLE codes", true},
		{"TRUNCATE \"Größe\"", true},
	} {
		table(t, c, "BEGIN; SET CONSTRAINTS ALL DEFERRED; SET LOCAL session_replication_role = replica; "+x.sql)
		if got := lost(t, c, before, false); (got != "") != x.lost {
			t.Errorf("%s: %q", x.sql, got)
		}
		if x.lost {
			table(t, c, "ROLLBACK")
		} else {
			table(t, c, "COMMIT")
		}
	}
}
