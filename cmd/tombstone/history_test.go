package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tombstone/cluster/clustertest"
	"tombstone/lifecycle"
)

// A database is prepared, a client deletes through the proxy, and somebody undoes it.
func TestDeleteAndUndo(t *testing.T) {
	s := newStage(t, `CREATE TABLE users (id int PRIMARY KEY, email text UNIQUE);
CREATE TABLE orders (id int PRIMARY KEY, user_id int NOT NULL REFERENCES users ON DELETE CASCADE);
INSERT INTO users VALUES (1, 'a@example.org'), (2, 'b@example.org');
INSERT INTO orders VALUES (10, 1), (11, 1), (20, 2);
CREATE ROLE app LOGIN; GRANT SELECT, INSERT, DELETE ON users, orders TO app;`, "tables:\n  - name: public.users\n  - name: public.orders\n")
	ctx, call := s.ctx, s.call
	if got := call(1, "history"); !strings.Contains(got, "tombstone prepare") {
		t.Error(got)
	}
	if got := call(1, "prepare", "--check"); !strings.Contains(got, "table public.users") {
		t.Error(got)
	}
	if got := call(0, "prepare"); !strings.Contains(got, "CREATE SCHEMA") {
		t.Error(got)
	}
	call(0, "prepare", "--apply")
	if got := call(0, "prepare", "--check"); got != "nothing is missing\n" {
		t.Error(got)
	}
	conn := clustertest.Connect(t, s.through("postgres")+"?application_name=shop")
	rows := func() (n string) {
		t.Helper()
		if err := conn.QueryRow(ctx, "SELECT (SELECT count(*) FROM users) || ' ' || (SELECT count(*) FROM orders)").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if tag, err := conn.Exec(ctx, "DELETE FROM users WHERE id = 1"); err != nil || tag.String() != "DELETE 1" || rows() != "1 1" {
		t.Fatalf("%s %v, then %s", tag, err, rows())
	}
	if _, err := conn.Exec(ctx, "INSERT INTO users VALUES (3, 'a@example.org')"); err != nil {
		t.Fatal(err) // the address is free again
	}
	var list []lifecycle.Deletion
	if err := json.Unmarshal([]byte(call(0, "history", "--json")), &list); err != nil || len(list) != 1 || list[0].Role != "postgres" ||
		fmt.Sprint(list[0].Tables) != "[{public.orders 2} {public.users 1}]" {
		t.Fatalf("%+v %v", list, err)
	}
	id := fmt.Sprint(list[0].ID)
	if got := call(1, "undo", id); !strings.Contains(got, "public.users (id)=(1): (email) is taken by the row (id)=(3)") || rows() != "2 1" {
		t.Errorf("the address is taken: %s, then %s", got, rows())
	}
	if _, err := conn.Exec(ctx, "DELETE FROM users WHERE id = 3"); err != nil {
		t.Fatal(err)
	}
	if got := call(0, "undo", "--dry-run", id); got != "would be restored: 2 public.orders, 1 public.users\n" || rows() != "1 1" {
		t.Errorf("%s, then %s", got, rows())
	}
	if got := call(0, "undo", id); !strings.Contains(got, "restored: 2") || rows() != "2 3" {
		t.Errorf("%s, then %s", got, rows())
	}
	// Who has no rights but these deletes as before, and has no way into what is known of deletions.
	app := s.proxy("app")
	if _, err := app.Exec(ctx, "INSERT INTO users VALUES (50, 'app@example.org'); INSERT INTO orders VALUES (50, 50)"); err != nil {
		t.Fatal(err)
	}
	if tag, err := app.Exec(ctx, "DELETE FROM users WHERE id = 50"); err != nil || tag.String() != "DELETE 1" || rows() != "2 3" {
		t.Errorf("%s %v, then %s", tag, err, rows())
	}
	if _, err := app.Exec(ctx, "SELECT FROM tombstone.archive"); err == nil {
		t.Error("anybody may read the archive")
	}
	if o := tombstone(t, "", "history", "--config", s.file, "--dsn", s.through("postgres")); o.status != 1 || !strings.Contains(o.err, "is tombstone itself") {
		t.Errorf("through the proxy: %d %s%s", o.status, o.out, o.err)
	}
	var shown lifecycle.Shown
	if err := json.Unmarshal([]byte(call(0, "show", "--json", fmt.Sprint(list[0].ID))), &shown); err != nil || len(shown.Rows) != 0 {
		t.Errorf("what was undone is still shown: %+v %v", shown, err)
	}
	for _, sql := range []string{"DELETE FROM orders WHERE id = 10", "DELETE FROM users WHERE id = 1"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := json.Unmarshal([]byte(call(0, "history", "--json")), &list); err != nil || len(list) != 5 {
		t.Fatalf("%+v %v", list, err)
	}
	if got := call(0, "show", fmt.Sprint(list[0].ID)); !strings.Contains(got, "program  shop") || !strings.Contains(got, "public.orders\n  deleted_at: ") || !strings.Contains(got, "  id: 11\n  user_id: 1\n") {
		t.Error(got)
	}
	if got := call(1, "restore", "public.orders", "--key", "11"); !strings.Contains(got, "refers to (id)=(1) of public.users, which is deleted (deletion "+fmt.Sprint(list[0].ID)+")") {
		t.Error(got)
	}
	if got := call(0, "restore", "--dry-run", "--where", "email = 'a@example.org' AND id = 1", "users"); got != "would be restored: 1 public.orders, 1 public.users\n" || rows() != "1 1" {
		t.Errorf("%s, then %s", got, rows())
	}
	if got := call(0, "restore", "users", "--key", "1"); got != "restored: 1 public.orders, 1 public.users\n" || rows() != "2 2" {
		t.Errorf("%s, then %s", got, rows())
	}
	var restored lifecycle.Restoration
	if got := call(0, "restore", "orders", "--key", "10", "--json"); json.Unmarshal([]byte(got), &restored) != nil || len(restored.Restored) != 1 || rows() != "2 3" {
		t.Errorf("%s, then %s", got, rows())
	}
	call(2, "restore", "orders")
	call(2, "restore", "orders", "--key", "1", "--where", "true")
	call(1, "restore", "nothing", "--key", "1")
	call(1, "restore", "orders", "--key", "1,2")
	call(1, "restore", "orders", "--where", "no_such_column = 1")
	call(1, "show", "12345678")
	call(2, "undo", "many")
	call(0, "prepare", "--remove")
	call(1, "prepare", "--check")
}
