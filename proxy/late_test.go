package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"

	"tombstone/config"
	"tombstone/policy"
)

// between is a proxy between one client and a server that the test plays.
type between struct {
	client, server net.Conn
}

// lead connects a client that says something, as far as the server has its startup packet.
func lead(t *testing.T, o Options, said []byte, half bool) *between {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o.Listen = config.Address{Network: "tcp", Address: "127.0.0.1:0"}
	o.Upstream = config.Upstream{Network: "tcp", Address: l.Addr().String()}
	o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }() // ends with ctx
	t.Cleanup(func() {
		cancel()
		<-served
	})
	b := new(between)
	if b.client, err = net.Dial("tcp", s.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.client.Close() })
	if _, err := b.client.Write(append(startup("user", "shop"), said...)); err != nil {
		t.Fatal(err)
	}
	if half {
		_ = b.client.(*net.TCPConn).CloseWrite()
	}
	if b.server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.server.Close() })
	_ = b.server.SetDeadline(time.Now().Add(20 * time.Second))
	head := make([]byte, 4)
	if _, err := io.ReadFull(b.server, head); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, b.server, int64(head[2])<<8+int64(head[3])-4); err != nil {
		t.Fatal(err)
	}
	return b
}

// until reads what the proxy says to the server up to some bytes.
func (b *between) until(t *testing.T, what string) {
	t.Helper()
	var got []byte
	buf := make([]byte, 32<<10)
	for !bytes.Contains(got, []byte(what)) {
		n, err := b.server.Read(buf)
		if err != nil {
			t.Fatalf("no %q in %q: %v", what, got, err)
		}
		got = append(got, buf[:n]...)
	}
}

// Whatever the client does, the time to log in has an end.
func TestLoginHasAnEnd(t *testing.T) {
	query := bytesOfMessages(&pgproto3.Query{String: "SELECT 1"})
	for name, c := range map[string]struct {
		said []byte
		half bool
	}{"silent": {nil, false}, "half closed": {nil, true}, "ahead of its login": {query, false}, "ahead, and half closed": {query, true}} {
		for _, loops := range []int{-1, 1} {
			b := lead(t, Options{Loops: loops, Policy: policy.New(nil, ""), Limits: config.Limits{StartupTime: 300 * time.Millisecond}}, c.said, c.half)
			if _, err := io.ReadAll(b.server); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s, %d loops: the server waits for ever", name, loops)
			}
		}
	}
}

// A client whose half is closed in the middle of what the server waits for: the server is told so, as it would be without a proxy.
func TestHalfClosedInThePassword(t *testing.T) {
	for _, loops := range []int{-1, 1} {
		b := lead(t, Options{Loops: loops, Policy: policy.New(nil, "")}, nil, false)
		if _, err := b.server.Write(bytesOfMessages(&pgproto3.AuthenticationCleartextPassword{})); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, b.client, 9); err != nil {
			t.Fatal(err)
		}
		if _, err := b.client.Write([]byte("p\x00\x00\x00\x10sec")); err != nil {
			t.Fatal(err)
		}
		_ = b.client.(*net.TCPConn).CloseWrite()
		if _, err := io.ReadAll(b.server); err != nil {
			t.Errorf("%d loops: %v", loops, err)
		}
	}
}

// A client that has closed its half is still owed what waits for the names.
func TestHalfClosedWhileHeld(t *testing.T) {
	c, err := config.Parse("policy.yaml", []byte(testPolicy))
	if err != nil {
		t.Fatal(err)
	}
	said := bytesOfMessages(&pgproto3.Query{String: "SET search_path TO public"}, &pgproto3.Query{String: "DELETE FROM users"}, &pgproto3.Terminate{})
	for _, loops := range []int{-1, 1} {
		b := lead(t, Options{Loops: loops, Policy: policy.New(c.Tables, c.Bodies), CatalogMaxAge: time.Hour}, said, true)
		say := func(messages ...pgproto3.Message) {
			if _, err := b.server.Write(bytesOfMessages(messages...)); err != nil {
				t.Fatal(err)
			}
		}
		say(&pgproto3.AuthenticationOk{}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
		b.until(t, "S\x00\x00\x00\x04")
		say(answers(true, testNames, testCatalog)...)
		b.until(t, "SET search_path")
		say(&pgproto3.CommandComplete{CommandTag: []byte("SET")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
		b.until(t, "S\x00\x00\x00\x04")
		say(answers(true, testNames)...)
		b.until(t, "UPDATE users SET deleted_at")
	}
}
