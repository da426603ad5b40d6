package proxy

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"

	"tombstone/config"
)

// A client that is still being written to is not idle: a stop waits for it to have read its answer.
func TestDrainWaitsForTheReader(t *testing.T) {
	x := readyTable(t)
	client, near := net.Pipe()
	server, far := net.Pipe()
	c := &conn{
		owner: &Server{observer: silent{}, timing: new(Timing)}, setup: &setup{dialer: &dialer{}},
		log: slog.New(slog.NewTextHandler(io.Discard, nil)), client: near, server: far, session: x.Session,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.run(context.Background())
		c.farewell()
	}()
	buf := make([]byte, 1<<10)
	if _, err := client.Write(bytesOfMessages(&pgproto3.Query{String: "SELECT id FROM items"})); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Read(buf); err != nil {
		t.Fatal(err)
	}
	answer := bytesOfMessages(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 0")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	if _, err := server.Write(answer); err != nil {
		t.Fatal(err)
	}
	for idle := false; !idle; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		idle = c.session.Idle()
		c.mu.Unlock()
	}
	c.sweep(time.Now().Add(2*time.Hour), time.Hour) // something has come
	c.sweep(time.Now().Add(9*time.Hour), time.Hour)
	c.drain()
	got, err := io.ReadAll(client)
	if err != nil || !bytes.HasPrefix(got, answer) || !bytes.Contains(got, []byte("57P01")) {
		t.Errorf("the client got %q, %v", got, err)
	}
	<-done
}

// A client that breaks the protocol while the server is being connected to takes its server connection with it.
func TestServerIsLetGoOfWithItsClient(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := Listen(Options{
		Listen:   config.Address{Network: "tcp", Address: "127.0.0.1:0"},
		Upstream: config.Upstream{Network: "tcp", Address: l.Addr().String()},
		Log:      slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	client, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write(append(startup("user", "app"), 'p', 0x7f, 0xff, 0xff, 0xff)); err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	_ = server.SetReadDeadline(time.Now().Add(20 * time.Second)) // instead of for ever
	if _, err := io.ReadAll(server); err != nil {
		t.Errorf("the server's connection stays open: %v", err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
