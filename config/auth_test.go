package config

import (
	"reflect"
	"testing"
)

func TestAuth(t *testing.T) {
	dir := certificateFiles(t)
	t.Setenv("DIR", dir)
	const query = "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid WHERE rolname = $1 AND rolcanlogin"
	servers := func(change func(*Upstream)) *Upstream {
		up := upstream(func(up *Upstream) { up.TargetSessionAttrs = "primary"; change(up) }, tcp("a", "a:5432"), tcp("b", "b:5433"))
		return &up
	}
	for in, want := range map[string]Auth{
		"{}":                          {Mode: "pass", Client: "scram"},
		"{mode: pass, client: scram}": {Mode: "pass", Client: "scram"},
		"{users_file: '', query: '', query_as: ''}":         {Mode: "pass", Client: "scram"},
		"{mode: terminate, users_file: '${DIR}/users.txt'}": {Mode: "terminate", Client: "scram", UsersFile: dir + "/users.txt"},
		"{mode: terminate, query_as: 'postgres://admin@/shop'}": {
			Mode: "terminate", Client: "scram", Query: query, QueryAs: servers(login("admin", "", "shop")),
		},
		"{mode: terminate, query_as: 'postgres://a%40b:${DIR}@'}": {
			Mode: "terminate", Client: "scram", Query: query, QueryAs: servers(login("a@b", dir, "a@b")),
		},
		"{mode: terminate, users_file: '${DIR}/users.txt', query_as: 'postgres://admin:pw@/shop', query: 'SELECT * FROM verifier($1)'}": {
			Mode: "terminate", Client: "scram", UsersFile: dir + "/users.txt", Query: "SELECT * FROM verifier($1)",
			QueryAs: servers(login("admin", "pw", "shop")),
		},
	} {
		c := mustParse(t, "listen: 127.0.0.1:6432\nupstream: postgres://x:y@a,b:5433/z?target_session_attrs=primary\nauth: "+in+"\n")
		if !reflect.DeepEqual(c.Auth, want) {
			t.Errorf("%s: %+v; want %+v", in, c.Auth, want)
		}
	}
}

const (
	onSocket = "listen: unix:/run/tombstone/.s.PGSQL.6432\nupstream: postgres://127.0.0.1\nauth: "
	withTLS  = smallest + "tls: {mode: require, certificate: '${DIR}/server.crt', key: '${DIR}/server.key', client_ca: '${DIR}/ca.crt', " +
		"client_certificates: require}\nauth: "
)

// Clients that prove who they are otherwise leave the proxy with a password to log in with, or with the server's trust.
func TestAuthWithoutPassword(t *testing.T) {
	dir := certificateFiles(t)
	t.Setenv("DIR", dir)
	for in, want := range map[string]Auth{
		onSocket + "{mode: terminate, client: peer}": {Mode: "terminate", Client: "peer"},
		onSocket + "{mode: terminate, client: peer, users_file: '${DIR}/passwords.txt'}": {
			Mode: "terminate", Client: "peer", UsersFile: dir + "/passwords.txt"},
		withTLS + "{mode: terminate, client: cert}": {Mode: "terminate", Client: "cert"},
		withTLS + "{mode: terminate, client: cert, users_file: '${DIR}/passwords.txt'}": {
			Mode: "terminate", Client: "cert", UsersFile: dir + "/passwords.txt"},
	} {
		if c := mustParse(t, in); c.Auth != want {
			t.Errorf("%s: %+v; want %+v", in, c.Auth, want)
		}
	}
}

func TestAuthContradictions(t *testing.T) {
	t.Setenv("DIR", certificateFiles(t))
	for _, c := range [][2]string{
		{smallest + "auth: {mode: terminate}",
			"test.yaml:3: auth.mode: is terminate, but there are no verifiers; write users_file, or query_as"},
		{smallest + "auth: {mode: terminate, users_file: '${DIR}/users.txt', query: 'SELECT $1, $1'}",
			"test.yaml:3: auth.query: is asked by nobody; write query_as"},
		{smallest + "auth: {mode: terminate, client: peer}",
			"test.yaml:3: auth.client: is peer, but only a Unix socket tells"},
		{smallest + "auth: {mode: terminate, client: cert}",
			"test.yaml:3: auth.client: is cert, but clients are not asked for certificates"},
		{onSocket + "{mode: terminate, client: cert}",
			"test.yaml:3: auth.client: is cert, but there is no TLS on a Unix socket"},
		{onSocket + "{mode: terminate, client: peer, query_as: 'postgres://admin:hunter2@/shop'}",
			"test.yaml:3: auth.query_as: has no effect while auth.client is peer"},
		{onSocket + "{mode: terminate, client: peer, users_file: '${DIR}/users.txt'}",
			`test.yaml:3: auth.users_file: "${DIR}/users.txt" line 3 has a SCRAM verifier, with which`},
		{withTLS + "{mode: terminate, client: peer}", "test.yaml:4: auth.client: is peer"},
		{smallest + "tls: {mode: on}\nauth: {mode: terminate, client: cert}", "test.yaml:3: tls.mode: "},
		{smallest + "auth: {mode: terminate, query_as: 'postgres://:hunter2@/shop'}",
			"test.yaml:3: auth.query_as: names no user"},
		{smallest + "auth: {mode: terminate, query_as: 'postgres:///?user=admin'}",
			"test.yaml:3: auth.query_as: is asked at the hosts of upstream"},
		{smallest + "auth: {mode: terminate, query_as: 'postgres://admin:hunter2@:5432'}",
			"test.yaml:3: auth.query_as: is asked at the hosts of upstream"},
		{smallest + "auth: {mode: terminate, query_as: 'admin:hunter2'}",
			"test.yaml:3: auth.query_as: is not a postgres:// URL"},
	} {
		in, want := c[0], c[1]
		refused(t, in, want)
	}
}
