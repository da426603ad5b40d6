package login

import (
	"fmt"
	"strings"
	"testing"

	httpadmin "tombstone/admin"
)

// Whether the proxy is ready is whether clients can be served, and not only whether something answers where the server should be.
func TestReadyForClients(t *testing.T) {
	ping := func(r *relay) string { return fmt.Sprint(r.Ping(within(t), httpadmin.Ping)) }
	if got := ping(start(t, url(server, verified()))); got != "<nil>" {
		t.Errorf("TLS as it should be: %s", got)
	}
	if got := ping(start(t, url(server, "sslmode=verify-full&sslrootcert=system"))); !strings.Contains(got, "x509") {
		t.Errorf("a certificate that nobody trusts: %s", got)
	}
	r := start(t, several("", "sslmode=disable&target_session_attrs=standby", server.Port))
	if got := where(t, r.to("user=trust_user")); !strings.Contains(got, "Check the hosts and target_session_attrs") && !strings.Contains(got, "Try again") {
		t.Errorf("%s", got)
	}
	if got := ping(r); !strings.Contains(got, "is a primary, and target_session_attrs=standby") {
		t.Errorf("no server that would do: %s", got)
	}
	// It shuts down, and lets nobody in; then it is there again.
	c := plainServer(t)
	for name, params := range map[string]string{"one host": "sslmode=disable", "TLS preferred": "sslmode=prefer"} {
		held := open(t, c.DSN("postgres"))
		r = start(t, several("", params, c.Port))
		shutDown(t, c)
		if got := where(t, r.to("user=trust_user")); !strings.Contains(got, "57P03") {
			t.Errorf("%s: %s", name, got)
		}
		eventually(t, "the client is seen off", func() bool { return strings.Contains(ping(r), "takes no connections now") })
		_ = held.Close(within(t))
		restart(t, c)
		eventually(t, "the proxy is ready again", func() bool { return ping(r) == "<nil>" })
		if got := where(t, r.to("user=trust_user")); strings.Contains(got, "FATAL") {
			t.Errorf("%s: %s", name, got)
		}
		if got := ping(r); got != "<nil>" {
			t.Errorf("%s: %s", name, got)
		}
	}
}
