package doctor

import (
	"strings"
	"testing"
)

// An ON UPDATE rule that acts instead of an UPDATE acts instead of a deletion: the answer is DELETE 0, and the row stays live. It is an error, and
// its fix has the rule leave deletions alone.
func TestRulesThatSwallowDeletions(t *testing.T) {
	conn := database(t, "swallowed", `
CREATE TABLE trail (what text);
CREATE TABLE nothing (id int PRIMARY KEY, deleted_at timestamptz); CREATE RULE "no up" AS ON UPDATE TO nothing DO INSTEAD NOTHING;
CREATE TABLE other (id int PRIMARY KEY, deleted_at timestamptz); CREATE RULE r AS ON UPDATE TO other DO INSTEAD (INSERT INTO trail VALUES ('DO INSTEAD '); DELETE FROM trail);
CREATE TABLE notified (id int PRIMARY KEY, deleted_at timestamptz); CREATE RULE r AS ON UPDATE TO notified DO INSTEAD NOTIFY x;
CREATE TABLE parts (id int PRIMARY KEY, deleted_at timestamptz); CREATE RULE r AS ON UPDATE TO parts WHERE old.id = 1 OR new.id = 2 DO INSTEAD NOTHING;
CREATE TABLE returns (id int PRIMARY KEY, deleted_at timestamptz); CREATE RULE r AS ON UPDATE TO returns DO INSTEAD INSERT INTO trail VALUES ('x') RETURNING 1, now();
CREATE TABLE knows (id int PRIMARY KEY, deleted_at timestamptz); CREATE RULE r AS ON UPDATE TO knows WHERE new.deleted_at IS NULL DO INSTEAD NOTHING;
CREATE TABLE also (id int PRIMARY KEY, deleted_at timestamptz); CREATE RULE r AS ON UPDATE TO also DO ALSO INSERT INTO trail VALUES ('also');
INSERT INTO nothing VALUES (1); INSERT INTO other VALUES (1); INSERT INTO notified VALUES (1); INSERT INTO parts VALUES (1); INSERT INTO returns VALUES (1); INSERT INTO knows VALUES (1); INSERT INTO also VALUES (1);`)
	c := parse(t, "tables: [{name: \"*.*\"}]\n")
	prepare(t, conn, c)
	deletes := func(table string) bool {
		t.Helper()
		tag, err := conn.Exec(within(t), "UPDATE "+table+" SET deleted_at = now() WHERE id = 1 AND "+table+".deleted_at IS NULL")
		if err != nil {
			t.Fatal(err)
		}
		var gone bool
		if err := conn.QueryRow(within(t), "SELECT EXISTS (SELECT FROM "+table+" WHERE deleted_at IS NOT NULL)").Scan(&gone); err != nil {
			t.Fatal(err)
		}
		if gone && tag.RowsAffected() != 1 {
			t.Errorf("%s: %s", table, tag)
		}
		return gone
	}
	want := map[string]string{"nothing": "sql", "other": "sql", "parts": "sql", "returns": "words", "notified": "words"}
	for table := range want {
		if deletes(table) {
			t.Errorf("the rule on %s is no trap", table)
		}
	}
	infos := 0
	for _, f := range examine(t, conn, c).Findings {
		if f.Check != "update-rule" {
			continue
		}
		table := f.Object[strings.LastIndex(f.Object, ".")+1:]
		if f.Severity == Info {
			infos++
			continue
		}
		if f.Severity != Error || want[table] == "" || (len(f.SQL) > 0) != (want[table] == "sql") || f.Fix() == "" {
			t.Errorf("%+v", f)
		}
		delete(want, table)
		apply(t, conn, f.SQL...)
		if len(f.SQL) > 0 && !deletes(table) {
			t.Errorf("the fix does not let rows of %s be deleted: %s", table, f.SQL)
		}
	}
	if len(want) > 0 || infos != 2 {
		t.Errorf("not found: %v; %d facts", want, infos)
	}
	if tag, err := conn.Exec(within(t), "INSERT INTO nothing VALUES (5); UPDATE nothing SET id = 6 WHERE id = 5"); err != nil || tag.RowsAffected() != 0 {
		t.Errorf("the rule acts no more on an UPDATE: %s %v", tag, err)
	}
	for _, f := range examine(t, conn, c).Findings {
		if f.Check == "update-rule" && f.Severity > Info && len(f.SQL) > 0 {
			t.Errorf("its fix does not mend it: %+v", f)
		}
	}
}
