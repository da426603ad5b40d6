package main

import (
	"encoding/json"
	"strings"
	"testing"
)

const (
	deleteUser = "DELETE FROM users WHERE id = 5"
	buriedUser = "UPDATE users SET deleted_at = now() WHERE (id = 5) AND users.deleted_at IS NULL\n"
)

func TestRewrite(t *testing.T) {
	policy := file(t, "t.yaml", "listen: 127.0.0.1:0\nupstream: postgres://127.0.0.1\ntables: [{name: public.users, marker: gone}]\n")
	observed := file(t, "o.yaml", "listen: 127.0.0.1:0\nupstream: postgres://127.0.0.1\ntables: [{name: public.users, mode: observe}]\n")
	schema := file(t, "s.sql", "CREATE TABLE users (id int, gone timestamptz); CREATE TABLE logs (id int);")
	for _, c := range []struct {
		name, stdin string
		args        []string
		status      int
		out, err    string // all of out; a part of err
	}{
		{"argument", "", []string{deleteUser}, 0, buriedUser, "-- delete: buried, its reply says DELETE\n--   public.users: "},
		{"standard input", deleteUser + "\n", nil, 0, buriedUser, "(bury-delete)\n"},
		{"dash", deleteUser, []string{"-"}, 0, buriedUser, "(bury-delete)\n"},
		{"nothing", "", []string{""}, 0, "\n", ""},
		{"truncate", "", []string{"TRUNCATE users"}, 0, "UPDATE users SET deleted_at = now() WHERE users.deleted_at IS NULL\n", "its reply says TRUNCATE TABLE\n"},
		{"search path", "", []string{"--search-path", "app, public", "TABLE users"}, 0, "SELECT * FROM users WHERE users.deleted_at IS NULL\n", "app.users: "},
		{"config", "", []string{"--config", policy, "--schema", schema, deleteUser}, 0, strings.ReplaceAll(buriedUser, "deleted_at", "gone"), "public.users: "},
		{"not in the policy", "", []string{"--config", policy, "--schema", schema, "DELETE FROM logs"}, 0, "DELETE FROM logs\n", "-- delete: passed\n"},
		{"not SQL, nothing protected", "", []string{"--config", policy, "--schema", schema, "SELEC 1 FROM logs"}, 0, "SELEC 1 FROM logs\n", ": the server's own error would come back\n"},
		{"not SQL", "", []string{"--config", policy, "--schema", schema, "SELEC 1 FROM users"}, 1, "", "refused: "},
		{"only observed", "", []string{"--config", observed, deleteUser}, 0, deleteUser + "\n",
			"-- delete: passed\n--   public.users is only observed; enforced, the statement would be buried (bury-delete)\n--   it would become: " + buriedUser},
		{"only observed, would be refused", "", []string{"--config", observed, "TRUNCATE users RESTART IDENTITY"}, 0, "TRUNCATE users RESTART IDENTITY\n",
			"would be refused (truncate-restart)\n--     TRUNCATE .. RESTART IDENTITY of protected table \"public.users\" is not supported (SQLSTATE 0A000)\n--     hint: "},
		{"refused", "", []string{"TRUNCATE users RESTART IDENTITY"}, 1, "", "refused: TRUNCATE .. RESTART IDENTITY of protected table \"public.users\" is not supported (SQLSTATE 0A000)\nhint: "},
		{"deleted rows", "", []string{"--visibility", "deleted", "TABLE users"}, 0, "SELECT * FROM users WHERE users.deleted_at IS NOT NULL\n", "(show-deleted)\n"},
		{"the past", "", []string{"--as-of", "2026-01-31", "--config", policy, "--schema", schema, "TABLE users"}, 0, "SELECT * FROM users WHERE (users.gone IS NULL OR users.gone > '2026-01-31'::timestamp with time zone)\n", "(show-as-of)\n"},
		{"purge", "", []string{"--visibility=all", "--delete=purge", deleteUser}, 0, deleteUser + "\n", "-- delete: purged\n"},
		{"show", "", []string{"SHOW tombstone.actor"}, 0, "SELECT COALESCE(current_setting('tombstone.actor', true), '') AS \"tombstone.actor\"\n", "its reply says SHOW\n"},
		{"no such visibility", "", []string{"--visibility", "some", "TABLE users"}, 2, "", "tombstone rewrite: invalid value for parameter \"tombstone.visibility\": \"some\". Available values: live, all, deleted.\n"},
		{"no such config", "", []string{"--config", "/nowhere.yaml", deleteUser}, 1, "", "/nowhere.yaml: no such file; check the path\n"},
		{"no such schema", "", []string{"--schema", "/nowhere.sql", deleteUser}, 1, "", "tombstone rewrite: --schema: open /nowhere.sql: no such file or directory\n"},
		{"schema that is not SQL", "", []string{"--schema", policy, deleteUser}, 1, "", "tombstone rewrite: --schema " + policy + ": "},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := tombstone(t, c.stdin, append([]string{"rewrite"}, c.args...)...)
			if o.status != c.status || o.out != c.out || !strings.Contains(o.err, c.err) {
				t.Errorf("status %d\nout: %s\nerr: %s\nwant status %d\nout: %s\nerr: ..%s..", o.status, o.out, o.err, c.status, c.out, c.err)
			}
		})
	}
}

func TestRewriteJSON(t *testing.T) {
	o := tombstone(t, "", "rewrite", "--json", deleteUser)
	var plan planJSON
	if err := json.Unmarshal([]byte(o.out), &plan); err != nil || o.status != 0 || o.err != "" {
		t.Fatalf("%v: %+v", err, o)
	}
	if plan.SQL+"\n" != buriedUser || !plan.Edited || len(plan.Statements) != 1 {
		t.Errorf("%+v", plan)
	}
	st := plan.Statements[0]
	if st.Kind != "delete" || st.Action != "buried" || st.Tag != "DELETE" || len(st.Touched) != 1 || st.Touched[0].Table != "public.users" || st.Touched[0].Offset != strings.Index(deleteUser, "users") {
		t.Errorf("%+v", st)
	}

	observed := file(t, "o.yaml", "listen: 127.0.0.1:0\nupstream: postgres://127.0.0.1\ntables: [{name: public.users, mode: observe}]\n")
	o = tombstone(t, "", "rewrite", "--config", observed, "--json", deleteUser)
	plan = planJSON{}
	if err := json.Unmarshal([]byte(o.out), &plan); err != nil || o.status != 0 || plan.SQL != deleteUser || plan.Edited {
		t.Fatalf("%v: %+v", err, o)
	}
	if w := plan.Observed; w == nil || w.SQL+"\n" != buriedUser || len(w.Outcomes) != 1 || w.Outcomes[0].Table != "public.users" || w.Outcomes[0].Action != "buried" {
		t.Errorf("%+v", w)
	}

	o = tombstone(t, "", "rewrite", "--json", "TRUNCATE users RESTART IDENTITY")
	plan = planJSON{}
	if err := json.Unmarshal([]byte(o.out), &plan); err != nil || o.status != 1 || o.err != "" {
		t.Fatalf("%v: %+v", err, o)
	}
	if plan.Refusal == nil || plan.Refusal.SQLState != "0A000" || plan.Refusal.Hint == "" || plan.SQL != "" {
		t.Errorf("%+v", plan)
	}
}
