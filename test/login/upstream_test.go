package login

import (
	"fmt"
	"strings"
	"testing"

	"tombstone/cluster"
)

// Each sslmode, at a server with TLS and at one without.
func TestUpstreamModes(t *testing.T) {
	without := plainServer(t)
	right, wrong := "sslrootcert="+ca.file, "sslrootcert="+other.file
	for _, c := range []struct {
		to     *cluster.Cluster
		host   string // as the proxy calls it
		params string
		want   string // pg_stat_ssl.ssl, or a part of what the client is told
	}{
		{without, "localhost", "sslmode=disable", "f"},
		{without, "localhost", "sslmode=prefer", "f"},
		{without, "localhost", "sslmode=require", "does not support TLS"},
		{without, "localhost", "sslmode=verify-full&" + right, "does not support TLS"},
		{server, "localhost", "sslmode=disable", "f"},
		{server, "localhost", "sslmode=prefer", "t"},
		{server, "localhost", "sslmode=require", "t"},
		{server, "localhost", "sslmode=require&ssl_min_protocol_version=TLSv1.3", "t"},
		{server, "localhost", "sslmode=require&" + wrong, "unknown authority"},
		{server, "localhost", "sslmode=verify-ca&" + right, "t"},
		{server, "localhost", "sslmode=verify-ca&" + wrong, "unknown authority"},
		{server, "localhost", "sslmode=verify-full&" + right, "t"},
		{server, "localhost", "sslmode=verify-full&" + wrong, "unknown authority"},
		{server, "localhost", "sslrootcert=system", "unknown authority"},
		{server, "127.0.0.1", "sslmode=verify-ca&" + right, "t"},
		{server, "127.0.0.1", "sslmode=verify-full&" + right, "127.0.0.1"},
		{server, "localhost", "sslmode=require&sslnegotiation=direct", "needs PostgreSQL 17"},
		{server, "localhost", fmt.Sprintf("sslmode=require&sslcert=%s&sslkey=%s", agent.crt, agent.key), "t"},
		// The server verifies what it is shown. By TLS 1.3 its verdict comes late; the log has it, unless the server has gone before it is heard.
		{server, "localhost", fmt.Sprintf("sslmode=require&sslcert=%s&sslkey=%s", stranger.crt, stranger.key), "closed the connection"},
	} {
		r := start(t, fmt.Sprintf("postgres://%s:%d/?%s", c.host, c.to.Port, c.params))
		out, said := psql(t, r.to("user=trust_user"), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
		gone := strings.Contains(c.params, stranger.crt) && (strings.Contains(said, "connection reset by peer") || strings.Contains(said, "broken pipe"))
		if out != c.want && (len(c.want) == 1 || !strings.Contains(said, c.want)) && !gone {
			t.Errorf("%s, %s: %s %s; want %s", c.host, c.params, out, said, c.want)
		}
		if strings.Contains(c.params, stranger.crt) && !gone && !r.log.Has("tls: ") {
			t.Errorf("the log does not say why:\n%s", r.log)
		}
	}
}

// A server that takes only TLS says "no encryption"; the client is told that this is about the proxy.
func TestServerTakesOnlyTLS(t *testing.T) {
	for params, want := range map[string]string{"sslmode=disable": "sslmode in the proxy's upstream", "sslmode=require": ""} {
		r := start(t, url(server, params), offer())
		if out, said := psql(t, r.to("sslmode=require user=tls_user"), "SELECT 1"); (out == "1") != (want == "") || !strings.Contains(said, want) {
			t.Errorf("%s: %s %s", params, out, said)
		}
	}
}

// sslnegotiation=direct, which a server understands from 17 on.
func TestDirectToServer(t *testing.T) {
	t.Parallel()
	c := major(t, 17)
	admin(t, c, roles)
	r := start(t, url(c, verified(), "sslnegotiation=direct"), offer(), ask)
	if out, said := psql(t, r.to("user=scram_user sslmode=require channel_binding=require"), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", "PGPASSWORD="+thePassword); out != "t" {
		t.Errorf("%s %s", out, said)
	}
}
