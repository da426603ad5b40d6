package rewrite

import (
	"fmt"
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
)

// refusal is one row of the table of what is refused and why.
type refusal struct {
	code, message, hint string
}

// refusals is the one table of refusals. %s takes the relation's name, or
// what the call site names instead.
var refusals = map[string]refusal{
	"on-conflict": {"0A000", `a deleted row of protected table "%s" could hold the key of a new row, and this ON CONFLICT would not tell`,
		"Name the conflict target, as in ON CONFLICT (id) DO NOTHING, or make the unique indexes partial: WHERE <the row is live>."},
	"key-taken": {"23505", "a deleted row holds the key of the new row",
		"Restore or purge the deleted row, or replace the unique constraint by a unique index of live rows only: CREATE UNIQUE INDEX .. WHERE <the row is live>."},
	"create-schema": {"0A000", `CREATE SCHEMA with a query on protected table "%s" in it is not supported`,
		"Create the schema first, and what is in it with statements of their own."},
	"view-delete": {"0A000", `view "%s" does not show the column that marks deleted rows of protected table "%s"`,
		"Delete from the table itself, or show that column in the view."},
	"view-instead": {"0A000", `a rule or an INSTEAD OF trigger says what DELETE does to view "%s", which shows a protected table`,
		"Delete from the table itself."},
	"parent": {"0A000", `"%s" is a parent of protected table "%s" and not protected itself`,
		"Protect it in the policy too, or name ONLY the parent, or the protected table."},
	"body-unseen": {"0A000", `the body names protected table "%s", and the server would run it unseen`,
		"Send the statements themselves, or write the function in SQL."},
	"body-literal": {"0A000", "the function's body names a protected table and is written as a string that cannot be edited in place",
		"Write the body between dollar quotes: AS $$ .. $$."},
	"moved-names": {"0A000", `"%s" cannot be resolved: an earlier statement of the same message may change what it means`,
		"Send the statements in separate messages."},
	"renamed-marker": {"0A000", `the column aliases of protected table "%s" make its marker column ambiguous`,
		"Give another column alias."},
	"no-marker": {"55000", "%s", ""},
	"returning-unclear": {"0A000", `"%s" in RETURNING of a DELETE on protected table "%s" could mean more than one column`,
		"Write it with the table's name or alias, outside of a subquery."},
	"returning-merged": {"0A000", `RETURNING * of a DELETE on protected table "%s" whose USING list joins with merged columns is not supported`,
		"Name the columns to return."},
	"truncate-denied": {"42501", `TRUNCATE of protected table "%s" is denied by the policy`,
		"Use DELETE, or change the table's truncate setting in the policy."},
	"truncate-mixed": {"0A000", `TRUNCATE of protected table "%s" together with tables that are handled otherwise is not supported`,
		"Send one TRUNCATE for the protected tables and another for the rest."},
	"truncate-cascade": {"0A000", `TRUNCATE .. CASCADE of protected table "%s" is not supported`,
		"Name every table to be emptied instead of CASCADE."},
	"truncate-restart": {"0A000", `TRUNCATE .. RESTART IDENTITY of protected table "%s" is not supported`,
		"Its deleted rows keep their numbers. Leave out RESTART IDENTITY, or restart the sequence with ALTER SEQUENCE."},
	"copy-syntax": {"0A000", `this form of COPY from protected table "%s" is not supported`,
		"Use COPY .. TO .. WITH (FORMAT .., DELIMITER ..)."},
	"settings": {"0A000", `setting "%s" is not supported yet`,
		"Deleted rows can be seen and restored on a direct connection to the server."},
	"unparsed": {"0A000", "this statement is newer than the proxy's parser and names a protected table",
		"Write it in PostgreSQL 16's syntax."},
	"too-complex": {"54001", "this statement is too complex for the proxy, and may name a protected table",
		"Split long chains of operators, joins or set operations and wide assignments to several columns, or use IN, ANY or VALUES."},
	"backslash": {"0A000", "a backslash in a string literal reads differently while standard_conforming_strings is off, and the statement may name a protected table",
		"SET standard_conforming_strings = on, and write such literals as E'..'."},
	"encoding": {"0A000", "text in client encoding %s cannot be read safely, and the statement may name a protected table",
		"SET client_encoding = 'UTF8'."},
	"prepared": {"0A000", "cached plan must not change result type",
		"The statement was prepared when its names stood for other tables. Prepare it again."},
	"internal": {"XX000", "the proxy could not find its way in this statement, which names a protected table",
		"Please report the statement. Writing it in a plainer form may help."},
}

// newRefusal fills in a row of the table. offset is a byte offset in the
// client's text, or -1.
func newRefusal(rule string, offset int, args ...any) *Refusal {
	row := refusals[rule]
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

// TakenKey is the error of an upsert whose key a tombstone holds.
func TakenKey() *Refusal { return newRefusal("key-taken", -1) }

// Moved is the refusal of a message in which a prepared statement or cursor
// that may change what names mean is run before names are used.
func Moved() *Refusal { return newRefusal("moved-names", -1, "a name in this message") }

// TooLarge is the refusal of a statement that exceeds the proxy's limit on
// statement size, in bytes.
func TooLarge(limit int) *Refusal {
	return &Refusal{
		Rule: "too-large", Code: "54000", Offset: -1,
		Message: fmt.Sprintf("this statement is larger than the proxy's limit of %d bytes", limit),
		Hint:    "Send bulk data with COPY or as parameters, or raise limits.statement_bytes in the proxy's configuration.",
	}
}
