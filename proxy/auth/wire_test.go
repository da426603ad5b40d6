package auth_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"

	"tombstone/cluster"
	"tombstone/proxy/auth"
)

// wire is a connection on which the tests speak the protocol themselves.
type wire struct {
	net.Conn
	leaf *x509.Certificate // the server's, nil without TLS
}

func connect(c *cluster.Cluster, secure bool) (*wire, error) {
	conn, err := net.Dial("tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: conn}
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil || !secure {
		return w, err
	}
	if err := w.put(&pgproto3.SSLRequest{}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil || answer[0] != 'S' {
		return nil, errors.Join(fmt.Errorf("no TLS: %q, %w", answer[:], err), conn.Close())
	}
	secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	if err := secured.Handshake(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	w.Conn, w.leaf = secured, secured.ConnectionState().PeerCertificates[0]
	return w, nil
}

// open connects and sends the startup message.
func open(c *cluster.Cluster, user string, secure bool) (*wire, error) {
	w, err := connect(c, secure)
	if err != nil {
		return nil, err
	}
	err = w.put(&pgproto3.StartupMessage{
		ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: map[string]string{"user": user, "database": "postgres"},
	})
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// dial opens a connection that closes with the test.
func dial(t testing.TB, user string, secure bool) *wire {
	t.Helper()
	w, err := open(server(t), user, secure)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

// put sends any message.
func (w *wire) put(message pgproto3.FrontendMessage) error {
	frame, err := message.Encode(nil)
	if err != nil {
		return err
	}
	_, err = w.Write(frame)
	return err
}

// send sends a message of type p, the only one that authentication has.
func (w *wire) send(body []byte) error {
	frame := binary.BigEndian.AppendUint32([]byte{'p'}, uint32(len(body)+4))
	_, err := w.Write(append(frame, body...))
	return err
}

// receive reads a message. An ErrorResponse is an *auth.Error.
func (w *wire) receive() (kind byte, body []byte, err error) {
	var header [5]byte
	if _, err := io.ReadFull(w, header[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(header[1:])-4)
	if _, err := io.ReadFull(w, body); err != nil {
		return 0, nil, err
	}
	if header[0] == 'E' {
		var e pgproto3.ErrorResponse
		if err := e.Decode(body); err != nil {
			return 0, nil, err
		}
		return 0, nil, &auth.Error{Code: e.Code, Message: e.Message, Detail: e.Detail, Hint: e.Hint}
	}
	return header[0], body, nil
}

// binding is the channel binding of the connection, nil when it has none.
func (w *wire) binding() []byte {
	if w.leaf == nil {
		return nil
	}
	binding, err := auth.ChannelBinding(w.leaf)
	if err != nil {
		return nil
	}
	return binding
}

// login logs in and asks the server who we are. first is what the first answer begins with.
func (w *wire) login(login *auth.Login) (user, first string, err error) {
	for {
		kind, body, err := w.receive()
		if err != nil {
			return "", first, err
		}
		if kind != 'R' {
			return "", first, fmt.Errorf("message %c during authentication", kind)
		}
		reply, done, err := login.Answer(body)
		if err != nil {
			return "", first, err
		}
		if done {
			user, err := w.whoami()
			return user, first, err
		}
		if reply == nil {
			continue
		}
		if first == "" {
			first = string(reply)
		}
		if err := w.send(reply); err != nil {
			return "", first, err
		}
	}
}

func (w *wire) whoami() (string, error) {
	if err := w.put(&pgproto3.Query{String: "SELECT current_user"}); err != nil {
		return "", err
	}
	for {
		kind, body, err := w.receive()
		if err != nil {
			return "", err
		}
		if kind == 'D' {
			var row pgproto3.DataRow
			err := row.Decode(body)
			return string(row.Values[0]), err
		}
	}
}
