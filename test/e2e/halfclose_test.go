package e2e

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"

	"tombstone/proxy"
)

// A client that has sent all it has to say, and closes that half, still gets its answers.
func TestHalfClose(t *testing.T) {
	drivers(t, func(t *testing.T, loops int) {
		db := database(t)
		f := startBefore(t, server, shopTables, func(o *proxy.Options) { o.Loops = loops })
		for _, sql := range []string{
			"SELECT 'hello' FROM pg_sleep(0.3)",
			"SET search_path = tenant, public; CREATE TEMP TABLE x (id int)", // the proxy asks before what follows
		} {
			c, err := net.Dial("tcp", f.addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(limit))
			_, _ = io.WriteString(c, startup("user", "postgres", "database", db))
			front := pgproto3.NewFrontend(pgproto3.NewChunkReader(c), c)
			for ready := false; !ready; {
				m, err := front.Receive()
				if err != nil {
					t.Fatal(err)
				}
				_, ready = m.(*pgproto3.ReadyForQuery)
			}
			out, _ := (&pgproto3.Query{String: sql}).Encode(nil)
			out, _ = (&pgproto3.Query{String: "DELETE FROM public.users WHERE id = 1"}).Encode(out)
			if _, err := c.Write(out); err != nil {
				t.Fatal(err)
			}
			if err := c.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(c)
			if err != nil || strings.Count(string(rest), "Z\x00\x00\x00\x05I") != 2 || !strings.Contains(string(rest), "DELETE ") {
				t.Errorf("%s: %q, %v", sql, rest, err)
			}
			eventually(t, "the session is over", func() bool { return backends(t, db) == "0" })
		}
	})
}
