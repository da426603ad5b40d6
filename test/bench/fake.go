package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgproto3/v2"
)

// fakeRole is a server without backends, so that thousands of connections cost this host little. What it answers it has asked the
// real server once: each statement, by its text, the first time that anybody sends it. It speaks protocol 3.0, lets everybody
// in, and knows no parameters of statements and no transactions.
func fakeRole(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("fake: want a port and the real server's, got %q", args)
	}
	var real int
	if _, err := fmt.Sscan(args[1], &real); err != nil {
		return fmt.Errorf("fake: the real server's port: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+args[0])
	if err != nil {
		return err
	}
	f := &fake{real: real, answers: map[string]*answer{}}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		// Ends when the client closes.
		go func() {
			defer conn.Close()
			if err := f.serve(conn); err != nil && !errors.Is(err, io.EOF) {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
	}
}

// fake is what all sessions share.
type fake struct {
	real    int // port
	mu      sync.Mutex
	login   []byte // the real server's messages from AuthenticationOk on, without key and ReadyForQuery
	answers map[string]*answer
	keys    atomic.Uint32
}

// answer is the real server's reply to a statement.
type answer struct {
	columns []byte // RowDescription, or nothing
	result  []byte // rows and the rest, without ReadyForQuery
}

// fakeSession is one connection to the fake server.
type fakeSession struct {
	*fake
	in         *bufio.Reader
	out        *bufio.Writer
	statements map[string]string // text by name
	portals    map[string]string
}

func (f *fake) serve(conn net.Conn) error {
	s := &fakeSession{f, bufio.NewReaderSize(conn, 1024), bufio.NewWriterSize(conn, 1024), map[string]string{}, map[string]string{}}
	if err := s.startup(); err != nil {
		return err
	}
	for {
		if s.in.Buffered() == 0 {
			if err := s.out.Flush(); err != nil {
				return err
			}
		}
		kind, body, err := readMessage(s.in)
		if err != nil {
			return err
		}
		if kind == 'X' {
			return nil
		}
		if err := s.handle(kind, body); err != nil {
			return err
		}
	}
}

// startup declines encryption, and lets the client in.
func (s *fakeSession) startup() error {
	const sslRequest, gssRequest, cancelRequest = 80877103, 80877104, 80877102
	for {
		var length [4]byte
		if _, err := io.ReadFull(s.in, length[:]); err != nil {
			return err
		}
		body, err := readBody(s.in, length[:])
		if err != nil {
			return err
		}
		if len(body) < 4 {
			return errors.New("a startup packet without a version")
		}
		switch binary.BigEndian.Uint32(body) {
		case sslRequest, gssRequest:
			if err := errors.Join(s.out.WriteByte('N'), s.out.Flush()); err != nil {
				return err
			}
			continue
		case cancelRequest:
			return io.EOF
		}
		break
	}
	login, err := s.learnLogin()
	if err != nil {
		return err
	}
	key := s.keys.Add(1)
	s.out.Write(login)
	return errors.Join(s.send(&pgproto3.BackendKeyData{ProcessID: key, SecretKey: key}), s.ready())
}

func (s *fakeSession) send(m pgproto3.BackendMessage) error {
	p, err := m.Encode(nil)
	if err == nil {
		_, err = s.out.Write(p)
	}
	return err
}

func (s *fakeSession) ready() error { return s.send(&pgproto3.ReadyForQuery{TxStatus: 'I'}) }

// handle answers one message. An error of a write shows at the next Flush.
func (s *fakeSession) handle(kind byte, body []byte) error {
	switch kind {
	case 'Q':
		a, err := s.learn(strings.TrimSuffix(string(body), "\x00"))
		if err != nil {
			return err
		}
		s.out.Write(a.columns)
		s.out.Write(a.result)
		return s.ready()
	case 'P':
		name, text := twoNames(body)
		s.statements[name] = text
		return s.send(&pgproto3.ParseComplete{})
	case 'B':
		portal, statement := twoNames(body)
		s.portals[portal] = s.statements[statement]
		return s.send(&pgproto3.BindComplete{})
	case 'D':
		return s.describe(body)
	case 'E':
		portal, _ := twoNames(body)
		a, err := s.learn(s.portals[portal])
		if err != nil {
			return err
		}
		s.out.Write(a.result)
		return nil
	case 'C':
		return s.send(&pgproto3.CloseComplete{})
	case 'S':
		return s.ready()
	case 'H':
		return s.out.Flush()
	}
	return fmt.Errorf("the fake server does not know message %q", kind)
}

func (s *fakeSession) describe(body []byte) error {
	what, _ := twoNames(body)
	sql := s.portals[strings.TrimPrefix(what, "P")]
	name, isStatement := strings.CutPrefix(what, "S")
	if isStatement {
		sql = s.statements[name]
	}
	a, err := s.learn(sql)
	if err == nil && isStatement {
		err = s.send(&pgproto3.ParameterDescription{})
	}
	if err != nil {
		return err
	}
	if a.columns == nil {
		return s.send(&pgproto3.NoData{})
	}
	s.out.Write(a.columns)
	return nil
}

// twoNames are the strings that a Parse, a Bind, an Execute or a Describe begins with.
func twoNames(body []byte) (first, second string) {
	first, rest, _ := strings.Cut(string(body), "\x00")
	second, _, _ = strings.Cut(rest, "\x00")
	return first, second
}

// learn asks the real server for the answer to a statement, once.
func (f *fake) learn(sql string) (*answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.answers[sql]; a != nil {
		return a, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := dial(ctx, f.real, 4096)
	if err != nil {
		return nil, err
	}
	defer c.bye()
	if err := c.send(&pgproto3.Query{String: sql}); err != nil {
		return nil, err
	}
	a := &answer{}
	for {
		kind, body, err := c.message()
		switch {
		case err != nil:
			return nil, err
		case kind == 'E':
			return nil, fmt.Errorf("the fake server cannot learn %q: %w", sql, serverError(body))
		case kind == 'Z':
			f.answers[sql] = a
			return a, nil
		case kind == 'T':
			a.columns = appendMessage(a.columns, kind, body)
		default:
			a.result = appendMessage(a.result, kind, body)
		}
	}
}

// learnLogin asks the real server what it says to a new client, once.
func (f *fake) learnLogin() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.login != nil {
		return f.login, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := connect(ctx, f.real, 4096)
	if err != nil {
		return nil, err
	}
	defer c.bye()
	var login []byte
	for {
		kind, body, err := c.message()
		switch {
		case err != nil:
			return nil, err
		case kind == 'E':
			return nil, serverError(body)
		case kind == 'Z':
			f.login = login
			return login, nil
		case kind != 'K':
			login = appendMessage(login, kind, body)
		}
	}
}
