package e2e

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	pp "github.com/jackc/pgx/v5/pgproto3"
	"go.uber.org/goleak"
)

// hostile are bytes that no client should send, instead of a startup packet.
var hostile = map[string]string{
	"nothing":                     "",
	"garbage":                     "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"zeros":                       strings.Repeat("\x00", 64),
	"ones":                        strings.Repeat("\xff", 64),
	"half a startup packet":       startup("user", "postgres")[:11],
	"half a length":               "\x00\x00",
	"huge length":                 "\x7f\xff\xff\xff\x00\x03\x00\x00user\x00x\x00\x00",
	"negative length":             "\xff\xff\xff\xff\x00\x03\x00\x00",
	"tiny length":                 "\x00\x00\x00\x04",
	"no terminator":               "\x00\x00\x00\x0d\x00\x03\x00\x00user\x00",
	"protocol 2":                  "\x00\x00\x00\x08\x00\x02\x00\x00",
	"protocol 9":                  "\x00\x00\x00\x09\x00\x09\x00\x00\x00",
	"no user":                     startup("database", "postgres"),
	"SSL flood":                   strings.Repeat(sslRequest, 1000),
	"SSL and GSS flood":           strings.Repeat(sslRequest+gssRequest, 500),
	"TLS hello after SSLRequest":  sslRequest + "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 500),
	"wrong cancel key":            "\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x01\x00\x00\x00\x02",
	"short cancel":                "\x00\x00\x00\x0a\x04\xd2\x16\x2e\x00\x00",
	"long cancel":                 "\x00\x00\x01\x0c\x04\xd2\x16\x2e" + strings.Repeat("k", 260),
	"query before authentication": startup("user", "scram_user", "database", "postgres") + "Q\x00\x00\x00\x0dSELECT 1\x00",
	"huge password":               startup("user", "password_user", "database", "postgres") + "p\x7f\xff\xff\xff" + strings.Repeat("x", 70000),
	"empty password message":      startup("user", "scram_user", "database", "postgres") + "p\x00\x00\x00\x04",
	"truncated SASL":              startup("user", "scram_user", "database", "postgres") + "p\x00\x00\x00\x08SCRA",
	"replication":                 startup("user", "postgres", "replication", "true") + "garbage garbage garbage",
}

// message frames a body.
func message(typ byte, body string) string {
	return string(binary.BigEndian.AppendUint32([]byte{typ}, uint32(len(body)+4))) + body
}

// hostileLater are bytes that no client should send after it has logged in.
var hostileLater = map[string]string{
	"garbage":                "garbage garbage garbage garbage",
	"zeros":                  strings.Repeat("\x00", 100),
	"ones":                   strings.Repeat("\xff", 100),
	"unknown type":           message('?', "x"),
	"backend's type":         message('Z', "I"),
	"length zero":            "Q\x00\x00\x00\x00",
	"length three":           "Q\x00\x00\x00\x03",
	"negative length":        "Q\xff\xff\xff\xff",
	"huge length":            "Q\x7f\xff\xff\xffSELECT",
	"huge Parse":             "P\x7f\xff\xff\xfename\x00" + strings.Repeat("x", 100000),
	"huge Bind":              "B\x7f\xff\xff\xff" + strings.Repeat("x", 100000),
	"huge Describe":          "D\x7f\xff\xff\xffS",
	"huge CopyData":          "d\x7f\xff\xff\xff" + strings.Repeat("x", 100000),
	"empty Query body":       message('Q', ""),
	"Query without end":      message('Q', "SELECT 1"),
	"Query with two ends":    message('Q', "SELECT 1\x00SELECT 2\x00"),
	"Query of a zero":        message('Q', "\x00\x00"),
	"Query not UTF-8":        message('Q', "SELECT '\xff\xfe' FROM users\x00"),
	"empty Parse body":       message('P', ""),
	"Parse without end":      message('P', "a\x00SELECT 1"),
	"Parse, negative types":  message('P', "\x00DELETE FROM users WHERE id = $1\x00\xff\xff") + message('S', ""),
	"Parse, too few types":   message('P', "\x00DELETE FROM users WHERE id = $1\x00\x7f\xff\x00") + message('S', ""),
	"empty Bind":             message('B', ""),
	"Bind, negative formats": message('B', "\x00\x00\xff\xff\x00\x00\x00\x00") + message('S', ""),
	"Bind, negative values":  message('B', "\x00\x00\x00\x00\xff\xff\x00\x00") + message('S', ""),
	"Bind, negative length":  message('P', "\x00SELECT $1\x00\x00\x00") + message('B', "\x00\x00\x00\x00\x00\x01\xff\xff\xff\x00\x00\x00") + message('S', ""),
	"Bind, short":            message('B', "\x00\x00\x00\x00\x00\x05") + message('S', ""),
	"Describe of nothing":    message('D', ""),
	"Describe of Z":          message('D', "Zx\x00") + message('S', ""),
	"Close without name":     message('C', "S"),
	"Execute, short":         message('E', "\x00\x00"),
	"Sync with a body":       message('S', "body"),
	"function call, short":   message('F', "\x00"),
	"function call, many":    message('F', "\x00\x00\x00\x01\xff\xff\xff\xff"),
	"password now":           message('p', "secret\x00"),
	"CopyDone now":           message('c', "") + message('f', "x\x00") + message('d', "x"),
	"half a message":         message('Q', "DELETE FROM users\x00")[:9],
	"half a header":          "Q\x00\x00",
	"Terminate and more":     message('X', "") + message('Q', "DELETE FROM users\x00"),
	"Terminate with a body":  message('X', "body"),
	"Flush flood":            strings.Repeat(message('H', ""), 5000),
	"Sync flood":             strings.Repeat(message('S', ""), 5000),
	"Query flood":            strings.Repeat(message('Q', "SELECT count(*) FROM users\x00"), 500),
	"Parse flood":            strings.Repeat(message('P', "\x00DELETE FROM users WHERE id = 99\x00\x00\x00"), 2000),
	"startup again":          startup("user", "postgres"),
	"SSLRequest now":         sslRequest,
}

