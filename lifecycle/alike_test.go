package lifecycle

import "testing"

// Only where neither a key nor the marker tells is a row like another.
func TestAlike(t *testing.T) {
	_, soft := twins(t, "alike", `
CREATE TABLE flags (v text, deleted_at boolean NOT NULL DEFAULT false);
CREATE TABLE maybe (v text UNIQUE, deleted_at date);
CREATE TABLE seconds (v text NOT NULL, deleted_at bigint NOT NULL DEFAULT 0); CREATE UNIQUE INDEX ON seconds (v) WHERE deleted_at = 0;
CREATE TABLE times (v text, deleted_at timestamptz);
CREATE TABLE keyed (id int PRIMARY KEY, deleted_at boolean NOT NULL DEFAULT false);
`)
	var got []string
	for _, table := range soft.database(t).Alike() {
		got = append(got, table.Relation)
	}
	if len(got) != 3 || got[0] != "flags" || got[1] != "maybe" || got[2] != "seconds" {
		t.Error(got)
	}
}
