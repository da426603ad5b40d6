package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	pp "github.com/jackc/pgx/v5/pgproto3"
)

// patience is how long one answer may take. It is there so that a hang is
// found and said; no statement here takes near as long.
const patience = 20 * time.Second

// Peer is a client that speaks the protocol itself and keeps every reply.
type Peer struct {
	conn     net.Conn
	frontend *pp.Frontend
	pid      uint32
	status   byte              // of the last ReadyForQuery: I, T or E
	settings map[string]string // the ParameterStatus messages of the login
	broken   error             // why it can be used no more
}

// Dial logs in. The error says where.
func Dial(ctx context.Context, dsn string) (*Peer, error) {
	c, err := pgconn.Connect(ctx, dsn)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", dsn, err)
	}
	h, err := c.Hijack()
	if err != nil {
		return nil, fmt.Errorf("take over the connection to %s: %w", dsn, err)
	}
	return &Peer{conn: h.Conn, frontend: h.Frontend, pid: h.PID, status: h.TxStatus, settings: h.ParameterStatuses}, nil
}

// Close says goodbye.
func (p *Peer) Close() {
	p.frontend.Send(&pp.Terminate{})
	_ = p.frontend.Flush()
	_ = p.conn.Close()
}

// Turn is messages sent at once. It ends with the last ReadyForQuery that they
// ask for.
type Turn struct {
	messages []pp.FrontendMessage
	copyIn   string // what a COPY FROM STDIN gets, all in one message
	copyFail bool   // or this
	extended bool   // COPY eats the Sync that was sent ahead, so another has to follow
}

// copies reports whether the turn has data to send. What is sent right behind
// its Execute would be taken for data, so it goes alone.
func (t *Turn) copies() bool { return t.copyIn != "" || t.copyFail }

// add appends messages.
func (t *Turn) add(m ...pp.FrontendMessage) { t.messages = append(t.messages, m...) }

// Reply is one message from the server.
type Reply struct {
	Type   byte
	Fields []pp.FieldDescription // T
	Types  []uint32              // t
	Values []string              // D: one for each column; nothing marks NULL
	Text   string                // any other, in words
	Error  *pgconn.PgError       // E, N
}

// nothing stands for NULL among values. No value that the oracle sends has it.
const nothing = "\x00NULL"

// Answer is everything that a turn brought, up to its last ReadyForQuery.
type Answer []Reply

// Send plays a turn. A connection that breaks or hangs is part of the answer.
func (p *Peer) Send(t *Turn) Answer {
	var a Answer
	if p.broken != nil {
		return Answer{{Type: '!', Text: "the connection broke earlier: " + p.broken.Error()}}
	}
	ready := 0
	for _, m := range t.messages {
		p.frontend.Send(m)
		switch m.(type) {
		case *pp.Query, *pp.Sync:
			ready++
		}
	}
	_ = p.conn.SetDeadline(time.Now().Add(patience))
	err := p.frontend.Flush()
	for err == nil && ready > 0 {
		var m pp.BackendMessage
		if m, err = p.frontend.Receive(); err != nil {
			break
		}
		a = append(a, p.reply(m))
		switch m.(type) {
		case *pp.ReadyForQuery:
			ready--
		case *pp.CopyInResponse:
			err = p.feed(t)
		}
	}
	if err != nil {
		p.broken = err
		_ = p.conn.Close()
		a = append(a, Reply{Type: '!', Text: "the connection broke: " + plainly(err)})
	}
	return a
}

// plainly leaves ports out of a network error: they differ by themselves.
func plainly(err error) string {
	if e, ok := err.(net.Error); ok && e.Timeout() {
		return fmt.Sprintf("no answer within %s", patience)
	}
	if s := err.Error(); !strings.Contains(s, "->") {
		return s
	}
	return "closed"
}