// TestNothingIsLeft runs sessions of every kind, those that end well and those
// that do not, and then counts goroutines, descriptors and backends.
func TestNothingIsLeft(t *testing.T) {
	logins(t)
	db := database(t)
	// The first session of each kind may leave things that stay, such as the
	// resolver's.
	warm := start(t, shopTables)
	session(t, warm, db)
	warm.stop()

	f := start(t, shopTables)
	session(t, f, db) // so that all that serves is there to be counted
	eventually(t, "the first session is over", func() bool { return backends(t, db) == "0" })
	old := goleak.IgnoreCurrent()
	descriptors := countDescriptors(t)
	routines := runtime.NumGoroutine()

	var wait sync.WaitGroup
	work := make(chan func())
	for range 8 {
		wait.Go(func() {
			for do := range work {
				do()
			}
		})
	}
	for range 3 {
		for name, bytes := range hostile {
			work <- func() { harass(t, name, f, nil, bytes) }
		}
		for name, bytes := range hostileLater {
			work <- func() { harass(t, name, f, []string{"user", "postgres", "database", db}, bytes) }
		}
		for range 10 {
			work <- func() { session(t, f, db) }
			work <- func() { vanish(t, f, db) }
		}
	}
	close(work)
	wait.Wait()

	eventually(t, "no backend is left", func() bool { return backends(t, db) == "0" })
	eventually(t, "no descriptor is left", func() bool { return countDescriptors(t) <= descriptors })
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= routines })
	if err := goleak.Find(old); err != nil {
		t.Errorf("while the proxy runs: %v", err)
	}
	session(t, f, db) // and it still serves
	if got := ask(t, db, "SELECT count(*), count(deleted_at) FROM users"); got != "30|0" {
		t.Errorf("behind the proxy: %s, want 30 live rows", got)
	}

	f.stop()
	if err := goleak.Find(old); err != nil {
		t.Errorf("after the proxy has stopped: %v", err)
	}
	eventually(t, "the listener's descriptor is closed", func() bool { return countDescriptors(t) < descriptors })
}

// session is one that ends well.
func session(t *testing.T, f *front, db string) {
	conn, err := pgx.Connect(within(t), f.dsn(db))
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(within(t))
	_, err = conn.Exec(within(t), "BEGIN; DELETE FROM users WHERE id = 1; ROLLBACK")
	if err != nil {
		t.Error(err)
	}
	_, err = conn.Exec(within(t), "DELETE FROM users USING audit_log a NATURAL JOIN audit_log b RETURNING *")
	if code(err) != "0A000" {
		t.Errorf("refused: %v", err)
	}
}

// vanish is a session whose client goes in the middle of a large result.
func vanish(t *testing.T, f *front, db string) {
	conn, err := pgconn.Connect(within(t), f.dsn(db))
	if err != nil {
		t.Error(err)
		return
	}
	h, err := conn.Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	h.Frontend.Send(&pp.Query{String: "SELECT repeat('x', 1000) FROM users, generate_series(1, 1000000)"})
	_ = h.Frontend.Flush()
	_, _ = io.CopyN(io.Discard, h.Conn, 50000)
	_ = h.Conn.Close()
}

// harass sends bytes, after a login if there is one, takes what comes back for
// as long as it comes at once, and goes.
func harass(t *testing.T, name string, f *front, login []string, bytes string) {
	c, err := net.Dial("tcp", f.addr.String())
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(limit / 4))
	if login != nil {
		_, _ = io.WriteString(c, startup(login...))
		ready := make([]byte, 0, 4096)
		buf := make([]byte, 4096)
		for !strings.HasSuffix(string(ready), "Z\x00\x00\x00\x05I") {
			n, err := c.Read(buf)
			if err != nil {
				t.Errorf("%s: login: %v", name, err)
				return
			}
			ready = append(ready, buf[:n]...)
		}
	}
	// Half closed, so that whoever waits for more learns that none comes.
	go func() {
		_, _ = io.WriteString(c, bytes)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Errorf("%s: the proxy neither answers nor closes: %v", name, err)
	}
}

// countDescriptors counts this process's open files.
func countDescriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("descriptors can be counted on Linux only: %v", err)
	}
	return len(list)
}
