package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// node-postgres: simple queries, parameters and named statements.
func TestNodePostgres(t *testing.T) {
	if testing.Short() {
		t.Skip("node-postgres is left out of short runs")
	}
	dir := filepath.Join("..", "clients")
	node := program(t, "node")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "pg")); err != nil {
		ci := exec.CommandContext(t.Context(), program(t, "npm"), "ci", "--no-audit", "--no-fund")
		ci.Dir = dir
		if out, err := ci.CombinedOutput(); err != nil {
			t.Fatalf("npm ci in %s: %v\n%s", dir, err, out)
		}
	}
	db := database(t)
	f := start(t, shopTables)
	cmd := exec.CommandContext(within(t), node, "--test", "--test-reporter=spec", ".")
	cmd.Dir = dir
	cmd.Env = environ("PROXY=postgres://postgres@"+f.addr.String()+"/"+db, "DIRECT="+server.DSN(db))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not in PATH; install Node.js 18 or newer with npm (Debian: nodejs, npm), or run the tests with -short", name)
	}
	return path
}
