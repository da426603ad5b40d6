package main

import (
	"fmt"
	"net"
	"sync"
)

// relayBuffer is the size of each direction's buffer, in bytes: io.Copy's.
const relayBuffer = 32 << 10

// relayRole copies bytes between clients and a server, with two goroutines for each client. It is what a Go program costs that
// does nothing. io.Copy itself would not do: between sockets on Linux it never shows the bytes to the program (splice),
// and a proxy must see them.
func relayRole(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("relay: want a port and the server's, got %q", args)
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+args[0])
	if err != nil {
		return err
	}
	for {
		client, err := l.Accept()
		if err != nil {
			return err
		}
		// Ends when either side closes.
		go relay(client, "127.0.0.1:"+args[1])
	}
}

func relay(client net.Conn, upstream string) {
	defer client.Close()
	server, err := net.Dial("tcp", upstream)
	if err != nil {
		return
	}
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() { pour(server, client) })
	pour(client, server)
	both.Wait()
}

// pour copies until either side ends, and then ends the other direction too.
func pour(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	p := make([]byte, relayBuffer)
	for {
		n, err := from.Read(p)
		if n > 0 {
			if _, err := to.Write(p[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
