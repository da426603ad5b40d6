package e2e

import (
	"fmt"
	"io"
	"net"
	"slices"
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

// The same where the half is closed with the first bytes, or with the last message of all.
func TestHalfCloseAtTheEnds(t *testing.T) {
	drivers(t, func(t *testing.T, loops int) {
		db := database(t)
		f := startBefore(t, server, shopTables, func(o *proxy.Options) { o.Loops = loops })
		ask, _ := (&pgproto3.Query{String: "SELECT 'hello' FROM pg_sleep(0.3)"}).Encode(nil)
		ask, _ = (&pgproto3.Terminate{}).Encode(ask)
		for _, said := range []string{"", string(ask)} {
			read := func(addr net.Addr) (list []string) {
				c, err := net.Dial(addr.Network(), addr.String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(limit))
				_, _ = io.WriteString(c, startup("user", "postgres", "database", db)+said)
				if err := c.(*net.TCPConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				front := pgproto3.NewFrontend(pgproto3.NewChunkReader(c), c)
				for {
					m, err := front.Receive()
					if err != nil {
						return append(list, err.Error())
					}
					list = append(list, fmt.Sprintf("%T", m))
				}
			}
			direct, through := read(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: server.Port}), read(f.addr)
			if !slices.Equal(direct, through) || len(direct) < 10 {
				t.Errorf("direct:  %v\nthrough: %v", direct, through)
			}
			eventually(t, "the session is over", func() bool { return backends(t, db) == "0" })
		}
	})
}
