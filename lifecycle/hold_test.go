package lifecycle

import "testing"

// What holds a row by a deferrable key, and is taken along on the same level, does not hold it.
func TestHeldByWhatGoesToo(t *testing.T) {
	hard, soft := twins(t, "held", `
CREATE TABLE p (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE a (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE b (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE, a int CONSTRAINT held REFERENCES a DEFERRABLE, deleted_at timestamptz);
CREATE TABLE part (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE, deleted_at timestamptz) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (9);
CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE, part int CONSTRAINT parted REFERENCES part DEFERRABLE, deleted_at timestamptz);
INSERT INTO p VALUES (1), (2); INSERT INTO a VALUES (1, 1), (2, 2), (3, 1); INSERT INTO b VALUES (1, 1, 1), (2, 2, 2), (3, 2, 3);
INSERT INTO part VALUES (1, 1), (2, 2); INSERT INTO c VALUES (1, 1, 1), (2, 2, 2), (3, 1, 2)`)
	const state = "SELECT id FROM p ORDER BY 1; SELECT id FROM a ORDER BY 1; SELECT id FROM b ORDER BY 1; SELECT id FROM part ORDER BY 1; SELECT id FROM c ORDER BY 1"
	for _, sql := range []string{
		"BEGIN; DELETE FROM p WHERE id = 1",
		"BEGIN; DELETE FROM p WHERE id = 2",
		"BEGIN; DELETE FROM c WHERE id = 3; DELETE FROM p WHERE id = 2",
		"BEGIN; DELETE FROM p",
		"BEGIN; SET CONSTRAINTS held DEFERRED; DELETE FROM p WHERE id = 1",
		"BEGIN; SET CONSTRAINTS held DEFERRED; DELETE FROM p WHERE id = 1; SET CONSTRAINTS held IMMEDIATE",
		"BEGIN; SET CONSTRAINTS held DEFERRED; DELETE FROM p WHERE id = 1; DELETE FROM b; COMMIT",
		"BEGIN; SET CONSTRAINTS ALL DEFERRED; DELETE FROM p; SET CONSTRAINTS ALL IMMEDIATE; INSERT INTO b VALUES (1, NULL, NULL)",
		"DELETE FROM c WHERE id = 3",
		"DELETE FROM p WHERE id = 1",
		"DELETE FROM p",
	} {
		alike(t, hard, soft, sql, state)
	}
}

// A real deletion in the same statement goes on when a deletion has taken rows of an unprotected table along in between.
func TestPartingInBetween(t *testing.T) {
	hard, soft := twins(t, "parting_in_between", `
CREATE TABLE plain (id int PRIMARY KEY, p int); -- not protected
CREATE TABLE p (id int PRIMARY KEY, of int REFERENCES plain ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE q (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE, deleted_at timestamptz);
ALTER TABLE plain ADD FOREIGN KEY (p) REFERENCES p ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
INSERT INTO plain VALUES (1, NULL), (2, NULL); INSERT INTO p VALUES (1, 2), (2, 1); INSERT INTO q VALUES (1, 2)`)
	alike(t, hard, soft, "WITH d AS (DELETE FROM p WHERE id = 1) DELETE FROM plain", "SELECT id FROM plain; SELECT id FROM p; SELECT id FROM q")
}

// SET DEFAULT that leaves a reference as it is, since the default is the key that goes, holds the row, also where another key takes it along later.
func TestDefaultIsTheKeyThatGoes(t *testing.T) {
	hard, soft := twins(t, "default_goes", `
CREATE TABLE p (id int PRIMARY KEY, deleted_at timestamptz);
CREATE TABLE c (id int PRIMARY KEY, a int DEFAULT 1 REFERENCES p ON DELETE SET DEFAULT, b int REFERENCES p ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE e (id int PRIMARY KEY, b int REFERENCES p ON DELETE CASCADE, a int DEFAULT 1 REFERENCES p ON DELETE SET DEFAULT, deleted_at timestamptz);
INSERT INTO p VALUES (1), (2), (3); INSERT INTO c VALUES (1, 1, 1), (2, 2, 2); INSERT INTO e VALUES (1, 2, 2), (2, 3, 3)`)
	const state = "SELECT id FROM p ORDER BY 1; SELECT id, a, b FROM c ORDER BY 1; SELECT id, a, b FROM e ORDER BY 1"
	for _, sql := range []string{"DELETE FROM p WHERE id = 1", "DELETE FROM p WHERE id = 2", "DELETE FROM p WHERE id = 3", "DELETE FROM c", "INSERT INTO e VALUES (3, 1, 1)", "DELETE FROM p"} {
		alike(t, hard, soft, sql, state)
	}
}
