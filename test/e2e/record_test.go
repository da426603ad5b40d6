package e2e

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	pp "github.com/jackc/pgx/v5/pgproto3"

	"tombstone/config"
	"tombstone/proxy"
)

// relay stands between the proxy and the server and keeps what it is sent.
type relay struct {
	addr string

	mu   sync.Mutex
	sent []byte
}

func newRelay(t *testing.T) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{addr: l.Addr().String()}
	var wait sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); wait.Wait() })
	wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wait.Go(func() { r.carry(c) })
		}
	})
	return r
}

func (r *relay) carry(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp", net.JoinHostPort(server.Host, strconv.Itoa(server.Port)))
	if err != nil {
		return
	}
	defer s.Close()
	var wait sync.WaitGroup
	defer wait.Wait()
	wait.Go(func() { _, _ = io.Copy(c, s); _ = c.Close() })
	_, _ = io.Copy(io.MultiWriter(s, r), c)
	_ = s.Close()
}

func (r *relay) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, p...)
	return len(p), nil
}

// take returns what came since the last call.
func (r *relay) take() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.sent
	r.sent = nil
	return b
}

// Messages that touch no protected table reach the server as the very bytes
// that the client sent.
func TestBytesArriveAsSent(t *testing.T) {
	db := database(t)
	r := newRelay(t)
	f := startBefore(t, server, shopTables, func(o *proxy.Options) {
		o.Upstream = config.Upstream{Network: "tcp", Address: r.addr}
	})
	c := dialWire(t, f.dsn(db))
	big := string(bytes.Repeat([]byte("0123456789"), 20000))
	for _, x := range []struct {
		name  string
		turns []turn
	}{
		{"query", []turn{say(query("SELECT 1"))}},
		{"comments and spacing", []turn{say(query("  /* ü */ select\t*\r\nfrom  -- users\n audit_log   where\n\n id=1 ; ;; select 'users' ; -- end"))}},
		{"multi-byte", []turn{say(query(`SELECT 'žluťoučký 日本 🙂' AS "Größe", $$ users $$ FROM audit_log`))}},
		{"unprotected delete", []turn{say(query("delete  from audit_log where id = 1 returning *"))}},
		{"unprotected namesake", []turn{say(query(`DELETE FROM "archive" . users WHERE id=1`))}},
		{"insert", []turn{say(query("INSERT INTO audit_log(id,what)VALUES(900,'x')"))}},
		{"insert into a protected table", []turn{say(query("insert  into users (id,name)values(900,'x')"))}},
		{"empty", []turn{say(query("")), say(query("  ;  ")), say(query("-- x"))}},
		{"syntax error", []turn{say(query("SELEC  1")), say(query("select * from audit_log where ("))}},
		{"newer syntax", []turn{say(query("SELECT * FROM JSON_TABLE('[1]', '$[*]' COLUMNS (a int PATH '$'))"))}},
		{"large", []turn{say(query("SELECT length('" + big + "') FROM audit_log"))}},
		{"transaction", []turn{say(query("begin")), say(query("select  1")), say(query("savepoint  a")), say(query("rollback  to a")), say(query("commit"))}},
		{"show", []turn{say(query("show  search_path"))}},
		{"extended", []turn{say(
			&pp.Parse{Name: "s", Query: "SELECT  $1 , what FROM audit_log WHERE id=$2", ParameterOIDs: []uint32{25, 23}},
			&pp.Describe{ObjectType: 'S', Name: "s"},
			&pp.Bind{DestinationPortal: "p", PreparedStatement: "s", ParameterFormatCodes: []int16{0, 1}, Parameters: [][]byte{[]byte("ü"), {0, 0, 0, 5}}, ResultFormatCodes: []int16{1, 0}},
			&pp.Describe{ObjectType: 'P', Name: "p"}, &pp.Flush{}, &pp.Execute{Portal: "p", MaxRows: 1}, &pp.Execute{Portal: "p"},
			&pp.Close{ObjectType: 'P', Name: "p"}, &pp.Close{ObjectType: 'S', Name: "s"}, &pp.Sync{})}},
		{"bind with null", []turn{say(&pp.Parse{Query: "SELECT $1::text"}, &pp.Bind{Parameters: [][]byte{nil}}, &pp.Execute{}, &pp.Sync{})}},
		{"large bind", []turn{say(&pp.Parse{Query: "SELECT length($1)"}, &pp.Bind{Parameters: [][]byte{[]byte(big)}}, &pp.Execute{}, &pp.Sync{})}},
		{"pipeline with an error", []turn{say(batch(all("SELECT 1/0"), all("SELECT  2"), syncing(), all("SELECT  3"), syncing())...)}},
		{"function call", []turn{say(&pp.FunctionCall{Function: 177, ArgFormatCodes: []uint16{0}, Arguments: [][]byte{[]byte("3"), []byte("4")}})}},
		{"copy in", []turn{until('G', query("COPY audit_log  FROM STDIN")), until('Z', copyData("901\tDELETE FROM users\t1\n902\t"+big), copyData("\t2\n"), copyDone())}},
		{"copy into a protected table", []turn{until('G', query("copy  users(id,name) from stdin")), until('Z', copyData("901\tü\n"), copyDone())}},
		{"copy in, failed", []turn{until('G', query("COPY audit_log FROM STDIN")), until('Z', copyData("903\tx\n"), copyFail("no"))}},
		{"copy out", []turn{say(query("COPY  audit_log TO STDOUT"))}},
		{"a protected name in a string", []turn{say(query("SELECT 'DELETE FROM users' , $x$users$x$ , \"what\" FROM audit_log users"))}},
		{"a protected name as CTE", []turn{say(query("WITH users AS (SELECT 1) SELECT * FROM users"))}},
		{"terminate", []turn{{send: []pp.FrontendMessage{&pp.Terminate{}}}}},
	} {
		t.Run(x.name, func(t *testing.T) {
			r.take()
			var want []byte
			for _, turn := range x.turns {
				for _, m := range turn.send {
					var err error
					if want, err = m.Encode(want); err != nil {
						t.Fatal(err)
					}
				}
			}
			if x.name == "terminate" {
				c.Frontend.Send(&pp.Terminate{})
				_ = c.Frontend.Flush()
				_, _ = io.Copy(io.Discard, c.Conn)
			} else if told, err := c.run(x.turns); err != nil {
				t.Fatalf("%v\n%s", err, told)
			}
			var all, got []byte
			for deadline := time.Now().Add(limit / 4); len(got) < len(want) && time.Now().Before(deadline); {
				all = append(all, r.take()...)
				got = withoutQuestions(all)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the client sent\n%.500q\nthe server got\n%.500q", want, got)
			}
		})
	}
}

