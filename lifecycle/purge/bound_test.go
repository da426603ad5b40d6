package purge

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"tombstone/lifecycle"
)

const bound = `
CREATE TABLE a (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE c (id int PRIMARY KEY, b int REFERENCES b ON DELETE CASCADE, keep boolean NOT NULL DEFAULT false, deleted_at timestamptz);
`

const boundTables = "{name: public.a, retention: 30d}, {name: public.b, retention: 30d}, {name: public.c, retention: 30d, hold: keep}"

// age makes all deletions 40 days older.
func (y *yard) age(t testing.TB, tables ...string) {
	t.Helper()
	y.run(t, "UPDATE tombstone.deletions SET at = at - interval '40 days'; UPDATE tombstone.archive SET at = at - interval '40 days'; SET session_replication_role = replica")
	for _, table := range tables {
		y.run(t, "UPDATE "+table+" SET deleted_at = deleted_at - interval '40 days' WHERE deleted_at IS NOT NULL")
	}
	y.run(t, "RESET session_replication_role")
}

// both purges in the head and then really, and holds that both tell the same.
func (y *yard) both(t testing.TB, want string) {
	t.Helper()
	for _, dry := range []bool{true, false} {
		if got := y.purge(t, Options{Dry: dry}).told(); got != want {
			t.Errorf("dry %v:\n got %s\nwant %s", dry, got, want)
		}
	}
}

func (y *yard) archive(t testing.TB) string {
	t.Helper()
	return y.one(t, "SELECT COALESCE(string_agg(relation::text || (row ->> 'id'), ' ' ORDER BY relation::text, (row ->> 'id')::int, id), '') FROM tombstone.archive")
}

