package purge

import (
	"fmt"
	"strings"
	"testing"
)

// Whatever a foreign key says ON DELETE: children go first, and a parent that anything refers to stays, with what refers to it untouched.
func TestPurgeFollowsForeignKeys(t *testing.T) {
	const schema = `
CREATE TABLE parents (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE children (id int PRIMARY KEY, parent int DEFAULT 1 REFERENCES parents %[1]s, deleted_at timestamptz);
CREATE TABLE grandchildren (id int PRIMARY KEY, child int DEFAULT 1 REFERENCES children %[1]s, deleted_at timestamptz);
CREATE TABLE loose (id int PRIMARY KEY, parent int DEFAULT 1 REFERENCES parents %[1]s);
INSERT INTO parents SELECT i, now() - interval '40 days' FROM generate_series(1, 20) i;
INSERT INTO parents VALUES (100, NULL), (101, now() - interval '20 days');
-- 1 to 10 have a tombstone that can go, 11 one that is too young, 12 a live one, 13 one that stays for the sake of its own child, 14 a row of a table that is not protected
INSERT INTO children SELECT i, i, now() - interval '40 days' FROM generate_series(1, 10) i;
INSERT INTO children VALUES (11, 11, now() - interval '1 day'), (12, 12, NULL), (13, 13, now() - interval '40 days'), (99, NULL, now() - interval '40 days');
INSERT INTO grandchildren VALUES (1, 1, now() - interval '40 days'), (2, 1, now() - interval '50 days'), (3, 13, NULL);
INSERT INTO loose VALUES (1, 14), (2, 100), (3, NULL);
`
	for n, action := range []string{"", "ON DELETE CASCADE", "ON DELETE SET NULL", "ON DELETE SET DEFAULT", "ON DELETE RESTRICT", "DEFERRABLE INITIALLY DEFERRED"} {
		for _, prepared := range []bool{false, true} {
			name := fmt.Sprintf("purge_keys_%d_%v", n, prepared)
			t.Run(name, func(t *testing.T) {
				y := newYard(t, name, fmt.Sprintf(schema, action), "{name: public.parents, retention: 30d}, {name: public.children, retention: 30d}, {name: public.grandchildren, retention: 30d}", prepared)
				state := func() string {
					return y.one(t, `SELECT (SELECT string_agg(id || coalesce(' ' || parent, ''), ',' ORDER BY id) FROM children) || ' / ' || (SELECT string_agg(p::text, ',' ORDER BY id) FROM parents p)
	|| (SELECT string_agg(l::text, ',' ORDER BY id) FROM loose l) || (SELECT string_agg(l::text, ',' ORDER BY id) FROM grandchildren l)`)
				}
				before := state()
				const want = "children 11 referred:grandchildren=1, grandchildren 2, parents 16 referred:children=1 referred:loose=1 kept:children=2"
				if got := y.purge(t, Options{Dry: true}); got.told() != want || state() != before {
					t.Errorf("dry run: %s\nwant     %s\n%s\n%s", got.told(), want, before, state())
				}
				if got := y.purge(t, Options{}).told(); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				if got := y.one(t, "SELECT string_agg(id::text, ',' ORDER BY id) FROM parents"); got != "11,12,13,14,100,101" {
					t.Errorf("parents: %s", got)
				}
				if got := y.one(t, "SELECT string_agg(id || coalesce(' ' || parent, ''), ',' ORDER BY id) FROM children"); got != "11 11,12 12,13 13" {
					t.Errorf("children: %s", got)
				}
				if got := y.one(t, "SELECT string_agg(id || coalesce(' ' || parent, ''), ',' ORDER BY id) FROM loose"); got != "1 14,2 100,3" {
					t.Errorf("loose: %s", got)
				}
				if got := y.purge(t, Options{}).told(); got != strings.NewReplacer("children 11 r", "children 0 r", "grandchildren 2", "grandchildren 0", "parents 16", "parents 0").Replace(want) {
					t.Errorf("again: %s", got)
				}
			})
		}
	}
}

