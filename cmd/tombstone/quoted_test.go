package main

import (
	"encoding/json"
	"testing"

	"tombstone/lifecycle"
)

// A name is printed as it has to be written, so that it can be fed back.
func TestNamesAreQuoted(t *testing.T) {
	s := newStage(t, `CREATE SCHEMA "My Schema"; CREATE TABLE "My Schema"."Odd ""T.ab%le" (id int PRIMARY KEY);
CREATE TABLE "My Schema"."Kid's" (id int PRIMARY KEY, up int REFERENCES "My Schema"."Odd ""T.ab%le" ON DELETE CASCADE);
CREATE TABLE "My Schema".cut (id int PRIMARY KEY, up int REFERENCES "My Schema"."Odd ""T.ab%le" ON DELETE SET NULL);
INSERT INTO "My Schema"."Odd ""T.ab%le" VALUES (1); INSERT INTO "My Schema"."Kid's" VALUES (1, 1); INSERT INTO "My Schema".cut VALUES (1, 1)`,
		"tables: [{name: '\"My Schema\".\"Odd \"\"T.ab%le\"'}, {name: '\"My Schema\".\"Kid''s\"'}, {name: '\"My Schema\".cut'}]")
	s.call(0, "prepare", "--apply")
	conn := s.proxy("postgres")
	if _, err := conn.Exec(s.ctx, `DELETE FROM "My Schema"."Odd ""T.ab%le"`); err != nil {
		t.Fatal(err)
	}
	const odd, kid, cut = `"My Schema"."Odd ""T.ab%le"`, `"My Schema"."Kid's"`, `"My Schema".cut`
	var list []lifecycle.Deletion
	if err := json.Unmarshal([]byte(s.call(0, "history", "--json", "--table", kid)), &list); err != nil || len(list) != 1 || len(list[0].Tables) != 2 ||
		list[0].Tables[0].Name != kid || list[0].Tables[1].Name != odd {
		t.Fatalf("history: %+v %v", list, err)
	}
	id := s.sql("SELECT id FROM tombstone.deletions")
	var shown lifecycle.Shown
	if err := json.Unmarshal([]byte(s.call(0, "show", "--json", id)), &shown); err != nil || len(shown.Rows) != 2 || shown.Rows[0].Table != kid || shown.Rows[1].Table != odd ||
		len(shown.Cut) != 1 || shown.Cut[0].Table != cut {
		t.Errorf("show: %+v %v", shown, err)
	}
	var r lifecycle.Restoration
	if err := json.Unmarshal([]byte(s.call(1, "restore", "--json", "--key", "1", kid)), &r); err != nil || len(r.Collisions) != 1 || r.Collisions[0].Table != kid ||
		r.Collisions[0].Why != "refers to (id)=(1) of "+odd+", which is deleted (deletion "+id+"): restore that first" {
		t.Errorf("restore: %+v %v %s", r, err, s.call(1, "restore", "--key", "1", kid))
	}
	if err := json.Unmarshal([]byte(s.call(0, "undo", "--json", id)), &r); err != nil || len(r.Restored) != 2 || r.Restored[0].Name != kid || r.Restored[1].Name != odd {
		t.Errorf("undo: %+v %v", r, err)
	}
}