// A row of the archive that is held could never be restored if what it refers to were purged: all that stays, too, and can come back.
func TestPurgeArchivedParents(t *testing.T) {
	y := newYard(t, "bound_parents", bound, boundTables, true)
	fill := "INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (1, 1), (2, 2); INSERT INTO c VALUES (1, 1, %s), (2, 2, false)"
	y.run(t, fmt.Sprintf(fill, "true"))
	y.run(t, "UPDATE a SET deleted_at = now()")
	y.run(t, fmt.Sprintf(fill, "false")) // the keys are used again
	y.run(t, "UPDATE a SET deleted_at = now()")
	y.age(t, "a", "b", "c")
	if got := y.archive(t); got != "a1 a2 b1 b2 c1 c2" {
		t.Fatal(got)
	}
	y.both(t, "a 3 kept:b=1, b 3 kept:c=1, c 3 held=1")
	if got := y.archive(t); got != "a1 b1 c1" {
		t.Error(got)
	}
	y.both(t, "a 0 kept:b=1, b 0 kept:c=1, c 0 held=1")
	number, err := strconv.ParseUint(y.one(t, "SELECT id FROM tombstone.deletions ORDER BY at LIMIT 1"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	d, err := lifecycle.Read(within(t), y.Conn, y.policy)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := lifecycle.Undo(within(t), y.Conn, d, number, false); err != nil || fmt.Sprint(r.Restored) != "[{public.a 1} {public.b 1} {public.c 1}]" {
		t.Errorf("undone: %+v %v", r, err)
	}
}

// What the key of a row in the archive was, the next row of that key is not: each keeps its own.
func TestPurgeArchivedVersions(t *testing.T) {
	y := newYard(t, "bound_versions", bound, boundTables, true)
	for version := 1; version <= 3; version++ {
		y.run(t, "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 1)")
		y.run(t, fmt.Sprintf("INSERT INTO c VALUES (1, 1, %v)", version == 2))
		y.run(t, "UPDATE a SET deleted_at = now()")
	}
	// And one whose own key is used again, so that what it refers to is in the table, or goes to the archive later.
	y.run(t, "INSERT INTO a VALUES (8), (9); INSERT INTO b VALUES (8, 8), (9, 9); INSERT INTO c VALUES (8, 8, true), (9, 9, true); UPDATE a SET deleted_at = now() WHERE id IN (8, 9)")
	y.run(t, "INSERT INTO c VALUES (8, NULL), (9, NULL)")
	y.run(t, "INSERT INTO b VALUES (9, NULL); UPDATE b SET deleted_at = now() WHERE id = 9")
	y.run(t, "INSERT INTO b VALUES (9, NULL); UPDATE b SET deleted_at = now() WHERE id = 9")
	y.age(t, "a", "b", "c")
	if got := y.archive(t); got != "a1 a1 b1 b1 b9 b9 c1 c1 c8 c9" {
		t.Fatal(got)
	}
	y.both(t, "a 2 kept:b=3, b 4 kept:c=3, c 2 held=3")
	if got := y.archive(t); got != "a1 b1 b9 c1 c8 c9" {
		t.Error(got)
	}
	if got := y.one(t, "SELECT (SELECT string_agg(id::text, ',' ORDER BY id) FROM a) || ' ' || (SELECT string_agg(id::text, ',' ORDER BY id) FROM b WHERE deleted_at IS NOT NULL)"); got != "8,9 8" {
		t.Error(got)
	}
	if got := y.one(t, "SELECT row ->> 'keep' || id FROM tombstone.archive WHERE relation = 'c'::regclass AND row ->> 'id' = '1'"); !strings.HasPrefix(got, "true") {
		t.Error(got)
	}
}

// Rows that refer to themselves and to each other stay for the sake of one that stays, and for nothing else.
func TestPurgeArchivedCircles(t *testing.T) {
	const schema = `
CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree ON DELETE CASCADE, keep boolean NOT NULL DEFAULT false, deleted_at timestamptz);
CREATE TABLE documents (id int PRIMARY KEY, current int, deleted_at timestamptz);
CREATE TABLE versions (id int PRIMARY KEY, document int REFERENCES documents ON DELETE CASCADE, deleted_at timestamptz);
ALTER TABLE documents ADD FOREIGN KEY (current) REFERENCES versions;
CREATE TABLE notes (id int PRIMARY KEY, version int REFERENCES versions ON DELETE CASCADE, keep boolean, deleted_at timestamptz);
`
	y := newYard(t, "bound_circles", schema, "{name: public.tree, retention: 30d, hold: keep}, {name: public.documents, retention: 30d}, {name: public.versions, retention: 30d}, {name: public.notes, retention: 30d, hold: keep}", true)
	put := func(table, rows, values string) string {
		return fmt.Sprintf(`INSERT INTO tombstone.archive (deletion, at, relation, row)
SELECT '5', now() - interval '40 days', '%s', tombstone.whole(x) FROM (SELECT (%s)::%s AS x FROM %s) s;`, table, values, table, rows)
	}
	// All at once: one that is its own parent, held and not; a ring, with and without one that is held below it; a chain of a thousand, of which the last
	// is held, the head of it last in the archive, and one of which none is.
	y.run(t, "BEGIN;"+
		put("tree", "(VALUES (1, 1, false), (2, 2, true), (11, 13, false), (12, 11, false), (13, 12, false), (21, 23, false), (22, 21, false), (23, 22, false), (24, 22, true), (25, 23, false)) v (id, up, keep)", "ROW(id, up, keep, NULL)")+
		put("tree", "generate_series(1001, 2000) i", "ROW(i, NULLIF(i - 1, 1000), i = 2000, NULL)")+
		put("tree", "generate_series(4000, 3001, -1) i", "ROW(i, NULLIF(i - 1, 3000), i = 4000, NULL)")+
		put("tree", "generate_series(5001, 6000) i", "ROW(i, NULLIF(i - 1, 5000), false, NULL)")+
		put("documents", "generate_series(1, 3) i", "ROW(i, 10 * i, NULL)")+
		put("versions", "generate_series(1, 3) i, generate_series(0, 1) j", "ROW(10 * i + j, i, NULL)")+
		put("notes", "(VALUES (1, 11, false), (2, 20, true), (3, 31, NULL)) v (id, version, keep)", "ROW(id, version, keep, NULL)")+
		"COMMIT")
	// Rows in the table that a later one in the archive refers to stay, also if they are in a ring; those in the archive are not meant.
	y.run(t, put("tree", "(VALUES (11, 13)) v (id, up)", "ROW(id, up, true, NULL)")+
		`INSERT INTO tree VALUES (13, 12, false, now() - interval '40 days'), (12, NULL, false, now() - interval '40 days') , (14, 12, false, now() - interval '40 days'),
	(30, NULL, false, now() - interval '40 days'), (31, 30, false, now() - interval '40 days')`)
	y.run(t, "UPDATE tree SET up = 31 WHERE id = 30;"+put("tree", "(VALUES (32, 31)) v (id, up)", "ROW(id, up, true, NULL)"))
	y.both(t, "documents 1 kept:versions=2, notes 1 held=1 undecided=1, tree 1006 kept:tree=2005 held=6, versions 3 kept:documents=1 kept:notes=2")
	if got := y.one(t, "SELECT string_agg(row ->> 'id', ',' ORDER BY (row ->> 'id')::int) FROM tombstone.archive WHERE relation = 'tree'::regclass AND (row ->> 'id')::int < 1002"); got != "2,11,21,22,23,24,32,1001" {
		t.Error(got)
	}
	if got := y.one(t, "SELECT string_agg(id::text, ',' ORDER BY id) FROM tree"); got != "12,13,30,31" {
		t.Error(got)
	}
}

// Keys of several columns, of other types than the reference, and of partitions.
func TestPurgeArchivedPartitions(t *testing.T) {
	y := newYard(t, "bound_partitions", `
CREATE TABLE events (id int, day date, deleted_at timestamptz, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2021-01-01') TO ('2030-01-01');
CREATE TABLE tickets (id int PRIMARY KEY, event bigint, day date, keep boolean, deleted_at timestamptz, FOREIGN KEY (event, day) REFERENCES events ON DELETE CASCADE);
`, "{name: public.events, retention: 30d}, {name: public.tickets, retention: 1y, hold: keep}", true)
	y.run(t, "INSERT INTO events SELECT i, '2020-06-01'::date + 365 * (i % 2) FROM generate_series(1, 4) i; INSERT INTO tickets SELECT id, id, day, id = 1 FROM events WHERE id < 4")
	y.run(t, "UPDATE events SET deleted_at = now()")
	y.run(t, "INSERT INTO events SELECT id, day FROM events")
	y.run(t, "INSERT INTO tickets VALUES (5, NULL, '2020-06-01')")
	y.age(t, "events", "tickets")
	y.both(t, "events 1 kept:tickets=3, tickets 0") // those have eleven months to go
	if got := y.archive(t); got != "events1 events2 events3 tickets1 tickets2 tickets3" {
		t.Error(got)
	}
	y.policy = policyOf(t, "tables: [{name: public.events, retention: 30d}, {name: public.tickets, retention: 30d, hold: 'COALESCE(keep, false)'}]\n")
	y.both(t, "events 2 kept:tickets=1, tickets 2 held=1")
	if got := y.archive(t); got != "events1 tickets1" {
		t.Error(got)
	}
}

// What it takes grows with the archive, and not with its square: neither a long chain nor a key that was used a thousand times is looked through again
// for each of its rows.
func TestPurgeLargeArchive(t *testing.T) {
	y := newYard(t, "bound_large", bound+"CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree ON DELETE CASCADE, keep boolean, deleted_at timestamptz)",
		boundTables+", {name: public.tree, retention: 30d, hold: keep}", true)
	took := map[int]time.Duration{}
	for _, n := range []int{5000, 20000} {
		y.run(t, "TRUNCATE tombstone.archive RESTART IDENTITY")
		y.run(t, fmt.Sprintf(`INSERT INTO tombstone.archive (at, archived, relation, row)
SELECT now() - interval '40 days', now() - interval '39 days' + make_interval(secs => i), r::regclass, jsonb_build_object('id', '1', 'a', '1', 'b', '1', 'keep', 't') FROM generate_series(1, %[1]d) i, unnest('{a,b,c}'::text[]) r;
INSERT INTO tombstone.archive (at, relation, row) SELECT now() - interval '40 days', 'tree', jsonb_build_object('id', i::text, 'up', (i + 1)::text, 'keep', (i = 1)::text) FROM generate_series(1, %[1]d) i; ANALYZE tombstone.archive`, n))
		o := Options{Dry: true}
		o.Batch = 1000
		begun := time.Now()
		want := fmt.Sprintf("a 0 kept:b=%[1]d, b 0 kept:c=%[1]d, c 0 held=%[1]d, tree 0 held=1 kept:tree=%[2]d", n, n-1)
		if got := y.purge(t, o).told(); got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
		took[n] = time.Since(begun)
	}
	t.Log(took)
	if took[20000] > 10*took[5000] {
		t.Errorf("four times the rows took %v after %v", took[20000], took[5000])
	}
}
