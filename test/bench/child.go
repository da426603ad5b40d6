package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// startLimit bounds how long a child takes to listen.
const startLimit = 15 * time.Second

// child is a running program that listens on a port of 127.0.0.1.
type child struct {
	PID, Port int

	name  string
	cmd   *exec.Cmd
	log   string        // file
	ended chan struct{} // closed when it is reaped
}

// command prepares a program that is to listen on a port.
type command func(port int) (*exec.Cmd, error)

// startChild runs a program until stop. Between our look for a free port and its bind somebody else may take the port, so it
// is tried more than once.
func startChild(ctx context.Context, dog *watchdog, folder, name string, prepare command) (*child, error) {
	var c *child
	var err error
	for range 3 {
		if c, err = startOnce(ctx, dog, folder, name, prepare); err == nil || ctx.Err() != nil {
			break
		}
	}
	return c, err
}

func startOnce(ctx context.Context, dog *watchdog, folder, name string, prepare command) (*child, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	c := &child{name: name, Port: port, log: filepath.Join(folder, name+".log"), ended: make(chan struct{})}
	if c.cmd, err = prepare(port); err != nil {
		return nil, err
	}
	log, err := os.Create(c.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.cmd.Stdout, c.cmd.Stderr = log, log
	if c.cmd.SysProcAttr == nil {
		c.cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	c.cmd.SysProcAttr.Setpgid = true // Ctrl-C is for us; we end it
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c.PID = c.cmd.Process.Pid
	err = dog.guard(c.PID)
	// Ends when the child does, which stop and the watchdog see to.
	go func() {
		_ = c.cmd.Wait() // its log says why
		_ = dog.forget(c.PID)
		close(c.ended)
	}()
	if err == nil {
		err = c.ready(ctx)
	}
	if err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// ready waits until the child takes connections.
func (c *child) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", address(c.Port))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-c.ended:
			return c.alive()
		case <-ctx.Done():
			return fmt.Errorf("%s takes no connections: %w%s", c.name, ctx.Err(), c.said())
		case <-tick.C:
		}
	}
}

// alive returns nil while the child runs, else the end of its log.
func (c *child) alive() error {
	select {
	case <-c.ended:
		return fmt.Errorf("%s has ended (%s)%s", c.name, c.cmd.ProcessState, c.said())
	default:
		return nil
	}
}

func (c *child) said() string {
	log, err := os.ReadFile(c.log)
	if err != nil || len(log) == 0 {
		return ""
	}
	return "; its log ends:\n" + string(log[max(0, len(log)-2000):])
}

// stop kills the child and waits for its end: nothing in it is worth a goodbye.
func (c *child) stop() {
	_ = c.cmd.Process.Kill() // fails only when it is gone
	<-c.ended
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// raiseFiles makes room for n open files here and in the children to come.
func raiseFiles(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("ask for the limit of open files: %w", err)
	}
	// Set even if it is enough: Go gives children the limit from before its own start otherwise.
	want := syscall.Rlimit{Cur: max(limit.Cur, n), Max: max(limit.Max, n)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want); err == nil {
		return nil
	}
	want = syscall.Rlimit{Cur: limit.Max, Max: limit.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	if limit.Max < n {
		return errors.New("the limit of open files is too low for the idle connections; raise it with ulimit -Hn, or ask for fewer with -idle")
	}
	return nil
}
