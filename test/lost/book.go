package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// fields are the columns of a row as JSON.
type fields map[string]json.RawMessage

// life is all that is known of a row that was ever committed.
type life struct {
	uid       int64
	relation  string
	written   fields // as a client wrote it last
	current   fields // as it was last in its table
	toks      map[string]bool
	dead      bool   // a tombstone, when it last changed in its table
	buried    string // the transaction that made it a tombstone last
	at        time.Time
	archived  string // the transaction that moved it to the archive last
	deletion  string // which the archive says it is of
	last      *event // that took it from its table or from the archive
	gone      bool   // for good, and rightly
	lastEvent string
}

// event is a line of lost.log.
type event struct {
	n                      int64
	relation, op, tok, app string
	uid                    *int64
	row                    fields
	deletion               *string
	xid                    string
	began, at              time.Time
}

// book is what lost.log says, read on at each audit.
type book struct {
	read  int64
	lives map[int64]*life

	written map[string]int   // rows by the statement that wrote them
	buried  map[string]int   // rows by the application that buried them
	revived map[string]int64 // rows by the application that restored them
	records map[string]int   // deletions recorded, by application

	recorded map[string]int  // and by transaction
	forgot   map[string]bool // by a purge, since nothing is left of them
	deleting map[string]bool // transactions that buried, or archived what went with others

	purged map[string]int64 // rows that have gone for good, by table
	events int
}

func newBook() *book {
	return &book{lives: map[int64]*life{}, written: map[string]int{}, buried: map[string]int{}, revived: map[string]int64{}, records: map[string]int{},
		recorded: map[string]int{}, forgot: map[string]bool{}, deleting: map[string]bool{}, purged: map[string]int64{}}
}

// catchUp reads what is new.
func (b *book) catchUp(ctx context.Context, db *pgx.Conn) error {
	rows, err := db.Query(ctx, "SELECT n, relation, op, coalesce(tok, ''), app, uid, row, deletion, xid, began, at FROM lost.log WHERE n > $1 ORDER BY n", b.read)
	if err != nil {
		return err
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*event, error) {
		e := new(event)
		return e, row.Scan(&e.n, &e.relation, &e.op, &e.tok, &e.app, &e.uid, &e.row, &e.deletion, &e.xid, &e.began, &e.at)
	})
	if err != nil {
		return fmt.Errorf("read lost.log: %w", err)
	}
	for _, e := range list {
		b.apply(e)
		b.read = e.n
	}
	b.events += len(list)
	return nil
}

func (b *book) apply(e *event) {
	switch e.op {
	case "record":
		b.records[e.app]++
		b.recorded[*e.deletion]++
		return
	case "forget":
		b.forgot[*e.deletion] = true
		return
	}
	l := b.lives[*e.uid]
	if l == nil {
		l = &life{uid: *e.uid, relation: e.relation, toks: map[string]bool{}}
		b.lives[*e.uid] = l
	}
	if e.op != "archive" && e.op != "unarchive" {
		defer func() { l.current = e.row }()
	}
	l.lastEvent = fmt.Sprintf("%s by %s in transaction %s", e.op, e.app, e.xid)
	switch e.op {
	case "insert", "update":
		switch {
		case !l.toks[e.tok]:
			l.write(e.row)
			l.toks[e.tok] = true
			b.written[e.tok]++
		case e.op == "insert": // back from the archive
			b.revived[e.app]++
		case e.op == "update" && l.relation == "cities":
			l.written["country"] = e.row["country"] // ON UPDATE CASCADE
		}
		l.dead = isDead(e.row)
	case "bury":
		b.buried[e.app]++
		b.deleting[e.xid] = true
		l.dead, l.buried, l.at = true, e.xid, e.began
	case "revive":
		b.revived[e.app]++
		l.dead = false
	case "archive":
		l.archived = e.xid
		if e.deletion != nil {
			l.deletion = *e.deletion
		} else {
			l.deletion = ""
		}
		if !l.dead { // it went with another
			l.buried, l.at = e.xid, e.began
			b.deleting[e.xid] = true
		}
	case "delete", "unarchive":
		l.last = e
	}
}

// write notes what a client has written. A reference that it left as ON DELETE had made it is still the one that was cut, and can come back.
func (l *life) write(row fields) {
	before := l.written
	l.written = fields{}
	for name, value := range row {
		if r := called(l.relation).refOf(name); before != nil && r != nil && r.cut != "" && string(value) == string(l.current[name]) {
			value = before[name]
		}
		l.written[name] = value
	}
}

func isDead(row fields) bool {
	marker, ok := row["deleted_at"]
	return ok && string(marker) != "null" || string(row["gone"]) == "true"
}
