package rewrite

import (
	"strings"
	"testing"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v5"

	"tombstone/rewrite/lex"
)

func shopEnv(t testing.TB) *Env {
	return &Env{Set: shopSet(t, ""), Path: []string{"pg_catalog", "public"}}
}

// Every edited golden statement, and whatever else is thrown at the function,
// must parse again, and one that is not edited must be the same bytes.
func FuzzRewrite(f *testing.F) {
	for _, sql := range corpus {
		f.Add(sql)
	}
	env := shopEnv(f)
	f.Fuzz(func(t *testing.T, sql string) {
		if len(sql) > 1<<12 || strings.IndexByte(sql, 0) >= 0 {
			t.Skip()
		}
		check(t, sql, env)
	})
}

// check holds what must be true of every plan.
func check(t *testing.T, sql string, env *Env) {
	t.Helper()
	plan := Rewrite(sql, env)
	sent := plan.Apply(sql)
	if !plan.Edited() {
		if sent != sql {
			t.Fatalf("no edits, yet another text:\n%q\n%q", sql, sent)
		}
		return
	}
	at := 0
	for _, e := range plan.Edits(sql) {
		if e.Start < at || e.End < e.Start || e.End > len(sql) || e.Near < -1 || e.Near > len(sql) {
			t.Fatalf("edits overlap or lie outside of %q: %+v", sql, plan.Edits(sql))
		}
		at = e.End
	}
	again := Rewrite(sent, env)
	if again.Unparsed || again.Probe {
		t.Fatalf("the edited text does not parse:\n%s\n%s", sql, sent)
	}
	if len(plan.Stmts) != len(again.Stmts) {
		t.Fatalf("%d statements became %d:\n%s\n%s", len(plan.Stmts), len(again.Stmts), sql, sent)
	}
	for i := range again.Stmts {
		if again.Stmts[i].Action == Buried {
			t.Fatalf("the edited text still deletes:\n%s\n%s", sql, sent)
		}
	}
	if utf8.ValidString(sql) {
		// Positions never go back, and stay inside the client's text.
		last := 0
		for p := 1; p <= utf8.RuneCountInString(sent)+1; p++ {
			o := plan.Original(sql, p, true)
			if o == 0 {
				continue // in text that the server would not have pointed at
			}
			if o < 1 || o > utf8.RuneCountInString(sql)+1 {
				t.Fatalf("position %d of %q maps to %d of %q", p, sent, o, sql)
			}
			last = max(last, o)
		}
		if last != utf8.RuneCountInString(sql)+1 {
			t.Fatalf("the end of %q maps to %d, not to the end of %q", sent, last, sql)
		}
	}
}

// corpus seeds the fuzzing with every form that a rule looks at.
var corpus = []string{
	"DELETE FROM users WHERE id = 1 OR true",
	"WITH u AS (DELETE FROM ONLY users AS u USING orders o, products WHERE o.id = u.id RETURNING *, u) SELECT * FROM u",
	"SELECT * FROM products p LEFT JOIN (users u NATURAL JOIN orders) ON p.id IN (TABLE users) WHERE a OR b GROUP BY 1",
	"TRUNCATE TABLE orders, items; COPY users (id) TO STDOUT; EXPLAIN DELETE FROM orders",
	"INSERT INTO products SELECT 1, name FROM users ON CONFLICT DO NOTHING",
	"UPDATE users SET (name, email) = (SELECT name, email FROM users) FROM orders TABLESAMPLE system (1) WHERE CURRENT OF c",
	"SELECT 'é' FROM users WHERE U&\"name\" UESCAPE '!' = E'\\'' -- é\nORDER BY 1",
	"DECLARE c CURSOR FOR SELECT * FROM users u(a, b, c, d) FOR UPDATE OF u",
	"SELECT * FROM users UNION (SELECT * FROM users INTERSECT TABLE users) ORDER BY 1 LIMIT 1",
	"MERGE INTO users USING orders ON true WHEN MATCHED THEN DELETE; SELECT 1",
	"SELECT * FROM \"Odd \"\"Name\"\"\", LATERAL (SELECT * FROM items) i FETCH FIRST ROW ONLY",
	"DELETE FROM items RETURNING to_jsonb(items.*), ROW(items.*), gone, (SELECT items.gone)",
	"SET search_path = a; SELECT * FROM users",
	"SELECT * FROM ((users CROSS JOIN orders) FULL JOIN products USING (id)) AS j",
}

func TestCorpusHolds(t *testing.T) {
	env := shopEnv(t)
	for _, sql := range corpus {
		check(t, sql, env)
	}
}

