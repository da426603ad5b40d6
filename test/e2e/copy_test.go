package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// rowsOf makes n rows of about a kilobyte in COPY's text format.
func rowsOf(n int) io.Reader {
	i := 0
	body := strings.Repeat("0123456789abcdef", 64)
	var line []byte
	return readerFunc(func(p []byte) (int, error) {
		if len(line) == 0 {
			if i == n {
				return 0, io.EOF
			}
			i++
			line = fmt.Appendf(nil, "%d\t%s\t\\N\n", i, body)
		}
		k := copy(p, line)
		line = line[k:]
		return k, nil
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// 50 MB go in and come out again, less what was deleted in between.
func TestBigCopy(t *testing.T) {
	const n = 50000
	db := database(t)
	conn := open(t, start(t, shopTables).dsn(db)).PgConn()
	// COPY of a query may run in parallel, and then rows come in any order.
	if _, err := conn.Exec(within(t), "SET max_parallel_workers_per_gather = 0").ReadAll(); err != nil {
		t.Fatal(err)
	}
	want := sha256.New()
	tag, err := conn.CopyFrom(within(t), io.TeeReader(rowsOf(n), want), "COPY files FROM STDIN")
	if err != nil || tag.String() != "COPY 50000" {
		t.Fatalf("COPY FROM: %s, %v", tag, err)
	}
	got := sha256.New()
	tag, err = conn.CopyTo(within(t), got, "COPY files TO STDOUT")
	if err != nil || tag.String() != "COPY 50000" {
		t.Fatalf("COPY TO: %s, %v", tag, err)
	}
	if !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
		t.Error("what comes out is not what went in")
	}
	if _, err := conn.Exec(within(t), "DELETE FROM files WHERE id % 2 = 0").ReadAll(); err != nil {
		t.Fatal(err)
	}
	tag, err = conn.CopyTo(within(t), io.Discard, "COPY files TO STDOUT")
	if err != nil || tag.String() != "COPY 25000" {
		t.Errorf("COPY TO after a DELETE: %s, %v", tag, err)
	}
	if got := ask(t, db, "SELECT count(*) FROM files"); got != "50000" {
		t.Errorf("%s rows behind the proxy", got)
	}

	// An error in the middle of the data: the rest is read and ignored.
	tag, err = conn.CopyFrom(within(t), io.MultiReader(rowsOf(100), rowsOf(20000)), "COPY files FROM STDIN")
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != "23505" {
		t.Errorf("COPY FROM with a duplicate: %s, %v", tag, err)
	}
	// The client gives up in the middle.
	broken := errors.New("the disk is gone")
	_, err = conn.CopyFrom(within(t), io.MultiReader(rowsOf(3), readerFunc(func([]byte) (int, error) { return 0, broken })), "COPY files FROM STDIN")
	if !errors.As(err, &e) || e.Code != "57014" || !strings.Contains(e.Message, broken.Error()) {
		t.Errorf("COPY FROM that the client fails: %v", err)
	}
	if r, err := conn.Exec(within(t), "SELECT count(*) FROM files").ReadAll(); err != nil || string(r[0].Rows[0][0]) != "25000" {
		t.Errorf("afterwards: %v %v", r, err)
	}
}

// A large result, read slowly or left in the middle, holds nobody up.
func TestBigResult(t *testing.T) {
	db := database(t)
	f := start(t, shopTables)
	conn := open(t, f.dsn(db))
	ctx, cancel := context.WithCancel(within(t))
	rows, err := conn.Query(ctx, "SELECT repeat('x', 1000) FROM users, generate_series(1, 2000)")
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if !rows.Next() {
			t.Fatal(rows.Err())
		}
	}
	if got := show(t, open(t, f.dsn(db)), "SELECT count(*) FROM users"); got != "30" {
		t.Errorf("another session meanwhile: %s", got)
	}
	cancel()
	rows.Close()

	n := 0
	rows, err = open(t, f.dsn(db)).Query(within(t), "SELECT repeat('x', 1000) FROM users, generate_series(1, 1000)")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		n++
	}
	if rows.Err() != nil || n != 30000 {
		t.Errorf("%d rows, %v", n, rows.Err())
	}
}

