package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	pp "github.com/jackc/pgx/v5/pgproto3"
)

// wireClient speaks raw protocol messages after an ordinary login.
type wireClient struct {
	*pgconn.HijackedConn
}

func dialWire(t *testing.T, dsn string) *wireClient {
	t.Helper()
	conn, err := pgconn.Connect(within(t), dsn)
	if err != nil {
		t.Fatalf("connect to %s: %v", dsn, err)
	}
	h, err := conn.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Conn.Close() })
	_ = h.Conn.SetDeadline(time.Now().Add(limit))
	return &wireClient{h}
}

// turn is messages that are sent at once, and the type of the reply that ends
// the turn; 0 is the last ReadyForQuery that they ask for.
type turn struct {
	send []pp.FrontendMessage
	till byte
}

// say is a turn that ends in ReadyForQuery.
func say(m ...pp.FrontendMessage) turn { return turn{send: m} }

// until is a turn that ends with another reply, such as after a Flush.
func until(till byte, m ...pp.FrontendMessage) turn { return turn{m, till} }

// Short names for messages.
func query(sql string) pp.FrontendMessage       { return &pp.Query{String: sql} }
func parse(name, sql string) pp.FrontendMessage { return &pp.Parse{Name: name, Query: sql} }
func bind(portal, name string, args ...string) pp.FrontendMessage {
	return &pp.Bind{DestinationPortal: portal, PreparedStatement: name, Parameters: values(args)}
}
func describe(what byte, name string) pp.FrontendMessage {
	return &pp.Describe{ObjectType: what, Name: name}
}
func closing(what byte, name string) pp.FrontendMessage {
	return &pp.Close{ObjectType: what, Name: name}
}
func execute(portal string, rows uint32) pp.FrontendMessage {
	return &pp.Execute{Portal: portal, MaxRows: rows}
}
func syncing() pp.FrontendMessage { return &pp.Sync{} }
func flush() pp.FrontendMessage   { return &pp.Flush{} }
func copyData(s string) pp.FrontendMessage {
	return &pp.CopyData{Data: []byte(s)}
}
func copyDone() pp.FrontendMessage { return &pp.CopyDone{} }
func copyFail(why string) pp.FrontendMessage {
	return &pp.CopyFail{Message: why}
}

// all is a statement's way through the extended protocol, without Sync.
func all(sql string, args ...string) []pp.FrontendMessage {
	return []pp.FrontendMessage{parse("", sql), bind("", "", args...), describe('P', ""), execute("", 0)}
}

// batch joins messages and lists of them.
func batch(parts ...any) []pp.FrontendMessage {
	var list []pp.FrontendMessage
	for _, p := range parts {
		switch p := p.(type) {
		case pp.FrontendMessage:
			list = append(list, p)
		case []pp.FrontendMessage:
			list = append(list, p...)
		}
	}
	return list
}

// run plays turns and returns the replies, one a line, turns set apart.
func (c *wireClient) run(turns []turn) (string, error) {
	var out report
	for i, x := range turns {
		want := 0
		for _, m := range x.send {
			c.Frontend.Send(m)
			switch m.(type) {
			case *pp.Query, *pp.Sync, *pp.FunctionCall:
				want++
			}
		}
		if err := c.Frontend.Flush(); err != nil {
			return out.String(), fmt.Errorf("turn %d: send: %w", i, err)
		}
		out.line("-- turn %d", i)
		for done := false; !done; {
			m, err := c.Frontend.Receive()
			if err != nil {
				return out.String(), fmt.Errorf("turn %d: %w; so far\n%s", i, err, out.String())
			}
			typ := out.message(m)
			if typ == 'Z' {
				want--
			}
			done = x.till == 0 && want == 0 && typ == 'Z' || x.till != 0 && typ == x.till
		}
	}
	return out.String(), nil
}

// message adds a reply and returns its type.
func (r *report) message(m pp.BackendMessage) byte {
	switch m := m.(type) {
	case *pp.RowDescription:
		list := make([]string, len(m.Fields))
		for i, f := range m.Fields {
			list[i] = fmt.Sprintf("%s:%d/%d", f.Name, f.DataTypeOID, f.Format)
		}
		r.line("RowDescription %s", strings.Join(list, " "))
		return 'T'
	case *pp.DataRow:
		r.line("DataRow %q", m.Values)
		return 'D'
	case *pp.ErrorResponse:
		r.line("Error %s", problem(pgconn.ErrorResponseToPgError(m)))
		return 'E'
	case *pp.NoticeResponse:
		r.line("Notice %s %s %d", m.Code, m.Message, m.Position)
		return 'N'
	case *pp.CommandComplete:
		r.line("CommandComplete %s", m.CommandTag)
		return 'C'
	case *pp.ReadyForQuery:
		r.line("ReadyForQuery %c", m.TxStatus)
		return 'Z'
	case *pp.NotificationResponse:
		r.line("Notification %s %s", m.Channel, m.Payload)
		return 'A'
	case *pp.PortalSuspended:
		r.line("PortalSuspended")
		return 's'
	case *pp.CopyInResponse:
		r.line("CopyInResponse %d %v", m.OverallFormat, m.ColumnFormatCodes)
		return 'G'
	case *pp.CopyData:
		r.line("CopyData %q", m.Data)
		return 'd'
	case *pp.ParseComplete:
		r.line("ParseComplete")
		return '1'
	case *pp.NoData:
		r.line("NoData")
		return 'n'
	case *pp.BindComplete:
		r.line("BindComplete")
		return '2'
	}
	r.line("%T %+v", m, m)
	return '?'
}

// kinds keeps only what each reply is, which is what has to agree where a
// refused statement stands for one that the server rejects.
func kinds(transcript string) string {
	var out strings.Builder
	for line := range strings.Lines(transcript) {
		fields := strings.Fields(line)
		switch fields[0] {
		case "Error":
			out.WriteString("Error\n")
		default:
			out.WriteString(line)
		}
	}
	return out.String()
}

// sameTranscript plays turns on fresh connections to both sides and compares
// the replies. It returns those that came through the proxy.
func (w *twin) sameTranscript(t *testing.T, turns ...turn) string {
	t.Helper()
	return w.likeTranscript(t, turns, turns, func(s string) string { return s })
}

// likeTranscript plays different turns on both sides and compares what view
// makes of the replies.
func (w *twin) likeTranscript(t *testing.T, hardTurns, softTurns []turn, view func(string) string) string {
	t.Helper()
	hard, err := dialWire(t, server.DSN(w.hard)).run(hardTurns)
	if err != nil {
		t.Fatalf("direct: %v", err)
	}
	soft, err := dialWire(t, w.front.dsn(w.soft)).run(softTurns)
	if err != nil {
		t.Fatalf("through the proxy: %v\ndirect it was\n%s", err, hard)
	}
	if view(hard) != view(soft) {
		t.Errorf("the replies differ\n--- direct\n%s--- through the proxy\n%s", hard, soft)
	}
	w.sameContents(t, "the transcript")
	return soft
}
