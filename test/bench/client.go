package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgproto3/v2"
)

const (
	role     = "postgres"
	database = "bench"
)

// maxMessage bounds a message that is read whole, in bytes.
const maxMessage = 64 << 20

// client is a session that costs next to nothing: pgproto3 builds what it sends, and of what it gets it only looks at headers.
type client struct {
	net.Conn
	in *bufio.Reader
}

// dial opens a session and returns when the server is ready. The context's deadline holds for all that the session does. buffer
// is the size of the input buffer, in bytes.
func dial(ctx context.Context, port, buffer int) (*client, error) {
	c, err := connect(ctx, port, buffer)
	if err != nil {
		return nil, err
	}
	if _, err := c.until('Z'); err != nil {
		c.Close()
		return nil, fmt.Errorf("log in: %w", err)
	}
	return c, nil
}

// connect sends the startup packet.
func connect(ctx context.Context, port, buffer int) (*client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address(port))
	if err != nil {
		return nil, err
	}
	if deadline, is := ctx.Deadline(); is {
		if err := conn.SetDeadline(deadline); err != nil {
			conn.Close()
			return nil, err
		}
	}
	c := &client{conn, bufio.NewReaderSize(conn, buffer)}
	parameters := map[string]string{"user": role, "database": database}
	if err := c.send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: parameters}); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) send(m pgproto3.FrontendMessage) error {
	p, err := m.Encode(nil)
	if err == nil {
		_, err = c.Write(p)
	}
	return err
}

// query runs a simple Query and returns the size of its reply in bytes.
func (c *client) query(sql string) (int64, error) {
	if err := c.send(&pgproto3.Query{String: sql}); err != nil {
		return 0, err
	}
	return c.until('Z')
}

// bye ends the session as clients do.
func (c *client) bye() error {
	return errors.Join(c.send(&pgproto3.Terminate{}), c.Close())
}

// until skips messages up to the first of a type, that one included, and returns how many bytes it skipped. The server's
// error is an error.
func (c *client) until(kind byte) (int64, error) {
	var total int64
	for {
		header, err := c.in.Peek(5)
		if err != nil {
			return total, fmt.Errorf("wait for message %q: %w", kind, err)
		}
		got, size := header[0], int(binary.BigEndian.Uint32(header[1:]))+1
		if got == 'E' {
			_, body, err := c.message()
			return total, errors.Join(err, serverError(body))
		}
		if _, err := c.in.Discard(size); err != nil {
			return total, fmt.Errorf("read message %q: %w", got, err)
		}
		total += int64(size)
		if got == kind {
			return total, nil
		}
	}
}

// message reads one message whole.
func (c *client) message() (kind byte, body []byte, err error) { return readMessage(c.in) }

func readMessage(r io.Reader) (kind byte, body []byte, err error) {
	var header [5]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	body, err = readBody(r, header[1:])
	return header[0], body, err
}

// readBody reads what a length of four bytes announces.
func readBody(r io.Reader, length []byte) ([]byte, error) {
	size := binary.BigEndian.Uint32(length)
	if size < 4 || size > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes", size)
	}
	body := make([]byte, size-4)
	_, err := io.ReadFull(r, body)
	return body, err
}

// serverError is the body of an ErrorResponse as an error.
func serverError(body []byte) error {
	var code, text string
	for field := range strings.SplitSeq(string(body), "\x00") {
		switch {
		case strings.HasPrefix(field, "C"):
			code = field[1:]
		case strings.HasPrefix(field, "M"):
			text = field[1:]
		}
	}
	return fmt.Errorf("the server says %s: %s", code, text)
}

func appendMessage(to []byte, kind byte, body []byte) []byte {
	to = append(to, kind)
	to = binary.BigEndian.AppendUint32(to, uint32(len(body)+4))
	return append(to, body...)
}
