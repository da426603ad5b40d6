package e2e

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// Messages may arrive in pieces, cut anywhere: the network does so.
func TestFragments(t *testing.T) {
	db := database(t)
	f := start(t, shopTables)
	hello := startup("user", "postgres", "database", db)
	session := hello + message('Q', "DELETE FROM users WHERE id = 1 OR id = 2\x00") +
		message('P', "s\x00DELETE FROM users WHERE id = $1\x00\x00\x00") + message('B', "\x00s\x00\x00\x00\x00\x01\x00\x00\x00\x013\x00\x00") +
		message('E', "\x00\x00\x00\x00\x00") + message('S', "") + message('Q', "COPY audit_log FROM STDIN\x00") +
		message('d', "77\tx\t1\n") + message('c', "") + message('Q', "ROLLBACK\x00") + message('X', "")
	for name, pieces := range map[string][]string{
		"whole":                     {session},
		"cut in the startup packet": {session[:9], session[9:]},
		"cut in its length":         {session[:2], session[2:]},
		"cut in a Query":            {session[:len(hello)+12], session[len(hello)+12:]},
		"byte by byte":              strings.Split(session, ""),
	} {
		t.Run(name, func(t *testing.T) {
			ask(t, db, "UPDATE users SET deleted_at = NULL; DELETE FROM audit_log WHERE id = 77")
			c, err := net.Dial("tcp", f.addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(limit / 4))
			// Nothing may come with it: its answer says how to go on.
			_, _ = io.WriteString(c, sslRequest[:5])
			time.Sleep(time.Millisecond)
			_, _ = io.WriteString(c, sslRequest[5:])
			answer := make([]byte, 1)
			if _, err := io.ReadFull(c, answer); err != nil || answer[0] != 'N' {
				t.Fatalf("%q %v", answer, err)
			}
			go func() {
				for _, p := range pieces {
					_, _ = io.WriteString(c, p)
					time.Sleep(time.Millisecond) // so that the pieces go separately
				}
			}()
			got, err := io.ReadAll(c)
			if err != nil {
				t.Fatalf("%v after %d bytes", err, len(got))
			}
			for _, want := range []string{"DELETE 2\x00", "DELETE 1\x00", "COPY 1\x00", "ROLLBACK\x00"} {
				if !strings.Contains(string(got), want) {
					t.Errorf("no %q in %q", want, got)
				}
			}
		})
	}
}
