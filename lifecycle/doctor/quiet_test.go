package doctor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tombstone/config/configtest"
)

// parse reads a policy of tables.
var parse = configtest.Parse

const healthy = `
CREATE TABLE users (id bigint PRIMARY KEY, email text, owner name DEFAULT current_user, deleted_at timestamptz);
CREATE UNIQUE INDEX users_email ON users (email) WHERE deleted_at IS NULL;
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint REFERENCES users ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE flags (id int PRIMARY KEY, deleted_at boolean NOT NULL DEFAULT false);
CREATE TABLE maybe (id int PRIMARY KEY, deleted_at boolean);
CREATE TABLE epochs (id int PRIMARY KEY, deleted_at bigint NOT NULL DEFAULT 0);
CREATE TABLE spans (id int PRIMARY KEY, deleted_at timestamptz NOT NULL DEFAULT 'infinity');
CREATE TABLE days (id int PRIMARY KEY, deleted_at date DEFAULT NULL);
CREATE TABLE logs (at date, what text, deleted_at timestamptz, PRIMARY KEY (at)) PARTITION BY RANGE (at);
CREATE TABLE logs_2026 PARTITION OF logs FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE plain (id int PRIMARY KEY, note text);

CREATE VIEW live AS SELECT id, email FROM users WHERE deleted_at IS NULL;
CREATE VIEW trash AS SELECT id, email, deleted_at FROM users WHERE deleted_at IS NOT NULL;
CREATE VIEW shows AS SELECT * FROM users;
CREATE VIEW other AS SELECT * FROM plain;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM users u WHERE u.deleted_at IS NULL;
CREATE FUNCTION total() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM users u WHERE u.deleted_at IS NULL $$;
CREATE FUNCTION leave(p bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE users SET deleted_at = now() WHERE id = p AND deleted_at IS NULL;
	DELETE FROM plain WHERE note = 'DELETE FROM users';
END $$;
CREATE FUNCTION back(p bigint) RETURNS void LANGUAGE sql AS $$ UPDATE users SET deleted_at = NULL WHERE id = p $$;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TRIGGER stamp_plain AFTER DELETE ON plain FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TRIGGER buried AFTER UPDATE OF deleted_at ON users FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION stamp();
CREATE TRIGGER off AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION stamp();
ALTER TABLE users DISABLE TRIGGER off;
CREATE RULE nothing AS ON DELETE TO plain DO INSTEAD NOTHING;

-- Rights by column, by membership, by PUBLIC; and a role that may only read.
CREATE ROLE editors; GRANT editors TO app;
GRANT DELETE, SELECT, UPDATE (deleted_at) ON users TO app;
GRANT DELETE ON orders TO app; GRANT SELECT, UPDATE ON orders TO editors;
GRANT DELETE ON flags TO app; GRANT SELECT (deleted_at), UPDATE (deleted_at) ON flags TO PUBLIC;
GRANT SELECT ON logs TO app;

-- What may be deleted may be changed.
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of_mine ON users USING (owner = current_user);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY del ON orders FOR DELETE TO editors USING (id > 0);
CREATE POLICY upd ON orders FOR UPDATE TO PUBLIC USING ((id > 0));
CREATE POLICY sel ON orders FOR SELECT USING (true);
CREATE PUBLICATION everything FOR ALL TABLES;
`

// In a database where all is as it should be nothing is found that is worse than a fact.
func TestNothingToFind(t *testing.T) {
	conn := database(t, "healthy", healthy)
	c := parse(t, "tables: [{name: \"*.*\"}]\n")
	prepare(t, conn, c)
	r := examine(t, conn, c)
	for _, f := range r.Findings {
		if f.Severity > Info || !slices.Contains([]string{"published", "record-published", "backup", "unmarked-tables", "function-purges"}, f.Check) {
			t.Errorf("%+v", f)
		}
	}
	if len(r.Counts) != 8 { // a partition is its table's
		t.Errorf("%+v", r.Counts)
	}
}

