package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// built builds the program, once, into scratch.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "tombstone")
	if out, err := exec.Command("go", "build", "-o", path, "tombstone/cmd/tombstone").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// serve prepares the program with a configuration.
func serve(t *testing.T, config string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tombstone.yaml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(within(t), path, append([]string{"serve", "--config", file}, args...)...)
}

// fails runs the program and returns what it says on standard error; its exit
// status has to be 1.
func fails(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	err := cmd.Run()
	if cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("exit status: %v, want 1\n%s", err, errs.String())
	}
	return errs.String()
}

func configFor(listen string) string {
	return fmt.Sprintf("listen: %s\nupstream: postgres://%s:%d\ntables:%s", listen, server.Host, server.Port, shopTables)
}

func TestConfigWithATypo(t *testing.T) {
	for _, args := range [][]string{nil, {"--check"}} {
		said := fails(t, serve(t, strings.Replace(configFor("127.0.0.1:6432"), "tables:", "tabels:", 1), args...))
		if !strings.Contains(said, "tombstone.yaml:3: tabels: ") || !strings.Contains(said, "tables") {
			t.Errorf("%v: %s", args, said)
		}
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	if said := fails(t, serve(t, configFor(taken))); !strings.Contains(said, taken+" is already in use") {
		t.Errorf("the proxy's port: %s", said)
	}
	if said := fails(t, serve(t, configFor("127.0.0.1:"+freePort(t))+"\nadmin: "+taken+"\n")); !strings.Contains(said, "already in use") || !strings.Contains(said, taken) {
		t.Errorf("the admin endpoint's port: %s", said)
	}
}

// freePort is a port that nobody uses now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// The program itself: it serves, counts, and stops when it is told to.
func TestServe(t *testing.T) {
	db := database(t)
	port, admin := freePort(t), freePort(t)
	cmd := serve(t, configFor("127.0.0.1:"+port)+"\nadmin: 127.0.0.1:"+admin+"\nlog:\n  level: debug\n")
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var log strings.Builder
	listening := make(chan bool, 1)
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for s := bufio.NewScanner(errs); s.Scan(); {
			mu.Lock()
			log.WriteString(s.Text() + "\n")
			mu.Unlock()
			if strings.Contains(s.Text(), "admin endpoint listens") {
				listening <- true
			}
		}
	}()
	select {
	case <-listening:
	case <-ended:
		t.Fatalf("the program has ended:\n%s", log.String())
	}

	dsn := "host=127.0.0.1 port=" + port + " user=postgres dbname=" + db
	out, said := psql(t, dsn, "-At", "-c", deleteThree, "-c", deleteThree, "-c", "SELECT count(*) FROM users WHERE name <> 'confidential'", "-c", "TRUNCATE orders", "-c", "SELECT 1")
	if out != "DELETE 3\nDELETE 0\n27\nTRUNCATE TABLE\n1\n" || said != "" {
		t.Errorf("psql: %q %q", out, said)
	}
	for path, want := range map[string]string{
		"/healthz": "", "/readyz": "",
		"/metrics": `tombstone_[a-z_]*buried[a-z_]*\{table="public\.users"\} 3\n`,
	} {
		status, body := get(t, "http://127.0.0.1:"+admin+path)
		if status != http.StatusOK || !regexp.MustCompile(want).MatchString(body) {
			t.Errorf("%s: %d, want %s in\n%s", path, status, want, grep(body, "tombstone_"))
		}
	}
	open(t, dsn+" sslmode=disable") // it is told to go, too
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ended
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"proxy listens", "stopped", "deleted_at = now()"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in the log\n%s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "confidential") {
		t.Error("the log shows a literal")
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(within(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, body.String()
}

// grep keeps the lines that begin with a word.
func grep(text, begin string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, begin) {
			out.WriteString(line)
		}
	}
	return out.String()
}
