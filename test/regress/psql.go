package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Run runs a script with psql and returns all that it prints, errors and notices in their places: psql flushes its
// output before it writes a message. A session that the server ends, or that takes longer than limit, is not an
// error: the answers that are missing say so. Tags are shown, which pg_regress leaves out. At a stop of the script psql
// waits until stopped has returned.
func (t *Twin) Run(ctx context.Context, file, script string, limit time.Duration, stopped func(context.Context) error) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.psql, "-X", "-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on")
	cmd.Env, cmd.Dir = t.environment(file), t.folder
	out := &printed{stops: make(chan struct{}, 1)}
	cmd.Stdout, cmd.Stderr = out, out
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return "", fmt.Errorf("run psql: %w", err)
	}
	ended := make(chan struct{})
	var status error
	go func() { // ends with psql, at the end of its script or of ctx
		status = cmd.Wait()
		close(ended)
	}()
	failure := feed(ctx, in, script, out.stops, ended, stopped)
	if failure != nil {
		cancel()
	}
	<-ended
	if failure != nil {
		return "", failure
	}
	if ctx.Err() == context.DeadlineExceeded {
		return out.text() + fmt.Sprintf("psql was ended: %s took longer than %s\n", file, limit), nil
	}
	var exit *exec.ExitError
	if status != nil && !errors.As(status, &exit) {
		return "", fmt.Errorf("run psql: %w", status)
	}
	return t.plain(out.text()), nil
}

// plain removes what differs between the twins by their place alone.
func (t *Twin) plain(out string) string {
	out = strings.ReplaceAll(out, t.folder, "FOLDER")
	return strings.ReplaceAll(out, fmt.Sprintf(`port "%d"`, t.port), `port "PORT"`)
}
