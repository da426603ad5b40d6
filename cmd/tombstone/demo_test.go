package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"tombstone/cluster"
)

var update = flag.Bool("update", false, "write testdata/demo.golden again")

func needPostgres(t *testing.T) cluster.Programs {
	t.Helper()
	p, err := cluster.Find()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What is another each time gets a name. Columns beside it move with its length, so spaces and dashes count as one.
var varying = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?[+-]\d\d(:\d\d)?`), "TIME"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`PostgreSQL \d[\w.]*`), "PostgreSQL VERSION"},
	{regexp.MustCompile(`([^ \n]) {2,}`), "$1 "},
	{regexp.MustCompile(`-{4,}`), "---"},
}

// The whole show, against its golden file: go test ./cmd/tombstone -run Once -update writes it again.
func TestDemoOnce(t *testing.T) {
	needPostgres(t)
	o := tombstone(t, "", "demo", "--once", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	if o.status != 0 || o.err != "" {
		t.Fatalf("status %d\n%s%s", o.status, o.out, o.err)
	}
	for l := range strings.Lines(o.out) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(l, "\n")); n > width {
			t.Errorf("%d columns: %s", n, l)
		}
		if strings.Contains(l, "\x1b") || strings.HasSuffix(l, " \n") {
			t.Errorf("an escape sequence or a space at the end: %q", l)
		}
	}
	// The second DELETE left the time of the first.
	times := varying[0].pattern.FindAllString(o.out, -1)
	if len(times) != 2 || times[0] != times[1] {
		t.Errorf("times of the deletion: %q", times)
	}
	got := o.out
	for _, v := range varying {
		got = v.pattern.ReplaceAllString(got, v.name)
	}
	const golden = "testdata/demo.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the show has changed; if it should have, run with -update and read the difference\n%s\nwant\n%s", got, want)
	}
}

// A step whose outcome is not the expected one fails the demo, and nothing is left behind all the same.
func TestDemoFailsWhenAStepDoes(t *testing.T) {
	needPostgres(t)
	real := shop
	defer func() { shop = real }()
	shop += "\nUPDATE users SET name = 'Somebody Else' WHERE id = 5;"
	t.Setenv("TMPDIR", scratch(t))
	o := tombstone(t, "", "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	if o.status != 1 || !strings.HasPrefix(o.err, "tombstone demo: step 4 did not go as it should: the answer was \"5|Somebody Else|") {
		t.Errorf("%+v", o)
	}
	nothingLeft(t, os.Getenv("TMPDIR"))
}

func TestDemoAddressInUse(t *testing.T) {
	needPostgres(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("TMPDIR", scratch(t))
	o := tombstone(t, "", "demo", "--once", "--admin", "127.0.0.1:0", "--listen", l.Addr().String())
	if o.status != 1 || !strings.HasPrefix(o.err, "tombstone demo: listen: "+l.Addr().String()+" is already in use") {
		t.Errorf("%+v", o)
	}
	nothingLeft(t, os.Getenv("TMPDIR"))
	// An address that nobody asked for gives way instead.
	if got := addressOr("", l.Addr().String()); got != "127.0.0.1:0" {
		t.Errorf("instead of an address in use: %s", got)
	}
	l.Close()
	if got := addressOr("", l.Addr().String()); got != l.Addr().String() {
		t.Errorf("instead of a free address: %s", got)
	}
}

func TestDemoWithoutPostgres(t *testing.T) {
	t.Setenv("TOMBSTONE_PG_BIN", "/nowhere")
	o := tombstone(t, "", "demo", "--once")
	if o.status != 1 || o.out != "" || !strings.HasPrefix(o.err, "tombstone demo: TOMBSTONE_PG_BIN: ") || !strings.Contains(o.err, "name the folder that holds postgres and initdb") {
		t.Errorf("%+v", o)
	}
}

func TestDemoWriteError(t *testing.T) {
	needPostgres(t)
	var complaint strings.Builder
	status := run(t.Context(), stdio{nil, closed{}, &complaint}, []string{"demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"})
	if status != 1 || !strings.HasPrefix(complaint.String(), "tombstone demo: write to standard output: ") {
		t.Errorf("status %d: %s", status, &complaint)
	}
}

func TestReachable(t *testing.T) {
	for listening, want := range map[string]string{
		"127.0.0.1:6432": "127.0.0.1:6432",
		"0.0.0.0:6432":   "127.0.0.1:6432",
		"[::]:6432":      "127.0.0.1:6432",
		"[::1]:6432":     "[::1]:6432",
	} {
		a, err := net.ResolveTCPAddr("tcp", listening)
		if err != nil {
			t.Fatal(err)
		}
		if got := reachable(a).String(); got != want {
			t.Errorf("%s: %s, want %s", listening, got, want)
		}
	}
}

func TestInviteWithoutPsql(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var out strings.Builder
	at := reachable(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1).To4(), Port: 6432})
	invite(newScreen(&out), cluster.Programs{Bin: "/nowhere"}, at, at, "http://127.0.0.1:9464")
	for _, want := range []string{"   through the proxy   postgres://shop@127.0.0.1:6432/shop\n", "psql is not installed here; any PostgreSQL client takes these URLs.\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

// The process: it serves what it promises until a signal ends it, and leaves nothing behind.
func TestDemoProcess(t *testing.T) {
	needPostgres(t)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			p := launch(t, "demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
			through := p.await(`through the proxy .*postgres://shop@127\.0\.0\.1:(\d+)/shop`)
			past := p.await(`past it, direct .*postgres://shop@127\.0\.0\.1:(\d+)/shop`)
			admin := p.await(`metrics, health +(http://\S+)`)
			p.await(`proxy: 2490, (direct: 2500)`)

			p.ask(through, "DELETE FROM orders WHERE id <= 10", "DELETE 10")
			p.ask(through, "SELECT count(*) FROM orders", "2490")
			p.ask(past, "SELECT count(*) FROM orders", "2500")
			// The note about foreign keys is about orders that are there.
			p.ask(past, "SELECT count(*) > 0 FROM orders WHERE user_id = 5", "t")
			metrics, err := get(t.Context(), admin+"/metrics")
			if err != nil || !strings.Contains(metrics, `tombstone_rows_buried_total{table="public.orders"} 10`) {
				t.Errorf("%v %s", err, metrics)
			}
			// Nobody gets in as the superuser: that could run programs.
			port, _ := strconv.Atoi(past)
			if c, err := connect(t.Context(), "127.0.0.1", port, "postgres", "postgres"); err == nil {
				c.Close(t.Context())
				t.Error("the superuser is let in without a password")
			}

			// A client that stays does not hold up the end.
			stays := p.dial(through)
			defer stays.Close(context.Background())
			if err := p.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			rest, err := p.end()
			if err != nil || rest != "\nstopped, nothing left behind\n" || p.errs.String() != "" {
				t.Errorf("%v\n%s%s", err, rest, &p.errs)
			}
			nothingLeft(t, p.folder)
			if conn, err := net.Dial("tcp", "127.0.0.1:"+past); err == nil {
				conn.Close()
				t.Error("something still listens on the server's port")
			}
		})
	}
}

