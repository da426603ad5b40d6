package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// round is a database, those who use it, and what is known of it.
type round struct {
	number    int
	stage     *stage
	database  string
	db        *pgx.Conn // the audit's own
	tally     *tally
	gate      sync.RWMutex // held for reading while somebody is at work; for writing at a quiet moment
	clients   []*client
	operators []*operator

	book       *book
	all        []*transaction  // that ever ended
	destroyers map[string]bool // transactions that really delete, by name
}

func newRound(ctx context.Context, s *stage, number, clients int, t *tally) (*round, error) {
	r := &round{number: number, stage: s, database: fmt.Sprintf("round_%d", number), tally: t, book: newBook(), destroyers: map[string]bool{}}
	if _, err := s.admin.Exec(ctx, "CREATE DATABASE "+r.database+" TEMPLATE model"); err != nil {
		return nil, err
	}
	// The log is in UTC, and what is compared with it has to be.
	var err error
	if r.db, err = pgx.Connect(ctx, r.dsn()+"&timezone=UTC&intervalstyle=postgres&application_name=audit"); err != nil {
		return nil, err
	}
	for i := range clients {
		r.clients = append(r.clients, &client{round: r, name: fmt.Sprintf("c%d", i), uids: int64(i+1) * 1e9, tally: t})
	}
	for i := range 2 {
		r.operators = append(r.operators, &operator{round: r, name: fmt.Sprintf("o%d", i)})
	}
	return r, nil
}

func (r *round) dsn() string { return r.stage.server.DSN(r.database) }

func (r *round) close(ctx context.Context) error {
	for _, c := range r.clients {
		c.close()
	}
	if err := r.db.Close(ctx); err != nil {
		return err
	}
	_, err := r.stage.admin.Exec(ctx, "DROP DATABASE "+r.database+" WITH (FORCE)")
	return err
}

// play is the round: everything at once with so many kills; then only deletes, with so many; then all of these undone.
func (r *round) play(ctx context.Context, kills, more int) error {
	if err := r.load(ctx, kills, false); err != nil {
		return err
	}
	before, err := r.state(ctx)
	if err != nil {
		return err
	}
	known, err := r.history(ctx)
	if err != nil {
		return err
	}
	if err := r.load(ctx, more, true); err != nil {
		return err
	}
	if err := r.undoAll(ctx, known); err != nil {
		return err
	}
	after, err := r.state(ctx)
	if err != nil {
		return err
	}
	differences := compareStates(before, after)
	for _, difference := range differences {
		r.tally.bad("round %d, after all is undone: %s", r.number, difference)
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	r.figures()
	return nil
}

// load has clients and operators work, and kills them.
func (r *round) load(ctx context.Context, kills int, deletesOnly bool) error {
	work, end := context.WithCancel(ctx)
	var wait sync.WaitGroup
	for _, c := range r.clients {
		wait.Go(func() { c.run(work, deletesOnly) })
	}
	if !deletesOnly {
		for _, o := range r.operators {
			wait.Go(func() { o.run(work) })
		}
	}
	err := r.killing(ctx, kills, deletesOnly)
	end()
	wait.Wait()
	if err == nil {
		err = r.look(ctx)
	}
	return err
}

// look waits for a quiet moment and audits.
func (r *round) look(ctx context.Context) error {
	r.gate.Lock()
	defer r.gate.Unlock()
	wrong, err := r.audit(ctx)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	for _, w := range wrong {
		r.tally.bad("round %d: %s", r.number, w)
	}
	r.tally.with(func() { r.tally.audits++ })
	return nil
}

// quiet waits until no session is at anything: those of clients that are gone may still be.
func (r *round) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var busy int
		err := r.db.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state IS DISTINCT FROM 'idle'`).Scan(&busy)
		if err != nil {
			return fmt.Errorf("somebody does not come to an end: %w", err)
		}
		if busy == 0 {
			return nil
		}
		time.Sleep(2 * time.Millisecond) // the state of another process can only be asked for again
	}
}

// told takes the transactions that ended since the last audit.
func (r *round) told() (list []*transaction) {
	for _, c := range r.clients {
		list = append(list, c.told...)
		c.told = nil
	}
	for _, o := range r.operators {
		list = append(list, o.told...)
		o.told = nil
	}
	for _, t := range list {
		r.all = append(r.all, t)
		if t.destroys {
			r.destroyers[t.name] = true
		}
	}
	return list
}

// figures adds what the round came to.
func (r *round) figures() {
	r.tally.with(func() {
		t := r.tally
		for _, n := range r.book.written {
			t.rows += int64(n)
		}
		for _, n := range r.book.buried {
			t.buried += int64(n)
		}
		for _, n := range r.book.revived {
			t.restored += n
		}
		for _, n := range r.book.purged {
			t.purged += n
		}
		for _, n := range r.book.records {
			t.deletions += int64(n)
		}
	})
}
