package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// startLimit bounds initdb, recovery and the wait for the first connection together.
	startLimit = 60 * time.Second
	// stopLimit bounds an immediate shutdown. PostgreSQL gives its own children 5 s before it kills them.
	stopLimit = 10 * time.Second
	// pollEvery is the pause between two looks at a server that is not ready.
	pollEvery = 20 * time.Millisecond
)

// server is one life of a postmaster.
type server struct {
	cmd  *exec.Cmd
	log  *tail
	done chan struct{} // closed when the postmaster is reaped and its children have let go of its log
}

// launch starts a postmaster. One goroutine waits for its end, and ends with it.
func (a account) launch(program, dir string, args []string, log io.Writer, dog *watchdog) (*server, error) {
	s := &server{log: &tail{to: log}, done: make(chan struct{})}
	s.cmd = a.command(exec.Command(program, args...), dir)
	// A pipe, never a file: children of a killed postmaster hold it open, so Wait returns when they are gone too,
	// and with them the shared memory that would keep the next postmaster from starting.
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.WaitDelay = stopLimit
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	guarded := dog.guard(s.cmd.Process.Pid)
	go func() {
		_ = s.cmd.Wait() // how it ended is in its log
		dog.forget()
		close(s.done)
	}()
	if guarded != nil {
		s.end(syscall.SIGKILL)
		return nil, guarded
	}
	return s, nil
}

// ready waits until the server takes connections, exits, or the context ends.
func (s *server) ready(ctx context.Context, socket, user string) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		notYet := ping(ctx, socket, user)
		if notYet == nil {
			return nil
		}
		select {
		case <-s.done:
			return exitError{s.log.text()}
		case <-ctx.Done():
			return fmt.Errorf("postgres does not take connections (%w): %w%s", notYet, ctx.Err(), indent([]byte(s.log.text())))
		case <-tick.C:
		}
	}
}

// end sends a signal and waits for the end, which SIGKILL forces in time.
func (s *server) end(signal syscall.Signal) {
	_ = s.cmd.Process.Signal(signal) // fails only when it is gone
	late := time.AfterFunc(stopLimit, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	<-s.done
}

// exitError is a postmaster that ended while it should have started.
type exitError struct{ log string }

func (e exitError) Error() string {
	return "postgres exited while starting" + indent([]byte(e.log))
}

// says reports whether the last lines of an exited server's log hold a phrase. Clusters are made with messages in English.
func says(err error, phrase string) bool {
	var exit exitError
	return errors.As(err, &exit) && strings.Contains(exit.log, phrase)
}

// tail passes a log on and keeps its end for error messages.
type tail struct {
	mu  sync.Mutex
	to  io.Writer // nil: nowhere
	end []byte
}

const tailSize = 4096 // bytes

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end = append(t.end, p...)
	t.end = append(t.end[:0], t.end[max(0, len(t.end)-tailSize):]...)
	if t.to != nil {
		_, _ = t.to.Write(p) // a log that cannot be written must not stop the server
	}
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.end)
}

// initdb makes the files of an empty cluster.
func (c *Cluster) initdb(ctx context.Context) error {
	var out tail
	cmd := c.account.command(exec.CommandContext(ctx, filepath.Join(c.programs.Bin, "initdb"), "-D", c.DataDir,
		"-U", c.superUser, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale", "C"), c.home)
	cmd.Stdout, cmd.Stderr = &out, &out // a pipe: Wait returns when initdb's children are gone too
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start initdb: %w", err)
	}
	guarded := c.dog.guard(cmd.Process.Pid)
	err := cmd.Wait()
	c.dog.forget()
	if err != nil {
		return fmt.Errorf("initdb: %w%s", err, indent([]byte(out.text())))
	}
	return guarded
}
