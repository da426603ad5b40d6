// Package e2e holds the end-to-end tests: a real PostgreSQL, real clients, and
// the proxy between them. It has no code but tests.
//
// # The oracle
//
// A twin (twin_test.go) is two databases with one schema and the same rows.
// One is used directly, and its rows are really deleted; the other is used
// through the proxy. What a client sees must be the same: rows, command tags,
// types, SQLSTATE, message, position. Three forms of it:
//
//   - statements, each sent by the simple protocol, unnamed and prepared
//     (statements_test.go, errors_test.go);
//   - stories, in which each statement stands on those before (names_test.go);
//   - transcripts of raw protocol messages (extended_test.go).
//
// # The rest
//
//   - clients: psql, pgx, node-postgres (../clients), each unmodified.
//   - faults: servers and clients that die, hostile bytes, leaks.
//   - record_test.go: what needs no change arrives byte for byte.
//
// # What comes in
//
// One cluster for the package (main_test.go), and a fresh database for each
// test. Each wait has a limit, so that a hang fails and says where.
package e2e
