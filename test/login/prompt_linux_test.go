package login

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a new one: our end, and that of the program which is to believe that a person sits there.
func terminal(t *testing.T) (ours, its *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("needs a terminal: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if its, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	return ours, its
}

// psql finds out that it needs a password by a first connection, which it closes; then it prompts.
func TestPsqlPrompts(t *testing.T) {
	t.Parallel()
	for name, parts := range map[string][]string{"pass": {offer()}, "terminate": {offer(), ask}} {
		r := start(t, url(server, "sslmode=disable"), parts...)
		ours, its := terminal(t)
		cmd := exec.CommandContext(within(t), "psql", "-X", "-At", "-P", "pager=off", "-c", "SELECT 'in as ' || session_user", r.to("user=scram_user sslmode=require"))
		cmd.Env = environ()
		cmd.Stdin, cmd.Stdout, cmd.Stderr = its, its, its
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_ = its.Close()
		var said strings.Builder
		for b := make([]byte, 1); !strings.Contains(said.String(), "Password for user scram_user: "); {
			if _, err := ours.Read(b); err != nil {
				t.Fatalf("%s: no prompt in %q: %v", name, said.String(), err)
			}
			said.Write(b)
		}
		if _, err := io.WriteString(ours, thePassword+"\n"); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(ours) // the end of a terminal's other side is an error
		_ = cmd.Wait()
		if !strings.Contains(string(rest), "in as scram_user") {
			t.Errorf("%s: psql says %q", name, rest)
		}
		if r.log.Has("level=WARN") || r.log.Has("level=ERROR") {
			t.Errorf("%s: a client that asks its user for the password is no reason to warn\n%s", name, r.log)
		}
	}
}
