package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tombstone/test/chaos"
)

// patience is how long anything may take before it counts as hung. Nothing takes near as long.
const patience = time.Minute

var errHung = errors.New("no answer within " + patience.String())

// worker is a session under constant load. It logs in again when its connection ends.
type worker struct {
	id    int
	proxy *chaos.Process
	tally *tally
	book  *ledger
	rate  float64

	conn *pgx.Conn
	sent int64 // requests, which makes its tokens differ
}

func (w *worker) run(ctx context.Context) {
	pace := time.NewTicker(time.Duration(float64(time.Second) / w.rate))
	defer pace.Stop()
	defer w.close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
		}
		w.turn(ctx)
	}
}

func (w *worker) close() {
	if w.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = w.conn.Close(ctx)
		w.conn = nil
	}
}

// turn does one thing. It is not cut short by the end of the load, so that what was sent is also answered.
func (w *worker) turn(load context.Context) {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(load), patience, errHung)
	defer cancel()
	if w.conn == nil {
		conn, err := pgx.Connect(ctx, dsn(w.proxy, fmt.Sprintf("soak-worker-%d", w.id)))
		if err != nil {
			w.tally.failed("login", hung(ctx, err))
			return
		}
		w.conn = conn
		w.tally.logins.Add(1)
	}
	what := works[rand.IntN(len(works))]
	w.sent++
	w.tally.requests.Add(1)
	err := hung(ctx, what.do(w, ctx))
	if err == nil {
		return
	}
	var wrong wrongReply
	if errors.As(err, &wrong) {
		w.tally.bad("worker %d, %s: %v", w.id, what.name, err)
	} else {
		w.tally.failed(what.name, err)
	}
	if w.conn.IsClosed() {
		w.conn = nil
	}
}

// hung tells an error that is this program's own patience from others.
func hung(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", errHung, err)
	}
	return err
}

// wrongReply is a reply that cannot be to the request that was sent.
type wrongReply string

func (e wrongReply) Error() string { return string(e) }

func expect(got, want string) error {
	if got != want {
		return wrongReply(fmt.Sprintf("got %.200q, want %.200q", got, want))
	}
	return nil
}

// works are what a worker does, some more often than others.
var works = []struct {
	name string
	do   func(*worker, context.Context) error
}{
	{"echo", (*worker).echo}, {"echo", (*worker).echo}, {"echo", (*worker).echo}, {"echo by simple query", (*worker).echoSimply},
	{"insert", (*worker).insert}, {"insert", (*worker).insert}, {"insert", (*worker).insert},
	{"read", (*worker).read}, {"read", (*worker).read}, {"delete", (*worker).delete}, {"delete", (*worker).delete},
	{"pipeline", (*worker).pipeline}, {"copy in", (*worker).copyIn}, {"copy out", (*worker).copyOut},
	{"refused", (*worker).refused}, {"failed transaction", (*worker).failedTransaction}, {"search_path", (*worker).searchPath},
}

func (w *worker) token() string { return fmt.Sprintf("token-%d-%d", w.id, w.sent) }

func (w *worker) echo(ctx context.Context) error {
	var got string
	if err := w.conn.QueryRow(ctx, "SELECT $1::text", w.token()).Scan(&got); err != nil {
		return err
	}
	return expect(got, w.token())
}

func (w *worker) echoSimply(ctx context.Context) error {
	text := fmt.Sprintf("SELECT '%s a'; DELETE FROM kept WHERE worker = -1; SELECT '%s b'", w.token(), w.token())
	results, err := w.conn.PgConn().Exec(ctx, text).ReadAll()
	if err != nil {
		return err
	}
	if len(results) != 3 || len(results[0].Rows) != 1 || len(results[2].Rows) != 1 {
		return wrongReply(fmt.Sprintf("%d results", len(results)))
	}
	got := fmt.Sprintf("%s, %s, %s", results[0].Rows[0][0], results[1].CommandTag, results[2].Rows[0][0])
	return expect(got, fmt.Sprintf("%s a, DELETE 0, %s b", w.token(), w.token()))
}

func (w *worker) insert(ctx context.Context) error {
	n := len(w.book.rows)
	w.book.rows = append(w.book.rows, doubtful)
	tag, err := w.conn.Exec(ctx, "INSERT INTO kept VALUES ($1, $2, $3)", w.id, n, fmt.Sprintf("token-%d-%d", w.id, n))
	if err != nil {
		return err
	}
	w.book.rows[n] = inserted
	return expect(tag.String(), "INSERT 0 1")
}

// some is the number of a row that was made, -1 if there is none.
func (w *worker) some() int { return rand.IntN(len(w.book.rows)+1) - 1 }

