package doctor

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/cluster"
	"tombstone/cluster/clustertest"
	"tombstone/config"
	"tombstone/lifecycle"
	"tombstone/policy"
)

var server *cluster.Cluster

func TestMain(m *testing.M) {
	clustertest.Main(m, func(s *clustertest.Shared) (err error) {
		if server, err = s.Start(cluster.Options{Settings: map[string]string{"autovacuum": "off", "wal_level": "logical"}}); err == nil {
			_, err = server.Psql(s, "postgres", "CREATE ROLE app LOGIN; CREATE ROLE clerk LOGIN")
		}
		return err
	})
}

var within = clustertest.Within

// database makes a database with a schema and returns a superuser's connection to it.
func database(t testing.TB, name, schema string) *pgx.Conn {
	t.Helper()
	conn := clustertest.Database(t, server, name)
	if _, err := conn.Exec(within(t), schema); err != nil {
		t.Fatal(err)
	}
	return conn
}

func connect(t testing.TB, db, role string) *pgx.Conn {
	t.Helper()
	return clustertest.Connect(t, strings.Replace(server.DSN(db), "postgres@", role+"@", 1))
}

func examine(t testing.TB, conn *pgx.Conn, c *config.Config) *Report {
	t.Helper()
	r, err := Examine(within(t), conn, c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// apply runs statements as psql would: one after the other, each as it stands.
func apply(t testing.TB, conn *pgx.Conn, sql ...string) {
	t.Helper()
	for _, s := range sql {
		if _, err := conn.PgConn().Exec(within(t), s).ReadAll(); err != nil {
			t.Fatalf("%v:\n%s", err, s)
		}
	}
}

func prepare(t testing.TB, conn *pgx.Conn, c *config.Config) {
	t.Helper()
	d, err := lifecycle.Read(within(t), conn, policy.New(c.Tables, c.Bodies))
	if err != nil {
		t.Fatal(err)
	}
	if err := lifecycle.Prepare(d).Missing().Apply(within(t), conn, io.Discard); err != nil {
		t.Fatal(err)
	}
	apply(t, conn, "RESET search_path", "RESET lock_timeout")
}

// byHand is what a person does where the advice is words, by check and object.
var byHand = map[string]string{
	"trigger marked on public.triggered": "DROP TRIGGER marked ON triggered",
	"trigger forbidden on public.triggered": `CREATE FUNCTION forbid_mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.id = 0 THEN RAISE 'it stays'; END IF; RETURN NEW; END $$;
		DROP TRIGGER forbidden ON triggered;
		CREATE TRIGGER forbidden BEFORE UPDATE OF deleted_at ON triggered FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION forbid_mark()`,
	"trigger audited on public.triggered": `CREATE OR REPLACE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF TG_OP = 'UPDATE' AND NEW.deleted_at IS NOT NULL THEN INSERT INTO trail (what) VALUES ('gone'); END IF; RETURN NULL; END $$`,
	"rule kept on public.ruled":            "DROP RULE kept ON ruled",
	"trigger instead on public.shop":       "DROP TRIGGER instead ON shop",
	"table public.orders":                  "SET tombstone.delete = purge; DELETE FROM orders WHERE deleted_at < '2021-01-01'; RESET tombstone.delete", // retention-behind
	"view public.many_names":               "",                                                                                                         // mended with the view that it reads
	"role ghost":                           "CREATE ROLE ghost",
	"table public.dated":                   "ALTER TABLE dated ADD COLUMN born timestamptz",
	"table public.equal":                   "ALTER TABLE equal ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
	"table public.held":                    "ALTER TABLE held ADD COLUMN no_such_column boolean",
	"publication columns of public.narrow": "",
}

// fact is what the server does with a trap, and once the advice is followed: whether it is one is not the doctor's opinion.
type fact struct {
	role, sql, before, after string
	since                    int // the version of PostgreSQL
}

var facts = []fact{
	{"app", "UPDATE notes SET deleted_at = now() WHERE owner = current_user AND notes.deleted_at IS NULL", "0", "1", 0},
	{"app", "UPDATE secrets SET deleted_at = now() WHERE id = 1 AND secrets.deleted_at IS NULL", "42501", "1", 0},
	{"app", "UPDATE users SET deleted_at = now() WHERE users.deleted_at IS NULL", "42501", "100", 0},
	{"app", "UPDATE shown SET deleted_at = now() WHERE shown.deleted_at IS NULL", "42501", "0", 0},
	{"app", "UPDATE orders SET deleted_at = now() WHERE id = 1 AND orders.deleted_at IS NULL", "42501", "1", 0},
	{"postgres", "INSERT INTO keyless VALUES (1); UPDATE keyless SET deleted_at = now() WHERE keyless.deleted_at IS NULL", "55000", "1", 0},
	{"postgres", "INSERT INTO flagged VALUES (1)", "23502", "1", 0},
	{"postgres", "INSERT INTO never VALUES (1)", "23502", "1", 0},
	{"postgres", "INSERT INTO newborn VALUES (1); UPDATE newborn SET id = 2 WHERE deleted_at IS NULL", "0", "1", 0},
	{"postgres", "UPDATE users SET deleted_at = now() WHERE id = 1; UPDATE orders SET note = note WHERE total() = 100 AND id = 1", "1", "0", 0},
	{"postgres", "UPDATE users SET deleted_at = now() WHERE id = 1; UPDATE orders SET note = note WHERE total_atomic() = 100 AND id = 1", "1", "0", 14},
	{"postgres", "UPDATE users SET deleted_at = now() WHERE id = 1; UPDATE orders SET note = note WHERE id IN (SELECT key FROM names WHERE key = 1)", "1", "0", 0},
	{"postgres", "UPDATE users SET deleted_at = now() WHERE id = 1; UPDATE orders SET note = note FROM (SELECT sum(count) AS n FROM many_names) v WHERE v.n = 30000 AND id = 1", "1", "0", 0},
	{"postgres", "SELECT sweep(5); UPDATE users SET name = name WHERE id = 5", "0", "1", 0},
	{"postgres", "UPDATE users SET deleted_at = now() WHERE id = 1; CALL rename_all(); UPDATE users SET id = id WHERE name = 'x' AND deleted_at IS NOT NULL", "1", "0", 0},
	{"postgres", "INSERT INTO members VALUES ('app', now()); INSERT INTO documents VALUES (1); SET ROLE app; CREATE TEMP TABLE seen AS SELECT FROM documents; SELECT FROM seen", "1", "0", 0},
	{"postgres", "INSERT INTO triggered VALUES (1); UPDATE triggered SET deleted_at = now(); UPDATE trail SET what = what WHERE what = 'gone 1'", "0", "1", 0},
	{"postgres", "INSERT INTO triggered VALUES (1); UPDATE triggered SET deleted_at = now(); UPDATE trail SET what = what WHERE what = 'some'", "0", "1", 0},
	{"postgres", "INSERT INTO triggered VALUES (1); UPDATE triggered SET deleted_at = now(); SELECT FROM triggered WHERE changed IS NOT NULL", "1", "0", 0},
	{"postgres", "INSERT INTO trail (what) VALUES ('sweep')", "1", "1", 0},
	{"postgres", "UPDATE users SET deleted_at = now() WHERE id = 3; INSERT INTO users VALUES (1003, 'user3@example.org')", "23505", "1", 0},
	{"postgres", "SELECT FROM totals WHERE n = 300", "100", "0", 0},
	{"app", "SELECT FROM totals", "100", "100", 0},
}

// ask tells how many rows the last statement is about, or its error, and takes all back.
func (f fact) ask(t testing.TB, db string) string {
	t.Helper()
	conn := connect(t, db, f.role)
	results, err := conn.PgConn().Exec(within(t), "BEGIN; "+f.sql+"; ROLLBACK").ReadAll()
	if code := codeOf(err); code != "" {
		return code
	} else if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(results[len(results)-2].CommandTag.RowsAffected())
}

// One instance of each trap is found by the check for it. Once each finding's own advice is followed, nothing is left that is worse than
// a fact.
func TestTraps(t *testing.T) {
	schema, err := os.ReadFile("testdata/traps.sql")
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load("testdata/traps.yaml")
	if err != nil {
		t.Fatal(err)
	}
	conn := database(t, "traps", "")
	version := major(t, conn)
	for n := version + 1; n < 99; n++ {
		schema = regexp.MustCompile(fmt.Sprintf("(?m)^.*-- since %d$", n)).ReplaceAll(schema, nil)
	}
	apply(t, conn, string(schema))
	apply(t, conn, "RESET check_function_bodies")
	seen := map[string]bool{}
	note := func(r *Report) {
		for _, f := range r.Findings {
			seen[f.Check] = true
			if !slices.ContainsFunc(Checks, func(c Check) bool { return c.Name == f.Check }) {
				t.Errorf("%s is not in Checks", f.Check)
			}
			if f.Why == "" || f.Object == "" || f.Severity > Info && f.Fix() == "" {
				t.Errorf("it does not say enough: %+v", f)
			}
		}
	}
	first := examine(t, conn, c)
	note(first)
	if version == 15 { // others print some definitions otherwise
		golden(t, "testdata/traps.golden", first)
	}
	facts := slices.DeleteFunc(slices.Clone(facts), func(f fact) bool { return f.since > version })
	for _, f := range facts {
		if got := f.ask(t, "traps"); got != f.before {
			t.Errorf("%s, before: %s, want %s", f.sql, got, f.before)
		}
	}
	mend(t, conn, c, first, note)
	for _, f := range facts {
		if got := f.ask(t, "traps"); got != f.after {
			t.Errorf("%s, after: %s, want %s", f.sql, got, f.after)
		}
	}

	// What can only go wrong in a database that is prepared.
	apply(t, conn,
		"ALTER PUBLICATION keys ADD TABLE tombstone.deletions", // record-published
		"ANALYZE vast", // it is not large: empty-deletion is asked for only where that is quick
		"UPDATE users SET deleted_at = now() WHERE id = 9; UPDATE users SET deleted_at = NULL WHERE id = 9", // empty-deletion
		"ALTER TABLE users DISABLE TRIGGER tombstone_guard",
		"ALTER TABLE limited RENAME id TO number", // stale-trigger
		"DO $$ DECLARE f text; BEGIN FOR f IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'tombstone'::regnamespace AND prosecdef LOOP EXECUTE 'ALTER FUNCTION ' || f || ' OWNER TO clerk'; END LOOP; END $$",
	)
	byHand["table public.secrets"], byHand["table public.notes"] = "ALTER ROLE clerk BYPASSRLS", ""
	second := examine(t, conn, c)
	note(second)
	for _, want := range []string{"disabled-trigger", "stale-trigger", "policy-binds-triggers", "empty-deletion"} {
		if !slices.ContainsFunc(second.Findings, func(f Finding) bool { return f.Check == want }) {
			t.Errorf("%s is not found", want)
		}
	}
	// Somebody who is no superuser gets an answer that says what it leaves out.
	clerk := examine(t, connect(t, "traps", "clerk"), c)
	note(clerk)
	if clerk.Worst() < Warning {
		t.Error("a login without rights hears that all is well")
	}
	mend(t, conn, c, second, note)
	for _, c := range Checks {
		if !seen[c.Name] && !(version < 15 && c.Name == "publication-without-marker") {
			t.Errorf("no trap is caught by %s", c.Name)
		}
	}
}

// mend follows the advice of a report, and looks again, until nothing worse than a fact is left.
func mend(t *testing.T, conn *pgx.Conn, c *config.Config, r *Report, note func(*Report)) {
	t.Helper()
	for round := 0; r.Worst() > Info; round++ {
		if round == 3 {
			t.Fatalf("after %d rounds this is left:\n%s", round, text(t, r))
		}
		prepares := false
		for _, f := range r.Findings {
			hand, known := byHand[f.Object]
			switch {
			case len(f.SQL) > 0:
				apply(t, conn, f.SQL...)
			case f.Severity == Info:
			case strings.HasPrefix(f.Advice, "Run tombstone prepare --config"):
				prepares = true
			case f.Check == "unknown-table", f.Check == "not-a-table":
				edited := *c
				edited.Tables = slices.DeleteFunc(slices.Clone(c.Tables), func(e config.Table) bool { return e.Name == "public.gone" || e.Name == "public.mirror" })
				c = &edited
			case known:
				apply(t, conn, hand)
			default:
				t.Errorf("nobody knows what to do: %+v", f)
			}
		}
		if prepares {
			prepare(t, conn, c)
		}
		r = examine(t, conn, c)
		note(r)
	}
}

func text(t testing.TB, r *Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

var update = flag.Bool("update", false, "write testdata/traps.golden anew")

// golden holds the report against the one in a file, which -update writes anew: read the difference.
func golden(t *testing.T, file string, r *Report) {
	t.Helper()
	same := *r
	same.At, same.Took = time.Time{}, 0
	got := text(t, &same)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update and read the difference. Got:\n%s", file, got)
	}
}

// major is the server's version.
func major(t testing.TB, conn *pgx.Conn) (n int) {
	t.Helper()
	if err := conn.QueryRow(within(t), "SELECT current_setting('server_version_num')::int / 10000").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// codeOf is the SQLSTATE of an error, "" for none.
func codeOf(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
