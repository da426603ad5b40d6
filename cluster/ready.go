package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// ping asks the server behind a Unix socket, in its own protocol, whether it lets anybody in. Nil means yes: it asked
// for a password, or refused us for a reason that only a running server has, or let us in and said
// ReadyForQuery. A server that is still starting says 57P03 (cannot_connect_now).
// Messages: "Frontend/Backend Protocol" in PostgreSQL's manual.
func ping(ctx context.Context, socket, user string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	const protocol = 3 << 16
	body := binary.BigEndian.AppendUint32(nil, protocol)
	body = append(body, "user\x00"+user+"\x00database\x00postgres\x00\x00"...)
	message := binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))
	if _, err := conn.Write(append(message, body...)); err != nil {
		return err
	}
	for {
		kind, body, err := readMessage(conn)
		if err != nil {
			return err
		}
		switch {
		case kind == 'E' && sqlstate(body) == "57P03":
			return errors.New("the server is starting up")
		case kind == 'E':
			return nil
		case kind == 'R' && len(body) >= 4 && binary.BigEndian.Uint32(body) != 0:
			return nil // it wants a password; we have none
		case kind == 'Z':
			_, err := conn.Write([]byte{'X', 0, 0, 0, 4}) // Terminate, or the log would speak of a lost client
			return err
		}
	}
}

func readMessage(from io.Reader) (kind byte, body []byte, err error) {
	var header [5]byte
	if _, err := io.ReadFull(from, header[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(header[1:])
	if size < 4 || size > 1<<16 {
		return 0, nil, fmt.Errorf("message %q of %d bytes: not PostgreSQL's protocol", header[0], size)
	}
	body = make([]byte, size-4)
	_, err = io.ReadFull(from, body)
	return header[0], body, err
}

// sqlstate finds the code among an ErrorResponse's fields: a letter and a zero-terminated text each.
func sqlstate(body []byte) string {
	for field := range bytes.SplitSeq(body, []byte{0}) {
		if code, found := bytes.CutPrefix(field, []byte("C")); found {
			return string(code)
		}
	}
	return ""
}
