package lifecycle

import (
	"strings"
	"testing"
)

// A trigger of the application that deletes in the middle of a cascade gets all of it done before it goes on, as with the server's own keys: what
// its statement takes along, to the last level, in another group of tables and in the same; and what the cascade itself has still to do is done.
func TestDeletedInBetween(t *testing.T) {
	for name, parts := range map[string]string{"between": ");", "between_parts": ") PARTITION BY HASH (id); CREATE TABLE %[1]s_0 PARTITION OF %[1]s FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE %[1]s_1 PARTITION OF %[1]s FOR VALUES WITH (MODULUS 2, REMAINDER 1);"} {
		people, folders := strings.ReplaceAll(parts, "%[1]s", "people"), strings.ReplaceAll(parts, "%[1]s", "folders")
		hard, soft := twins(t, name, `
CREATE TABLE orgs (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE teams (id int PRIMARY KEY, org int REFERENCES orgs ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE people (id int PRIMARY KEY, team int REFERENCES teams ON DELETE CASCADE, boss int REFERENCES people ON DELETE CASCADE, deleted_at timestamptz`+people+`
CREATE TABLE folders (id int PRIMARY KEY, up int REFERENCES folders ON DELETE CASCADE, deleted_at timestamptz`+folders+`
CREATE TABLE files (id int PRIMARY KEY, folder int REFERENCES folders ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE log (n serial, what text);
CREATE FUNCTION clear() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF TG_OP = 'UPDATE' THEN
		UPDATE folders SET deleted_at = now() WHERE id = OLD.id * 10 AND deleted_at IS NULL;
		UPDATE people SET deleted_at = now() WHERE id = OLD.id * 100 AND deleted_at IS NULL;
	ELSE
		DELETE FROM folders WHERE id = OLD.id * 10;
		DELETE FROM people WHERE id = OLD.id * 100;
	END IF;
	INSERT INTO log (what) SELECT format('%s: %s folders, %s files, %s people', OLD.id, (SELECT count(*) FROM folders WHERE deleted_at IS NULL),
		(SELECT count(*) FROM files WHERE deleted_at IS NULL), (SELECT count(*) FROM people WHERE id >= 100 AND deleted_at IS NULL));
	RETURN NULL;
END $$;
CREATE TRIGGER zz_clear AFTER DELETE OR UPDATE OF deleted_at ON teams FOR EACH ROW EXECUTE FUNCTION clear();
INSERT INTO orgs VALUES (1), (2); INSERT INTO teams VALUES (1, 1), (2, 1), (3, 2);
INSERT INTO people VALUES (1, 1, NULL), (2, 2, NULL), (3, 2, 1), (4, 3, 3), (100, NULL, NULL), (101, NULL, 100), (102, NULL, 101), (103, NULL, 102), (200, NULL, NULL), (201, NULL, 200), (202, NULL, 201);
INSERT INTO folders VALUES (10, NULL), (11, 10), (12, 11), (13, 12), (20, NULL), (21, 20), (30, NULL);
INSERT INTO files SELECT id, id FROM folders; INSERT INTO files VALUES (1, 13)`)
		state := `SELECT 'teams', id FROM teams UNION ALL SELECT 'people', id FROM people UNION ALL SELECT 'folders', id FROM folders UNION ALL SELECT 'files', id FROM files
			UNION ALL SELECT what, n FROM log ORDER BY 1, 2`
		for _, sql := range []string{
			"BEGIN; DELETE FROM teams WHERE id = 2; COMMIT",
			"DELETE FROM orgs WHERE id = 1",
			"BEGIN; SAVEPOINT s; DELETE FROM orgs WHERE id = 2; ROLLBACK TO s; DELETE FROM orgs; COMMIT",
		} {
			alike(t, hard, soft, sql, state)
		}
	}
}

// The same of what fails in between, and is caught, and of what a rule adds to a cascade.
func TestFailedInBetween(t *testing.T) {
	hard, soft := twins(t, "failed_between", `
CREATE TABLE orgs (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE teams (id int PRIMARY KEY, org int REFERENCES orgs ON DELETE CASCADE, up int REFERENCES teams ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE folders (id int PRIMARY KEY, up int REFERENCES folders ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE pins (id int PRIMARY KEY, folder int REFERENCES folders, deleted_at timestamptz);
CREATE TABLE rooms (id int PRIMARY KEY, up int REFERENCES rooms ON DELETE CASCADE, deleted_at timestamptz);
CREATE FUNCTION clear() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF TG_OP = 'UPDATE' THEN
		UPDATE folders SET deleted_at = now() WHERE id = OLD.id * 10 AND deleted_at IS NULL;
	ELSE
		DELETE FROM folders WHERE id = OLD.id * 10;
	END IF;
	RETURN NULL;
EXCEPTION WHEN foreign_key_violation THEN
	RETURN NULL;
END $$;
CREATE TRIGGER zz_clear AFTER DELETE OR UPDATE OF deleted_at ON teams FOR EACH ROW EXECUTE FUNCTION clear();
CREATE RULE also AS ON DELETE TO orgs DO ALSO DELETE FROM rooms WHERE id = OLD.id;
CREATE RULE also_mark AS ON UPDATE TO orgs WHERE NEW.deleted_at IS NOT NULL DO ALSO UPDATE rooms SET deleted_at = now() WHERE id = OLD.id;
CREATE RULE also AS ON DELETE TO teams DO ALSO DELETE FROM rooms WHERE id = OLD.id * 100;
CREATE RULE also_mark AS ON UPDATE TO teams WHERE NEW.deleted_at IS NOT NULL DO ALSO UPDATE rooms SET deleted_at = now() WHERE id = OLD.id * 100;
INSERT INTO orgs VALUES (1), (2); INSERT INTO teams VALUES (1, 1, NULL), (2, 1, NULL), (3, 2, 1), (4, 2, NULL);
INSERT INTO folders VALUES (10, NULL), (11, 10), (12, 11), (20, NULL), (21, 20), (22, 21), (30, NULL), (31, 30), (32, 31); INSERT INTO pins VALUES (1, 12);
INSERT INTO rooms VALUES (1, NULL), (2, 1), (3, 2), (100, NULL), (101, 100), (102, 101), (300, NULL), (301, 300), (302, 301)`)
	state := "SELECT 'teams', id FROM teams UNION ALL SELECT 'folders', id FROM folders UNION ALL SELECT 'rooms', id FROM rooms ORDER BY 1, 2"
	for _, sql := range []string{"BEGIN; DELETE FROM orgs WHERE id = 1; " + state + "; DELETE FROM pins; DELETE FROM folders WHERE id = 10; " + state + "; COMMIT", "DELETE FROM orgs"} {
		alike(t, hard, soft, sql, state)
	}
}
