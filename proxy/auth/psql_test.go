package auth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"

	"tombstone/cluster"
	"tombstone/proxy/auth"
)

// TestPsqlThroughTheGate is the whole way: a real psql proves to our server that it knows the password, and what that
// leaves logs in to PostgreSQL, over TLS with channel binding on both legs where psql wants it.
func TestPsqlThroughTheGate(t *testing.T) {
	postgres := server(t)
	program, err := exec.LookPath("psql")
	if err != nil {
		t.Fatal("psql is not in PATH; install PostgreSQL's client programs (Debian: postgresql-client)")
	}
	const unusual = "\u00a0Ⅸ\u00ad\ufb01" // SASLprep makes it " IXfi"
	sql(t, "DROP ROLE IF EXISTS prepared; CREATE ROLE prepared LOGIN PASSWORD '"+unusual+"'")
	gate := newGate(t)
	gate.upstream = postgres
	gate.secrets = map[string]auth.Secret{"scram_user": stored(t, "scram_user"), "prepared": stored(t, "prepared")}
	for _, c := range []struct {
		user, password, sslmode, binding string
		want                             string // what the gate noted, or a part of what psql says
	}{
		{"scram_user", thePassword, "disable", "disable", "SCRAM-SHA-256 n, in as scram_user"},
		{"scram_user", thePassword, "disable", "prefer", "SCRAM-SHA-256 n, in as scram_user"},
		{"scram_user", thePassword, "disable", "require", "channel binding required"},
		{"scram_user", thePassword, "require", "disable", "SCRAM-SHA-256 n, in as scram_user"},
		{"scram_user", thePassword, "require", "prefer", "SCRAM-SHA-256-PLUS p, in as scram_user"},
		{"scram_user", thePassword, "require", "require", "SCRAM-SHA-256-PLUS p, in as scram_user"},
		{"scram_user", "falsch", "require", "prefer", `FATAL:  password authentication failed for user "scram_user"`},
		{"no_user", thePassword, "require", "prefer", `FATAL:  password authentication failed for user "no_user"`},
		{"prepared", unusual, "require", "prefer", "SCRAM-SHA-256-PLUS p, in as prepared"},
	} {
		got := gate.psql(t, program, c.user, c.password, c.sslmode, c.binding)
		if !strings.Contains(got, c.want) {
			t.Errorf("%s, sslmode %s, channel_binding %s: %s; want %s", c.user, c.sslmode, c.binding, got, c.want)
		}
	}
}

// gate listens, authenticates, and answers every query with nothing.
type gate struct {
	listener net.Listener
	config   *tls.Config
	binding  []byte
	noted    chan string // of each connection, how it went
	upstream *cluster.Cluster
	secrets  map[string]auth.Secret
}

func newGate(t *testing.T) *gate {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	binding, err := auth.ChannelBinding(leaf)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: signer}}, MinVersion: tls.VersionTLS12}
	return &gate{listener: listener, config: config, binding: binding, noted: make(chan string, 1)}
}

// psql connects once through the gate, and returns what the gate noted and what psql said.
func (g *gate) psql(t *testing.T, program, user, password, sslmode, binding string) string {
	t.Helper()
	go func() { // ends with its one connection
		conn, err := g.listener.Accept()
		if err != nil {
			g.noted <- err.Error()
			return
		}
		defer conn.Close()
		note, err := g.serve(&wire{Conn: conn})
		if err != nil {
			note += err.Error()
		}
		g.noted <- note
	}()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_, port, _ := strings.Cut(g.listener.Addr().String(), ":")
	cmd := exec.CommandContext(ctx, program, "-X", "-w", "-c", "SELECT", fmt.Sprintf(
		"host=127.0.0.1 port=%s user=%s dbname=postgres sslmode=%s channel_binding=%s gssencmode=disable", port, user, sslmode, binding))
	cmd.Env = []string{"PGPASSWORD=" + password, "PGCLIENTENCODING=UTF8"}
	said, _ := cmd.CombinedOutput()
	return <-g.noted + "; psql: " + string(said)
}

