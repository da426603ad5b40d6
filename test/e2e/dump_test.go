package e2e

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// dump runs pg_dump or pg_dumpall, and returns what it writes and what it complains of.
func (a *asking) dump(t *testing.T, program, dsn, options string, args ...string) (out, errs string) {
	t.Helper()
	cmd := exec.CommandContext(within(t), filepath.Join(programs(t), program), append(args, "-d", dsn)...)
	cmd.Env = environ("PGOPTIONS=" + options)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && stderr.Len() == 0 {
		t.Fatal(err)
	}
	// What differs from one run to the next.
	return regexp.MustCompile(`(?m)^\\(un)?restrict .*$`).ReplaceAllString(stdout.String(), ""), stderr.String()
}

// A backup has the deleted rows, or there is none.
func TestPgDump(t *testing.T) {
	a := newAsking(t)
	admin := func(dsn string) string { return strings.Replace(dsn, "user=postgres", "user=everything_there_is", 1) }
	const all = "-c tombstone.visibility=all"
	for _, c := range []struct {
		about, program, options string
		args                    []string
		says                    string
	}{
		{about: "pg_dump", program: "pg_dump", says: "pg_dump through tombstone would leave out deleted rows\nHINT:  Connect it to the server directly, or set PGOPTIONS='-c tombstone.visibility=all'"},
		{about: "pg_dump in a format of its own", program: "pg_dump", args: []string{"-Fc"}, says: "would leave out deleted rows"},
		{about: "pg_dumpall", program: "pg_dumpall", args: []string{"--globals-only", "-l", a.db}, says: "could not connect to database"}, // it does not tell why; the log does,
		{about: "live rows", program: "pg_dump", options: "-c tombstone.visibility=live", says: "would leave out deleted rows"},
		{about: "the past", program: "pg_dump", options: all + " -c tombstone.as_of=2024-01-01", says: "would leave out deleted rows"},
	} {
		if _, errs := a.dump(t, c.program, admin(a.dsn(a.db)), c.options, c.args...); !strings.Contains(errs, c.says) {
			t.Errorf("%s: %s", c.about, errs)
		}
	}
	if _, errs := a.dump(t, "pg_dump", strings.Replace(a.dsn(a.db), "user=postgres", "user=nobody", 1), all); !strings.Contains(errs, "permission denied to set parameter") || !strings.Contains(errs, "roles.see") {
		t.Errorf("who may not: %s", errs)
	}
	for _, args := range [][]string{nil, {"--data-only", "--inserts", "--table=users"}, {"--data-only", "--column-inserts", "--rows-per-insert=7"}} {
		want, _ := a.dump(t, "pg_dump", admin(keywords(a.db)), "", args...)
		got, errs := a.dump(t, "pg_dump", admin(a.dsn(a.db)), all, args...)
		if got != want || errs != "" || !strings.Contains(got, "user 30") {
			t.Errorf("pg_dump %q: %s\n%.2000s\nwant\n%.2000s", args, errs, got, want)
		}
	}
	if !strings.Contains(a.log.String(), "pg_dumpall through tombstone would leave out deleted rows") {
		t.Errorf("the log has nothing of pg_dumpall:\n%s", a.log.String())
	}
	// Where nothing is protected.
	want, _ := a.dump(t, "pg_dump", admin(keywords("postgres")), "")
	if got, errs := a.dump(t, "pg_dump", admin(a.dsn("postgres")), ""); got != want || errs != "" || want == "" {
		t.Errorf("of a database in which nothing is protected: %s", errs)
	}
}
