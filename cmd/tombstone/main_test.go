package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// isTombstone makes the test binary tombstone itself, for tests of the process: signals, exit status, what is left.
const isTombstone = "TOMBSTONE_TEST_IS_TOMBSTONE"

func TestMain(m *testing.M) {
	if os.Getenv(isTombstone) != "" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// outcome is what a call of the command line left to see.
type outcome struct {
	status   int
	out, err string
}

func tombstone(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var out, err bytes.Buffer
	status := run(t.Context(), stdio{strings.NewReader(stdin), &out, &err}, args)
	return outcome{status, out.String(), err.String()}
}

// file writes a file for a test and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCommandLine(t *testing.T) {
	const usage = "tombstone is a PostgreSQL proxy that makes deletes soft.\n\nUsage: tombstone COMMAND [options]\n"
	for _, c := range []struct {
		args     string
		status   int
		out, err string // how each begins; "" for nothing at all
	}{
		{"", 2, "", usage},
		{"help", 0, usage, ""},
		{"-h", 0, usage, ""},
		{"--help", 0, usage, ""},
		{"version", 0, "tombstone dev (unknown)\n", ""},
		{"--version", 0, "tombstone dev (unknown)\n", ""},
		{"version --nothing", 2, "", "flag provided but not defined: -nothing\nUsage: tombstone version"},
		{"bury", 2, "", "tombstone: unknown command \"bury\"; see tombstone help\n"},
		{"serve", 2, "", "Usage: tombstone serve --config FILE"},
		{"serve --config", 2, "", "flag needs an argument: -config\nUsage: tombstone serve"},
		{"serve --config a b", 2, "", "Usage: tombstone serve"},
		{"rewrite --nothing", 2, "", "flag provided but not defined"},
		{"rewrite DELETE FROM t", 2, "", "tombstone rewrite: 3 arguments; put the whole statement into one pair of quotes\n"},
		{"health now", 2, "", "Usage: tombstone health"},
		{"demo now", 2, "", "Usage: tombstone demo"},
		{"demo --pg-major -1", 2, "", "tombstone demo: --pg-major: -1 is not a version of PostgreSQL; write e.g. 17\n"},
		{"demo --pg-major new", 2, "", "invalid value \"new\" for flag -pg-major"},
		{"demo --listen 6432", 1, "", "tombstone demo: --listen: \"6432\" is a port without a host; write 127.0.0.1:PORT"},
		{"demo --listen unix:/tmp/x", 1, "", "tombstone demo: --listen: the demo listens on TCP only; write HOST:PORT\n"},
		{"demo --admin 127.0.0.1", 1, "", "tombstone demo: --admin: \"127.0.0.1\" has no port"},
	} {
		t.Run(c.args, func(t *testing.T) {
			o := tombstone(t, "", strings.Fields(c.args)...)
			if o.status != c.status || !begins(o.out, c.out) || !begins(o.err, c.err) {
				t.Errorf("status %d\nout: %s\nerr: %s\nwant status %d\nout: %s..\nerr: %s..", o.status, o.out, o.err, c.status, c.out, c.err)
			}
		})
	}
}

func begins(text, with string) bool {
	return strings.HasPrefix(text, with) && (with != "" || text == "")
}

// Help that was asked for goes to standard output and is a success, for each command that the list names.
func TestEveryCommandHasHelp(t *testing.T) {
	list := tombstone(t, "", "help").out
	for _, c := range commands {
		if !strings.Contains(list, "  "+c.name) || !strings.Contains(list, c.summary) {
			t.Errorf("help does not list %s", c.name)
		}
		o := tombstone(t, "", c.name, "--help")
		if o.status != 0 || o.err != "" || !strings.HasPrefix(o.out, "Usage: tombstone "+c.name) {
			t.Errorf("%s --help: %+v", c.name, o)
		}
	}
}

// A command that fails at writing has failed.
func TestStandardOutputThatCannotBeWritten(t *testing.T) {
	var complaint bytes.Buffer
	if status := run(context.Background(), stdio{nil, closed{}, &complaint}, []string{"version"}); status != 1 {
		t.Errorf("status %d, want 1; standard error: %s", status, &complaint)
	}
}

// closed is a writer that nobody reads from any more.
type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, os.ErrClosed }