// pgx's batches, and a refused statement in one.
func TestBatch(t *testing.T) {
	w := newTwin(t, shopTables)
	f := w.front
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		t.Run(mode.String(), func(t *testing.T) {
			w.reset(t)
			run := func(dsn string) string {
				c, err := pgx.ParseConfig(dsn)
				if err != nil {
					t.Fatal(err)
				}
				c.DefaultQueryExecMode = mode
				conn, err := pgx.ConnectConfig(within(t), c)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close(within(t))
				var out report
				for range 2 {
					b := &pgx.Batch{}
					for i := 1; i <= 8; i++ {
						b.Queue("DELETE FROM users WHERE id = $1", i)
						b.Queue("SELECT count(*) FROM users WHERE id < $1", i+2)
					}
					b.Queue("SELECT 1 / $1::int", 0)
					b.Queue("DELETE FROM users WHERE id = $1", 9)
					r := conn.SendBatch(within(t), b)
					for range b.Len() {
						tag, err := r.Exec()
						out.line("%s", tag)
						out.problem(err)
					}
					out.problem(r.Close())
					out.line("%c", conn.PgConn().TxStatus())
				}
				return out.String()
			}
			if hard, soft := run(keywords(w.hard)), run(f.dsn(w.soft)); hard != soft {
				t.Errorf("direct\n%s\nthrough the proxy\n%s", hard, soft)
			}
			w.sameContents(t, "a batch")
		})
	}
	t.Run("pipeline", func(t *testing.T) {
		w.reset(t)
		run := func(dsn string) string {
			conn, err := pgconn.Connect(within(t), dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(within(t))
			p := conn.StartPipeline(within(t))
			p.SendPrepare("d", "DELETE FROM users WHERE id = $1 RETURNING *", nil)
			for i := 1; i < 9; i++ {
				p.SendQueryPrepared("d", values([]string{fmt.Sprint(i)}), nil, nil)
			}
			p.SendPipelineSync()
			p.SendQueryParams("DELETE FROM users WHERE nope", nil, nil, nil, nil)
			p.SendQueryPrepared("d", values([]string{"9"}), nil, nil)
			p.SendPipelineSync()
			p.SendQueryPrepared("d", values([]string{"11"}), nil, nil)
			p.SendDeallocate("d")
			if err := p.Sync(); err != nil {
				t.Fatal(err)
			}
			var out report
			for {
				r, err := p.GetResults()
				if r == nil && err == nil {
					break
				}
				out.problem(err)
				switch r := r.(type) {
				case *pgconn.ResultReader:
					x := r.Read()
					out.line("%d rows %s", len(x.Rows), x.CommandTag)
					out.problem(x.Err)
				case *pgconn.StatementDescription:
					out.line("prepared %v", r.ParamOIDs)
				default:
					out.line("%T", r)
				}
				if _, ok := r.(*pgconn.PipelineSync); ok && strings.Count(out.String(), "PipelineSync") == 3 {
					break
				}
			}
			out.problem(p.Close())
			return out.String()
		}
		if hard, soft := run(keywords(w.hard)), run(f.dsn(w.soft)); hard != soft {
			t.Errorf("direct\n%s\nthrough the proxy\n%s", hard, soft)
		}
		w.sameContents(t, "a pipeline")
	})
}

// A notification reaches a session that only waits.
func TestNotify(t *testing.T) {
	db := database(t)
	f := start(t, shopTables)
	listener, speaker := open(t, f.dsn(db)), open(t, f.dsn(db))
	show(t, listener, "LISTEN news")
	show(t, speaker, "NOTIFY news, 'Größe'")
	n, err := listener.WaitForNotification(within(t))
	if err != nil || n.Channel != "news" || n.Payload != "Größe" {
		t.Fatalf("%+v, %v", n, err)
	}
	show(t, speaker, "BEGIN; DELETE FROM users WHERE id = 1; SELECT pg_notify('news', count(*)::text) FROM users; COMMIT")
	if n, err = listener.WaitForNotification(within(t)); err != nil || n.Payload != "29" {
		t.Fatalf("%+v, %v", n, err)
	}
}
