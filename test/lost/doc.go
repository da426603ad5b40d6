// Command lost shows that nothing is lost: it kills tombstone again and again, in the middle of all that can be done with it, and then looks
// for every row that anybody ever wrote.
//
//	go run ./test/lost                     # 500 kills
//	go run ./test/lost -kills 60 -each 30  # a sample
//
// # What comes in
//
// Nothing but a machine: a throwaway PostgreSQL (package cluster), a schema with every kind of foreign key (schema.sql), and the program, built from
// this checkout, as processes of their own: serve, purge, restore and undo.
//
// # A round
//
// Each round (round.go) has a database of its own, a copy of one that tombstone prepare has been to.
//
//  1. Clients (client.go, statements.go) come through the proxy with transactions of inserts, also of keys that are deleted, upserts, updates,
//     deletes, savepoints and real deletes of unprotected tables. Operators (commands.go) purge, restore and undo, at a retention of seconds and with
//     rows that are held.
//  2. Meanwhile somebody is killed (kill.go): the proxy or a command with SIGKILL, a backend by an administrator, a client's connection. When all
//     that is to run runs again there is a quiet moment, and the audit.
//  3. Then clients only delete, and are killed as before. What they deleted is undone, each deletion by a process of its own, the newest first, some
//     of which are killed and started again (undo.go). After that every table has to be what it was before, byte for byte.
//
// # How it is known what there was
//
// From triggers of the test's own (log.sql), ENABLE ALWAYS, on the tables and on tombstone.archive and tombstone.deletions. They write in the
// transaction that they are about, so the log has what was committed and nothing else, cascades and the work of tombstone's own functions included,
// with the row as it was and who did it. Logical decoding would tell the same from outside, but it has no old row without REPLICA IDENTITY FULL, no
// application_name, and no end that one could wait for.
//
// Every row has a number (uid) that no other ever has, so that one that has the key of another is not taken for it; and the name of the statement that
// wrote it last (tok), which tells what a client wrote from what tombstone did to the row.
//
// # What must hold
//
// At each audit (audit.go, rules.go, ledger.go):
//
//   - Every row that was ever committed is there once: live, as a tombstone or in the archive, with each column as a client wrote it last; the marker, and
//     references that SET NULL and SET DEFAULT cut, aside. Or it is gone, by a purge, from a table with a retention, after it was over, and was neither
//     live nor held. As many are gone as the receipts say.
//   - Every tombstone and every archived row that was deleted is of one recorded deletion, that of the transaction that took it. Each transaction that deleted
//     is recorded once.
//   - No live row refers to a deleted one, or to none. No two have the same key. tombstone.undoing is empty.
//   - What a client was told is so: what was committed is there, with the number of rows that it was told; what was refused is not; what is in doubt
//     is there whole or not at all. What restore and undo said they restored became live.
//
// # Debugging
//
// A difference names the row, its statement and who touched it last; for one that is gone, also all that the log has of it and of the transaction that
// took it. Chance is not repeatable here, since processes race.
package main