// Rows that refer to themselves and to each other go together, or not at all.
func TestPurgeCircles(t *testing.T) {
	const schema = `
CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree %[1]s, deleted_at timestamptz);
CREATE TABLE documents (id int PRIMARY KEY, current int, deleted_at timestamptz);
CREATE TABLE versions (id int PRIMARY KEY, document int REFERENCES documents %[1]s, deleted_at timestamptz);
ALTER TABLE documents ADD FOREIGN KEY (current) REFERENCES versions %[1]s;
CREATE TABLE notes (id int PRIMARY KEY, version int REFERENCES versions %[1]s);
CREATE INDEX ON tree (up);
-- a chain of 40, whose leaf is the first on disk; a tree; one that is its own parent; a ring; and the same with a live leaf (60), and with a young one (70)
INSERT INTO tree SELECT 1000 + i, NULL, now() - interval '40 days' FROM generate_series(0, 39) i;
UPDATE tree SET up = id + 1 WHERE id < 1039;
INSERT INTO tree SELECT i, nullif(i / 2, 0), now() - interval '40 days' FROM generate_series(1, 15) i;
INSERT INTO tree VALUES (50, 50, now() - interval '40 days'), (51, NULL, now() - interval '40 days'), (52, 51, now() - interval '40 days'), (53, 52, now() - interval '40 days');
UPDATE tree SET up = 53 WHERE id = 51;
INSERT INTO tree VALUES (60, NULL, now() - interval '40 days'), (61, 60, now() - interval '40 days'), (62, 61, NULL), (63, 60, now() - interval '40 days'), (64, 64, NULL);
INSERT INTO tree VALUES (70, NULL, now() - interval '40 days'), (71, 70, now() - interval '40 days'), (72, 71, now() - interval '1 day');
UPDATE tree SET up = 72 WHERE id = 70;
INSERT INTO documents SELECT i, NULL, now() - interval '40 days' FROM generate_series(1, 10) i;
INSERT INTO versions SELECT i, 1 + (i - 1) / 3, now() - interval '40 days' FROM generate_series(1, 30) i;
UPDATE documents SET current = id * 3;
INSERT INTO notes VALUES (1, 12);
UPDATE versions SET deleted_at = NULL WHERE id = 13;
`
	const want = "documents 8 referred:versions=1 kept:versions=1, tree 60 referred:tree=1 kept:tree=3, versions 27 referred:notes=1 kept:documents=1"
	for n, action := range []string{"", "ON DELETE CASCADE", "ON DELETE RESTRICT", "ON DELETE SET NULL"} {
		name := fmt.Sprintf("purge_circles_%d", n)
		t.Run(name, func(t *testing.T) {
			y := newYard(t, name, fmt.Sprintf(schema, action), "{name: public.tree, retention: 30d}, {name: public.documents, retention: 30d}, {name: public.versions, retention: 30d}", n%2 == 0)
			if got := y.purge(t, Options{Dry: true}).told(); got != want {
				t.Errorf("dry run:\n got %s\nwant %s", got, want)
			}
			if got := y.purge(t, Options{}).told(); got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
			if got := y.one(t, "SELECT string_agg(id || coalesce(' ' || up, ''), ',' ORDER BY id) FROM tree"); got != "60,61 60,62 61,64 64,70 72,71 70,72 71" {
				t.Errorf("tree: %s", got)
			}
			if got := y.one(t, "SELECT (SELECT string_agg(id || ' ' || current, ',' ORDER BY id) FROM documents) || '; ' || (SELECT string_agg(id || ' ' || document, ',' ORDER BY id) FROM versions)"); got != "4 12,5 15; 12 4,13 5,15 5" {
				t.Errorf("documents and versions: %s", got)
			}
		})
	}
}