func (p *Peer) feed(t *Turn) error {
	if t.copyFail {
		p.frontend.Send(&pp.CopyFail{Message: "the client gave up"})
	} else {
		if t.copyIn != "" {
			p.frontend.Send(&pp.CopyData{Data: []byte(t.copyIn)})
		}
		p.frontend.Send(&pp.CopyDone{})
	}
	if t.extended {
		p.frontend.Send(&pp.Sync{})
	}
	return p.frontend.Flush()
}

// reply copies a message, which is only valid until the next is read.
func (p *Peer) reply(m pp.BackendMessage) Reply {
	switch m := m.(type) {
	case *pp.RowDescription:
		fields := make([]pp.FieldDescription, len(m.Fields))
		for i, f := range m.Fields {
			f.Name = append([]byte(nil), f.Name...)
			fields[i] = f
		}
		return Reply{Type: 'T', Fields: fields}
	case *pp.DataRow:
		values := make([]string, len(m.Values))
		for i, v := range m.Values {
			values[i] = nothing
			if v != nil {
				values[i] = string(v)
			}
		}
		return Reply{Type: 'D', Values: values}
	case *pp.ErrorResponse:
		return Reply{Type: 'E', Error: pgconn.ErrorResponseToPgError(m)}
	case *pp.NoticeResponse:
		return Reply{Type: 'N', Error: pgconn.ErrorResponseToPgError((*pp.ErrorResponse)(m))}
	case *pp.CommandComplete:
		return Reply{Type: 'C', Text: string(m.CommandTag)}
	case *pp.ReadyForQuery:
		p.status = m.TxStatus
		return Reply{Type: 'Z', Text: string(m.TxStatus)}
	case *pp.ParameterDescription:
		return Reply{Type: 't', Types: append([]uint32(nil), m.ParameterOIDs...)}
	case *pp.ParameterStatus:
		return Reply{Type: 'S', Text: m.Name + " = " + m.Value}
	case *pp.CopyInResponse:
		return Reply{Type: 'G', Text: fmt.Sprint(m.OverallFormat, m.ColumnFormatCodes)}
	case *pp.CopyOutResponse:
		return Reply{Type: 'H', Text: fmt.Sprint(m.OverallFormat, m.ColumnFormatCodes)}
	case *pp.CopyData:
		return Reply{Type: 'd', Text: string(m.Data)}
	case *pp.CopyDone:
		return Reply{Type: 'c'}
	case *pp.NotificationResponse:
		from := "another session"
		if m.PID == p.pid {
			from = "this session"
		}
		return Reply{Type: 'A', Text: fmt.Sprintf("%s %q from %s", m.Channel, m.Payload, from)}
	case *pp.ParseComplete:
		return Reply{Type: '1'}
	case *pp.BindComplete:
		return Reply{Type: '2'}
	case *pp.CloseComplete:
		return Reply{Type: '3'}
	case *pp.NoData:
		return Reply{Type: 'n'}
	case *pp.PortalSuspended:
		return Reply{Type: 's'}
	case *pp.EmptyQueryResponse:
		return Reply{Type: 'I'}
	}
	return Reply{Type: '?', Text: fmt.Sprintf("%T %+v", m, m)}
}

// Refused returns the proxy's refusal in an answer, or nil. The proxy's own
// errors lack the name of a routine in the server's source, which all of the
// server's have. A code of another class is the server's own answer, given by
// the proxy in its stead, and has to agree with it.
func (a Answer) Refused() *pgconn.PgError {
	for i := range a {
		if e := a[i].Error; e != nil && a[i].Type == 'E' && e.Routine == "" {
			switch e.Code {
			case "0A000", "54001", "54000", "55000", "XX000":
				return e
			}
		}
	}
	return nil
}

// Failed returns the first error in an answer, or nil.
func (a Answer) Failed() *pgconn.PgError {
	for i := range a {
		if a[i].Type == 'E' {
			return a[i].Error
		}
	}
	return nil
}

// Broken reports whether the connection is gone.
func (a Answer) Broken() bool { return len(a) > 0 && a[len(a)-1].Type == '!' }
