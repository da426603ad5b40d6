package lifecycle

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// What is applied is not missing, applying it again does nothing, and what was taken out can be put back.
func TestApply(t *testing.T) {
	conn := database(t, "applied")
	if _, err := conn.Exec(within(t), actions+"ALTER TABLE users ADD UNIQUE (name); ALTER TABLE loose ADD COLUMN deleted_at timestamptz"); err != nil {
		t.Fatal(err)
	}
	p := policyOf(t, "tables: [{name: public.users}, {name: public.orders, deleted_by: by}, {name: public.loose}]\n")
	script := func() Script {
		d, err := Read(within(t), conn, p)
		if err != nil {
			t.Fatal(err)
		}
		return Prepare(d)
	}
	var log bytes.Buffer
	for range 2 {
		if err := script().Apply(within(t), conn, &log); err != nil {
			t.Fatalf("%v\n%s", err, &log)
		}
		if missing := script().Missing(); len(missing) > 0 {
			t.Errorf("missing: %+v", missing)
		}
	}
	var text bytes.Buffer
	if err := script().Write(&text); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := server.Psql(within(t), "applied", text.String()); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Read(within(t), conn, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := Remove(d).Apply(within(t), conn, &log); err != nil {
		t.Fatal(err)
	}
	if d, err = Read(within(t), conn, p); err != nil || len(d.installed) > 0 || len(d.triggers) > 0 {
		t.Errorf("left: %v %v %v", d.installed, d.triggers, err)
	}
	if err := script().Missing().Apply(within(t), conn, &log); err != nil {
		t.Fatal(err)
	}
	if missing := script().Missing(); len(missing) > 0 {
		t.Errorf("missing: %+v", missing)
	}
}

// The policy's max_rows is held by the database, changes with the policy, and is in nobody's way who restores. What is only observed has no guard.
func TestPolicyOfTables(t *testing.T) {
	conn := &twin{Conn: database(t, "limited")}
	conn.raw(t, `CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz); CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, deleted_at timestamptz);
INSERT INTO users SELECT generate_series(1, 10); INSERT INTO orders SELECT i, 1 + i % 2 FROM generate_series(1, 30) i`)
	apply := func(tables string) *Database {
		t.Helper()
		for range 2 {
			d, err := Read(within(t), conn.Conn, policyOf(t, tables))
			if err != nil {
				t.Fatal(err)
			}
			if err := Prepare(d).Missing().Apply(within(t), conn.Conn, &bytes.Buffer{}); err != nil {
				t.Fatal(err)
			}
		}
		conn.raw(t, "RESET search_path")
		d, err := Read(within(t), conn.Conn, policyOf(t, tables))
		if err != nil {
			t.Fatal(err)
		}
		if missing := Prepare(d).Missing(); len(missing) > 0 {
			t.Fatalf("%s: missing %+v", tables, missing)
		}
		return d
	}
	apply("tables: [{name: public.users, max_rows: 5}, {name: public.orders, max_rows: 10}]\n")
	for _, c := range [][2]string{
		{"UPDATE users SET deleted_at = now() WHERE id > 2", `the statement would change more than 5 rows of table "users" (SQLSTATE 54000)`},
		{"UPDATE users SET deleted_at = now() WHERE id IN (1, 2)", `the statement would change more than 10 rows of table "orders"`},
		{"UPDATE orders SET id = id + 100", "54000"},
		{"DELETE FROM users", "42501"},
		{"DELETE FROM orders", "42501"},
		{"UPDATE orders SET deleted_at = now() WHERE id <= 10", ""},
		{"UPDATE users SET deleted_at = now() WHERE id = 1", ""},
	} {
		if got := conn.raw(t, c[0]); !strings.Contains(got, c[1]) || (got == "") != (c[1] == "") {
			t.Errorf("%s: %q, want %q", c[0], got, c[1])
		}
	}
	if got := conn.do(t, "SELECT count(*) FROM orders WHERE deleted_at IS NULL"); got != "[10]\n1;" {
		t.Error(got)
	}
	d := apply("tables: [{name: public.users, max_rows: 1}, {name: public.orders, max_rows: 2}]\n")
	table, err := d.Find("users")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := Restore(within(t), conn.Conn, d, table, "true", false); err != nil || len(r.Restored) != 2 {
		t.Errorf("%+v %v", r, err)
	}
	apply("tables: [{name: public.users, mode: observe, max_rows: 1}, {name: public.orders}]\n")
	if got := conn.raw(t, "UPDATE users SET id = id + 100 WHERE id > 2; DELETE FROM users WHERE id > 100"); got != "" {
		t.Error(got)
	}
	apply("tables: [{name: public.users}, {name: public.orders}]\n")
	if got := conn.raw(t, "DELETE FROM users WHERE id = 1"); !strings.Contains(got, "42501") {
		t.Error(got)
	}
	apply("tables: [{name: public.orders}]\n")
	if got := conn.raw(t, "DELETE FROM users WHERE id = 1 OR id = 200"); got != "" {
		t.Error(got)
	}
	if got := conn.do(t, "SELECT tgname FROM pg_trigger WHERE tgrelid = 'users'::regclass AND NOT tgisinternal ORDER BY 1"); got != "[First_tombstone_part]\n[tombstone_part]\n2;" {
		t.Error(got)
	}
	apply("tables: [{name: public.other}]\n")
	if got := conn.do(t, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"); got != "[0]\n1;" {
		t.Error(got)
	}
}

// A script that is cut short anywhere goes on from there, and comes to the same.
func TestInterrupted(t *testing.T) {
	conn := &twin{Conn: database(t, "whole")}
	conn.raw(t, actions+"ALTER TABLE users ADD UNIQUE (name); ALTER TABLE orders ADD UNIQUE (id, user_id);")
	p := "tables: [{name: \"*.*\", max_rows: 100}]\n"
	read := func(x *twin) *Database {
		d, err := Read(within(t), x.Conn, policyOf(t, p))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	script := Prepare(read(conn))
	admin := connect(t, "postgres")
	if err := conn.Close(t.Context()); err != nil { // a template must have nobody in it
		t.Fatal(err)
	}
	var cuts int
	for i, step := range script {
		if !step.Alone && i%8 != 0 {
			continue // most are much alike
		}
		within := 1
		if step.Alone {
			within = len(step.SQL) // between its statements, too
		}
		for j := range within {
			cuts++
			name := fmt.Sprintf("cut_%d_%d", i, j)
			if _, err := admin.Exec(t.Context(), "CREATE DATABASE "+name+" TEMPLATE whole"); err != nil {
				t.Fatal(err)
			}
			x := &twin{Conn: connect(t, name)}
			for _, done := range script[:i] {
				if err := done.once(t.Context(), x.Conn); err != nil {
					t.Fatal(err)
				}
			}
			for _, statement := range step.SQL[:j] {
				if _, err := x.Exec(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(statement, "CONCURRENTLY") { // as if it had failed halfway
					x.raw(t, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = (SELECT max(oid) FROM pg_class WHERE relkind = 'i' AND relnamespace = 'public'::regnamespace)")
				}
			}
			if err := Prepare(read(x)).Missing().Apply(t.Context(), x.Conn, &bytes.Buffer{}); err != nil {
				t.Fatalf("cut in step %d (%s) after %d: %v", i, step.Why, j, err)
			}
			if missing := Prepare(read(x)).Missing(); len(missing) > 0 {
				t.Errorf("cut in step %d (%s) after %d: missing %+v", i, step.Why, j, missing)
			}
			if got := x.raw(t, "INSERT INTO public.users (id, name) VALUES (500, 'user 1')"); !strings.Contains(got, "23505") {
				t.Errorf("cut in step %d (%s) after %d: a unique name goes in twice", i, step.Why, j)
			}
			_ = x.Close(t.Context())
			if _, err := admin.Exec(t.Context(), "DROP DATABASE "+name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if cuts < 20 {
		t.Errorf("only %d places to be cut at", cuts)
	}
}

// What prepare has made is not missing, whatever names and markers there are.
func TestPreparedIsPrepared(t *testing.T) {
	conn := database(t, "odd")
	if _, err := conn.Exec(within(t), `CREATE SCHEMA "My Schema"; CREATE TABLE "My Schema"."Odd ""Tab.le'" ("a b" int, "b,c" int, "NULL" int NOT NULL UNIQUE, PRIMARY KEY ("a b", "b,c"));
CREATE TABLE numbers (id int PRIMARY KEY, u text UNIQUE, v text, gone_at bigint); CREATE UNIQUE INDEX ON numbers (v) WHERE v <> ''; CREATE TABLE ends (id int PRIMARY KEY, u text UNIQUE, ends timestamptz DEFAULT 'infinity')`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		d, err := Read(within(t), conn, policyOf(t, `tables: [{name: '"My Schema"."Odd ""Tab.le''"'}, {name: public.numbers, marker: gone_at}, {name: public.ends, marker: ends}]`+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if err := Prepare(d).Missing().Apply(within(t), conn, &bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Read(within(t), conn, policyOf(t, `tables: [{name: '"My Schema"."Odd ""Tab.le''"'}, {name: public.numbers, marker: gone_at}, {name: public.ends, marker: ends}]`+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Protected()) != 3 {
		t.Errorf("%d tables", len(d.Protected()))
	}
	for _, step := range Prepare(d).Missing() {
		t.Errorf("missing: %s: %s\n%s", step.Object, step.Why, step.SQL)
	}
}

// Names that were chosen to be taken for others, or for SQL, are names.
func TestNamesAreNames(t *testing.T) {
	conn := &twin{Conn: database(t, "names")}
	conn.raw(t, `CREATE ROLE evil; CREATE SCHEMA a_b; CREATE SCHEMA a; CREATE TABLE a_b.c (id int PRIMARY KEY, v text, deleted_at timestamptz); CREATE TABLE a.b_c (k text PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE "n
ALTER ROLE evil SUPERUSER;
--" (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE "a$tombstone$;ALTER ROLE evil SUPERUSER;--" (id int PRIMARY KEY, u int UNIQUE, deleted_at timestamptz)`)
	d := conn.database(t)
	if len(d.Protected()) != 4 {
		t.Fatalf("%d tables", len(d.Protected()))
	}
	var script bytes.Buffer
	if err := Prepare(d).Write(&script); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Psql(within(t), "names", script.String()); err != nil {
		t.Fatal(err)
	}
	for _, step := range Prepare(conn.database(t)).Missing() {
		t.Errorf("missing: %s: %s", step.Object, step.Why)
	}
	if got := conn.do(t, "SELECT rolsuper FROM pg_roles WHERE rolname = 'evil'"); got != "[f]\n1;" {
		t.Error(got)
	}
	for _, sql := range []string{"INSERT INTO a.b_c VALUES ('x')", "INSERT INTO a_b.c VALUES (1)", "UPDATE a.b_c SET deleted_at = now()", "UPDATE a_b.c SET deleted_at = now()"} {
		if got := conn.raw(t, sql); got != "" {
			t.Errorf("%s: %s", sql, got)
		}
	}
	list, err := History(within(t), conn.Conn, Filter{})
	if err != nil || len(list) != 2 || fmt.Sprint(list[0].Tables, list[1].Tables) != "[{a_b.c 1}] [{a.b_c 1}]" {
		t.Errorf("%+v %v", list, err)
	}
}

// A table that is dropped, or has columns of other names, keeps nobody from reading of the others; one that cannot be prepared keeps none behind it.
func TestOneBadTable(t *testing.T) {
	conn := &twin{Conn: database(t, "bad")}
	conn.raw(t, `CREATE TABLE a (id int PRIMARY KEY, deleted_at timestamptz); CREATE TABLE b (id int PRIMARY KEY, deleted_at timestamptz GENERATED ALWAYS AS (NULL) STORED);
CREATE TABLE c (id int PRIMARY KEY, deleted_at timestamptz); CREATE TABLE d (id int PRIMARY KEY, deleted_at uuid); INSERT INTO a VALUES (1); INSERT INTO c VALUES (1), (2)`)
	p := "tables: [{name: \"public.*\"}, {name: public.nowhere}]\n"
	d, err := Read(within(t), conn.Conn, policyOf(t, p))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(d.Beyond(), "; "); !strings.Contains(got, "public.nowhere") || !strings.Contains(got, `"public.d"`) {
		t.Errorf("beyond: %s", got)
	}
	if err := Prepare(d).Apply(within(t), conn.Conn, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "table public.b") {
		t.Errorf("applied: %v", err)
	}
	conn.raw(t, "RESET search_path")
	for _, sql := range []string{"UPDATE a SET deleted_at = now()", "UPDATE c SET deleted_at = now() WHERE id = 1", "ALTER TABLE c RENAME id TO ident", "DROP TABLE a"} {
		if got := conn.raw(t, sql); got != "" {
			t.Errorf("%s: %s", sql, got)
		}
	}
	if list, err := History(within(t), conn.Conn, Filter{}); err != nil || len(list) != 2 {
		t.Errorf("%+v %v", list, err)
	}
}
