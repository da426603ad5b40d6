package proxy

import (
	"fmt"
	"net"
	"os/user"
	"strconv"

	"golang.org/x/sys/unix"

	"tombstone/proxy/auth"
)

// sameUser reports whether the process at the other end of a Unix socket belongs to the system user of that name.
func sameUser(c net.Conn, name string) error {
	refused := &auth.Error{Code: "28000", Message: fmt.Sprintf("Peer authentication failed for user \"%s\"", name)}
	socket, ok := c.(*net.UnixConn)
	if !ok {
		refused.Log = "it did not come through a Unix socket"
		return refused
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) { peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("ask for the process at the other end: %w", failed)
	}
	who, err := user.LookupId(strconv.FormatUint(uint64(peer.Uid), 10))
	switch {
	case err != nil:
		refused.Log = err.Error()
		return refused
	case who.Username != name:
		refused.Log = fmt.Sprintf("the process belongs to %q", who.Username)
		return refused
	}
	return nil
}
