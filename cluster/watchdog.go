package cluster

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// watchdogScript reads process ids from a pipe, one a line; the last one counts, an empty line means none. The pipe
// ends when this process does, however it dies. Then the server is told to shut down at once (SIGQUIT takes
// its children along, SIGKILL would not), and its folders, the arguments, go. The wait is bounded, because where
// nobody reaps orphans a dead server keeps its id.
const watchdogScript = `trap '' HUP INT QUIT TERM
pid=
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then
	kill -QUIT "$pid"
	n=0
	while [ $n -lt 100 ] && kill -0 "$pid"; do sleep 0.1; n=$((n+1)); done
	kill -KILL "$pid"
fi
rm -rf -- "$@"
`

// watchdog outlives us by a moment if we die, to end what would otherwise live on.
type watchdog struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser // only we hold this end: the runtime opens it close-on-exec
}

func startWatchdog(dirs ...string) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", append([]string{"-c", watchdogScript, "tombstone-watchdog"}, dirs...)...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a signal to our group is not for it
	pipe, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start the server's watchdog: %w", err)
	}
	return &watchdog{cmd, pipe}, nil
}

// guard names the process to end, in place of the one before.
func (w *watchdog) guard(pid int) error {
	if _, err := fmt.Fprintln(w.pipe, pid); err != nil {
		return fmt.Errorf("tell the server's watchdog: %w", err)
	}
	return nil
}

// forget says that the process is gone, before its id can belong to another.
func (w *watchdog) forget() {
	_, _ = fmt.Fprintln(w.pipe) // a watchdog that is gone has nothing to forget
}

// close ends the watchdog. Folders that are still there go.
func (w *watchdog) close() {
	_ = w.pipe.Close()
	_ = w.cmd.Wait() // its status is rm's: the caller removes the folders itself and knows better
}
