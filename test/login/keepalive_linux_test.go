package login

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Both of the proxy's sockets have the kernel's timer for probes, unless keepalive is 0. /proc/net/tcp tells: a timer of
// kind 2.
func TestKeepalive(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]bool{"60s": true, "0": false} {
		for _, mode := range []string{"disable", "require"} {
			r := start(t, url(server, "sslmode=disable"), offer(), "keepalive: "+setting+"\n")
			conn := open(t, r.to("user=trust_user sslmode="+mode))
			peer := one(t, conn, "SELECT inet_client_port()")
			var port int
			if _, err := fmt.Sscan(peer, &port); err != nil {
				t.Fatal(err)
			}
			eventually(t, "nothing is on its way", func() bool {
				return !strings.HasPrefix(timer(t, port), "01") && !strings.HasPrefix(timer(t, r.addr.Port), "01")
			})
			for side, port := range map[string]int{"client": r.addr.Port, "server": port} {
				if got := timer(t, port); strings.HasPrefix(got, "02") != want {
					t.Errorf("keepalive %s, sslmode=%s, towards the %s: timer %s", setting, mode, side, got)
				}
			}
		}
	}
}

// timer is the timer of the established connection whose near end has that port.
func timer(t *testing.T, port int) string {
	t.Helper()
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Skip(err)
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) > 5 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && f[3] == "01" {
				return f[5]
			}
		}
	}
	t.Fatalf("no connection from port %d", port)
	return ""
}
