package proxy

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"

	"tombstone/admin"
)

// exchange is what one round trip carries: what the client sends, and what
// the server answers to what it is sent.
type exchange struct{ client, server []byte }

// pass drives a session as an event loop does, with a buffer of its own that
// is lent for as long as the bytes are on their way.
func (x *exchange) pass(b *testing.B, s *Session, buf []byte) {
	for _, p := range [][]byte{x.client, x.server} {
		if len(p) == 0 {
			continue
		}
		s.ToServer.Reset(buf)
		s.ToClient.Reset(buf[cap(buf)/2 : cap(buf)/2])
		feed := s.FromClient
		if len(x.client) == 0 || &p[0] != &x.client[0] {
			feed = s.FromServer
		}
		if err := feed(p); err != nil {
			b.Fatal(err)
		}
		s.ToServer.Reset(nil)
		s.ToClient.Reset(nil)
	}
}

// benchTable is a session whose client has been let in, under a clock and
// metrics as the proxy has.
func benchTable(b *testing.B) *table {
	x := readyTable(b)
	x.Observer = admin.NewMetrics("bench", "")
	x.Now = steady()
	x.learned = x.Now()
	x.Snapshots.maxAge = time.Hour // nothing is read again
	for _, e := range x.Snapshots.all {
		e.due.Store(int64(time.Hour))
	}
	return x
}

// BenchmarkSession is what the proxy does with a message besides reading and
// writing. None of it may allocate but the text of a statement that is edited and does not come again.
func BenchmarkSession(b *testing.B) {
	row := &pgproto3.DataRow{Values: [][]byte{[]byte("-1234")}}
	description := &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("abalance"), DataTypeOID: 23, DataTypeSize: 4, TypeModifier: -1}}}
	selected := &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}
	idle := &pgproto3.ReadyForQuery{TxStatus: 'I'}
	const sql = "SELECT id FROM users WHERE id = $1;"

	b.Run("prepared", func(b *testing.B) {
		x := benchTable(b)
		x.client(&pgproto3.Parse{Name: "P_0", Query: sql}, &pgproto3.Sync{})
		x.server(&pgproto3.ParseComplete{}, idle)
		run(b, x, &exchange{
			bytesOfMessages(&pgproto3.Bind{PreparedStatement: "P_0", Parameters: [][]byte{[]byte("100")}}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{}),
			bytesOfMessages(&pgproto3.BindComplete{}, description, row, selected, idle),
		})
	})
	b.Run("extended", func(b *testing.B) {
		run(b, benchTable(b), &exchange{
			bytesOfMessages(&pgproto3.Parse{Query: sql}, &pgproto3.Bind{Parameters: [][]byte{[]byte("100")}}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{}),
			bytesOfMessages(&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, description, row, selected, idle),
		})
	})
	b.Run("simple", func(b *testing.B) {
		run(b, benchTable(b), &exchange{
			bytesOfMessages(&pgproto3.Query{String: "SELECT id FROM users WHERE id = 100;"}),
			bytesOfMessages(description, row, selected, idle),
		})
	})
	b.Run("simple, other literals", func(b *testing.B) {
		x := benchTable(b)
		list := make([]exchange, 4096) // the last came too long ago for its text to be known
		for i := range list {
			list[i] = exchange{bytesOfMessages(&pgproto3.Query{String: fmt.Sprintf("SELECT id FROM users WHERE id = %d;", 1000+i)}), bytesOfMessages(description, row, selected, idle)}
		}
		buf := make([]byte, 0, 64<<10)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			list[i%len(list)].pass(b, x.Session, buf)
		}
	})
	// What a server sends in a moment of a large answer: rows of 1 KiB.
	wide := &pgproto3.DataRow{Values: [][]byte{bytes.Repeat([]byte{'x'}, 1024)}}
	b.Run("rows", func(b *testing.B) {
		x := benchTable(b)
		x.client(&pgproto3.Query{String: "SELECT id FROM items"})
		x.server(description)
		many := bytes.Repeat(bytesOfMessages(wide), 64)
		run(b, x, &exchange{server: many[:len(many):len(many)]})
	})
	b.Run("narrow rows", func(b *testing.B) {
		x := benchTable(b)
		x.client(&pgproto3.Query{String: "SELECT id FROM items"})
		x.server(description)
		run(b, x, &exchange{server: bytes.Repeat(bytesOfMessages(row), 4096)})
	})
}

// BenchmarkSessions is the same with many sessions in turn, so that the state of each has to come from further away than the
// processor's own caches, as it does in a proxy with many clients.
func BenchmarkSessions(b *testing.B) {
	const sessions = 4096
	row := &pgproto3.DataRow{Values: [][]byte{[]byte("-1234")}}
	selected := &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")}
	idle := &pgproto3.ReadyForQuery{TxStatus: 'I'}
	const sql = "SELECT id FROM users WHERE id = $1;"
	bind := []pgproto3.Message{&pgproto3.Bind{Parameters: [][]byte{[]byte("100")}}, &pgproto3.Execute{}, &pgproto3.Sync{}}
	bound := []pgproto3.Message{&pgproto3.BindComplete{}, row, selected, idle}
	for _, c := range []struct {
		name string
		exchange
	}{
		{"prepared", exchange{bytesOfMessages(bind...), bytesOfMessages(bound...)}},
		{"extended", exchange{append(bytesOfMessages(&pgproto3.Parse{Query: sql}), bytesOfMessages(bind...)...), append(bytesOfMessages(&pgproto3.ParseComplete{}), bytesOfMessages(bound...)...)}},
		{"simple", exchange{bytesOfMessages(&pgproto3.Query{String: "SELECT id FROM users WHERE id = 100;"}), bytesOfMessages(row, selected, idle)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			first := benchTable(b)
			all := []*Session{}
			for range sessions {
				x := readyTable(b)
				x.Settings, x.Rules, x.env.Set, x.scratch = first.Settings, first.Rules, first.env.Set, first.scratch
				x.learned, x.seen = first.learned, first.seen
				x.named()
				x.client(&pgproto3.Parse{Query: sql}, &pgproto3.Sync{})
				x.server(&pgproto3.ParseComplete{}, idle)
				all = append(all, x.Session)
			}
			buf := make([]byte, 0, 64<<10)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.pass(b, all[i%sessions], buf)
			}
		})
	}
}

func run(b *testing.B, x *table, e *exchange) {
	buf := make([]byte, 0, 64<<10)
	b.ReportAllocs()
	b.SetBytes(int64(len(e.client) + len(e.server)))
	for b.Loop() {
		e.pass(b, x.Session, buf)
	}
}