// Of a large table the server's statistics tell; of a small one every row does. Either is near the truth.
func TestCounts(t *testing.T) {
	conn := database(t, "counts", `
CREATE TABLE small (id int PRIMARY KEY, deleted_at timestamptz);
INSERT INTO small SELECT i, CASE WHEN i % 4 = 0 THEN timestamptz '2021-01-01 00:00:00+00' + i * interval '1 second' END FROM generate_series(1, 1000) i;
CREATE TABLE large (id int PRIMARY KEY, filler text, deleted_at timestamptz);
INSERT INTO large SELECT i, repeat('x', 500), CASE WHEN i % 4 = 0 THEN timestamptz '2021-01-01 00:00:00+00' + i * interval '1 second' END FROM generate_series(1, 20000) i;
CREATE TABLE flags (id int PRIMARY KEY, filler text, deleted_at boolean NOT NULL DEFAULT false);
INSERT INTO flags SELECT i, repeat('x', 500), i % 4 = 0 FROM generate_series(1, 20000) i;
CREATE TABLE fresh (id int PRIMARY KEY, filler text, deleted_at timestamptz);
INSERT INTO fresh SELECT i, repeat('x', 500), NULL FROM generate_series(1, 20000) i;
CREATE TABLE parts (id int, deleted_at timestamptz) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200);
INSERT INTO parts SELECT i, CASE WHEN i % 4 = 0 THEN timestamptz '2021-01-01 00:00:00+00' END FROM generate_series(0, 199) i;
ANALYZE small; ANALYZE large; ANALYZE flags; ANALYZE parts;`)
	c := parse(t, "tables: [{name: \"*.*\", retention: 30d}]\n")
	look := func() map[string]Count {
		counts := map[string]Count{}
		for _, c := range examine(t, conn, c).Counts {
			counts[c.Table] = c
		}
		return counts
	}
	first := time.Date(2021, 1, 1, 0, 0, 4, 0, time.UTC)
	counts := look()
	if got := counts["public.small"]; !got.exact || got.Rows != 1000 || got.Tombstones != 250 || !got.Oldest.Equal(first) {
		t.Errorf("small: %+v", got)
	}
	if got := counts["public.parts"]; got.Rows != 200 || got.Tombstones != 50 || got.Oldest.IsZero() {
		t.Errorf("parts: %+v", got)
	}
	for _, table := range []string{"public.large", "public.flags"} {
		if got := counts[table]; got.exact || got.Share() < 0.23 || got.Share() > 0.27 || got.Rows < 19000 || got.Rows > 21000 {
			t.Errorf("%s: %+v", table, got)
		}
	}
	if got := counts["public.large"]; !got.scanned || got.Oldest.Before(first) || got.Oldest.After(first.Add(24*time.Hour)) {
		t.Errorf("large, by statistics: %+v", got)
	}
	if got := counts["public.fresh"]; got.Tombstones != -1 {
		t.Errorf("a large table without statistics: %+v", got)
	}
	unindexed := func() (list []string) {
		for _, f := range examine(t, conn, c).Findings {
			if f.Check == "unindexed" {
				list = append(list, f.Object+": "+f.Why+" "+f.Advice)
			}
		}
		return list
	}
	if got := unindexed(); got != nil {
		t.Errorf("an index is wanted of %s", got)
	}
	apply(t, conn, "UPDATE pg_class SET relpages = 300000 WHERE relname = 'large'") // as if it were
	if got := unindexed(); len(got) != 1 || !strings.HasPrefix(got[0], "table public.large: It has 2 GiB") || !strings.Contains(got[0], "index: true") {
		t.Errorf("an index is wanted of %s", got)
	}
	apply(t, conn, "CREATE INDEX ON large (deleted_at) WHERE deleted_at IS NOT NULL")
	if got := look()["public.large"]; got.scanned || !got.Oldest.Equal(first) {
		t.Errorf("large, by an index: %+v", got)
	}
	if got := unindexed(); got != nil {
		t.Errorf("there is an index, and one is wanted of %s", got)
	}
	behind := 0
	for _, f := range examine(t, conn, c).Findings {
		if f.Check == "retention-behind" {
			behind++
			if strings.Contains(f.Object, "large") && !strings.Contains(f.Why, "5000") {
				t.Errorf("with an index they are counted: %s", f.Why)
			}
		}
	}
	if behind != 3 { // small, large, parts
		t.Errorf("%d tables are behind", behind)
	}
}

// A row on hold is not overdue.
func TestHold(t *testing.T) {
	conn := database(t, "hold", `CREATE TABLE users (id int PRIMARY KEY, legal boolean, deleted_at timestamptz);
INSERT INTO users VALUES (1, true, '2020-01-01'), (2, false, now() - interval '30 days 12 hours'), (3, NULL, now())`)
	for hold, want := range map[string]int{", hold: legal": 0, "": 1, ", hold: legal AND id > 1": 1} {
		c := parse(t, fmt.Sprintf("tables: [{name: public.users, retention: 30d%s}]\n", hold))
		n := 0
		for _, f := range examine(t, conn, c).Findings {
			if f.Check == "retention-behind" {
				n++
			}
		}
		if n != want {
			t.Errorf("%q: %d findings, want %d", hold, n, want)
		}
	}
}
