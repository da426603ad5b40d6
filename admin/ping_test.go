package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// listen starts a small server for the test; each connection is handled and closed.
func listen(t *testing.T, network, address string, handle func(net.Conn)) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return l
}

// answering handles a connection as PostgreSQL does: it answers an SSLRequest, and waits for the client to hang up.
func answering(answer string) func(net.Conn) {
	return func(conn net.Conn) {
		got := make([]byte, len(sslRequest))
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, []byte{0, 0, 0, 8, 4, 210, 22, 47}) {
			return
		}
		io.WriteString(conn, answer)
		io.Copy(io.Discard, conn)
	}
}

func TestPing(t *testing.T) {
	for _, answer := range []string{"S", "N", "E"} {
		l := listen(t, "tcp", "127.0.0.1:0", answering(answer))
		if err := Ping(t.Context(), "tcp", l.Addr().String()); err != nil {
			t.Errorf("%s: %v", answer, err)
		}
	}
	socket := filepath.Join(t.TempDir(), ".s.PGSQL.5432")
	listen(t, "unix", socket, answering("N"))
	if err := Ping(t.Context(), "unix", socket); err != nil {
		t.Error(err)
	}
}

func TestPingWhatIsNotPostgreSQL(t *testing.T) {
	for name, c := range map[string]struct {
		handle func(net.Conn)
		want   string
	}{
		"HTTP":     {answering("HTTP/1.1 400 Bad Request\r\n\r\n"), `answers, but not as PostgreSQL does (its first byte is "H"); check the address and port of upstream`},
		"hangs up": {func(conn net.Conn) { io.ReadFull(conn, make([]byte, 8)) }, "closed the connection without an answer; is it PostgreSQL"},
	} {
		l := listen(t, "tcp", "127.0.0.1:0", c.handle)
		if err := Ping(t.Context(), "tcp", l.Addr().String()); err == nil || !strings.HasPrefix(err.Error(), l.Addr().String()+" "+c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPingWithoutAServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	if err := Ping(t.Context(), "tcp", address); !errors.Is(err, syscall.ECONNREFUSED) || !strings.HasPrefix(err.Error(), address+" refuses connections; is PostgreSQL running") {
		t.Errorf("closed port: %v", err)
	}
	socket := filepath.Join(t.TempDir(), ".s.PGSQL.5432")
	if err := Ping(t.Context(), "unix", socket); !errors.Is(err, syscall.ENOENT) || !strings.HasPrefix(err.Error(), "there is no socket "+socket) {
		t.Errorf("no socket: %v", err)
	}
}

// A server that accepts and says nothing is given up on when the context says so.
func TestPingSilence(t *testing.T) {
	quiet := listen(t, "tcp", "127.0.0.1:0", func(conn net.Conn) { io.Copy(io.Discard, conn) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := Ping(ctx, "tcp", quiet.Addr().String()); !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "no answer from "+quiet.Addr().String()+" in time") {
		t.Errorf("deadline: %v", err)
	}

	// The context is cancelled while Ping waits for the answer.
	ctx, cancel = context.WithCancel(t.Context())
	cancelling := listen(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
		io.ReadFull(conn, make([]byte, len(sslRequest)))
		cancel()
		io.Copy(io.Discard, conn)
	})
	if err := Ping(ctx, "tcp", cancelling.Addr().String()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
