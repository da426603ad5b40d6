package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"tombstone/proxy/wire"
)

// state is a place in the protocol where something can break.
type state struct {
	name  string
	reach []pgproto3.FrontendMessage                           // sent and answered before, up to `until`
	until byte                                                 // 'Z' unless told
	act   func(token string) []pgproto3.FrontendMessage        // what is under way when it breaks
	tail  func(token string) (rest []pgproto3.FrontendMessage) // what ends it
}

func query(sql string) *pgproto3.Query { return &pgproto3.Query{String: sql} }

func list(m ...pgproto3.FrontendMessage) []pgproto3.FrontendMessage { return m }

// states are all of them after login, which has tests of its own.
var states = []state{
	{name: "simple query, rows", act: func(token string) []pgproto3.FrontendMessage {
		return list(query("SELECT '" + token + "', i FROM generate_series(1, 300) i"))
	}},
	{name: "several statements, the last commits", act: func(token string) []pgproto3.FrontendMessage {
		return list(query("SELECT '" + token + "'; DELETE FROM kept WHERE n = -1; INSERT INTO kept VALUES (1, '" + token + "')"))
	}},
	{name: "extended, all at once", act: func(token string) []pgproto3.FrontendMessage {
		return list(&pgproto3.Parse{Name: "s", Query: "SELECT $1::text FROM generate_series(1, 5)"}, &pgproto3.Describe{ObjectType: 'S', Name: "s"},
			&pgproto3.Bind{PreparedStatement: "s", Parameters: [][]byte{[]byte(token)}}, &pgproto3.Execute{MaxRows: 2}, &pgproto3.Execute{},
			&pgproto3.Parse{Query: "INSERT INTO kept VALUES (1, $1)"}, &pgproto3.Bind{Parameters: [][]byte{[]byte(token)}}, &pgproto3.Execute{})
	}, tail: func(string) []pgproto3.FrontendMessage { return list(&pgproto3.Sync{}) }},
	{name: "between Parse and Bind", reach: list(&pgproto3.Parse{Name: "d", Query: "DELETE FROM kept WHERE n = $1 RETURNING token"}, &pgproto3.Flush{}), until: '1',
		act: func(string) []pgproto3.FrontendMessage {
			return list(&pgproto3.Bind{PreparedStatement: "d", Parameters: [][]byte{[]byte("-1")}}, &pgproto3.Execute{}, &pgproto3.Flush{})
		}, tail: func(string) []pgproto3.FrontendMessage { return list(&pgproto3.Sync{}) }},
	{name: "between Bind and Sync", reach: list(&pgproto3.Parse{Query: "DELETE FROM kept WHERE n = -1"}, &pgproto3.Bind{}, &pgproto3.Flush{}), until: '2',
		act:  func(string) []pgproto3.FrontendMessage { return list(&pgproto3.Execute{}, &pgproto3.Flush{}) },
		tail: func(string) []pgproto3.FrontendMessage { return list(&pgproto3.Sync{}) }},
	{name: "COPY in", reach: list(query("COPY kept (n, token) FROM STDIN")), until: 'G', act: func(token string) []pgproto3.FrontendMessage {
		return list(&pgproto3.CopyData{Data: []byte("1\t" + token + "\n")}, &pgproto3.CopyData{Data: []byte("-2\t" + strings.Repeat("x", 3000) + "\n")})
	}, tail: func(string) []pgproto3.FrontendMessage { return list(&pgproto3.CopyDone{}) }},
	{name: "COPY out", act: func(token string) []pgproto3.FrontendMessage {
		return list(query("COPY (SELECT '" + token + "' FROM generate_series(1, 300)) TO STDOUT"))
	}},
	{name: "idle in transaction", reach: list(query("BEGIN; DELETE FROM kept WHERE n = -1")), act: func(token string) []pgproto3.FrontendMessage {
		return list(query("INSERT INTO kept VALUES (1, '" + token + "')"))
	}, tail: func(string) []pgproto3.FrontendMessage { return list(query("COMMIT")) }},
	{name: "failed transaction", reach: list(query("BEGIN; SELECT 1/0")), act: func(token string) []pgproto3.FrontendMessage {
		return list(query("SELECT '" + token + "' FROM kept"))
	}, tail: func(token string) []pgproto3.FrontendMessage {
		return list(query("ROLLBACK"), query("SELECT '"+token+"'"))
	}},
	{name: "the proxy asks, after SET", act: func(token string) []pgproto3.FrontendMessage {
		return list(query("SET search_path = other, public"), query("DELETE FROM kept WHERE n = -1; SELECT '"+token+"'"))
	}},
	{name: "the proxy asks, after DDL", act: func(token string) []pgproto3.FrontendMessage {
		return list(query("CREATE TEMP TABLE kept (n integer)"), query("DELETE FROM kept; SELECT '"+token+"'"), query("DROP TABLE pg_temp.kept"))
	}},
	{name: "the proxy asks in a pipeline", act: func(token string) []pgproto3.FrontendMessage {
		return list(&pgproto3.Parse{Query: "SET LOCAL search_path = other, public"}, &pgproto3.Bind{}, &pgproto3.Execute{},
			&pgproto3.Parse{Query: "DELETE FROM kept WHERE n = -1"}, &pgproto3.Bind{}, &pgproto3.Execute{},
			&pgproto3.Parse{Query: "SELECT '" + token + "'"}, &pgproto3.Bind{}, &pgproto3.Execute{})
	}, tail: func(string) []pgproto3.FrontendMessage { return list(&pgproto3.Sync{}) }},
}

