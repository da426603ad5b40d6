package login

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// oddServer is a server whose answer to a request for TLS is up to a test. Who does not ask gets through to the real one.
type oddServer struct {
	net.Listener
	answer func(net.Conn)
	came   atomic.Int64 // connections
	wait   sync.WaitGroup
}

func startOdd(t *testing.T, answer func(net.Conn)) *oddServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &oddServer{Listener: l, answer: answer}
	s.wait.Go(func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.came.Add(1)
			s.wait.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); s.wait.Wait() })
	return s
}

func (s *oddServer) serve(c net.Conn) {
	defer c.Close()
	first := make([]byte, len(sslRequest))
	if _, err := io.ReadFull(c, first); err != nil {
		return
	}
	if string(first) == sslRequest {
		s.answer(c)
		if _, err := io.ReadFull(c, first); err != nil { // it goes on here only after N
			return
		}
	}
	real, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", server.Port))
	if err != nil {
		return
	}
	defer real.Close()
	s.wait.Go(func() {
		_, _ = io.Copy(real, io.MultiReader(bytes.NewReader(first), c))
		_ = real.(*net.TCPConn).CloseWrite()
	})
	_, _ = io.Copy(c, real)
}

// says is an answer of these bytes and no more.
func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, text)
		_ = c.(*net.TCPConn).CloseWrite()
	}
}

// handshakes is an answer that goes on to a handshake.
func handshakes(t *testing.T, config *tls.Config) func(net.Conn) {
	pair, err := tls.LoadX509KeyPair(front.crt, front.key)
	if err != nil {
		t.Fatal(err)
	}
	config.Certificates = []tls.Certificate{pair}
	return func(c net.Conn) {
		_, _ = io.WriteString(c, "S")
		_ = tls.Server(c, config).Handshake()
		_ = c.Close()
	}
}

// When sslmode=prefer goes on without TLS, and how often it connects for that, is what libpq does before the same server.
func TestPreferFallsBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(net.Conn)
		in     bool // with prefer
	}{
		"it has no TLS":                    {func(c net.Conn) { _, _ = io.WriteString(c, "N") }, true},
		"it closes in place of TLS":        {says("S"), true},
		"it talks nonsense in place of it": {says("S" + strings.Repeat("nonsense", 100)), true},
		"it resets in place of TLS": {func(c net.Conn) {
			_, _ = io.WriteString(c, "S")
			_, _ = io.ReadFull(c, make([]byte, 1))
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}, true},
		"it has an old TLS only":                {handshakes(t, &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}), true},
		"it wants a certificate":                {handshakes(t, &tls.Config{MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert}), true},
		"it closes after the handshake":         {handshakes(t, &tls.Config{}), false},
		"it wants a certificate, and says late": {handshakes(t, &tls.Config{ClientAuth: tls.RequireAnyClientCert}), false},
		"it does not answer the request":        {says(""), false},
		"its answer is none":                    {says("X"), false},
		"its answer is an error":                {says("E" + "\x00\x00\x00\x25SFATAL\x00C53300\x00Mtoo many clients\x00\x00"), false},
	} {
		for _, mode := range []string{"prefer", "require"} {
			odd := startOdd(t, c.answer)
			port := odd.Addr().(*net.TCPAddr).Port
			outcome := func(dsn string) string {
				before := odd.came.Load()
				out, said := psql(t, dsn, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
				t.Logf("%s, %s: %s %s", name, mode, out, said)
				return fmt.Sprintf("%q after %d connections", out, odd.came.Load()-before)
			}
			direct := outcome(fmt.Sprintf("host=127.0.0.1 port=%d dbname=postgres user=trust_user sslmode=%s", port, mode))
			r := start(t, fmt.Sprintf("postgres://127.0.0.1:%d/?sslmode=%s", port, mode))
			if got := outcome(r.to("user=trust_user sslmode=disable")); got != direct {
				t.Errorf("%s, %s: %s; libpq: %s", name, mode, got, direct)
			}
			if in := strings.HasPrefix(direct, `"f"`); in != (c.in && mode == "prefer") {
				t.Errorf("%s, %s: libpq: %s", name, mode, direct)
			}
		}
	}
}

// A pg_hba.conf with entries for connections without TLS lets in with prefer, as libpq does. Who is let in neither way is told what
// the server says of the first.
func TestPreferWhereTLSIsRejected(t *testing.T) {
	t.Parallel()
	const sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
	for _, c := range []struct{ user, password, prefer, require string }{
		{"plain_user", thePassword, "f", "pg_hba.conf rejects connection"},
		{"tls_user", thePassword, "t", "t"},
		{"trust_user", thePassword, "t", "t"},
		{"scram_user", thePassword, "t", "t"},
		{"scram_user", "wrong", "password authentication failed", "password authentication failed"},
		{"rejected_user", thePassword, "SSL encryption", "SSL encryption"},
	} {
		for mode, want := range map[string]string{"prefer": c.prefer, "require": c.require} {
			password := "PGPASSWORD=" + c.password
			out, said := psql(t, straight(server, "user="+c.user+" sslmode="+mode), sql, password)
			if out != want && (len(want) == 1 || !strings.Contains(said, want)) {
				t.Errorf("libpq: %s, %s: %s %s, want %s", c.user, mode, out, said, want)
			}
			for _, login := range []string{"", "asker:fragen@"} {
				attrs := []string{"sslmode=" + mode}
				if login != "" {
					attrs = append(attrs, "target_session_attrs=primary")
				}
				to := strings.Replace(url(server, attrs...), "//", "//"+login, 1)
				r := start(t, to)
				if out, said := psql(t, r.to("user="+c.user+" sslmode=disable"), sql, password); out != want && (len(want) == 1 || !strings.Contains(said, want)) {
					t.Errorf("%s, %s: %s %s, want %s", c.user, to, out, said, want)
				}
			}
		}
	}
	// Where the proxy authenticates: the verifier of a user who is let in without TLS only is asked for over TLS.
	r := start(t, url(server, "sslmode=prefer"), ask)
	if out, said := psql(t, r.to("user=plain_user sslmode=disable"), sql, "PGPASSWORD="+thePassword); out != "f" {
		t.Errorf("terminate: %s %s", out, said)
	}
}

// A server that takes part in a handshake and never ends it is not gone around: no time is left for it.
func TestPreferWithinItsTime(t *testing.T) {
	t.Parallel()
	odd := startOdd(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "S")
		_, err := io.Copy(io.Discard, c) // until the other side goes
		if err != nil && !errors.Is(err, net.ErrClosed) {
			return
		}
	})
	r := start(t, fmt.Sprintf("postgres://127.0.0.1:%d/?sslmode=prefer&connect_timeout=1", odd.Addr().(*net.TCPAddr).Port))
	if out, said := psql(t, r.to("user=trust_user sslmode=disable"), "SELECT 1"); out != "" || odd.came.Load() != 1 {
		t.Errorf("%s %s after %d connections", out, said, odd.came.Load())
	}
}
