package rewrite

import (
	"slices"
	"unicode/utf8"
)

// Plan says what is to be done with one message's SQL text: what to send
// instead, and how to turn the replies back. It is immutable once returned.
type Plan struct {
	changes []change // in the order of the text; they do not overlap
	literal bool     // it holds for the literals of the text only
	whole   bool     // nothing is known of the text, and all of it is refused

	Stmts []Stmt // one for each statement of the text, in order; nil if the text was passed without a parse

	// Unparsed: the parser rejects the text. If it names something protected
	// Probe is set and the statement must not run: the server may be asked for
	// its own syntax error, and Refusal is the answer should it have none.
	Unparsed bool
	Fault    string // what the parser, or the lexer, says of it
	Probe    bool
	Refusal  *Refusal

	// Stale: the names in scope may be out of date and the plan depends on
	// them. Nothing else is set; plan again once they have been read.
	Stale bool

	// Rights, with Stale: what the role may is to be read too.
	Rights bool

	Changes Changes // what any statement of the text may change

	// Observed: what would be done if tables that are only observed were
	// protected; nil if that is what is done.
	Observed *Observed

	// Depends: under other names in scope, or another Set, the plan could be
	// another. A statement that is kept and run later has to be planned again.
	Depends bool

	// Heeds: under other settings of the session the plan could be another, though it
	// names nothing else that may change: one of rows that are added.
	Heeds bool
}

// Stmt is what became of one statement.
type Stmt struct {
	Kind    string // the statement's verb in lower case: select, delete, copy, explain, ..
	Action  Action
	Tag     Tag      // how its command tag is to be put back
	Buries  string   // the table whose rows the tag counts, "" if none or several
	Touched []Touch  // protected tables it names, in order
	Refusal *Refusal // set if Action is Refused

	Denied  *Setting // what it was refused to set
	Asked   Asked    // settings of the session that had to do with it
	Deletes bool     // it, or what it explains, copies or prepares, is a DELETE that became an UPDATE
	StandIn bool     // a DO UPDATE that updates nothing stands in for DO NOTHING: see TwiceTheKey

	Prepare    string // PREPARE: the statement's name
	PrepareTag Tag    // PREPARE: the tag of its EXECUTE
	Execute    string // EXECUTE: the statement's name
	Cursor     string // the name of the cursor that it is about
	Cursors    Cursors
	Deallocate string // DEALLOCATE: the statement's name
	ForgetAll  bool   // DEALLOCATE ALL, DISCARD ALL

	start, end int // its first and last byte, without the semicolon
}

// Cursors says what a statement has to do with cursors.
type Cursors uint8

// What is done with a cursor.
const (
	NoCursor  Cursors = iota
	Declares          // DECLARE, of one that shows something protected
	Keeps             // the same WITH HOLD
	Uses              // FETCH, MOVE, WHERE CURRENT OF
	Closes            // CLOSE
	ClosesAll         // CLOSE ALL, DISCARD ALL
)

// Action is the gist of what happened to a statement.
type Action uint8

// From the least to the most telling.
const (
	Passed  Action = iota // forwarded as it came
	Hidden                // tombstones are hidden from it
	Shown                 // it sees other rows than the live ones, as the session asked
	Buried                // it marks rows instead of deleting them
	Purged                // it really deletes, as the session asked
	Refused               // it does not reach the server
)

func (a Action) String() string {
	return [...]string{"passed", "hidden", "shown", "buried", "purged", "refused"}[a]
}

// Tag is the command tag that the client expects where the server sends that
// of another statement.
type Tag uint8

// Tags to put back.
const (
	TagAsSent   Tag = iota
	TagDelete       // UPDATE n -> DELETE n
	TagTruncate     // UPDATE n, DELETE n -> TRUNCATE TABLE
	TagShow         // SELECT 1 -> SHOW
)

// Touch is one protected table named by a statement and what was done there.
type Touch struct {
	Table  string // schema.table
	Rule   *Rule
	Action Action
	Offset int // where the client's text names it, in bytes

	observed bool // the table is only observed: the plan is one of Observed
}

// Changes says what a statement may change of how later ones are to be read.
type Changes uint16

// Kinds of change.
const (
	ChangesNames   Changes = 1 << iota // search_path or what decides it
	ChangesCatalog                     // relations
	ChangesLexing                      // standard_conforming_strings, client_encoding
	EndsWork                           // COMMIT, ROLLBACK, ROLLBACK TO: earlier changes may be undone
	MovesPath                          // with ChangesNames: any unqualified name may mean another relation
	MovesSchemas                       // with MovesPath: any qualified name may, too
	Reveals                            // with ChangesNames: a name may come to mean what another relation hid
	ChangesAsks                        // what the session asks for by the settings tombstone.*
	ForgetsAll                         // every setting, what we have told the server too: RESET ALL, DISCARD ALL
)

// Same reports whether two plans of one text do the same.
func (p *Plan) Same(q *Plan) bool {
	if p.Unparsed != q.Unparsed || p.Probe != q.Probe || p.Stale != q.Stale {
		return false
	}
	return p.whole == q.whole && slices.Equal(p.changes, q.changes)
}

// Edited reports whether the server is to get another text than the client's.
func (p *Plan) Edited() bool { return p.whole || len(p.changes) > 0 }

// Apply returns the text for the server. sql must be the text that was
// planned, or one of the same shape.
func (p *Plan) Apply(sql string) string {
	if !p.Edited() {
		return sql
	}
	return string(p.Append(nil, sql, nil))
}

// Original maps a position in the edited text to the client's text. Both are
// as the server counts them: in characters, the first being 1, each byte a
// character of its own unless utf8. A position inside text that the client
// did not write maps to the nearest token that it did.
func (p *Plan) Original(sql string, position int, multibyte bool) int {
	if !p.Edited() || position < 1 {
		return position
	}
	edits := p.Edits(sql)
	target := position - 1 // characters before the position
	var offset int         // the same place in sql, in bytes
	at, seen := 0, 0       // bytes of sql, characters of the edited text
	for i := 0; ; i++ {
		end := len(sql)
		if i < len(edits) {
			end = edits[i].Start
		}
		if n := count(sql[at:end], multibyte); seen+n > target || i == len(edits) {
			offset = at + bytesOf(sql[at:end], target-seen, multibyte)
			break
		} else {
			seen += n
		}
		e := &edits[i]
		n := count(e.Text, multibyte)
		if seen+n > target {
			if e.Near < 0 {
				return 0
			}
			offset = e.Near
			break
		}
		seen += n
		at = e.End
	}
	return count(sql[:offset], multibyte) + 1
}

// Position returns the place of a byte offset as the server counts it.
func Position(sql string, offset int, multibyte bool) int {
	return count(sql[:min(offset, len(sql))], multibyte) + 1
}

func count(s string, multibyte bool) int {
	if multibyte {
		return utf8.RuneCountInString(s)
	}
	return len(s)
}

// bytesOf returns how many bytes the first n characters of s take.
func bytesOf(s string, n int, multibyte bool) int {
	if !multibyte {
		return min(n, len(s))
	}
	at := 0
	for ; n > 0 && at < len(s); n-- {
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return at
}
