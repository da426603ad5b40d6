package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
)

// Address is a place to listen on, ready for net.Listen.
type Address struct {
	Network string // "tcp" or "unix"
	Address string // host:port, or the path of the socket file
}

// String writes the address as the configuration does.
func (a Address) String() string {
	if a.Network == "unix" {
		return "unix:" + a.Address
	}
	return a.Address
}

// maxSocketPath is the longest path of a Unix socket on Linux, in bytes (sun_path in unix(7), less its final zero).
const maxSocketPath = 107

const writeListen = "write host:port, [::1]:6432, :6432, or a socket as unix:/path/to/socket"

// parseListen reads host:port, or the path of a socket file with or without unix: before it.
func parseListen(v value) (Address, error) {
	path, isUnix := strings.CutPrefix(v.text, "unix:")
	if !isUnix && !strings.HasPrefix(path, "/") {
		a, err := hostPort(v, writeListen)
		return Address{Network: "tcp", Address: a}, err
	}
	path = strings.TrimPrefix(path, "//") // unix:///run/x is a URL's way to write unix:/run/x
	switch {
	case !filepath.IsAbs(path):
		return Address{}, fmt.Errorf("%s is not an absolute path; write unix:/path/to/socket", v.quoted())
	case strings.HasSuffix(path, "/"):
		return Address{}, fmt.Errorf("%s is a directory; write the socket file itself, e.g. %s", v.quoted(), "unix:/run/tombstone/.s.PGSQL.6432")
	case strings.ContainsRune(path, 0):
		return Address{}, fmt.Errorf("%s is not a path; write unix:/path/to/socket", v.quoted())
	}
	path = filepath.Clean(path)
	if err := checkSocketPath(v, path); err != nil {
		return Address{}, err
	}
	return Address{Network: "unix", Address: path}, nil
}

// parseAdmin reads host:port. An empty value is no admin endpoint.
func parseAdmin(v value) (string, error) {
	if v.text == "" {
		return "", nil
	}
	return hostPort(v, "write host:port, e.g. 127.0.0.1:9464")
}

// hostPort checks an address to listen on: the host may be empty for every interface, the port 0 for a free one.
func hostPort(v value, write string) (string, error) {
	host, port, err := net.SplitHostPort(v.text)
	if err != nil {
		if _, err := strconv.ParseUint(v.text, 10, 16); err == nil {
			return "", fmt.Errorf("%s is a port without a host; write 127.0.0.1:PORT, or :PORT for every interface", v.quoted())
		}
		var detail *net.AddrError
		if errors.As(err, &detail) && detail.Err == "missing port in address" {
			return "", fmt.Errorf("%s has no port; %s", v.quoted(), write)
		}
		return "", fmt.Errorf("%s is not an address; %s", v.quoted(), write)
	}
	if host == "*" {
		return "", fmt.Errorf("%s is not an address; for every interface leave the host empty, e.g. :6432", v.quoted())
	}
	if host != "" && !isHost(host) {
		return "", fmt.Errorf("%s is not a host name or IP address; %s", v.part(host), write)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("%s is not a port; write a number from 1 to 65535", v.part(port))
	} else {
		port = strconv.FormatUint(n, 10)
	}
	return net.JoinHostPort(host, port), nil
}

// isHost accepts IP addresses and what can be a host name. Whether the name exists is found out when it is used.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '.', r == '_':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 253
}

func checkSocketPath(v value, path string) error {
	if len(path) > maxSocketPath {
		return fmt.Errorf("%s is too long for a Unix socket, %d bytes; write a path of at most %d", v.quoted(), len(path), maxSocketPath)
	}
	return nil
}
