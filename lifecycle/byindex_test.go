package lifecycle

import (
	"testing"
	"time"
)

// A table that was empty when it was analyzed is filled by one statement, and the record by one deletion: the time goes by how many rows there are, not by
// their square.
func TestTablesThatWereEmpty(t *testing.T) {
	_, soft := twins(t, "empty", `
CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE notes (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE SET NULL, deleted_at boolean NOT NULL DEFAULT false)`)
	took := func(sql string) time.Duration {
		start := time.Now()
		if got := soft.raw(t, sql); got != "" {
			t.Fatal(got)
		}
		return time.Since(start)
	}
	took("ANALYZE")
	filled := took("INSERT INTO users SELECT g FROM generate_series(1, 6000) g")
	took("INSERT INTO notes SELECT g, g FROM generate_series(1, 6000) g")
	deleted := took("UPDATE users SET deleted_at = now()")
	t.Logf("filled in %s, deleted in %s", filled, deleted)
	took("DO $$ BEGIN PERFORM pg_stat_force_next_flush(); EXCEPTION WHEN undefined_function THEN NULL; END $$") // PostgreSQL 15
	for _, table := range []string{"users", "tombstone.severed"} {
		if got := soft.do(t, "SELECT seq_scan < 50 FROM pg_stat_user_tables WHERE relid = '"+table+"'::regclass"); got != "[t]\n1;" {
			t.Errorf("%s was read whole again and again", table)
		}
	}
	if got := soft.do(t, "SELECT sum(idx_tup_read) < 100000 FROM pg_stat_user_indexes WHERE relid = 'tombstone.severed'::regclass"); got != "[t]\n1;" {
		t.Error("all that is noted of a table was read again and again")
	}
}
