package e2e

import (
	"strings"
	"testing"
)

// markerTables has a table for each kind of marker.
const markerTables = `
	CREATE TABLE flags (id int PRIMARY KEY, note text, deleted boolean NOT NULL DEFAULT false);
	CREATE TABLE maybe (id int PRIMARY KEY, note text, deleted boolean);
	CREATE TABLE epochs (id int PRIMARY KEY, note text, gone_at bigint NOT NULL DEFAULT 0);
	CREATE TABLE epochs_null (id int PRIMARY KEY, note text, gone_at int);
	CREATE TABLE spans (id int PRIMARY KEY, note text, until timestamptz NOT NULL DEFAULT 'infinity');
	CREATE TABLE days (id int PRIMARY KEY, note text, until date NOT NULL DEFAULT 'infinity');
	CREATE TABLE plain (id int PRIMARY KEY, note text, deleted_at timestamp(0));
	CREATE TABLE audited (id int PRIMARY KEY, note text, deleted_at timestamptz, deleted_by name, deletion_id bigint);
	INSERT INTO flags SELECT i, 'n' || i % 4 FROM generate_series(1, 20) i;
	INSERT INTO maybe SELECT i, 'n' || i % 4, (ARRAY[false, NULL])[i % 2 + 1] FROM generate_series(1, 20) i;
	INSERT INTO epochs SELECT i, 'n' || i % 4 FROM generate_series(1, 20) i;
	INSERT INTO epochs_null SELECT i, 'n' || i % 4, (ARRAY[0, NULL])[i % 2 + 1] FROM generate_series(1, 20) i;
	INSERT INTO spans SELECT i, 'n' || i % 4 FROM generate_series(1, 20) i;
	INSERT INTO days SELECT i, 'n' || i % 4 FROM generate_series(1, 20) i;
	INSERT INTO plain SELECT i, 'n' || i % 4 FROM generate_series(1, 20) i;
	INSERT INTO audited SELECT i, 'n' || i % 4 FROM generate_series(1, 20) i`

const markerPolicy = `
  - {name: public.flags, marker: deleted}
  - {name: public.maybe, marker: deleted}
  - {name: public.epochs, marker: gone_at}
  - {name: public.epochs_null, marker: gone_at}
  - {name: public.spans, marker: until}
  - {name: public.days, marker: until}
  - name: public.plain
  - {name: public.audited, deleted_by: deleted_by, deletion_id: deletion_id}
`

