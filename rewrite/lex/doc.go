// Package lex cuts SQL text into PostgreSQL tokens.
//
// In goes a statement, or several, as the client sent it. Out come the tokens
// as byte ranges of that text, in order. White space and comments are between
// the tokens and are not reported. Nothing is copied and nothing is parsed.
//
// It exists because the statement cache must know a statement's shape without
// paying for a parse. So it has to be fast (one pass, no allocation when the
// caller's slice is large enough) and it has to be right: a shape computed from
// other tokens than the parser's would put an edit in the wrong place. The rule
// is agreement with pg_query.Scan, the scanner of PostgreSQL 16
// (src/backend/parser/scan.l), token by token. FuzzScan checks it.
//
// # What the scanner takes for granted
//
//   - standard_conforming_strings is on: a backslash is special in E'..' only.
//   - The text is UTF-8, or another encoding whose multi-byte characters hold
//     no ASCII bytes. Every byte from 0x80 up is a letter.
//
// A caller whose session says otherwise must not use this package.
//
// # Where the server and pg_query.Scan differ
//
//   - 'a' -- note, newline, 'b'. The server reads one string, and so does this
//     package. The scanner in pg_query returns comments as tokens and reads two
//     strings, which its grammar then rejects. With E'..' the second half would
//     even end elsewhere.
//   - $1abc. pg_query reads a parameter and a name, and so does this package.
//     Servers from version 15 on reject it.
//   - 1_0..2. Version 16 reads 1_0. and .2, and so does this package. Servers
//     may read a range. Ranges of numbers only occur in PL/pgSQL.
//   - E'\xff'. Invalid in UTF-8, so an error here and in pg_query. A server with
//     another encoding may take it.
//   - Vertical tab. Version 16 has no rule for it, so it is Other here. Later
//     servers may read white space.
//
// N'..' is two tokens, the identifier N and a string, as in scan.l. UESCAPE is
// an identifier here: joining it to the U& token before it is the grammar's
// work, and so is the check of the escapes inside U& tokens.
//
// # What may never happen
//
// A panic, an endless loop, or more than linear time, whatever the bytes are.
// Long runs of + and -, which the server's own scanner reads in quadratic time,
// are linear here.
//
// # How to debug it
//
// Print Kind and Text of each token. If the parser disagrees, add the text to
// the seeds of FuzzScan and run the test.
package lex