// withoutQuestions leaves out what the session itself asks of the server when
// names may have changed. Half a message at the end stays.
func withoutQuestions(sent []byte) []byte {
	var kept []byte
	own := false
	for len(sent) >= 5 {
		n := 1 + int(binary.BigEndian.Uint32(sent[1:]))
		if n > len(sent) {
			break
		}
		m := sent[:n]
		sent = sent[n:]
		switch named := bytes.Contains(m, []byte("_tombstone\x00")); {
		case named:
			own = true
		case own && m[0] == 'S':
			own = false
		default:
			own = false
			kept = append(kept, m...)
		}
	}
	return append(kept, sent...)
}

// An edited statement changes nothing of the messages around it.
func TestBytesAroundAnEdit(t *testing.T) {
	db := database(t)
	r := newRelay(t)
	f := startBefore(t, server, shopTables, func(o *proxy.Options) {
		o.Upstream = config.Upstream{Network: "tcp", Address: r.addr}
	})
	c := dialWire(t, f.dsn(db))
	r.take()
	const del, edited = "DELETE /* é */ FROM users WHERE id=$1", "id=$1) AND "
	messages := []pp.FrontendMessage{
		&pp.Parse{Name: "s", Query: del, ParameterOIDs: []uint32{23}},
		&pp.Bind{DestinationPortal: "p", PreparedStatement: "s", Parameters: [][]byte{[]byte("4")}},
		&pp.Execute{Portal: "p"}, &pp.Sync{},
	}
	if told, err := c.run([]turn{say(messages...)}); err != nil {
		t.Fatalf("%v\n%s", err, told)
	}
	var rest []byte
	for _, m := range messages[1:] {
		rest, _ = m.Encode(rest)
	}
	got := r.take()
	head, ok := bytes.CutSuffix(got, rest)
	if !ok || !bytes.HasPrefix(head, []byte("P")) || !bytes.Contains(head, []byte(edited)) || !bytes.HasSuffix(head, []byte{0, 0, 1, 0, 0, 0, 23}) {
		t.Errorf("the server got\n%q", got)
	}
}
