package proxy

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/jackc/pgproto3/v2"
)

// step is what a client sends at once. await says that it first takes
// all that the server has to say to what was sent before.
type step struct {
	bytes []byte
	await bool
	shown string
	must  bool // the turn makes no sense without it
}

// script is what one client does: turns that each make sense on their own, so
// that they can be left out one by one.
type script [][]step

// variant is what differs between the servers of schedules.
type variant struct {
	reports bool // search_path, as PostgreSQL 18
	answers int  // messages of authentication
}

// author writes scripts.
type author struct {
	*rand.Rand
	eager float64 // how often it does not wait
	token int
}

func send(m pgproto3.FrontendMessage, await bool) step {
	return step{bytes: bytesOfMessages(m), await: await, shown: fmt.Sprintf("%s%+v", strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3."), m)}
}

func (a *author) waits() bool { return a.Float64() >= a.eager }

func (a *author) write(v variant) script {
	login := []step{{bytes: startup("user", "app", "database", "shop"), shown: "startup"}}
	for range v.answers {
		login = append(login, send(&pgproto3.SASLResponse{Data: []byte("proof")}, true))
	}
	s := script{login}
	for range 1 + a.IntN(12) {
		switch a.IntN(10) {
		case 0, 1, 2, 3:
			s = append(s, []step{send(&pgproto3.Query{String: a.text()}, a.waits())})
		case 4:
			s = append(s, a.copyByQuery())
		case 5:
			s = append(s, a.copyByExecute())
		case 6:
			s = append(s, []step{send(&pgproto3.FunctionCall{Function: 1598}, a.waits())})
		default:
			s = append(s, a.batch())
		}
	}
	return append(s, []step{send(&pgproto3.Sync{}, false)})
}

// batch is a pipeline of extended messages, most often up to a Sync.
func (a *author) batch() (b []step) {
	names := []string{"", "", "a", "b"}
	name := func() string { return names[a.IntN(len(names))] }
	say := func(m pgproto3.FrontendMessage) { b = append(b, send(m, len(b) == 0 && a.waits())) }
	for range 1 + a.IntN(4) {
		text, stmt, port := a.one(), name(), name()
		if a.IntN(5) > 0 {
			say(&pgproto3.Parse{Name: stmt, Query: text})
		}
		if a.IntN(6) == 0 {
			say(&pgproto3.Describe{ObjectType: 'S', Name: stmt})
		}
		if a.IntN(8) > 0 {
			say(&pgproto3.Bind{PreparedStatement: stmt, DestinationPortal: port})
			if a.IntN(4) == 0 {
				say(&pgproto3.Describe{ObjectType: 'P', Name: port})
			}
			limit := 0
			if strings.HasPrefix(text, "SELECT") || strings.HasPrefix(text, "DELETE") {
				limit = max(0, a.IntN(5)-2)
			}
			say(&pgproto3.Execute{Portal: port, MaxRows: uint32(limit)})
			for limit > 0 && a.IntN(2) == 0 {
				say(&pgproto3.Execute{Portal: port, MaxRows: uint32(limit)})
			}
		}
		switch a.IntN(12) {
		case 0:
			say(&pgproto3.Close{ObjectType: 'S', Name: stmt})
		case 1:
			say(&pgproto3.Close{ObjectType: 'P', Name: port})
		case 2:
			say(&pgproto3.Flush{})
			b = append(b, send(&pgproto3.Flush{}, a.waits()))
		}
	}
	if a.IntN(12) > 0 {
		say(&pgproto3.Sync{})
	}
	return b
}

func (a *author) data() (b []step) {
	for range a.IntN(4) {
		text := "1\n"
		if a.IntN(8) == 0 {
			text = "bad\n"
		}
		b = append(b, send(&pgproto3.CopyData{Data: []byte(text)}, false))
	}
	end := send(&pgproto3.CopyDone{}, false)
	if a.IntN(5) == 0 {
		end = send(&pgproto3.CopyFail{Message: "no"}, false)
	}
	end.must = true
	return append(b, end)
}

func (a *author) copyByQuery() []step {
	text := "COPY items FROM STDIN"
	if a.IntN(3) == 0 {
		text = a.one() + "; " + text + "; SELECT '" + a.next() + "'"
	}
	b := []step{send(&pgproto3.Query{String: text}, a.waits())}
	data := a.data()
	data[0].await = a.waits()
	if strings.Contains(text, "COPY items FROM STDIN; ") && strings.HasPrefix(text, "COPY") {
		data = append(data, a.data()...)
	}
	return append(b, data...)
}

// copyByExecute is how libpq does it: its first Sync comes before the data.
func (a *author) copyByExecute() []step {
	b := []step{send(&pgproto3.Parse{Query: "COPY items FROM STDIN"}, a.waits()), send(&pgproto3.Bind{}, false), send(&pgproto3.Execute{}, false)}
	if a.IntN(2) == 0 {
		b = append(b, send(&pgproto3.Sync{}, false))
	} else {
		b = append(b, send(&pgproto3.Flush{}, false))
	}
	data := a.data()
	data[0].await = a.waits()
	end := send(&pgproto3.Sync{}, false)
	end.must = true
	return append(append(b, data...), end)
}

func (a *author) next() string {
	a.token++
	return fmt.Sprintf("token-%d", a.token)
}

// text is that of a simple Query.
func (a *author) text() string {
	switch a.IntN(8) {
	case 0: // several, none of which changes what names mean
		var list []string
		for range 2 + a.IntN(3) {
			list = append(list, a.plain())
		}
		return strings.Join(list, "; ")
	case 1:
		return "SELECT '" + a.next() + "'; " + a.naming() + "; SELECT '" + a.next() + "'"
	}
	return a.one()
}

// one is a statement.
func (a *author) one() string {
	switch a.IntN(8) {
	case 0, 1:
		return a.naming()
	case 2, 3:
		return a.control()
	case 4:
		switch a.IntN(6) {
		case 0:
			return "PREPARE " + a.pick("a", "b", "c") + " AS " + a.pick(a.deletes(), a.selects(), "INSERT INTO items VALUES (1)")
		case 1:
			return "DEALLOCATE " + a.pick("a", "b", "c")
		case 2:
			return ""
		case 3:
			return "DELETE FROM users WHER id = 1"
		default:
			return "EXECUTE " + a.pick("a", "b", "c")
		}
	}
	return a.plain()
}

func (a *author) pick(from ...string) string { return from[a.IntN(len(from))] }

func (a *author) table() string { return a.pick("users", "users", "items", "t1", "t2") }

func (a *author) selects() string {
	return "SELECT '" + a.next() + "' FROM " + a.table()
}

func (a *author) deletes() string {
	s := fmt.Sprintf("DELETE FROM %s WHERE id = %d", a.table(), a.IntN(4))
	if a.IntN(3) == 0 {
		s += " RETURNING id, '" + a.next() + "'"
	}
	return s
}

// plain changes no names.
func (a *author) plain() string {
	switch a.IntN(13) {
	case 0, 1:
		return "SELECT '" + a.next() + "'"
	case 2:
		return fmt.Sprintf("SELECT '%s' FROM generate_series(1, %d)", a.next(), a.IntN(6))
	case 3:
		return a.selects()
	case 4, 5, 6:
		return a.deletes()
	case 7:
		return fmt.Sprintf("UPDATE %s SET id = 1 WHERE id = %d", a.table(), a.IntN(4))
	case 8:
		return a.pick("INSERT INTO items VALUES (1)", "TRUNCATE users", "COPY users TO STDOUT", "COPY items TO STDOUT")
	case 9:
		return "SELECT 1/0, '" + a.next() + "' FROM generate_series(1, 2)"
	case 10:
		return a.pick("SELECT '"+a.next()+"', nocolumn FROM users", "DELETE FROM users WHERE id = 1 AND nocolumn", "SELECT 1 FROM nowhere", "SELEC 1")
	case 11:
		return "SELECT notice('" + a.next() + "')"
	}
	return "DELETE FROM users USING items a NATURAL JOIN items b RETURNING *"
}

// naming changes what names mean.
func (a *author) naming() string {
	return a.pick("SET search_path = other", "SET search_path = public", "SET LOCAL search_path = other", "SET LOCAL search_path = public",
		"CREATE TABLE t1 (id integer, deleted_at timestamptz)", "DROP TABLE t1", "CREATE TABLE t2 (id integer, deleted_at timestamptz)", "DROP TABLE t2")
}

// control is about transactions.
func (a *author) control() string {
	return a.pick("BEGIN", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT x", "ROLLBACK TO x", "SAVEPOINT y", "ROLLBACK TO y", "RELEASE x")
}
