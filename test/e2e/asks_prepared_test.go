package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// What was prepared or opened under one visibility is not run under another.
func TestPreparedUnderOtherSettings(t *testing.T) {
	a := newAsking(t)
	conn := a.as(t, "seer")
	c := conn.PgConn()
	run := func(name string) string {
		t.Helper()
		r := c.ExecPrepared(within(t), name, nil, nil, nil).Read()
		if r.Err != nil {
			return code(r.Err)
		}
		return string(r.Rows[0][0])
	}
	prepare := func(name, sql string) {
		t.Helper()
		if _, err := c.Prepare(within(t), name, sql, nil); err != nil {
			t.Fatal(err)
		}
	}
	prepare("live", "SELECT count(*) FROM users")
	prepare("other", "SELECT count(*) FROM audit_log")
	prepare("insert", "INSERT INTO users VALUES (101, 'x') RETURNING id")
	goes(t, conn, "PREPARE by_sql AS SELECT count(*) FROM users", "", "EXECUTE by_sql", "24")
	want := func(name, value string) {
		t.Helper()
		if got := run(name); got != value {
			t.Errorf("%s: %s, want %s", name, got, value)
		}
	}
	want("live", "24")
	goes(t, conn, "SET tombstone.visibility = 'all'", "")
	want("live", "0A000")
	want("other", "20")
	goes(t, conn, "EXECUTE by_sql", "0A000", users, "30|6")
	prepare("all", "SELECT count(*) FROM users")
	want("all", "30")
	goes(t, conn, "SET tombstone.as_of = '2024-01-01'", "")
	want("insert", "0A000")
	goes(t, conn, "DISCARD PLANS", "", "RESET tombstone.as_of", "", "RESET tombstone.visibility", "")
	want("live", "24")
	want("all", "0A000")
	goes(t, conn, "EXECUTE by_sql", "24")

	// pgx prepares again what the server calls outdated.
	ctx := within(t)
	var n int
	for i, sql := range []string{"", "SET tombstone.visibility = 'deleted'", "RESET tombstone.visibility"} {
		if sql != "" {
			goes(t, conn, sql, "")
		}
		err := conn.QueryRow(ctx, "SELECT count(*) FROM users WHERE id > $1", 0).Scan(&n)
		if code(err) == "0A000" {
			err = conn.QueryRow(ctx, "SELECT count(*) FROM users WHERE id > $1", 0).Scan(&n)
		}
		if err != nil || n != []int{24, 6, 24}[i] {
			t.Errorf("%s: %d %v", sql, n, err)
		}
	}

	// Cursors.
	goes(t, conn, "BEGIN", "", "DECLARE c CURSOR FOR SELECT id FROM users ORDER BY id", "", "FETCH c", "1",
		"SET LOCAL tombstone.visibility = 'all'", "", "DECLARE d CURSOR FOR SELECT id FROM users ORDER BY id DESC", "", "FETCH d", "30", "SAVEPOINT s", "",
		"FETCH c", "0A000", "ROLLBACK TO s", "", "MOVE c", "0A000", "ROLLBACK TO s", "", "FETCH 2 d", "29\n28", "CLOSE c", "",
		"DECLARE c CURSOR FOR SELECT id FROM users ORDER BY id DESC", "", "FETCH c", "30", "ROLLBACK", "")
	goes(t, conn, "SET tombstone.visibility = 'all'", "", "DECLARE h CURSOR WITH HOLD FOR SELECT id FROM users ORDER BY id DESC", "", "FETCH h", "30",
		"RESET tombstone.visibility", "", users, "24|0", "FETCH h", "0A000", "CLOSE h", "", "DECLARE h CURSOR WITH HOLD FOR SELECT id FROM users ORDER BY id DESC", "", "FETCH h", "29", "CLOSE ALL", "")

	// A portal that has rows left when the settings change.
	raw := transcriptOf(t, strings.Replace(a.dsn(a.db), "user=postgres", "user=seer", 1))
	raw.say(message('Q', "BEGIN\x00") + message('P', "\x00SELECT id FROM users ORDER BY id\x00\x00\x00") + message('B', "p\x00\x00\x00\x00\x00\x00\x00\x00") + message('E', "p\x00\x00\x00\x00\x01") + message('S', ""))
	raw.say(message('Q', "SET LOCAL tombstone.visibility = 'all'\x00") + message('Q', "SELECT count(*) FROM users\x00"))
	got := raw.say(message('E', "p\x00\x00\x00\x00\x01") + message('S', "") + message('X', ""))
	if !strings.Contains(got, "0A000") {
		t.Errorf("a portal that was opened when deleted rows were hidden: %q", got)
	}

	// In a pipeline, SET takes effect before what comes after it.
	batch := &pgconn.Batch{}
	for _, sql := range []string{"SELECT count(*) FROM users", "SET tombstone.visibility = 'all'", "SELECT count(*) FROM users", "RESET tombstone.visibility", "SELECT count(*) FROM users"} {
		batch.ExecParams(sql, nil, nil, nil, nil)
	}
	results, err := c.ExecBatch(ctx, batch).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%s %s %s", results[0].Rows, results[2].Rows, results[4].Rows); got != "[[24]] [[30]] [[24]]" {
		t.Errorf("in a pipeline: %s", got)
	}
}

// raw is a connection by hand.
type raw struct {
	t *testing.T
	c *pgconn.HijackedConn
}

func transcriptOf(t *testing.T, dsn string) *raw {
	t.Helper()
	conn, err := pgconn.Connect(within(t), dsn)
	if err != nil {
		t.Fatal(err)
	}
	h, err := conn.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Conn.Close() })
	return &raw{t, h}
}

// say sends messages and returns what comes within a moment.
func (r *raw) say(messages string) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	until, _ := ctx.Deadline()
	_ = r.c.Conn.SetDeadline(until)
	if _, err := r.c.Conn.Write([]byte(messages)); err != nil {
		r.t.Fatal(err)
	}
	var got strings.Builder
	buf := make([]byte, 32<<10)
	want := strings.Count(messages, "Q\x00\x00") + strings.Count(messages, "S\x00\x00\x00\x04")
	for strings.Count(got.String(), "Z\x00\x00\x00\x05") < want {
		n, err := r.c.Conn.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			break
		}
	}
	return got.String()
}