// read looks for a row, which is there only if it lives.
func (w *worker) read(ctx context.Context) error {
	n := w.some()
	if n < 0 {
		return nil
	}
	var got string
	err := w.conn.QueryRow(ctx, "SELECT token FROM kept WHERE worker = $1 AND n = $2", w.id, n).Scan(&got)
	switch fate := w.book.rows[n]; {
	case errors.Is(err, pgx.ErrNoRows):
		if fate == inserted {
			return wrongReply(fmt.Sprintf("row %d was inserted and does not show", n))
		}
		return nil
	case err != nil:
		return err
	case fate == deleted:
		return wrongReply(fmt.Sprintf("row %d was deleted and shows", n))
	}
	return expect(got, fmt.Sprintf("token-%d-%d", w.id, n))
}

func (w *worker) delete(ctx context.Context) error {
	n := w.some()
	if n < 0 || w.book.rows[n] != inserted {
		return nil
	}
	w.book.rows[n] = dying
	tag, err := w.conn.Exec(ctx, "DELETE FROM kept WHERE worker = $1 AND n = $2", w.id, n)
	if err != nil {
		return err
	}
	w.book.rows[n] = deleted
	return expect(tag.String(), "DELETE 1")
}

func (w *worker) pipeline(ctx context.Context) error {
	var b pgx.Batch
	for i := range 10 {
		b.Queue("SELECT $1::text", fmt.Sprintf("%s %d", w.token(), i))
	}
	b.Queue("DELETE FROM kept WHERE worker = $1 AND n = -1", w.id)
	r := w.conn.SendBatch(ctx, &b)
	defer r.Close()
	for i := range 10 {
		var got string
		if err := r.QueryRow().Scan(&got); err != nil {
			return err
		}
		if err := expect(got, fmt.Sprintf("%s %d", w.token(), i)); err != nil {
			return err
		}
	}
	tag, err := r.Exec()
	if err != nil {
		return err
	}
	if err := expect(tag.String(), "DELETE 0"); err != nil {
		return err
	}
	return r.Close()
}

func (w *worker) copyIn(ctx context.Context) error {
	first := len(w.book.rows)
	const rows = 20
	w.book.rows = append(w.book.rows, make([]fate, rows)...) // doubtful
	n, err := w.conn.CopyFrom(ctx, pgx.Identifier{"kept"}, []string{"worker", "n", "token"}, pgx.CopyFromSlice(rows, func(i int) ([]any, error) {
		return []any{w.id, first + i, fmt.Sprintf("token-%d-%d", w.id, first+i)}, nil
	}))
	if err != nil {
		return err
	}
	for i := range rows {
		w.book.rows[first+i] = inserted
	}
	return expect(fmt.Sprint(n), fmt.Sprint(rows))
}

func (w *worker) copyOut(ctx context.Context) error {
	var out strings.Builder
	_, err := w.conn.PgConn().CopyTo(ctx, &out, fmt.Sprintf("COPY (SELECT '%s', i FROM generate_series(1, 200) i) TO STDOUT", w.token()))
	if err != nil {
		return err
	}
	return expect(fmt.Sprint(strings.Count(out.String(), w.token()+"\t")), "200")
}

func (w *worker) refused(ctx context.Context) error {
	_, err := w.conn.Exec(ctx, "DELETE FROM kept USING plain a NATURAL JOIN plain b RETURNING *")
	if err != nil && classOf(err) != "0A000" {
		return err
	}
	if err == nil {
		return wrongReply("what is to be refused was not")
	}
	return nil
}

func (w *worker) failedTransaction(ctx context.Context) error {
	// One row: all of them would be more and more work, for the server and not for the proxy.
	_, err := w.conn.PgConn().Exec(ctx, fmt.Sprintf("BEGIN; DELETE FROM kept WHERE worker = %d AND n = %d; SELECT 1/0", w.id, w.some())).ReadAll()
	if err == nil || classOf(err) != "22012" {
		if err == nil {
			return wrongReply("a division by zero went well")
		}
		return err
	}
	tag, err := w.conn.Exec(ctx, "ROLLBACK")
	if err != nil {
		return err
	}
	return expect(tag.String(), "ROLLBACK")
}

// searchPath changes what names mean, and back: the proxy has to ask in between.
func (w *worker) searchPath(ctx context.Context) error {
	_, err := w.conn.PgConn().Exec(ctx, "BEGIN; SET LOCAL search_path = pg_catalog, public; CREATE TEMP TABLE kept (n integer) ON COMMIT DROP; INSERT INTO pg_temp.kept VALUES (1), (2)").ReadAll()
	if err != nil {
		return err
	}
	tag, err := w.conn.Exec(ctx, "DELETE FROM kept") // the temporary one
	if err != nil {
		return err
	}
	if err := expect(tag.String(), "DELETE 2"); err != nil {
		return err
	}
	_, err = w.conn.Exec(ctx, "COMMIT")
	return err
}
