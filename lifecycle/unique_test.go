package lifecycle

import "testing"

// Exclusion constraints let in what only a deleted row excludes, those that may wait for the end of the transaction, too.
func TestExclusionConstraints(t *testing.T) {
	hard, soft := twins(t, "exclusion", `
CREATE EXTENSION btree_gist;
CREATE TABLE bookings (id int PRIMARY KEY, room int, during int4range, deleted_at timestamptz,
	EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (room > 5) DEFERRABLE,
	EXCLUDE USING gist (during WITH &&) WHERE (room < 5) DEFERRABLE INITIALLY DEFERRED,
	EXCLUDE USING gist (during WITH =) WHERE (room = 5));
INSERT INTO bookings VALUES (1, 6, '[1,5)'), (2, 4, '[1,5)'), (3, 5, '[1,5)')`)
	const state = "SELECT id, room, during FROM bookings ORDER BY 1"
	for _, sql := range []string{
		"INSERT INTO bookings VALUES (4, 6, '[2,3)')", "INSERT INTO bookings VALUES (4, 4, '[2,3)')", "INSERT INTO bookings VALUES (4, 5, '[1,5)')", "DELETE FROM bookings",
		"INSERT INTO bookings VALUES (4, 6, '[2,3)'), (5, 4, '[2,3)'), (6, 5, '[1,5)')", "INSERT INTO bookings VALUES (7, 6, '[2,3)')",
		"BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO bookings VALUES (7, 6, '[2,3)'), (8, 4, '[2,3)'); DELETE FROM bookings WHERE id IN (4, 5); COMMIT",
	} {
		alike(t, hard, soft, sql, state)
	}
	for _, x := range soft.database(t).Indexes {
		if x.Exclusion && x.wantsLive() {
			t.Errorf("%s holds tombstones: %s", x.Name, x.Constraint)
		}
	}
}
