package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Upstream is PostgreSQL: one server, or several of which one is chosen at each connect. Printed or marshalled it never
// shows the password.
type Upstream struct {
	// Network and Address are those of the first host.
	Network string
	Address string

	Hosts              []Host        // at least one, in the order to try them
	RandomHosts        bool          // try them in random order instead
	ConnectTimeout     time.Duration // for one host, until it is connected and TLS is agreed; default 10 s, 0 is no limit
	TargetSessionAttrs string        // "any" (default), "read-write", "read-only", "primary", "standby" or "prefer-standby"
	TLS                UpstreamTLS

	// Only for logins that are the proxy's own. Each client's login passes through.
	User, Password, Database string
}

// Host is one server, ready for net.Dial.
type Host struct {
	Network string // "tcp" or "unix"
	Address string // host:port, or the path of the socket file
	Name    string // the host as written, which its certificate must be for and SNI names; empty for a Unix socket
}

const defaultConnectTimeout = 10 * time.Second

// The parameters of the URL. They mean what they do in libpq (PostgreSQL's manual, "Parameter Key Words").
var upstreamParams = []string{
	"host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslnegotiation", "ssl_min_protocol_version",
	"target_session_attrs", "load_balance_hosts", "connect_timeout",
}

// parseUpstream reads a connection URL, and the certificates that it names.
func (d *decoder) parseUpstream(v value) (Upstream, error) {
	u, err := d.parseURL(v)
	if err == nil {
		err = u.known(upstreamParams)
	}
	if err != nil {
		return Upstream{}, err
	}
	up := Upstream{User: u.user, Password: u.password, Database: u.database}
	if up.Hosts, err = u.servers(); err != nil {
		return Upstream{}, err
	}
	up.Network, up.Address = up.Hosts[0].Network, up.Hosts[0].Address
	up.TargetSessionAttrs, err = u.oneOf("target_session_attrs", "any", "read-write", "read-only", "primary", "standby", "prefer-standby")
	if err != nil {
		return Upstream{}, err
	}
	balance, err := u.oneOf("load_balance_hosts", "disable", "random")
	if err != nil {
		return Upstream{}, err
	}
	up.RandomHosts = balance == "random"
	if up.ConnectTimeout, err = u.connectTimeout(); err != nil {
		return Upstream{}, err
	}
	up.TLS, err = u.tls(up.Hosts)
	return up, err
}

// parseQueryAs reads who asks for verifiers, as a URL without a host: the servers are those of the upstream.
// An empty value is nobody.
func (d *decoder) parseQueryAs(up Upstream) func(value) (*Upstream, error) {
	return d.parseOwnLogin(up, "write e.g. postgres://tombstone:${PGPASSWORD}@/postgres")
}

// parseLogin reads who purges, in the same way.
func (d *decoder) parseLogin(up Upstream) func(value) (*Upstream, error) {
	return d.parseOwnLogin(up, "write e.g. postgres://purger:${PGPASSWORD}@/shop")
}

func (d *decoder) parseOwnLogin(up Upstream, write string) func(value) (*Upstream, error) {
	return func(v value) (*Upstream, error) {
		if v.text == "" {
			return nil, nil
		}
		u, err := d.parseURL(v)
		switch {
		case err != nil:
			return nil, err
		case len(u.params) > 0 || strings.Join(u.hosts, "")+strings.Join(u.ports, "") != "":
			return nil, errors.New("is asked at the hosts of upstream, and in their way; leave out the host and the parameters, " + write)
		case u.user == "":
			return nil, errors.New("names no user; " + write)
		}
		up.User, up.Password, up.Database = u.user, u.password, u.database
		if up.Database == "" {
			up.Database = u.user // as everywhere in PostgreSQL
		}
		return &up, nil
	}
}

// known reports the first parameter, by name, that is not on the list.
func (u *connURL) known(params []string) error {
	for _, name := range slices.Sorted(maps.Keys(u.params)) {
		switch {
		case slices.Contains(params, name):
		case name == "hostaddr":
			return errors.New("has hostaddr, which is not supported; write the address as the host, " +
				"or with sslmode=verify-full the name that the certificate is for")
		default:
			return fmt.Errorf("has %s, which is not supported; remove it (supported: %s)", u.printable(name), strings.Join(params, ", "))
		}
	}
	return nil
}

// oneOf returns the word that a parameter says, or the first of the words if it is not there.
func (u *connURL) oneOf(name string, words ...string) (string, error) {
	word, given := u.params[name]
	switch {
	case !given:
		return words[0], nil
	case !slices.Contains(words, word):
		last := len(words) - 1
		return "", fmt.Errorf("has %s, which is not known here; write %s or %s",
			u.param(name), strings.Join(words[:last], ", "), words[last])
	}
	return word, nil
}

// connectTimeout reads whole seconds, as libpq does.
func (u *connURL) connectTimeout() (time.Duration, error) {
	text, given := u.params["connect_timeout"]
	if !given {
		return defaultConnectTimeout, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("has %s, which is no number of seconds; write e.g. connect_timeout=10, or 0 for no limit", u.param("connect_timeout"))
	}
	return time.Duration(n) * time.Second, nil
}

// readable leaves what need not be escaped in a URL's query as it is.
var readable = strings.NewReplacer("%2F", "/", "%2C", ",", "%3A", ":")

// String is the URL without the password. What has its default is left out.
func (u Upstream) String() string {
	hosts := u.Hosts
	if len(hosts) == 0 {
		hosts = []Host{{Network: u.Network, Address: u.Address}}
	}
	out := url.URL{Scheme: "postgres"}
	var params []string
	add := func(name, content, usual string) {
		if content != usual && content != "" {
			params = append(params, name+"="+readable.Replace(percentEncode(content)))
		}
	}
	if slices.ContainsFunc(hosts, isUnix) {
		names, ports := make([]string, len(hosts)), make([]string, len(hosts))
		for i, h := range hosts {
			names[i], ports[i], _ = net.SplitHostPort(h.Address)
			if isUnix(h) {
				dir, file := path.Split(h.Address)
				names[i], ports[i] = path.Clean(dir), strings.TrimPrefix(file, socketFile)
			}
		}
		add("host", strings.Join(names, ","), "")
		add("port", strings.Join(ports, ","), "")
	} else {
		addresses := make([]string, len(hosts))
		for i, h := range hosts {
			addresses[i] = h.Address
		}
		out.Host = strings.Join(addresses, ",")
	}
	if len(u.Hosts) > 0 {
		add("target_session_attrs", u.TargetSessionAttrs, "any")
		if u.RandomHosts {
			add("load_balance_hosts", "random", "")
		}
		if u.ConnectTimeout != defaultConnectTimeout {
			add("connect_timeout", strconv.Itoa(int(u.ConnectTimeout/time.Second)), "")
		}
		u.TLS.params(hosts, add)
	}
	out.RawQuery = strings.Join(params, "&")
	if u.Database != "" || out.Host == "" {
		out.Path = "/" + u.Database
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
