//go:build !linux

package proxy

import (
	"errors"
	"net"
)

func sameUser(net.Conn, string) error {
	return errors.New("auth.client: peer is for Linux only; write client: scram")
}
