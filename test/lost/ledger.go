package main

import "fmt"

// verdict is what a client was told of its transaction.
type verdict byte

const (
	doubtful  verdict = iota // the connection ended when it could have been committed
	committed                // it was told so
	refused                  // it was told that it was not, or it never asked for it
)

func (v verdict) String() string { return [...]string{"doubtful", "committed", "refused"}[v] }

// transaction is what a client or a command asked for and was told. Its name is the application_name that it has.
type transaction struct {
	name       string
	statements []*statement
	verdict    verdict
	destroys   bool // it really deletes rows of tables that are not protected

	restored int64 // rows that a command said it restored; -1 if it restores none, or has not said
}

// statement is one that was answered, or that was sent and may have been.
type statement struct {
	tok   string // in the rows that it writes
	sql   string
	table *table
	kind  string // insert, update, delete
	rows  int64
	void  bool // it failed, or was rolled back to a savepoint
}

// verify compares what was told with what was really committed.
func (t *transaction) verify(b *book) error {
	var deleted int64
	seen, want := 0, 0
	for _, s := range t.statements {
		have := b.written[s.tok]
		switch {
		case s.kind == "delete":
			if !s.void && !s.table.loose {
				deleted += s.rows
			}
			continue
		case s.void && have != 0:
			return fmt.Errorf("%s: a statement that failed has written %d row(s): %s", t.name, have, s.sql)
		case t.verdict == committed && !s.void && int64(have) != s.rows:
			return fmt.Errorf("%s: it was committed with %d row(s), and %d are written: %s", t.name, s.rows, have, s.sql)
		}
		seen += have
		if !s.void {
			want += int(s.rows)
		}
	}
	records, buried := b.records[t.name], b.buried[t.name]
	switch t.verdict {
	case committed:
		if deleted > 0 && records != 1 {
			return fmt.Errorf("%s: it deleted %d row(s), and %d deletions are recorded", t.name, deleted, records)
		}
		if int64(buried) < deleted {
			return fmt.Errorf("%s: it deleted %d row(s), and %d became tombstones: %s", t.name, deleted, buried, t.script())
		}
		if t.restored >= 0 && b.revived[t.name] != t.restored {
			return fmt.Errorf("%s: it restored %d row(s), and %d became live", t.name, t.restored, b.revived[t.name])
		}
	case refused:
		if seen+records+buried > 0 || b.revived[t.name] > 0 {
			return fmt.Errorf("%s: it was refused, and has written %d row(s), deleted %d, recorded %d deletions, restored %d: %s", t.name, seen, buried, records, b.revived[t.name], t.script())
		}
	case doubtful:
		// All of it or nothing. It is COMMIT that was not answered, or a statement by itself, of which nobody has said how many rows.
		if want > 0 && seen != 0 && seen != want {
			return fmt.Errorf("%s: it is half done, %d of %d row(s) are written: %s", t.name, seen, want, t.script())
		}
	}
	return nil
}

func (t *transaction) script() (text string) {
	for _, s := range t.statements {
		text += "\n    " + s.sql
		if s.void {
			text += " -- void"
		}
	}
	return text
}
