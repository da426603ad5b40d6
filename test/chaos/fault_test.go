package chaos

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var tokens atomic.Int64

// fresh is a token that nothing else has.
func fresh() string { return fmt.Sprintf("token-%d", tokens.Add(1)) }

// sides are where a relay can stand.
const (
	clientSide = "between client and proxy"
	serverSide = "between proxy and server"
)

// TestFaults breaks the connection on either side, in either direction, in every state, at several bytes. What the client got until
// then must be the beginning of what it gets otherwise; what only slows it down must change nothing.
func TestFaults(t *testing.T) { faults(t, plain.between(t), 0, 1) }

// TestFaultsOnOtherLegs is a sample of the same. The steps have no factor in common with the number of faults, so that each of
// those has its turn, in one state or another.
func TestFaultsOnOtherLegs(t *testing.T) {
	for i, l := range others {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := l.between(t)
			faults(t, s, i, 21)
			loginFaults(t, s, i, 9)
		})
	}
}

// faults tries every so many faults on a proxy, from a first on.
func faults(t *testing.T, s *subject, first, every int) {
	serves(t, s)
	settled := sampled(t, s.Process, Sample{})
	bystander, err := pgx.Connect(within(t), s.dsn())
	if err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	n := 0
	for _, st := range states {
		want := st.reference(t, s.dsn())
		t.Run(st.name, func(t *testing.T) {
			for _, side := range []string{clientSide, serverSide} {
				for _, where := range []direction{toServer, toClient} {
					for _, f := range []fault{cutOff, reset, halfClose, drip, hold} {
						for _, after := range []int{0, 1, 6, 40, 150, 700} {
							if after > 0 && (f == drip || f == hold) {
								continue
							}
							if n++; (n-1)%every != first%every {
								continue
							}
							about := fmt.Sprintf("%s, %s, %s, after %d bytes", f, side, where, after)
							token := fresh()
							if suffer(t, about, &st, s, side, f, where, after, token, want) {
								acknowledged = append(acknowledged, token)
							}
							var got string
							if err := bystander.QueryRow(within(t), "SELECT $1::text", token).Scan(&got); err != nil || got != token {
								t.Fatalf("%s: another session: %q, %v", about, got, err)
							}
						}
					}
				}
			}
		})
	}
	_ = bystander.Close(within(t))
	after := sampled(t, s.Process, settled)
	if err := LeftOver(settled, after); err != nil {
		t.Error(err)
	}
	t.Logf("%d exchanges, %d commits acknowledged; %s before, %s after", (n+every-1)/every, len(acknowledged), settled, after)
	there(t, acknowledged)
}

// suffer is one session with one fault. It reports whether a commit of its token was acknowledged.
func suffer(t *testing.T, about string, s *state, by *subject, side string, f fault, where direction, after int, token string, want []string) bool {
	t.Helper()
	c, err := login(within(t), by.dsn())
	if err != nil {
		t.Fatalf("%s: login: %v", about, err)
	}
	defer c.Close()
	if err := s.arrive(c); err != nil {
		t.Fatalf("%s: %v", about, err)
	}
	l := by.before.last()
	if side == serverSide {
		l = by.behind.last()
	}
	l.arm(f, where, after)
	if f == hold {
		// All that the client has to say is said before the other side hears, or is heard.
		messages := s.act(token)
		c.send(messages)
		if s.tail != nil {
			rest := s.tail(token)
			c.send(rest)
			messages = append(messages, rest...)
		}
		l.release()
		c.until('Z', ends(messages), token)
	} else {
		s.finish(c, token)
	}
	l.release()
	got := c.trace
	if hung(c.err) {
		t.Fatalf("%s: it hangs after %q", about, got)
	}
	var fatal *pgconn.PgError
	switch {
	case c.err == nil:
	case f == drip || f == hold:
		t.Errorf("%s: %v after %q", about, c.err, got)
	case errors.As(c.err, &fatal):
		got = got[:len(got)-1]
		if n := len(got); n > 0 && f == halfClose && got[n-1] == "E ERROR 08006" {
			got = got[:n-1] // a server that misses the rest of a COPY says so before it ends the session
		} else if fatal.Code != "08006" || side == clientSide {
			t.Errorf("%s: %v", about, c.err)
		}
	case side == serverSide && !c.frames.Partial():
		t.Errorf("%s: the client is not told that the server is gone: %v after %q", about, c.err, got)
	case !abrupt(c.err):
		t.Errorf("%s: an error of no known class: %v", about, c.err)
	}
	if c.err == nil && !slices.Equal(got, want) || len(got) > len(want) || !slices.Equal(got, want[:len(got)]) {
		t.Errorf("%s: the client got other replies\n%q, want\n%q", about, got, want)
	}
	return c.err == nil && strings.Contains(fmt.Sprint(s.act(token)), "INTO kept") || c.err == nil && s.until == 'G'
}

// there fails the test unless rows with these tokens are in the table, alive.
func there(t *testing.T, acknowledged []string) {
	t.Helper()
	conn, err := pgx.Connect(within(t), server.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(within(t))
	rows, err := conn.Query(within(t), "SELECT token FROM kept WHERE deleted_at IS NULL AND n = 1")
	if err != nil {
		t.Fatal(err)
	}
	have, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range acknowledged {
		if !slices.Contains(have, token) {
			t.Errorf("the commit of %s was acknowledged and it is not there", token)
		}
	}
}

// TestLoginFaults breaks logins, SCRAM and the proxy's own questions before the first ReadyForQuery included.
func TestLoginFaults(t *testing.T) { loginFaults(t, plain.between(t), 0, 1) }

// loginFaults tries every so many faults, from a first on.
func loginFaults(t *testing.T, s *subject, first, every int) {
	serves(t, s)
	settled := sampled(t, s.Process, Sample{})
	dsn := s.dsnOf("scram_user")
	n := 0
	outcomes := map[string]int{}
	for _, side := range []string{clientSide, serverSide} {
		for _, where := range []direction{toServer, toClient} {
			for _, f := range []fault{cutOff, reset, halfClose, drip} {
				for _, after := range []int{1, 4, 9, 30, 60, 100, 150, 220, 300, 400, 600, 900, 1500, 3000} {
					if n++; (n-1)%every != first%every {
						continue
					}
					about := fmt.Sprintf("login: %s, %s, %s, after %d bytes", f, side, where, after)
					r := s.before
					if side == serverSide {
						r = s.behind
					}
					r.armNext(f, where, after)
					conn, err := pgconn.Connect(within(t), dsn)
					r.armNext(none, where, 0)
					if err == nil {
						outcomes["let in"]++
						_ = conn.Close(within(t))
						continue
					}
					var fatal *pgconn.PgError
					switch {
					case hung(err):
						t.Fatalf("%s: it hangs: %v", about, err)
					case f == drip:
						t.Errorf("%s: %v", about, err)
					case errors.As(err, &fatal):
						outcomes[fatal.Code]++
						// A server that sees the end of a half-closed connection has its own words for it.
						if fatal.Code != "08006" && !(f == halfClose && where == toServer && fatal.Code == "28P01") {
							t.Errorf("%s: %v", about, err)
						}
					default:
						outcomes["closed"]++
						if side == serverSide && !strings.Contains(err.Error(), "unexpected EOF") {
							t.Errorf("%s: the client is not told: %v", about, err)
						}
					}
				}
			}
		}
	}
	serves(t, s)
	after := sampled(t, s.Process, settled)
	if err := LeftOver(settled, after); err != nil {
		t.Error(err)
	}
	t.Logf("%v; %s before, %s after", outcomes, settled, after)
}
