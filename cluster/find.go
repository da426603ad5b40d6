package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// binVariable names the environment variable that overrides the search.
const binVariable = "TOMBSTONE_PG_BIN"

// ErrNotFound is wrapped by the errors of Find and FindMajor when no usable PostgreSQL is on this machine.
var ErrNotFound = errors.New("postgresql not found")

// Programs says where PostgreSQL's programs are.
type Programs struct {
	Bin     string // folder with postgres and initdb; psql need not be there
	Major   int    // 17
	Version string // as `postgres --version` words it, "17.5" or "18beta1"
}

// Find looks for PostgreSQL's programs and takes the first that work: the folder named by TOMBSTONE_PG_BIN; PATH
// (pg_config --bindir, postgres, initdb); the places of Debian, RHEL, Homebrew and Postgres.app, newest major
// first; the folder that Fetch fills. The error wraps ErrNotFound, except for a TOMBSTONE_PG_BIN that is wrong.
func Find() (Programs, error) { return find(0) }

// FindMajor is Find for one major version, such as 17.
func FindMajor(major int) (Programs, error) { return find(major) }

func find(major int) (Programs, error) {
	if dir := os.Getenv(binVariable); dir != "" {
		p, err := probe(dir)
		if err != nil {
			return Programs{}, fmt.Errorf("%s: %w; name the folder that holds postgres and initdb", binVariable, err)
		}
		if major == 0 || p.Major == major {
			return p, nil
		}
	}
	for _, dir := range candidates() {
		p, err := probe(dir)
		if err == nil && (major == 0 || p.Major == major) {
			return p, nil
		}
	}
	if major != 0 {
		return Programs{}, fmt.Errorf("%w: no programs of version %d; install it, or set %s", ErrNotFound, major, binVariable)
	}
	return Programs{}, fmt.Errorf("%w: install it, or set %s to the folder that holds postgres and initdb", ErrNotFound, binVariable)
}

// candidates lists the folders worth a look, best first. They need not exist.
func candidates() []string {
	var dirs []string
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	for _, name := range []string{"postgres", "initdb"} {
		if path, err := exec.LookPath(name); err == nil {
			// A link in PATH often stands alone; its target has the other programs beside it.
			if real, err := filepath.EvalSymlinks(path); err == nil {
				dirs = append(dirs, filepath.Dir(real))
			}
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		dirs = append(dirs, newestFirst(pattern)...)
	}
	if cache, err := cacheDir(); err == nil {
		dirs = append(dirs, newestFirst(filepath.Join(cache, "postgresql-*", "bin"))...)
	}
	return dirs
}

var lastNumber = regexp.MustCompile(`(\d+)\D*$`)

// newestFirst expands a pattern and sorts by the last number in each path, which in all these places is the major version.
func newestFirst(pattern string) []string {
	dirs, _ := filepath.Glob(pattern) // the only error is a bad pattern
	number := func(dir string) int {
		m := lastNumber.FindStringSubmatch(dir)
		if m == nil {
			return 0
		}
		n, _ := strconv.Atoi(m[1])
		return n
	}
	slices.SortStableFunc(dirs, func(a, b string) int { return cmp.Compare(number(b), number(a)) })
	return dirs
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`)

// probe runs the programs of a folder once. That they exist is not enough: one built for another
// libc or with a missing library is there and does not run.
func probe(dir string) (Programs, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Programs{}, err
	}
	var p Programs
	for _, name := range []string{"initdb", "postgres"} {
		out, err := exec.Command(filepath.Join(dir, name), "--version").CombinedOutput()
		if err != nil {
			return Programs{}, fmt.Errorf("run %s --version in %s: %w%s", name, dir, err, indent(out))
		}
		m := versionLine.FindSubmatch(out)
		if m == nil {
			return Programs{}, fmt.Errorf("%s in %s is not PostgreSQL's: --version says %q", name, dir, out)
		}
		major, err := strconv.Atoi(string(m[2]))
		if err != nil {
			return Programs{}, fmt.Errorf("version of %s in %s: %w", name, dir, err)
		}
		p = Programs{Bin: dir, Major: major, Version: string(m[1])}
	}
	return p, nil
}

// indent makes a program's output the indented tail of an error message.
func indent(out []byte) string {
	text := strings.TrimSpace(string(out))
	if text == "" {
		return ""
	}
	return "\n\t" + strings.ReplaceAll(text, "\n", "\n\t")
}
