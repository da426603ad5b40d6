package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
)

// expected are the errors that clients earn here, each with why.
var expected = map[string]string{
	"23503": "a foreign key",
	"23505": "a unique key",
	"40001": "a transaction above READ COMMITTED",
	"40P01": "a deadlock",
	"57P01": "an administrator ended the backend",
	"08006": "the connection to the server broke",
}

// tally counts, and keeps what is wrong. It is safe for concurrent use.
type tally struct {
	mu sync.Mutex
	figures
	errors map[string]int
	says   map[string]int // commands that failed, by what they say
	wrong  []string
}

// figures are what a run comes to.
type figures struct {
	kills                                     map[string]int
	statements, transactions, audits, undone  int
	committed, refused, doubtful              int
	deletions, buried, restored, purged, rows int64
	again                                     int // undos that had to wait for another
}

func newTally() *tally {
	return &tally{errors: map[string]int{}, says: map[string]int{}, figures: figures{kills: map[string]int{}}}
}

func (t *tally) bad(format string, values ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := fmt.Sprintf(format, values...); !slices.Contains(t.wrong, text) { // the next audit finds it again
		t.wrong = append(t.wrong, text)
	}
}

func (t *tally) with(do func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	do()
}

// count counts a transaction of a client.
func (t *tally) count(one *transaction, err error) {
	t.failed(err)
	t.with(func() {
		t.statements += len(one.statements)
		t.transactions++
		switch one.verdict {
		case committed:
			t.committed++
		case refused:
			t.refused++
		default:
			t.doubtful++
		}
	})
	var e *pgconn.PgError
	if errors.As(err, &e) && expected[e.Code] == "" {
		t.bad("%s: %v %s%s", one.name, err, e.Where, one.script())
	}
}

func (t *tally) failed(err error) {
	if err == nil {
		return
	}
	code := "closed"
	var e *pgconn.PgError
	if errors.As(err, &e) {
		code = e.Code
	}
	t.with(func() { t.errors[code]++ })
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	total := 0
	for _, n := range t.kills {
		total += n
	}
	return fmt.Sprintf(`%d kills (%s), %d audits
  clients: %d transactions of %d statements: %d committed, %d refused, %d in doubt; errors: %s
  rows: %d written, %d buried in %d deletions, %d restored, %d purged
  undone in reverse order: %d deletions, %d of them after another
  commands that failed: %s
  differences: %d`,
		total, list(t.kills), t.audits, t.transactions, t.statements, t.committed, t.refused, t.doubtful, list(t.errors),
		t.rows, t.buried, t.deletions, t.restored, t.purged, t.undone, t.again, list(t.says), len(t.wrong))
}

func list(counts map[string]int) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(all, ", ")
}
