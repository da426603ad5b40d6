package lifecycle

import "testing"

// Keys of types whose operators are in an extension's schema, and keys that are generated: both are keys like any other.
func TestKeysOfAnyKind(t *testing.T) {
	hard, soft := twins(t, "kinds", `
CREATE SCHEMA ext; CREATE EXTENSION ltree SCHEMA ext; CREATE EXTENSION hstore SCHEMA ext; CREATE EXTENSION citext SCHEMA ext;
CREATE TABLE paths (id ext.ltree PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE below (id int PRIMARY KEY, path ext.ltree REFERENCES paths ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE, deleted_at timestamptz);
CREATE TABLE bags (id ext.hstore PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE words (id ext.citext PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE said (id int PRIMARY KEY, word ext.citext REFERENCES words ON DELETE SET NULL, deleted_at timestamptz);
CREATE TABLE codes (place int, gone text, code text GENERATED ALWAYS AS (gone || '-' || place) STORED PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE uses (id int PRIMARY KEY, code text REFERENCES codes ON UPDATE CASCADE ON DELETE CASCADE, deleted_at boolean NOT NULL DEFAULT false);
CREATE TABLE marks (n int, code text GENERATED ALWAYS AS ('m' || n) STORED PRIMARY KEY, deleted_at boolean NOT NULL DEFAULT false);
INSERT INTO paths VALUES ('a'), ('a.b'); INSERT INTO below VALUES (1, 'a'), (2, 'a.b');
INSERT INTO bags VALUES ('a=>1'); INSERT INTO words VALUES ('Foo'), ('Bar'); INSERT INTO said VALUES (1, 'foo'), (2, 'bar');
INSERT INTO codes (place, gone) VALUES (1, 'x'), (2, 'x'); INSERT INTO uses VALUES (1, 'x-1'), (2, 'x-2'); INSERT INTO marks VALUES (1), (2)`)
	state := "SELECT id::text FROM paths ORDER BY 1; SELECT id, path::text FROM below ORDER BY 1; SELECT count(*) FROM bags; SELECT id::text FROM words ORDER BY 1;" +
		"SELECT id, word FROM said ORDER BY 1; SELECT place, gone, code FROM codes ORDER BY 3; SELECT id, code FROM uses ORDER BY 1; SELECT n, code FROM marks ORDER BY 1"
	for _, sql := range []string{
		"DELETE FROM paths WHERE id::text = 'a'", "INSERT INTO paths VALUES ('a')", "UPDATE paths SET id = 'a.c' WHERE id::text = 'a.b'", "INSERT INTO below VALUES (3, 'a.b')", "DELETE FROM paths",
		"DELETE FROM bags", "INSERT INTO bags VALUES ('a=>1')", "INSERT INTO bags VALUES ('a=>1')",
		"DELETE FROM words WHERE id::text = 'Foo'", "INSERT INTO words VALUES ('FOO')", "INSERT INTO said VALUES (3, 'foo')",
		"DELETE FROM codes WHERE place = 1", "INSERT INTO codes (place, gone) VALUES (1, 'x')", "INSERT INTO codes (place, gone) VALUES (1, 'x')", "UPDATE codes SET place = 3 WHERE place = 2",
		"DELETE FROM codes WHERE place = 3", "UPDATE codes SET place = 3", "DELETE FROM marks WHERE n = 1", "INSERT INTO marks VALUES (1)",
	} {
		alike(t, hard, soft, sql, state)
	}
	list, err := History(within(t), soft.Conn, Filter{Table: "marks"})
	if err != nil || len(list) != 1 || list[0].Tables[0].Count != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}
