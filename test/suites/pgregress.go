package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"tombstone/test/source"
)

var regress = &Suite{
	Name: "regress", About: "PostgreSQL's regression suite, run by pg_regress, one script at a time",
	Database: "regression",
	Sample: []string{"boolean", "strings", "comments", "copyselect", "copydml", "create_function_sql", "errors", "transactions", "portals", "namespace", "lock",
		"async", "merge", "psql", "guc", "xmlmap", "tsearch", "temp", "prepare", "largeobject", "with"},
	Tests: func(b *Bench) ([]string, error) {
		schedule, err := source.ReadSchedule(b.source)
		if err != nil {
			return nil, err
		}
		return schedule.Files, nil
	},
	Run: func(ctx context.Context, b *Bench, p *Place, tests []string) (Results, error) {
		schedule, err := source.ReadSchedule(b.source)
		if err != nil {
			return Results{}, err
		}
		needed, err := schedule.Select(tests)
		if err != nil {
			return Results{}, err
		}
		lib := filepath.Join(p.Folder, "lib")
		if err := os.Mkdir(lib, 0o755); err != nil {
			return Results{}, err
		}
		if err := b.source.LinkLibraries(b.programs.Bin, lib); err != nil {
			return Results{}, err
		}
		return pgRegress(ctx, b, p, "regress/pg_regress", b.source.Regress(), "regression", tests,
			append([]string{"--dlpath=" + lib}, needed...))
	},
}

var isolation = &Suite{
	Name: "isolation", About: "PostgreSQL's isolation suite: several sessions whose steps are woven together in every order",
	Database: "isolation_regression",
	Sample: []string{"read-only-anomaly-2", "simple-write-skew", "index-only-scan", "two-ids", "predicate-hash", "fk-snapshot", "deadlock-simple", "insert-conflict-do-nothing-2",
		"lock-update-traversal", "detach-partition-concurrently-3", "nowait", "skip-locked", "async-notify", "plpgsql-toast", "merge-update"},
	Tests: func(b *Bench) ([]string, error) {
		text, err := os.ReadFile(filepath.Join(b.source.Isolation(), "isolation_schedule"))
		if err != nil {
			return nil, fmt.Errorf("read the schedule of the isolation suite: %w", err)
		}
		var tests []string
		for line := range strings.Lines(string(text)) {
			if names, ok := strings.CutPrefix(line, "test:"); ok {
				tests = append(tests, strings.Fields(names)...)
			}
		}
		return tests, nil
	},
	Known: []Known{{
		Mode:  "guarded",
		Tests: []string{"detach-partition-concurrently-1", "detach-partition-concurrently-3", "detach-partition-concurrently-4", "predicate-gin"},
		Says:  "ERROR:  could not serialize access due to a concurrent change of table definitions",
		Line:  "another session changes tables while a transaction above READ COMMITTED is open: its snapshot may not show how, so the proxy answers 40001 (rule `snapshot` in refusals.md)",
	}},
	Run: func(ctx context.Context, b *Bench, p *Place, tests []string) (Results, error) {
		r, err := pgRegress(ctx, b, p, "isolation/pg_isolation_regress", b.source.Isolation(), "isolation_regression", tests, tests)
		for _, out := range r.Outputs {
			r.Parts += strings.Count(out, "\nstarting permutation: ")
		}
		return r, err
	},
}

// verdictLine is a line in which pg_regress tells how a test went.
var verdictLine = regexp.MustCompile(`(?m)^test (\S+)\s+\.\.\. (ok|FAILED)`)

// pgRegress runs one of PostgreSQL's two programs that run tests. Debian's package of the clients has them. They look
// whether a test's output is the expected one; that is counted and nothing else, because it also depends on the
// system's locales.
func pgRegress(ctx context.Context, b *Bench, p *Place, program, input, database string, tests, args []string) (Results, error) {
	program = filepath.Join(filepath.Dir(b.programs.Bin), "lib/pgxs/src/test", program)
	if _, err := os.Stat(program); err != nil {
		return Results{}, fmt.Errorf("PostgreSQL's %s is not there; Debian has it in the package postgresql-client-%d: %w",
			filepath.Base(program), b.programs.Major, err)
	}
	cmd := exec.CommandContext(ctx, program, append([]string{"--inputdir=" + input, "--outputdir=" + p.Folder, "--bindir=" + b.programs.Bin,
		"--host=127.0.0.1", fmt.Sprintf("--port=%d", p.Port), "--user=postgres", "--dbname=" + database, "--use-existing"}, args...)...)
	cmd.Env, cmd.Dir = environment(), p.Folder
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil // some output is not the expected one
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Results{}, fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, out[max(0, len(out)-2000):])
	}
	r := Results{Outputs: map[string]string{}, Expected: map[string]bool{}}
	for _, m := range verdictLine.FindAllStringSubmatch(string(out), -1) {
		r.Expected[m[1]] = m[2] == "ok"
	}
	for _, name := range tests {
		out, err := os.ReadFile(filepath.Join(p.Folder, "results", name+".out"))
		if err != nil {
			return Results{}, fmt.Errorf("%s left no output: %w", name, err)
		}
		r.Outputs[name] = string(out)
	}
	return r, nil
}
