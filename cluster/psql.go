package cluster

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Psql runs a script with psql as the superuser and returns what it prints: rows unaligned with | between columns,
// and command tags, without the last newline. The first statement that fails ends the script; the
// error then holds psql's own words. It connects through the Unix socket, so Options.HBA should trust `local`. Not every
// package of the server brings psql; the error says so.
func (c *Cluster) Psql(ctx context.Context, db, sql string) (string, error) {
	program, err := exec.LookPath(filepath.Join(c.programs.Bin, "psql"))
	if err != nil {
		program, err = exec.LookPath("psql")
	}
	if err != nil {
		return "", errors.New("psql is neither beside postgres nor in PATH; install postgresql-client")
	}
	cmd := exec.CommandContext(ctx, program, "-X", "-At", "-v", "ON_ERROR_STOP=1", "-w",
		"-h", c.SocketDir, "-p", strconv.Itoa(c.Port), "-U", c.superUser, "-d", db, "-f", "-")
	cmd.Env = environment()
	var stdout, stderr strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(sql), &stdout, &stderr
	err = cmd.Run()
	if err != nil {
		err = fmt.Errorf("psql: %w%s", err, indent([]byte(stderr.String())))
	}
	return strings.TrimSuffix(stdout.String(), "\n"), err
}
