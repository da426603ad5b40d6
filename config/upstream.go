package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Upstream is the PostgreSQL server. Printed or marshalled it never shows the password.
type Upstream struct {
	Network string // "tcp" or "unix"
	Address string // host:port, or the path of the socket file; ready for net.Dial

	// Only for commands that log in themselves. The proxy passes each client's own login through.
	User, Password, Database string
}

const writeUpstream = "write e.g. postgres://127.0.0.1:5432 or postgres:///?host=/var/run/postgresql"

// parseUpstream reads a connection URL (PostgreSQL's manual, "Connection URIs"), of which it accepts one host. Its
// messages do not show the value: a URL may hold a password.
func (d *decoder) parseUpstream(v value) (Upstream, error) {
	text, err := d.expandURL(v)
	if err != nil {
		return Upstream{}, err
	}
	scheme, rest, found := strings.Cut(text, "://")
	if !found || scheme != "postgres" && scheme != "postgresql" {
		return Upstream{}, errors.New("is not a postgres:// URL; " + writeUpstream)
	}
	if strings.Contains(rest, "#") {
		return Upstream{}, errors.New("has a # in it; write %23")
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority = rest[:i]
	}
	if strings.Contains(authority[strings.LastIndex(authority, "@")+1:], ",") {
		return Upstream{}, errors.New("names several hosts; write one, tombstone talks to one server")
	}
	u, err := url.Parse(text)
	if err != nil {
		return Upstream{}, errors.New("is not a valid URL (in names and passwords write %40 for @, %2F for /, %3A for :, %25 for %); " + writeUpstream)
	}
	host, port, err := serverOf(u, v)
	if err != nil {
		return Upstream{}, err
	}
	up := Upstream{User: u.User.Username(), Database: strings.TrimPrefix(u.Path, "/")}
	up.Password, _ = u.User.Password()
	if strings.HasPrefix(host, "/") {
		// The name of the file in the directory is PostgreSQL's (UNIXSOCK_PATH in its libpq/pqcomm.h).
		up.Network, up.Address = "unix", path.Join(host, ".s.PGSQL."+port)
		return up, checkSocketPath(v, up.Address)
	}
	up.Network, up.Address = "tcp", net.JoinHostPort(host, port)
	return up, nil
}

// serverOf returns the host, or the directory of the socket, and the port. Each is in the URL's authority or in its query.
func serverOf(u *url.URL, v value) (host, port string, err error) {
	query, err := url.ParseQuery(strings.ReplaceAll(u.RawQuery, "+", "%2B")) // a + is a + in libpq
	if err != nil {
		return "", "", errors.New("has a query that is not valid; write e.g. ?host=/var/run/postgresql&port=5432")
	}
	host, port = u.Hostname(), u.Port()
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		given := query[name]
		if len(given) > 1 || name == "host" && host != "" || name == "port" && port != "" {
			return "", "", fmt.Errorf("says %s twice; write it once", printable(v, name))
		}
		switch name {
		case "host":
			host = given[0]
		case "port":
			port = given[0]
		case "sslmode":
			if given[0] != "disable" {
				return "", "", errors.New("asks for TLS to the server, which is not supported yet; write sslmode=disable, or leave sslmode out")
			}
		default:
			return "", "", fmt.Errorf("has %s, which is not supported; remove it (supported: host, port, sslmode)", printable(v, name))
		}
	}
	if port == "" {
		port = "5432"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case strings.ContainsAny(host+port, ","):
		return "", "", errors.New("names several hosts; write one, tombstone talks to one server")
	case err != nil || n == 0:
		return "", "", errors.New("has no valid port; write a number from 1 to 65535")
	case host == "":
		return "", "", errors.New("names no host; " + writeUpstream)
	case !strings.HasPrefix(host, "/") && !isHost(host):
		return "", "", errors.New("has no valid host; " + writeUpstream)
	}
	return host, strconv.FormatUint(n, 10), nil
}

// printable shows a parameter's name unless it could have come from a variable.
func printable(v value, name string) string {
	if v.expanded() {
		return "a parameter"
	}
	return "the parameter " + quote(name)
}

// expandURL replaces variables once more, so that one before the @ (a user or a password) is taken literally. A
// password such as p@ss/word then needs no escapes and cannot change the host. A URL that is one variable as a whole is
// taken as it is.
func (d *decoder) expandURL(v value) (string, error) {
	if !v.expanded() {
		return v.text, nil
	}
	masked := maskVariables(v.written)
	start := strings.Index(masked, "://") + len("://")
	if start < len("://") {
		return v.text, nil
	}
	authority := masked[start:]
	if i := strings.IndexAny(authority, "/?#"); i >= 0 {
		authority = authority[:i]
	}
	end := start + max(0, strings.LastIndex(authority, "@"))
	before, err := expand(v.written[:end], d.lookup, percentEncode)
	if err != nil {
		return "", err
	}
	after, err := expand(v.written[end:], d.lookup, nil)
	return before + after, err
}

// maskVariables blanks out every ${..}, so that what is inside is not taken for a part of the URL.
func maskVariables(s string) string {
	masked := []byte(s)
	inside := false
	for i := range masked {
		inside = inside || strings.HasPrefix(s[i:], "${")
		end := s[i] == '}'
		if inside {
			masked[i] = ' '
		}
		inside = inside && !end
	}
	return string(masked)
}

func percentEncode(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// String is the URL without the password.
func (u Upstream) String() string {
	out := url.URL{Scheme: "postgres", Host: u.Address, Path: "/" + u.Database}
	if u.Network == "unix" {
		dir, file := path.Split(u.Address)
		out.Host = ""
		out.RawQuery = "host=" + path.Clean(dir) + "&port=" + strings.TrimPrefix(file, ".s.PGSQL.")
	} else if u.Database == "" {
		out.Path = ""
	}
	switch {
	case u.Password != "":
		out.User = url.UserPassword(u.User, "xxxxx")
	case u.User != "":
		out.User = url.User(u.User)
	}
	return out.String()
}

// GoString keeps the password out of %#v.
func (u Upstream) GoString() string { return u.String() }

// MarshalText keeps the password out of JSON and of structured logs.
func (u Upstream) MarshalText() ([]byte, error) { return []byte(u.String()), nil }