// An error position is mapped through every edit before it.
func TestOriginal(t *testing.T) {
	env := shopEnv(t)
	for _, sql := range []string{
		"SELECT é FROM users u WHERE ü = 1 AND u.x = (SELECT y FROM orders WHERE z) ORDER BY w",
		"DELETE FROM users u USING orders o WHERE o.bad = u.id RETURNING nosuch",
		"SELECT * FROM products LEFT JOIN users u ON u.typo = 1 WHERE other",
		"TRUNCATE orders; SELECT nosuch FROM users WHERE oops",
		"COPY users TO STDOUT; SELECT nosuch FROM orders",
	} {
		plan := Rewrite(sql, env)
		sent := plan.Apply(sql)
		if !plan.Edited() {
			t.Fatalf("%s was not edited", sql)
		}
		from := 0
		for _, word := range strings.FieldsFunc(sql, func(r rune) bool { return strings.ContainsRune(" ();.,*=", r) }) {
			at := strings.Index(sql[from:], word) + from
			from = at + len(word)
			// A word that the client wrote once, and that is still there once.
			if word == "FROM" || strings.Count(sql, word) != 1 || strings.Count(sent, word) != 1 {
				continue
			}
			in := utf8.RuneCountInString(sent[:strings.Index(sent, word)]) + 1
			want := utf8.RuneCountInString(sql[:at]) + 1
			if got := plan.Original(sql, in, true); got != want {
				t.Errorf("%s\n%s: at %d, mapped to %d, want %d", sent, word, in, got, want)
			}
		}
	}
}

// A position inside text that we wrote points at the token it stands by.
func TestOriginalInsideAnEdit(t *testing.T) {
	sql := "DELETE FROM users WHERE id = 1"
	plan := Rewrite(sql, shopEnv(t))
	sent := plan.Apply(sql)
	for word, want := range map[string]string{"SET": "users", "now": "users", "IS NULL": "1", "UPDATE": "DELETE"} {
		got := plan.Original(sql, strings.Index(sent, word)+1, true)
		if at := strings.Index(sql, want) + 1; got != at {
			t.Errorf("%s in %q maps to %d, want %d (%s)", word, sent, got, at, want)
		}
	}
}

// The parser must not be given what would overrun its stack, and what names
// nothing protected goes to the server, whose limits are its own.
func TestDeepStatements(t *testing.T) {
	env := shopEnv(t)
	deep := map[string]func(n int) string{
		"plus":   func(n int) string { return "SELECT 1" + strings.Repeat("+1", n) + " FROM " },
		"concat": func(n int) string { return "SELECT 'a'" + strings.Repeat("||'a'", n) + " FROM " },
		"cast":   func(n int) string { return "SELECT 1" + strings.Repeat("::int", n) + " FROM " },
		"parens": func(n int) string {
			return "SELECT " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n) + " FROM "
		},
		"not":   func(n int) string { return "SELECT " + strings.Repeat("NOT ", n) + "true FROM " },
		"minus": func(n int) string { return "SELECT " + strings.Repeat("- ", n) + "1 FROM " },
		"case": func(n int) string {
			return "SELECT " + strings.Repeat("CASE WHEN true THEN ", n) + "1" + strings.Repeat(" END", n) + " FROM "
		},
		"union": func(n int) string { return strings.Repeat("SELECT 1 UNION ALL ", n) + "SELECT 1 FROM " },
		"join":  func(n int) string { return "SELECT 1 FROM a" + strings.Repeat(" CROSS JOIN b", n) + " CROSS JOIN " },
		"select": func(n int) string {
			return "SELECT " + strings.Repeat("(SELECT ", n) + "1" + strings.Repeat(")", n) + " FROM "
		},
		"is": func(n int) string { return "SELECT true" + strings.Repeat(" IS NOT NULL", n) + " FROM " },
		"array": func(n int) string {
			return "SELECT " + strings.Repeat("ARRAY[", n) + "1" + strings.Repeat("]", n) + " FROM "
		},
		"op":      func(n int) string { return "SELECT 1" + strings.Repeat(" OPERATOR(pg_catalog.+) 1", n) + " FROM " },
		"collate": func(n int) string { return "SELECT 'a'" + strings.Repeat(` COLLATE "C"`, n) + " FROM " },
		"zone":    func(n int) string { return "SELECT now()" + strings.Repeat(" AT TIME ZONE 'x'", n) + " FROM " },
	}
	for name, f := range deep {
		for _, n := range []int{100, 1000, 10_000, 100_000} {
			plan := Rewrite(f(n)+"products", env)
			if plan.Edited() || plan.Probe {
				t.Errorf("%s %d: a statement on an unprotected table is not passed", name, n)
			}
			plan = Rewrite(f(n)+"users", env)
			switch {
			case n == 100 && (len(plan.Stmts) != 1 || plan.Stmts[0].Action != Hidden):
				t.Errorf("%s %d: not rewritten", name, n)
			case n >= 10_000 && !plan.Probe && (len(plan.Stmts) != 1 || plan.Stmts[0].Refusal == nil || plan.Stmts[0].Refusal.Code != "54001"):
				t.Errorf("%s %d: not refused", name, n)
			}
		}
	}
}

