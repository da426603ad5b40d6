package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Build builds the program into a folder and returns its path.
func Build(ctx context.Context, folder string) (string, error) {
	path := filepath.Join(folder, "tombstone")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "tombstone/cmd/tombstone").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
}

// Process is the program, running. Its methods may be called from several goroutines.
type Process struct {
	Host  string
	Port  int
	Admin string // address of its admin endpoint

	cmd    *exec.Cmd
	folder string
	log    string // file
	more   func(version int) string
	ended  chan struct{} // closed when it is reaped

	mu      sync.Mutex // guards version
	version int        // of the configuration
}

// Start runs the program until Kill. more is the configuration but for the addresses, and is told how often it has been
// asked. The folder is for the configuration and the log, which log may put elsewhere.
func Start(binary, folder, log string, more func(version int) string) (*Process, error) {
	ports := make([]int, 2)
	var listeners []net.Listener
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		ports[i] = l.Addr().(*net.TCPAddr).Port
		listeners = append(listeners, l)
	}
	p := &Process{
		Host: "127.0.0.1", Port: ports[0], Admin: fmt.Sprintf("127.0.0.1:%d", ports[1]),
		folder: folder, log: log, more: more, ended: make(chan struct{}),
	}
	if p.log == "" {
		p.log = filepath.Join(folder, fmt.Sprintf("%d.log", p.Port))
	}
	if err := p.configure(); err != nil {
		return nil, err
	}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = exec.Command(binary, "serve", "--config", p.file())
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = withUs()
	for _, l := range listeners { // as late as can be: another program may take the port
		_ = l.Close()
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the proxy: %w", err)
	}
	go func() { // ends with the process
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	for range 1000 {
		if c, err := net.Dial("tcp", p.Admin); err == nil {
			return p, c.Close()
		}
		if !p.Alive() {
			break
		}
		time.Sleep(10 * time.Millisecond) // the state of another process can only be asked for again
	}
	p.Kill()
	return nil, errors.New("the proxy does not listen: " + p.Said())
}

func (p *Process) file() string { return filepath.Join(p.folder, fmt.Sprintf("%d.yaml", p.Port)) }

func (p *Process) configure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.version++
	text := fmt.Sprintf("listen: %s:%d\nadmin: %s\n%s", p.Host, p.Port, p.Admin, p.more(p.version))
	// Renamed into place: a reload must not read half a file.
	next := p.file() + ".next"
	if err := os.WriteFile(next, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(next, p.file())
}

// Reload writes the configuration anew and has the program read it.
func (p *Process) Reload() error {
	if err := p.configure(); err != nil {
		return err
	}
	return p.cmd.Process.Signal(syscall.SIGHUP)
}

// Reloads reports whether such a program reads its configuration again on SIGHUP. One that does not know the signal ends
// of it, so this is tried on one that nobody needs.
func (p *Process) Reloads() bool {
	_ = p.cmd.Process.Signal(syscall.SIGHUP)
	select {
	case <-p.ended:
	case <-time.After(time.Second): // it takes milliseconds to end
	}
	return p.Alive()
}

// DSN is the address of a database behind it. More can be appended.
func (p *Process) DSN(user, db string) string {
	return fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable", p.Host, p.Port, user, db)
}

// Address is where clients connect.
func (p *Process) Address() string { return fmt.Sprintf("%s:%d", p.Host, p.Port) }

// Alive reports whether the process runs.
func (p *Process) Alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Said is the end of its log.
func (p *Process) Said() string {
	log, _ := os.ReadFile(p.log)
	return string(log[max(0, len(log)-4000):])
}

// Kill ends the process and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails only when it is gone
	<-p.ended
}
