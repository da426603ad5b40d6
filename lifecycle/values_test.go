package lifecycle

import (
	"strings"
	"testing"
)

// What a key is told by is read in another session, which may write dates, times, bytes and numbers in another way, inside of other types, too.
func TestKeysInOtherSessions(t *testing.T) {
	_, soft := twins(t, "values", `
CREATE DOMAIN instant AS timestamptz; CREATE DOMAIN bytes AS bytea; CREATE TYPE pair AS (a date, b int);
CREATE TABLE a (k tstzrange PRIMARY KEY, deleted_at boolean NOT NULL DEFAULT false); INSERT INTO a VALUES ('[2026-02-03 04:05:06+00,2026-02-04 04:05:06+00)');
CREATE TABLE b (k datemultirange PRIMARY KEY, deleted_at boolean NOT NULL DEFAULT false); INSERT INTO b VALUES ('{[2026-02-03,2026-03-04)}');
CREATE TABLE c (k instant PRIMARY KEY, deleted_at boolean NOT NULL DEFAULT false); INSERT INTO c VALUES ('2026-02-03 04:05:06+00');
CREATE TABLE d (k date[] PRIMARY KEY, deleted_at boolean NOT NULL DEFAULT false); INSERT INTO d VALUES ('{2026-02-03}');
CREATE TABLE e (k pair PRIMARY KEY, deleted_at boolean NOT NULL DEFAULT false); INSERT INTO e VALUES ('(2026-02-03,1)');
CREATE TABLE f (k bytes PRIMARY KEY, deleted_at boolean NOT NULL DEFAULT false); INSERT INTO f VALUES ('\xdead');
CREATE TABLE g (k float8[] PRIMARY KEY, deleted_at boolean NOT NULL DEFAULT false); INSERT INTO g VALUES (ARRAY[0.1::float8 + 0.2::float8]);
CREATE TABLE h (k bytea PRIMARY KEY, deleted_at boolean NOT NULL DEFAULT false); INSERT INTO h VALUES ('\xbeef');
`)
	other := "SET DateStyle = German; SET TimeZone = 'Asia/Kolkata'; SET bytea_output = escape; SET extra_float_digits = -3; SET standard_conforming_strings = off; SET escape_string_warning = off"
	for _, table := range strings.Split("abcdefgh", "") {
		if got := soft.raw(t, other+"; UPDATE "+table+" SET deleted_at = true"); got != "" {
			t.Fatal(got)
		}
		if got := soft.raw(t, "RESET ALL"); got != "" {
			t.Fatal(got)
		}
		list, err := History(within(t), soft.Conn, Filter{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := Undo(within(t), soft.Conn, soft.database(t), list[0].ID, false); err != nil || len(r.Restored) != 1 {
			t.Errorf("table %s: undo %+v, %v", table, r, err)
		}
	}
}

// A row that went with one that it refers to comes back with it, though it writes the reference in another way.
func TestEqualReferences(t *testing.T) {
	soft := &twin{Conn: database(t, "equal_soft")}
	if got := soft.raw(t, `
CREATE TABLE n (id numeric PRIMARY KEY, deleted_at timestamptz); CREATE TABLE under_n (id numeric PRIMARY KEY REFERENCES n ON DELETE CASCADE);
CREATE TABLE below_n (id numeric REFERENCES under_n ON DELETE CASCADE);
CREATE TABLE c (id char(5) PRIMARY KEY, deleted_at timestamptz); CREATE TABLE under_c (id text, c char(5) REFERENCES c ON DELETE CASCADE);
CREATE TABLE d (id date PRIMARY KEY, deleted_at timestamptz); CREATE TABLE under_d (id date REFERENCES d ON DELETE CASCADE);
INSERT INTO n VALUES (1.00); INSERT INTO under_n VALUES (1.0); INSERT INTO below_n VALUES (1);
INSERT INTO c VALUES ('a'); INSERT INTO under_c VALUES ('x', 'a  ');
INSERT INTO d VALUES ('2026-02-03'); INSERT INTO under_d VALUES ('2026-02-03')`); got != "" {
		t.Fatal(got)
	}
	soft.prepare(t, "tables: [{name: public.n}, {name: public.c}, {name: public.d}]\n")
	for _, table := range []string{"n", "c", "d"} {
		soft.do(t, "DELETE FROM "+table)
		if got := soft.raw(t, "SET DateStyle = German; UPDATE "+table+" SET deleted_at = NULL"); got != "" {
			t.Error(got)
		}
		if got := soft.do(t, "SELECT count(*) FROM under_"+table); got != "[1]\n1;" {
			t.Errorf("under_%s has %s", table, got)
		}
	}
	if got := soft.do(t, "SELECT count(*) FROM tombstone.archive"); got != "[0]\n1;" {
		t.Errorf("tombstone.archive has %s", got)
	}
}
