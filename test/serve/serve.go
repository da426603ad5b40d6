// Package serve runs the proxy as its users do: the program, with a configuration file. For the tests that are programs
// themselves, test/regress and test/suites.
package serve

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Proxy is the program that is being tested, before a server.
type Proxy struct {
	Port  int
	Log   string // file with its log
	cmd   *exec.Cmd
	ended chan struct{}
}

// Build builds the program from this checkout, into a folder.
func Build(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "tombstone")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "tombstone/cmd/tombstone").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the proxy: %w\n%s", err, out)
	}
	return program, nil
}

// Start runs the program until Stop, on a port of 127.0.0.1, or on a free one if it is 0. The configuration lacks only its
// line about listening. Its log is a file in dir: what it has written there before an answer is there when the client
// has the answer. One goroutine waits for its end. The context bounds only the start.
func Start(ctx context.Context, program, dir string, port int, config string) (*Proxy, error) {
	if port == 0 {
		var err error
		if port, err = FreePort(); err != nil {
			return nil, err
		}
	}
	p := &Proxy{Port: port, Log: filepath.Join(dir, "tombstone.log"), ended: make(chan struct{})}
	file := filepath.Join(dir, "tombstone.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "listen: 127.0.0.1:%d\n%s", port, config), 0o644); err != nil {
		return nil, fmt.Errorf("write the proxy's configuration: %w", err)
	}
	log, err := os.Create(p.Log)
	if err != nil {
		return nil, fmt.Errorf("the proxy's log: %w", err)
	}
	defer log.Close()
	p.cmd = exec.Command(program, "serve", "--config", file)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us; we end it
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the proxy: %w", err)
	}
	go func() {
		_ = p.cmd.Wait() // its log says why
		close(p.ended)
	}()
	if err := p.ready(ctx); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// FreePort asks the system for a port that nobody uses.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// ready waits until the proxy takes connections.
func (p *Proxy) ready(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p.Port))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-p.ended:
			return p.Alive()
		case <-ctx.Done():
			return fmt.Errorf("the proxy takes no connections: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// Alive returns nil while the proxy runs, else the end of its log.
func (p *Proxy) Alive() error {
	select {
	case <-p.ended:
		log, _ := os.ReadFile(p.Log)
		return fmt.Errorf("the proxy has ended (%s):\n%s", p.cmd.ProcessState, log[max(0, len(log)-8000):])
	default:
		return nil
	}
}

// Stop ends the proxy.
func (p *Proxy) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only when it is gone
	late := time.AfterFunc(10*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	<-p.ended
}