// The parser's tree repeats what several columns are assigned from, so that a
// kilobyte could take gigabytes.
func TestWideAssignments(t *testing.T) {
	env := shopEnv(t)
	wide := func(n int) string {
		return "UPDATE users SET (" + strings.Repeat("a, ", n) + "a) = (SELECT " + strings.Repeat("1, ", n) + "1 FROM users)"
	}
	nested := func(n int) string {
		return strings.Repeat("UPDATE users SET (a, b) = (WITH y AS (", n) + "SELECT 1 FROM users" + strings.Repeat(") SELECT 1, 2)", n)
	}
	row := strings.Repeat("UPDATE users SET (a, b, c) = ROW ((WITH y AS (", 20) + "SELECT 1" + strings.Repeat(") SELECT 1), 2, 3)", 20)
	for _, sql := range []string{wide(3000), wide(700), nested(30), row} {
		plan := Rewrite(sql, env)
		if len(plan.Stmts) != 1 || plan.Stmts[0].Refusal == nil || plan.Stmts[0].Refusal.Code != "54001" {
			t.Errorf("%.60s.. of %d bytes is not refused", sql, len(sql))
		}
	}
	for _, sql := range []string{wide(100), nested(3), "SELECT * FROM users WHERE (id, name) = (1, 'a') OR (id, name) IN ((1, 'b'))"} {
		if plan := Rewrite(sql, env); len(plan.Stmts) != 1 || plan.Stmts[0].Action != Hidden {
			t.Errorf("%.60s.. of %d bytes is not rewritten", sql, len(sql))
		}
	}
}

// Lists and chains of AND and OR are flat, however long.
func TestLongStatements(t *testing.T) {
	env := shopEnv(t)
	for name, sql := range map[string]string{
		"or":     "SELECT * FROM users WHERE id = 1" + strings.Repeat(" OR id = 2", 50_000),
		"in":     "SELECT * FROM users WHERE id IN (1" + strings.Repeat(", -2", 100_000) + ")",
		"values": "INSERT INTO products SELECT * FROM users; INSERT INTO users (id) VALUES (1)" + strings.Repeat(", (-1 + 2)", 50_000),
	} {
		plan := Rewrite(sql, env)
		if len(plan.Stmts) == 0 || plan.Stmts[0].Action != Hidden {
			t.Errorf("%s: not rewritten: %+v", name, plan.Refusal)
		}
	}
}

// Plans for hostile texts come at all: what grew with the square of the text
// would not end before go test's own limit.
func TestHostileTexts(t *testing.T) {
	env := shopEnv(t)
	for _, sql := range []string{
		strings.Repeat("(", 1<<20), strings.Repeat(")", 1<<20), strings.Repeat("SELECT ", 1<<18) + " users",
		strings.Repeat("users,", 1<<18), strings.Repeat("'", 1<<20) + "users", strings.Repeat("/*", 1<<19) + "users",
		"SELECT * FROM " + strings.Repeat("(users JOIN ", 1<<16), strings.Repeat("users;", 1<<16),
		"SELECT * FROM users" + strings.Repeat(", users", 5000),
		strings.Repeat("SELECT * FROM users;", 5000),
		"WITH c AS (SELECT 1)" + strings.Repeat(", c AS (SELECT 1 FROM users, c)", 20_000) + " SELECT 1",
		"CREATE TABLE t (" + strings.Repeat("a int, ", 50_000) + "b int);" + strings.Repeat("SELECT 1 FROM users;", 20_000),
		"DELETE FROM users USING " + strings.Repeat("products b, ", 2000) + "products RETURNING " + strings.Repeat("deleted_at, ", 2000) + "id",
		"DELETE FROM users RETURNING " + strings.Repeat("(SELECT ", 300) + "1 IN (1" + strings.Repeat(", 1", 20_000) + ")" + strings.Repeat(")", 300),
	} {
		plan := Rewrite(sql, env)
		if plan.Unparsed != (plan.Fault != "") {
			t.Errorf("%.40q: unparsed %v, for %q", sql, plan.Unparsed, plan.Fault)
		}
	}
}

func TestRedact(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 'secret', 42 /* secret */ FROM users WHERE a = $1 AND b=E'x' AND c = $$y$$": "SELECT ?, ? FROM users WHERE a = $1 AND b=? AND c = ?",
		"SELECT 'secret": "(text that cannot be read)",
	} {
		if got := Redact(sql); got != want {
			t.Errorf("Redact(%q) = %q, want %q", sql, got, want)
		}
	}
}

// Names that are keywords or odd are quoted where we write them.
func TestQuote(t *testing.T) {
	for name, want := range map[string]string{"users": "users", "Users": `"Users"`, "order": `"order"`, `a"b`: `"a""b"`, "1a": `"1a"`, "": `""`, "é": `"é"`, "a1_": "a1_"} {
		if got := quote(name); got != want {
			t.Errorf("quote(%q) = %s, want %s", name, got, want)
		}
		if toks, err := lex.Scan(nil, want); name != "" && (err != nil || len(toks) != 1) {
			t.Errorf("%s is not one token", want)
		}
	}
}

// parseOnly is the parser by itself, for comparison.
func parseOnly(sql string) (*pg.ParseResult, error) { return pg.Parse(sql) }
