// Package login holds the tests of everything before the first statement: TLS on both sides, authentication, the choice of
// a server among several, the protocol's versions, and the limits. It has no code but tests.
//
// # What comes in
//
// A real PostgreSQL with TLS and a user for each method of pg_hba.conf (main_test.go), a streaming standby of it and a server
// without TLS for the tests that ask for them (servers_test.go), certificates of an authority of its own (authority_test.go), the proxy
// in this process or, for signals, as a program; and clients: psql, with the system's libpq and with a newer one where there is
// one, pgx, and raw sockets.
//
// # The matrix
//
// matrix_test.go tries every way to log in, and testdata/matrix.txt is what must come of it: a cell says "in", or the setting
// that the message names. The oracle is the same client at the server itself, the rows that begin with "direct". After a
// change that is meant, write it anew with
//
//	go test ./test/login -run Matrix -rewrite
//
// and read every cell that has become another.
//
// # The rest
//
// What a client reads is compared with what the server itself says wherever the server can be asked the same. Waiting is
// always for something that can be asked for; nothing is right because of a pause.
package login