// A signal while it starts ends it too. Then it did not do what was asked, and the status says so.
func TestDemoInterruptedWhileStarting(t *testing.T) {
	needPostgres(t)
	p := launch(t, "demo", "--once", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	p.await("(Starting PostgreSQL)")
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_, err := p.end()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || p.errs.String() != "tombstone demo: interrupted\n" {
		t.Errorf("%v: %s", err, &p.errs)
	}
	nothingLeft(t, p.folder)
}

// With --verbose the log has each statement beside what was sent.
func TestDemoVerbose(t *testing.T) {
	needPostgres(t)
	o := tombstone(t, "", "demo", "--once", "--verbose", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	if want := fmt.Sprintf("sql=%q sent=%q", deleteUser+";", strings.TrimSpace(buriedUser)+";"); o.status != 0 || !strings.Contains(o.err, want) {
		t.Errorf("status %d, no %s in\n%s", o.status, want, o.err)
	}
}

// process is a tombstone of its own, with a temporary folder of its own.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	folder string
	lines  *bufio.Reader
	errs   strings.Builder
}

func launch(t *testing.T, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, folder: scratch(t)}
	p.cmd = exec.CommandContext(t.Context(), self, args...)
	p.cmd.Env = append(os.Environ(), isTombstone+"=1", "TMPDIR="+p.folder)
	p.cmd.Stderr = &p.errs
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewReader(out)
	return p
}

// await reads on to a line that matches and returns what the parentheses hold.
func (p *process) await(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	for {
		line, err := p.lines.ReadString('\n')
		if m := re.FindStringSubmatch(line); m != nil {
			return m[1]
		}
		if err != nil {
			err = errors.Join(err, p.cmd.Wait())
			p.t.Fatalf("it ended before it said %s: %v\n%s", pattern, err, &p.errs)
		}
	}
}

func (p *process) dial(port string) client {
	p.t.Helper()
	n, err := strconv.Atoi(port)
	if err != nil {
		p.t.Fatal(err)
	}
	conn, err := connect(p.t.Context(), "127.0.0.1", n, "shop", "shop")
	if err != nil {
		p.t.Fatal(err)
	}
	return client{PgConn: conn, name: port}
}

func (p *process) ask(port, sql, want string) {
	p.t.Helper()
	c := p.dial(port)
	defer c.Close(p.t.Context())
	r, err := send(p.t.Context(), c, sql)
	if err := expect(r, err, want); err != nil {
		p.t.Errorf("%s: %v", sql, err)
	}
}

// end waits for the process and returns the rest of what it says.
func (p *process) end() (string, error) {
	rest, _ := io.ReadAll(p.lines)
	return string(rest), p.cmd.Wait()
}

// scratch is a temporary folder that the server's account may enter, with a path short enough for a socket.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "ts")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// nothingLeft looks for files in the folder, and for processes that were started with its path.
func nothingLeft(t *testing.T, folder string) {
	t.Helper()
	files, err := os.ReadDir(folder)
	if err != nil || len(files) > 0 {
		t.Errorf("left in the temporary folder: %v, %v", files, err)
	}
	calls, _ := filepath.Glob("/proc/[0-9]*/cmdline") // none where there is no /proc
	for _, name := range calls {
		if call, err := os.ReadFile(name); err == nil && strings.Contains(string(call), folder) {
			t.Errorf("%s still runs: %q", name, call)
		}
	}
}
