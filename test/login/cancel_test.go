package login

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgproto3/v2"
)

// sleeper is a session that runs a statement for ever.
type sleeper struct {
	*talk
	key  []byte // BackendKeyData: the process and its key
	port string // of the server that it is at
}

func (r *relay) sleeper(t testing.TB, secure bool, version uint32) *sleeper {
	t.Helper()
	k := converse(t, r.dial(t))
	if secure {
		k = k.secure()
	}
	k.say(startup(version, "user", "scram_user", "database", "postgres"))
	all, last := k.scram("scram_user", thePassword)
	if last.typ != 'Z' {
		t.Fatalf("%v", last)
	}
	s := &sleeper{talk: k}
	for _, m := range all {
		if m.typ == 'K' {
			s.key = m.body
		}
	}
	k.send(&pgproto3.Query{String: "SELECT inet_server_port()"})
	answer, _ := k.until('Z')
	s.port = string(answer[1].body[6:])
	k.send(&pgproto3.Query{String: "SELECT pg_sleep(3600)"})
	return s
}

// cancel asks to end a session's statement, and returns when that has been handed on.
func (r *relay) cancel(t testing.TB, key []byte, secure bool) {
	t.Helper()
	k := converse(t, r.dial(t))
	if secure {
		k = k.secure()
	}
	packet := binary.BigEndian.AppendUint32(nil, uint32(8+len(key)))
	k.say(string(append(binary.BigEndian.AppendUint32(packet, 80877102), key...)))
	if rest := k.over(); rest != "" {
		t.Errorf("a cancel request is answered: %q", rest)
	}
}

// cancelled reads what must be the end of the statement.
func (s *sleeper) cancelled() {
	s.t.Helper()
	for {
		m := s.hear()
		if m.typ == 'E' {
			if !strings.Contains(string(m.body), "C57014") {
				s.t.Errorf("%v", m)
			}
			_, _ = s.until('Z')
			return
		}
	}
}

// asleep is how many statements sleep at a server.
func asleep(t testing.TB, c interface{ DSN(string) string }) string {
	t.Helper()
	conn := open(t, c.DSN("postgres"))
	defer conn.Close(within(t))
	return one(t, conn, "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(3600)' AND state = 'active'")
}

// A cancel request reaches the session whose key it bears and no other, by TLS and without, before one server and several.
func TestCancel(t *testing.T) {
	s := standby(t)
	for _, upstream := range []string{
		url(server, "sslmode=disable"), url(server, verified()),
		several("", "load_balance_hosts=random&"+verified(), server.Port, s.Port),
	} {
		for _, auth := range []string{"", ask} {
			r := start(t, upstream, offer(), auth, protect)
			var all []*sleeper
			ports := map[string]bool{}
			for len(all) < 3 || strings.Contains(upstream, "random") && len(ports) < 2 {
				a := r.sleeper(t, len(all)%2 == 0, version30)
				all, ports[a.port] = append(all, a), true
			}
			sleep := func(want int) {
				t.Helper()
				eventually(t, fmt.Sprintf("%d sleep", want), func() bool {
					var here, there int
					_, _ = fmt.Sscan(asleep(t, server), &here)
					_, _ = fmt.Sscan(asleep(t, s), &there)
					return here+there == want
				})
			}
			sleep(len(all)) // a request that comes before the statement does is for nothing
			for i, victim := range all {
				wrong := append([]byte(nil), victim.key...)
				wrong[len(wrong)-1] ^= 1
				r.cancel(t, wrong, i%2 == 0)
				r.cancel(t, victim.key, i%3 != 0)
				victim.cancelled()
				sleep(len(all) - i - 1) // the others, and those on the other server
			}
			for _, k := range all {
				k.send(&pgproto3.Query{String: "SELECT 1"})
				if _, m := k.until('Z'); m.typ != 'Z' {
					t.Errorf("afterwards: %v", m)
				}
				_ = k.Close()
			}
		}
	}
}

// psql's Ctrl-C: an older libpq sends it without TLS, and that must do even where sessions need TLS.
func TestCancelByPsql(t *testing.T) {
	r := start(t, url(server, verified()), offer("mode: require"), ask)
	cmd := exec.CommandContext(within(t), "psql", "-X", "-w", "-d", r.to("user=scram_user sslmode=require"), "-c", "SELECT pg_sleep(3600)")
	cmd.Env = environ("PGPASSWORD=" + thePassword)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the statement runs", func() bool { return asleep(t, server) == "1" })
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if !strings.Contains(said.String(), "canceling statement due to user request") {
		t.Errorf("psql says %q", said.String())
	}
}

// Cancel requests that are none.
func TestBadCancel(t *testing.T) {
	r := start(t, several("", "sslmode=disable", server.Port, nobody(t)))
	for _, key := range []string{"", "1", "1234567", strings.Repeat("x", 300), strings.Repeat("x", 9000)} {
		r.cancel(t, []byte(key), false)
	}
}
