package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Proxy is the program that is being tested, before the soft twin's server.
type Proxy struct {
	Port  int
	cmd   *exec.Cmd
	log   string // file with its log
	read  int64  // how much of it Refusals has read
	ended chan struct{}
}

// policy protects every table that has the marker.
const policy = `listen: 127.0.0.1:%d
upstream: postgres://127.0.0.1:%d
tables:
  - name: "*.*"
log:
  format: json
  literals: true
`

// buildProxy builds the program from this checkout.
func buildProxy(ctx context.Context, scratch string) (string, error) {
	program := filepath.Join(scratch, "tombstone")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "tombstone/cmd/tombstone").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the proxy: %w\n%s", err, out)
	}
	return program, nil
}

// startProxy runs the program until Stop. Its log is a file: what it has written there before an answer is there when psql has
// the answer. One goroutine waits for its end.
func startProxy(ctx context.Context, program, scratch string, upstream int) (*Proxy, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p := &Proxy{Port: port, log: filepath.Join(scratch, "tombstone.log"), ended: make(chan struct{})}
	config := filepath.Join(scratch, "tombstone.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, policy, port, upstream), 0o644); err != nil {
		return nil, err
	}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(program, "serve", "--config", config)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us; we end it
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the proxy: %w", err)
	}
	go func() {
		_ = p.cmd.Wait() // its log says why
		close(p.ended)
	}()
	return p, p.ready(ctx)
}

func freePort() (int, error) {
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
		log, _ := os.ReadFile(p.log)
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

// asServer are rules by which the proxy says what the server would have said: an answer like others, to be compared.
var asServer = map[string]bool{"as-server": true, "prepared": true}

// Refusal is a statement that the proxy did not send on, as its log tells it.
type Refusal struct {
	Rule, SQLState string
	Reason         string // the message that the client got
	SQL            string
}

// Refusals returns what the proxy has refused since the last call.
func (p *Proxy) Refusals() ([]Refusal, error) {
	file, err := os.ReadFile(p.log)
	if err != nil {
		return nil, fmt.Errorf("read the proxy's log: %w", err)
	}
	news := file[p.read:]
	news = news[:bytes.LastIndexByte(news, '\n')+1]
	p.read += int64(len(news))
	var refusals []Refusal
	for line := range strings.Lines(string(news)) {
		var entry struct {
			Msg string
			Refusal
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "statement refused" && !asServer[entry.Rule] {
			refusals = append(refusals, entry.Refusal)
		}
	}
	return refusals, nil
}
