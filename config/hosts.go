package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// socketFile begins the name of the file in a socket's directory; the port ends it (UNIXSOCK_PATH in PostgreSQL's
// libpq/pqcomm.h).
const socketFile = ".s.PGSQL."

const defaultPort = "5432"

// servers returns the hosts. Each is in the URL's authority or in its query, where a host may also be the directory of a
// Unix socket; one port is for all hosts, several are one for each.
func (u *connURL) servers() ([]Host, error) {
	names, err := u.list("host", u.hosts)
	if err != nil {
		return nil, err
	}
	ports, err := u.list("port", u.ports)
	if err != nil {
		return nil, err
	}
	if len(ports) != 1 && len(ports) != len(names) {
		return nil, fmt.Errorf("has %d ports for %d hosts; write one port for all hosts, or one for each", len(ports), len(names))
	}
	hosts := make([]Host, len(names))
	for i, name := range names {
		if hosts[i], err = server(name, ports[min(i, len(ports)-1)]); err != nil {
			return nil, err
		}
	}
	return hosts, nil
}

// list returns what the authority says, or the parameter of that name if the authority says nothing.
func (u *connURL) list(name string, authority []string) ([]string, error) {
	given, isParam := u.params[name]
	inAuthority := slices.ContainsFunc(authority, func(s string) bool { return s != "" })
	switch {
	case isParam && inAuthority:
		return nil, errors.New("says " + u.printable(name) + " twice; write it once")
	case isParam:
		return strings.Split(given, ","), nil
	case name == "port" && !inAuthority:
		return []string{""}, nil
	}
	return authority, nil
}

func server(name, port string) (Host, error) {
	if port == "" {
		port = defaultPort
	}
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || n == 0:
		return Host{}, errors.New("has no valid port; write a number from 1 to 65535")
	case name == "":
		return Host{}, errors.New("names no host; " + writeUpstream)
	}
	port = strconv.FormatUint(n, 10)
	if strings.HasPrefix(name, "/") && !strings.Contains(name, ",") {
		file := path.Join(name, socketFile+port)
		if len(file) > maxSocketPath {
			return Host{}, fmt.Errorf("names a Unix socket whose path is too long, %d bytes; write a directory with which it is at most %d",
				len(file), maxSocketPath)
		}
		return Host{Network: "unix", Address: file}, nil
	}
	if !isHost(name) {
		return Host{}, errors.New("has no valid host; " + writeUpstream)
	}
	return Host{Network: "tcp", Address: net.JoinHostPort(name, port), Name: name}, nil
}

func isUnix(h Host) bool { return h.Network == "unix" }

// isLocal reports whether what is sent to the host stays on this machine.
func isLocal(h Host) bool {
	ip, err := netip.ParseAddr(h.Name)
	return isUnix(h) || strings.EqualFold(h.Name, "localhost") || err == nil && ip.Unmap().IsLoopback()
}
