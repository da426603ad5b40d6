// Package bypass is the adversarial corpus: ways to read or destroy a
// protected row in spite of the proxy. It has no code but tests.
//
// # What comes in
//
// The files in testdata. Each is one theme, each case in it one attack: a
// name, the idea in a sentence, the verdict, and the steps. case_test.go says
// how they are written. shop.sql is the database that every attack finds.
//
// # What goes out
//
// A verdict that nobody has to believe. The judge (judge_test.go) knows nothing
// of the attack. It looks for three things:
//
//   - leak: a byte string of a deleted row came over the wire, in whatever
//     message, as text, hex, or base64;
//   - loss: a protected row that was there is gone, or was changed otherwise
//     than by marking a live one;
//   - tells: an answer is not that of a database that really deletes, which
//     the case gives as rows or SQLSTATE.
//
// The verdicts:
//
//   - stopped: none of the three;
//   - refused CODE: none of the three, and the client was told CODE;
//   - held: one of these two; for what is refused today and answered soon;
//   - known leak, known loss, known tells: it happens, with the reason, and
//     what `tombstone doctor` should say;
//   - bug leak, bug loss, bug tells: it happens, and must not.
//
// # What may never happen
//
// An attack that is none: each that is stopped or refused also runs against
// the server itself, where it has to succeed. A known difference that is none: it has to
// happen, so that the list gets shorter with the first fix. A leak that is
// blessed: nothing writes the files in testdata but people.
//
// # How to use it
//
//	go test ./test/bypass                                  all; a bug fails
//	go test ./test/bypass -run 'Corpus/names/prepared'     some
//	go test ./test/bypass -v -run ..                       with what was said
//	go test ./test/bypass -run Readme -update              write README.md
//
// With TOMBSTONE_BYPASS_BUGS=1 bugs are reported and do not fail. A case for another major version of the server is
// skipped where that is not installed, unless TOMBSTONE_TEST_MAJORS=1 has it
// fetched.
package bypass