func (g *gate) serve(w *wire) (note string, err error) {
	if err := w.SetDeadline(time.Now().Add(limit)); err != nil {
		return "", err
	}
	user, err := g.startup(w)
	if err != nil {
		return "", err
	}
	server := auth.NewServer(user, g.secrets[user], mock, w.gateBinding(g), rand.Reader)
	method, err := w.authenticate(server)
	if err != nil {
		return method, w.refuse(err)
	}
	upstream, err := open(g.upstream, user, len(w.gateBinding(g)) > 0)
	if err != nil {
		return method, err
	}
	defer upstream.Close()
	in, _, err := upstream.login(auth.NewLogin(user, server.Secret(), upstream.binding(), rand.Reader))
	if err != nil {
		return method, err
	}
	note = method + ", in as " + in
	if err := w.tell(&pgproto3.AuthenticationOk{}, &pgproto3.ReadyForQuery{TxStatus: 'I'}); err != nil {
		return note, err
	}
	for {
		kind, _, err := w.receive()
		if err != nil || kind == 'X' {
			return note, err
		}
		if err := w.tell(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 0")}, &pgproto3.ReadyForQuery{TxStatus: 'I'}); err != nil {
			return note, err
		}
	}
}

// startup reads the startup message, and begins TLS when asked.
func (g *gate) startup(w *wire) (user string, err error) {
	var length [4]byte
	if _, err := io.ReadFull(w, length[:]); err != nil {
		return "", err
	}
	body := make([]byte, binary.BigEndian.Uint32(length[:])-4)
	if _, err := io.ReadFull(w, body); err != nil {
		return "", err
	}
	if binary.BigEndian.Uint32(body) == 80877103 { // SSLRequest
		if _, err := w.Write([]byte{'S'}); err != nil {
			return "", err
		}
		secured := tls.Server(w.Conn, g.config)
		if err := secured.Handshake(); err != nil {
			return "", err
		}
		w.Conn = secured
		return g.startup(w)
	}
	var message pgproto3.StartupMessage
	err = message.Decode(body)
	return message.Parameters["user"], err
}

// gateBinding is the binding of the certificate that the gate showed on this connection.
func (w *wire) gateBinding(g *gate) []byte {
	if _, ok := w.Conn.(*tls.Conn); ok {
		return g.binding
	}
	return nil
}

// authenticate returns the mechanism and the flag that the client chose.
func (w *wire) authenticate(server *auth.Server) (method string, err error) {
	if err := w.tell(&pgproto3.AuthenticationSASL{AuthMechanisms: server.Mechanisms()}); err != nil {
		return "", err
	}
	_, body, err := w.receive()
	if err != nil {
		return "", err
	}
	mechanism, rest, _ := strings.Cut(string(body), "\x00")
	method = mechanism + " " + rest[4:5]
	reply, err := server.Start(body)
	for done := false; err == nil; {
		if done {
			return method, w.tell(&pgproto3.AuthenticationSASLFinal{Data: reply})
		}
		if err := w.tell(&pgproto3.AuthenticationSASLContinue{Data: reply}); err != nil {
			return method, err
		}
		if _, body, err = w.receive(); err == nil {
			reply, done, err = server.Next(body)
		}
	}
	return method, err
}

// refuse sends a refusal, and returns what else went wrong.
func (w *wire) refuse(err error) error {
	var e *auth.Error
	if !errors.As(err, &e) {
		return err
	}
	return w.tell(&pgproto3.ErrorResponse{Severity: "FATAL", Code: e.Code, Message: e.Message, Detail: e.Detail, Hint: e.Hint})
}

func (w *wire) tell(messages ...pgproto3.BackendMessage) error {
	var frames []byte
	for _, message := range messages {
		var err error
		if frames, err = message.Encode(frames); err != nil {
			return err
		}
	}
	_, err := w.Write(frames)
	return err
}