// client speaks the protocol by hand.
type client struct {
	net.Conn
	front  *pgproto3.Frontend
	frames wire.Splitter
	trace  []string // what came, with the token as TOKEN
	err    error    // that ended it
}

// login lets pgconn log in, then takes its connection over.
func login(ctx context.Context, dsn string) (*client, error) {
	conn, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	return takeOver(conn)
}

func takeOver(conn *pgconn.PgConn) (*client, error) {
	h, err := conn.Hijack()
	if err != nil {
		return nil, err
	}
	_ = h.Conn.SetDeadline(time.Now().Add(limit))
	c := &client{Conn: h.Conn}
	c.frames.Head = func(byte, int) (int, error) { return 0, nil }
	c.front = pgproto3.NewFrontend(c, c)
	return c, nil
}

// Read notes where messages end, which tells a connection that ended between two from one that was cut.
func (c *client) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for b := p[:n]; len(b) > 0; {
		_, used, bad := c.frames.Next(b)
		if bad != nil {
			return n, bad
		}
		b = b[used:]
	}
	return n, err
}

// send writes messages. What cannot be written is found out by whoever reads.
func (c *client) send(messages []pgproto3.FrontendMessage) {
	for _, m := range messages {
		c.front.Send(m)
	}
	_ = c.front.Flush()
}

// until reads up to so many messages of a type, and reports whether they came.
func (c *client) until(typ byte, count int, token string) bool {
	for count > 0 && c.err == nil {
		m, err := c.front.Receive()
		if err != nil {
			c.err = err
			return false
		}
		said := brief(m)
		c.trace = append(c.trace, strings.ReplaceAll(said, token, "TOKEN"))
		if said[0] == typ {
			count--
		}
		if e, ok := m.(*pgproto3.ErrorResponse); ok && e.Severity == "FATAL" {
			c.err = pgconn.ErrorResponseToPgError(e)
		}
	}
	return count == 0
}

// brief is a message as far as it must be the same in every run.
func brief(m pgproto3.BackendMessage) string {
	switch m := m.(type) {
	case *pgproto3.DataRow:
		fields := make([]string, len(m.Values))
		for i, v := range m.Values {
			fields[i] = string(v)
		}
		return "D " + strings.Join(fields, "|")
	case *pgproto3.CopyData:
		return "d " + string(m.Data)
	case *pgproto3.CommandComplete:
		return "C " + string(m.CommandTag)
	case *pgproto3.ErrorResponse:
		return "E " + m.Severity + " " + m.Code
	case *pgproto3.ReadyForQuery:
		return "Z " + string(m.TxStatus)
	case *pgproto3.ParseComplete:
		return "1"
	case *pgproto3.BindComplete:
		return "2"
	case *pgproto3.CopyInResponse:
		return "G"
	case *pgproto3.ParameterStatus:
		return "S " + m.Name
	case *pgproto3.NoticeResponse:
		return "N " + m.Code
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
}

// ends counts the ReadyForQuerys that messages ask for.
func ends(messages []pgproto3.FrontendMessage) (n int) {
	for _, m := range messages {
		switch m.(type) {
		case *pgproto3.Query, *pgproto3.Sync, *pgproto3.CopyDone:
			n++
		}
	}
	return n
}

// arrive brings a session to the state.
func (s *state) arrive(c *client) error {
	if len(s.reach) == 0 {
		return nil
	}
	until := s.until
	if until == 0 {
		until = 'Z'
	}
	c.send(s.reach)
	if !c.until(until, 1, "no token") {
		return fmt.Errorf("the state is not reached: %w, after %q", c.err, c.trace)
	}
	return nil
}

// finish sends what is left, reads all replies, and reports whether they came.
func (s *state) finish(c *client, token string) bool {
	messages := s.act(token)
	c.send(messages)
	if s.tail != nil {
		rest := s.tail(token)
		c.send(rest)
		messages = append(messages, rest...)
	}
	return c.until('Z', ends(messages), token)
}

// reference is what the client gets when nothing breaks.
func (s *state) reference(t *testing.T, dsn string) []string {
	t.Helper()
	c, err := login(within(t), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := s.arrive(c); err != nil {
		t.Fatal(err)
	}
	if !s.finish(c, fresh()) {
		t.Fatalf("without any fault: %v after %q", c.err, c.trace)
	}
	return c.trace
}

// hung reports whether an error is a limit of this test's.
func hung(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded)
}

// abrupt reports whether a connection ended without a word.
func abrupt(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "reset") || strings.Contains(err.Error(), "broken pipe")
}
