package rewrite

import (
	"fmt"
	"strconv"
	"strings"
)

// Refusal is the error a client gets for a statement that is not sent on.
type Refusal struct {
	Rule    string // which row of the table below
	Code    string // SQLSTATE
	Message string
	Detail  string
	Hint    string
	Offset  int // where in the text that was planned, in bytes; -1 if nowhere in particular
	token   int // the token there: the same in every text of its shape
}

func (r *Refusal) Error() string { return r.Message }

// Sentinel is a name that nothing has: a refused statement is sent as a
// reference to it. The server fails that statement as it would any
// other, at its turn, so that replies stay in order, the transaction aborts
// and a pipeline is skipped without the proxy having to imitate any of it; the
// session replaces the error by the Refusal.
const Sentinel = "tombstone refused this statement"

// What stands where a refused statement stood: a query fails when it is
// analysed, with 42703, a utility statement when it runs, with 26000, as the
// statement itself would.
const (
	sentinelSQL     = `SELECT "` + Sentinel + `"`
	sentinelUtility = `DEALLOCATE "` + Sentinel + `"`

	// The same for TRUNCATE, which in a read-only transaction fails for that.
	sentinelTruncate = `TRUNCATE "` + Sentinel + `"`
)

// newRefusal fills in a row of the table. offset is a byte offset in the
// client's text, or -1.
func newRefusal(rule string, offset int, args ...any) *Refusal {
	row := refusalFor(rule)
	message := row.message
	if strings.Contains(message, "%s") {
		message = fmt.Sprintf(message, args...)
	}
	return &Refusal{Rule: rule, Code: row.code, Message: message, Hint: row.hint, Offset: offset}
}

// serverSays refuses a statement as the server would, in its own words: a
// check that the edited statement would no longer run into.
func (r *rewriter) serverSays(code, message, detail, hint string) {
	if r.stmt.Refusal == nil {
		r.stmt.Refusal = &Refusal{Rule: "as-server", Code: code, Message: message, Detail: detail, Hint: hint, Offset: -1}
	}
}

// Outdated is the refusal to run a prepared statement whose names have come to
// stand for other tables, in the words in which the server refuses what it
// has to plan anew: drivers know them, and prepare the statement again.
func Outdated() *Refusal { return newRefusal("prepared", -1) }

// Behind is the refusal of a statement in a transaction whose snapshot is
// older than what names mean now.
func Behind() *Refusal { return newRefusal("snapshot", -1) }

// FunctionCall is the refusal of a function that is called by its OID.
func FunctionCall() *Refusal { return newRefusal("function-call", -1) }

// TwiceTheKey is the error of an INSERT .. ON CONFLICT DO NOTHING that has two
// rows of one key, where a DO UPDATE had to stand in for DO NOTHING.
func TwiceTheKey() *Refusal { return newRefusal("key-twice", -1) }

// TakenKey is the error of an upsert whose key a tombstone holds.
func TakenKey() *Refusal { return newRefusal("key-taken", -1) }

// Dump is the refusal of a session of a program that writes backups.
func Dump(program string) *Refusal { return newRefusal("dump", -1, program) }

// Moved is the refusal of a message in which a prepared statement or cursor
// that may change what names mean is run before names are used.
func Moved() *Refusal { return newRefusal("moved-names", -1, "a name in this message") }

// TooLarge is the refusal of a statement that exceeds the proxy's limit on
// statement size, in bytes.
func TooLarge(limit int) *Refusal {
	return newRefusal("too-large", -1, strconv.Itoa(limit))
}
