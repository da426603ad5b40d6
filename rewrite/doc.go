// Package rewrite decides what a statement becomes. It is a pure function:
// SQL text, the names in scope, a policy.Set and what the session asks for
// ([Asks]) in; a [Plan] out. No I/O, no
// clock, no state between calls. It is the only importer of the parser.
//
// # From text to plan
//
//  1. lex: the tokens of the text, with the parentheses that enclose them.
//  2. bound: size, depth and chain length, because the parser is C and a
//     statement that overruns its stack takes the process along.
//  3. parse: the tree says what each statement is and which relations it names.
//  4. resolve: each name against scope, search_path and the Set, as the server
//     would.
//  5. edit: the tree says what to change, the tokens say where. An edit is a
//     span of the client's text and what stands there instead. Nothing is
//     ever printed back from the tree, so comments, hints, spacing and every
//     untouched byte stay as they were.
//
// # Rules
//
// Each file holds one concern, each rule in it a name, its reason, and the row
// that would come out wrong without it: see rules.go. What a rule cannot
// answer it refuses (refuse.go): uncertain means refuse.
//
// # Tables that are only observed
//
// [Observe] plans a text twice: by the Set in force, which is what is done, and
// by the one in which the observed tables are protected too, which is only told
// (observe.go). A Set in force that protects nothing edits and refuses nothing.
//
// # Definitions
//
// What the server runs unseen, such as bodies of functions and queries of views, [Read] judges: which protected tables it reads, changes or
// really deletes from, and what it would be if the proxy had edited it (body.go, plpgsql.go, tested.go).
//
// # What may never happen
//
// A statement that reads or deletes protected rows comes back unedited and
// not refused. An edited statement that no longer parses. A byte of an
// untouched statement that differs. A panic.
//
// # Debugging
//
// `tombstone rewrite 'SQL'` prints the Plan that the proxy would follow, with
// the rules that fired; testdata/*.test holds the readable specification.
package rewrite

//go:generate go run ./internal/genwalk
