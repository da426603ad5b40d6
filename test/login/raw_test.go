package login

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgproto3/v2"

	"tombstone/proxy/auth"
)

const (
	sslRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"
	gssRequest = "\x00\x00\x00\x08\x04\xd2\x16\x30"

	version30 = 3 << 16
	version32 = 3<<16 | 2
)

// startup is a startup packet.
func startup(version uint32, params ...string) string {
	body := string(binary.BigEndian.AppendUint32(nil, version)) + strings.Join(params, "\x00") + "\x00\x00"
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4))) + body
}

// message is one of the server's messages.
type message struct {
	typ  byte
	body []byte
}

func (m message) String() string { return fmt.Sprintf("%c %q", m.typ, m.body) }

// code is the kind of an Authentication message.
func (m message) code() uint32 {
	if m.typ != 'R' || len(m.body) < 4 {
		return ^uint32(0)
	}
	return binary.BigEndian.Uint32(m.body)
}

// talk is a client's connection, message by message.
type talk struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
}

func converse(t testing.TB, c net.Conn) *talk { return &talk{c, t, bufio.NewReader(c)} }

func (k *talk) say(text string) {
	k.t.Helper()
	if _, err := io.WriteString(k, text); err != nil {
		k.t.Fatal(err)
	}
}

func (k *talk) send(messages ...pgproto3.FrontendMessage) {
	k.t.Helper()
	for _, m := range messages {
		b, err := m.Encode(nil)
		if err != nil {
			k.t.Fatal(err)
		}
		k.say(string(b))
	}
}

// next reads a message.
func (k *talk) next() (message, error) {
	var head [5]byte
	if _, err := io.ReadFull(k.in, head[:]); err != nil {
		return message{}, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err := io.ReadFull(k.in, body)
	return message{head[0], body}, err
}

// hear reads a message that must come.
func (k *talk) hear() message {
	k.t.Helper()
	m, err := k.next()
	if err != nil {
		k.t.Fatalf("a message was awaited: %v", err)
	}
	return m
}

// until reads up to a message of a type, which must come; an error is taken for it.
func (k *talk) until(typ byte) (all []message, last message) {
	k.t.Helper()
	for {
		m := k.hear()
		all = append(all, m)
		if m.typ == typ || m.typ == 'E' {
			return all, m
		}
	}
}

// byte reads the answer to a request for encryption.
func (k *talk) byte() byte {
	k.t.Helper()
	b, err := k.in.ReadByte()
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

// secure asks for TLS and begins it.
func (k *talk) secure() *talk {
	k.t.Helper()
	k.say(sslRequest)
	if b := k.byte(); b != 'S' {
		k.t.Fatalf("the answer to a request for TLS is %q", b)
	}
	c := tls.Client(k.Conn, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		k.t.Fatal(err)
	}
	return converse(k.t, c)
}

// scram logs in after the startup packet, and returns all messages up to ReadyForQuery or an error.
func (k *talk) scram(user, password string) (all []message, last message) {
	k.t.Helper()
	secret, err := auth.ParseSecret(password)
	if err != nil {
		k.t.Fatal(err)
	}
	login := auth.NewLogin(user, secret, nil, rand.Reader)
	for {
		m := k.hear()
		all = append(all, m)
		switch m.typ {
		case 'R':
			reply, _, err := login.Answer(m.body)
			if err != nil {
				k.t.Fatal(err)
			}
			if reply != nil {
				k.say(string(append(binary.BigEndian.AppendUint32([]byte{'p'}, uint32(len(reply)+4)), reply...)))
			}
		case 'E', 'Z':
			return all, m
		}
	}
}

// fields is an error's fields, each as its letter and its text, without where in the source it comes from.
func (m message) fields() string {
	var kept []string
	for f := range strings.SplitSeq(strings.TrimRight(string(m.body), "\x00"), "\x00") {
		if f != "" && !strings.ContainsRune("FLR", rune(f[0])) {
			kept = append(kept, f)
		}
	}
	return strings.Join(kept, "; ")
}

// over reads to the end of the connection and returns what still came.
func (k *talk) over() string {
	k.t.Helper()
	rest, err := io.ReadAll(k.in)
	if err != nil && !strings.Contains(err.Error(), "reset by peer") {
		k.t.Fatalf("the connection is not closed: %v", err)
	}
	return string(rest)
}
