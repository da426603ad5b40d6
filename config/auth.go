package config

import (
	"fmt"
	"strings"
)

// Auth says who decides whether a client may log in.
type Auth struct {
	// Mode is "pass" (default): the server does, through the proxy; or "terminate": the proxy does, and logs in to the
	// server as the same user. With pass all other fields have their defaults.
	Mode string

	Client    string // how a client proves who it is: "scram" (default), "cert" or "peer"
	UsersFile string // see ReadUsers; empty if there is none

	// Query asks the database for the verifier of user $1, where UsersFile does not have it. Its rows are a name and a
	// verifier. Empty if QueryAs is nil.
	Query   string
	QueryAs *Upstream // who asks: the Upstream itself, but for user, password and database; nil if nobody does
}

// defaultQuery needs a superuser: nobody else may read pg_authid.
const defaultQuery = "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid WHERE rolname = $1 AND rolcanlogin"

// auth decodes the mapping auth. It comes after listen, upstream and tls, which it must fit.
func (d *decoder) auth(top mapping, c *Config, tlsRight bool) {
	before := len(d.problems)
	m, ok := d.mapping(top.fields["auth"], "auth", authFields)
	if !ok {
		return
	}
	a := &c.Auth
	set(d, m, "mode", &a.Mode, oneOf("pass", "terminate"))
	set(d, m, "client", &a.Client, oneOf("scram", "cert", "peer"))
	users, _ := d.content(m, "users_file", maxUsersFile)
	a.UsersFile = users.path
	set(d, m, "query", &a.Query, parseQuery)
	set(d, m, "query_as", &a.QueryAs, d.parseQueryAs(c.Upstream))
	if len(d.problems) > before { // what does not fit together is told once each field is right
		return
	}
	if a.Mode == "pass" {
		d.passOnly(m, a)
		return
	}
	d.authFits(m, c, tlsRight)
	if users.path != "" {
		if err := checkUsers(users.text, a.Client); err != nil {
			d.add(m.fields["users_file"].Line, "auth.users_file", "%s %v", users.written, err)
		}
	}
	if a.QueryAs != nil && a.Query == "" {
		a.Query = defaultQuery
	}
}

// passOnly reports fields that say how the proxy would authenticate, when it does not.
func (d *decoder) passOnly(m mapping, a *Auth) {
	written := map[string]bool{
		"client": a.Client != defaultClient, "users_file": a.UsersFile != "", "query": a.Query != "", "query_as": a.QueryAs != nil,
	}
	for _, field := range authFields {
		if written[field] {
			d.add(m.fields[field].Line, join(m.path, field),
				"has no effect while auth.mode is pass: the server authenticates; write mode: terminate, or remove it")
		}
	}
}

// authFits reports a login without the secrets that it takes, and a proof that no client could give.
func (d *decoder) authFits(m mapping, c *Config, tlsRight bool) {
	wrong := func(field, format string, args ...any) {
		d.add(m.fields[field].Line, join(m.path, field), format, args...)
	}
	a := &c.Auth
	switch {
	case a.Query != "" && a.QueryAs == nil:
		wrong("query", "is asked by nobody; write query_as: postgres://tombstone:${PGPASSWORD}@/postgres")
	case a.Client == "scram" && a.UsersFile == "" && a.QueryAs == nil:
		wrong("mode", "is terminate, but there are no verifiers; write users_file, or query_as")
	case a.Client != "scram" && a.QueryAs != nil:
		wrong("query_as", "has no effect while auth.client is %s: with a verifier alone nobody can log in to the server; "+
			"write users_file with passwords instead, or let the server trust the proxy", a.Client)
	}
	switch {
	case a.Client == "peer" && c.Listen.Network == "tcp":
		wrong("client", "is peer, but only a Unix socket tells who its peer is; write listen: unix:/path/to/socket, or client: scram")
	case a.Client == "cert" && c.Listen.Network == "unix":
		wrong("client", "is cert, but there is no TLS on a Unix socket; write client: peer, or listen: HOST:PORT")
	case a.Client == "cert" && tlsRight && (!c.TLS.Enabled() || c.TLS.ClientCertificates == "none"):
		wrong("client", "is cert, but clients are not asked for certificates; "+
			"write tls with certificate, key, client_ca and client_certificates: require")
	}
}

func parseQuery(v value) (string, error) {
	if v.text != "" && !strings.Contains(v.text, "$1") {
		return "", fmt.Errorf("%s does not use the user's name; write $1 in its place, e.g. WHERE rolname = $1", v.quoted())
	}
	return v.text, nil
}
