package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// watchdog is told of every child, and of huge pages. It outlives this process by a moment, also if that dies without goodbye, to end
// what would otherwise live on, to give the pages back and to remove the folder of the run. PostgreSQL has one of its own, see package
// cluster.
type watchdog struct {
	cmd  *exec.Cmd
	mu   sync.Mutex
	pipe io.WriteCloser // only we hold this end
}

func startWatchdog(folder string) (*watchdog, error) {
	cmd, err := self("watchdog", folder)
	if err != nil {
		return nil, err
	}
	pipe, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return &watchdog{cmd: cmd, pipe: pipe}, nil
}

// guard names a child to end, and forget one that has been reaped, before its id can belong to another.
func (w *watchdog) guard(pid int) error  { return w.tell('+', pid) }
func (w *watchdog) forget(pid int) error { return w.tell('-', pid) }

// owe says how many huge pages are to be given back at the end.
func (w *watchdog) owe(pages int) error { return w.tell('h', pages) }

func (w *watchdog) tell(what byte, n int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := fmt.Fprintf(w.pipe, "%c%d\n", what, n); err != nil {
		return fmt.Errorf("tell the watchdog: %w", err)
	}
	return nil
}

// close ends the watchdog, and with it whatever child, page and folder is left.
func (w *watchdog) close() error {
	return errors.Join(w.pipe.Close(), w.cmd.Wait())
}

func watchdogRole(args []string) error {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	alive := map[int]bool{}
	var pages int
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		n, err := strconv.Atoi(strings.TrimLeft(lines.Text(), "+-h"))
		if err != nil {
			return err
		}
		if what := lines.Text()[0]; what == 'h' {
			pages = n
		} else {
			alive[n] = what == '+'
		}
	}
	for pid, is := range alive {
		if is {
			_ = syscall.Kill(pid, syscall.SIGKILL) // fails only when it is gone
		}
	}
	err := returnHugePages(pages)
	for _, folder := range args {
		err = errors.Join(err, os.RemoveAll(folder))
	}
	return err
}

// self prepares this program in one of its roles. Ctrl-C is for us, so it gets a process group of its own.
func self(args ...string) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd, nil
}