// Whatever marks a deleted row, the answers are those of a database that
// really deletes.
func TestMarkers(t *testing.T) {
	w := &twin{hard: databaseOf(t, "template1"), soft: databaseOf(t, "template1"), defines: true}
	for _, db := range []string{w.hard, w.soft} {
		ask(t, db, markerTables)
	}
	live := map[string]string{
		"flags": "NOT deleted", "maybe": "deleted IS NOT TRUE", "epochs": "gone_at = 0", "epochs_null": "",
		"spans": "until = 'infinity'", "days": "until = 'infinity'", "plain": "deleted_at IS NULL", "audited": "deleted_at IS NULL",
	}
	for table, condition := range live {
		ask(t, w.hard, "ALTER TABLE "+table+" ADD code text UNIQUE; UPDATE "+table+" SET code = 'c' || id")
		unique := "CREATE UNIQUE INDEX ON " + table + " (code) WHERE " + condition
		if condition == "" {
			unique = "CREATE UNIQUE INDEX ON " + table + " (code) WHERE gone_at = 0 OR gone_at IS NULL"
		}
		ask(t, w.soft, "ALTER TABLE "+table+" ADD code text; UPDATE "+table+" SET code = 'c' || id; "+unique)
	}
	f := start(t, markerPolicy)
	w.direct, w.behind = watch(t, server.DSN(w.hard)), watch(t, f.dsn(w.soft))
	for table, condition := range live {
		t.Run(table, func(t *testing.T) {
			try := func(sql string) {
				for _, y := range ways {
					w.same(t, "BEGIN")
					w.sameIn(t, y, strings.ReplaceAll(sql, "T", table), nil)
					w.same(t, "SELECT id, note, code FROM "+table+" ORDER BY id")
					w.same(t, "ROLLBACK")
				}
			}
			w.same(t, "DELETE FROM "+table+" WHERE id % 5 = 0")
			w.same(t, "DELETE FROM "+table+" WHERE id % 5 = 0")
			for _, sql := range []string{
				"SELECT * FROM T ORDER BY id",
				"SELECT count(*) FROM T WHERE id = 5 OR id = 6",
				"TABLE T",
				"SELECT a.id, b.id FROM T a LEFT JOIN T b ON b.id = a.id + 1 ORDER BY 1",
				"SELECT count(*) FROM T a FULL JOIN T b ON b.id = a.id + 1",
				"DELETE FROM T",
				"DELETE FROM T WHERE note = 'n1' RETURNING id, note",
				"DELETE FROM T USING plain WHERE plain.id = T.id AND plain.note = 'n2'",
				"UPDATE T SET note = 'x' WHERE id < 7",
				"INSERT INTO T (id, note, code) VALUES (100, 'new', 'c5')",
				"INSERT INTO T (id, note, code) VALUES (100, 'new', 'c4')",
				"MERGE INTO T USING (SELECT i FROM generate_series(1, 12) i) s ON s.i = T.id WHEN MATCHED AND T.id > 6 THEN DELETE WHEN MATCHED THEN UPDATE SET note = 'merged'",
				"TRUNCATE T",
				"WITH d AS (DELETE FROM T WHERE id < 9 RETURNING id) SELECT count(*) FROM d",
				"COPY (SELECT id FROM T ORDER BY id) TO STDOUT",
			} {
				try(sql)
			}
			if condition != "" {
				try("INSERT INTO T (id, note, code) VALUES (100, 'new', 'c5') ON CONFLICT (code) DO UPDATE SET note = 'up'")
				try("INSERT INTO T (id, note, code) VALUES (100, 'new', 'c4') ON CONFLICT (code) DO UPDATE SET note = 'up' RETURNING id, note")
				try("INSERT INTO T (id, note, code) VALUES (100, 'new', 'c4') ON CONFLICT (code) DO NOTHING")
			}
			if !strings.HasSuffix(table, "maybe") && table != "epochs_null" {
				try("DELETE FROM T WHERE id < 4 RETURNING *") // where NULL is live too, the marker's value may differ
			}
		})
	}
	got := ask(t, w.soft, "SELECT count(*), count(deleted_at), count(deleted_by), count(DISTINCT deletion_id), min(deleted_by::text) FROM audited")
	if got != "20|4|4|1|postgres" {
		t.Errorf("audited: %s", got)
	}
	if got := ask(t, w.soft, "SELECT count(*) FILTER (WHERE gone_at > 1700000000) FROM epochs"); got != "4" {
		t.Errorf("%s rows have the seconds of their deletion, want 4", got)
	}
}

// A deletion that cannot be recorded as the policy says is refused, with what
// to do; reads go on.
func TestMissingAuditColumn(t *testing.T) {
	db := databaseOf(t, "template1")
	ask(t, db, "CREATE TABLE things (id int, deleted_at timestamptz); INSERT INTO things VALUES (1, NULL), (2, now())")
	conn := watch(t, start(t, "\n  - {name: public.things, deleted_by: who}\n").dsn(db))
	if got := simple(t, conn, "DELETE FROM things", nil); !strings.Contains(got, "55000") || !strings.Contains(got, "ADD COLUMN who text") {
		t.Errorf("%s", got)
	}
	if got := simple(t, conn, "SELECT id FROM things", nil); strings.Count(got, "row ") != 1 {
		t.Errorf("%s", got)
	}
}
