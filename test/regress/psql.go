package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Run runs a script with psql and returns all that it prints, errors and notices in their places: psql flushes its
// output before it writes a message. A session that the server ends, or that takes longer than limit, is not an
// error: the answers that are missing say so. Tags are shown, which pg_regress leaves out.
func (t *Twin) Run(ctx context.Context, file, script string, limit time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.psql, "-X", "-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on")
	cmd.Env, cmd.Dir = t.environment(file), t.folder
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(script), &out, &out
	err := cmd.Run()
	if ctx.Err() == context.DeadlineExceeded {
		fmt.Fprintf(&out, "psql was ended: %s took longer than %s\n", file, limit)
		return out.String(), nil
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", fmt.Errorf("run psql: %w", err)
	}
	return t.plain(out.String()), nil
}

// plain removes what differs between the twins by their place alone.
func (t *Twin) plain(out string) string {
	out = strings.ReplaceAll(out, t.folder, "FOLDER")
	return strings.ReplaceAll(out, fmt.Sprintf(`port "%d"`, t.port), `port "PORT"`)
}
