package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

// pingTimeout bounds Ping when its context has no deadline.
const pingTimeout = 5 * time.Second

// sslRequest is the SSLRequest message: its length, 8, and the code 80877103, as two big-endian int32 (PostgreSQL's manual,
// "Message Formats").
var sslRequest = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}

// Ping reports whether a PostgreSQL server answers at an address ready for net.Dial. It asks whether the server does TLS
// and hangs up on the answer: that needs no login and takes no connection slot. A nil error does not say that the
// server accepts logins, only that it is there. Without a deadline in ctx it waits 5 s.
//
// A server that does TLS logs each such call, as "could not accept SSL connection: EOF detected" at level LOG.
func Ping(ctx context.Context, network, address string) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout) // an earlier deadline stays
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return pingError(ctx, address, err)
	}
	defer conn.Close()
	// A past deadline ends the reads and writes below, for a context that is cancelled as for one that expires.
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	answer := make([]byte, 1)
	if _, err = conn.Write(sslRequest); err == nil {
		_, err = io.ReadFull(conn, answer)
	}
	if err != nil {
		return pingError(ctx, address, err)
	}
	switch answer[0] {
	case 'S', 'N': // TLS, or none
		return nil
	case 'E': // an error: from a server that knows no SSLRequest, or that cannot start another process just now
		return nil
	}
	return fmt.Errorf("%s answers, but not as PostgreSQL does (its first byte is %q); check the address and port of upstream", address, answer)
}

func pingError(ctx context.Context, address string, err error) error {
	var network net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("no answer from %s before the check was cancelled: %w", address, context.Canceled)
	case ctx.Err() != nil || errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("no answer from %s in time; is a firewall in between, or the server overloaded: %w", address, context.DeadlineExceeded)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s refuses connections; is PostgreSQL running, and listening there: %w", address, err)
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("there is no socket %s; is PostgreSQL running, and is that its unix_socket_directories and port: %w", address, err)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("%s closed the connection without an answer; is it PostgreSQL: %w", address, err)
	}
	return fmt.Errorf("cannot reach %s: %w", address, err)
}
