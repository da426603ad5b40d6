package doctor

import (
	"strings"
	"testing"
)

// A view that shows the marker of one of its tables, or looks at it in one place, shows the rows that it reads elsewhere all the same. Each is
// found, and its fix hides what was deleted; of those that show nothing of the kind nothing is said.
func TestHalfShownViews(t *testing.T) {
	conn := database(t, "half_shown", `
CREATE TABLE plain (id int PRIMARY KEY, val text, deleted_at timestamptz);
CREATE TABLE aud (id int PRIMARY KEY, n text, deleted_at timestamptz);
CREATE TABLE emp (id int PRIMARY KEY, name text, boss int, deleted_at timestamptz);
INSERT INTO plain VALUES (1, 'v1'), (2, 'v2');
INSERT INTO aud VALUES (1, 'n1', NULL), (2, 'n2', '2026-01-01');
INSERT INTO emp VALUES (1, 'boss', NULL, '2026-01-01'), (2, 'clerk', 1, NULL);
CREATE VIEW half AS SELECT p.*, a.n FROM plain p LEFT JOIN aud a ON a.id = p.id;
CREATE VIEW boss AS SELECT e.*, b.name AS n FROM emp e LEFT JOIN emp b ON b.id = e.boss;
CREATE VIEW tested_boss AS SELECT e.id, b.name AS n FROM emp e LEFT JOIN emp b ON b.id = e.boss WHERE e.deleted_at IS NULL;
CREATE VIEW shows AS SELECT a.* FROM aud a;
CREATE VIEW beyond AS SELECT s.n FROM shows s;
CREATE MATERIALIZED VIEW kept AS SELECT p.*, a.n FROM plain p LEFT JOIN aud a ON a.id = p.id;

CREATE VIEW pair AS SELECT p.*, a.n, a.deleted_at AS gone FROM plain p LEFT JOIN aud a ON a.id = p.id;
CREATE VIEW one AS SELECT p.*, a.n FROM plain p LEFT JOIN aud a ON a.id = p.id AND a.deleted_at IS NULL;
CREATE VIEW united AS SELECT * FROM aud UNION ALL SELECT id, val, deleted_at FROM plain;
CREATE VIEW live AS SELECT * FROM aud WHERE deleted_at IS NULL;
CREATE VIEW over_live AS SELECT n FROM live;`)
	c := parse(t, "tables: [{name: public.plain}, {name: public.aud}, {name: public.emp}]\n")
	prepare(t, conn, c)
	leaks := func(view string) (rows int) {
		t.Helper()
		if err := conn.QueryRow(within(t), "SELECT count(*) FROM "+view+" WHERE n IN ('n2', 'boss')").Scan(&rows); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	want := map[string]string{
		"view public.half": "public.aud", "view public.boss": "public.emp", "view public.tested_boss": "public.emp", "view public.beyond": "public.shows",
		"materialized view public.kept": "public.aud",
	}
	for object := range want {
		if view := strings.TrimPrefix(object, "materialized "); leaks(view[len("view "):]) != 1 {
			t.Errorf("%s is no trap", object)
		}
	}
	for _, f := range examine(t, conn, c).Findings {
		if f.Check != "open-view" {
			continue
		}
		if table := want[f.Object]; table == "" || !strings.Contains(f.Why, table+" ") || f.Severity != Warning || len(f.SQL) == 0 {
			t.Errorf("%+v", f)
		}
		delete(want, f.Object)
		apply(t, conn, f.SQL...)
		view := strings.TrimPrefix(f.Object, "materialized ")[len("view "):]
		if n := leaks(view); n != 0 {
			t.Errorf("%s shows it still", view)
		}
	}
	for object := range want {
		t.Errorf("%s is not found", object)
	}
	for _, f := range examine(t, conn, c).Findings {
		if f.Check == "open-view" {
			t.Errorf("its fix does not mend it: %+v", f)
		}
	}
}
