// Package doctor finds what stands between a database and the promise: what would show a tombstone, really delete a row, or refuse a
// deletion, though the proxy does its part.
//
// What comes in: a connection and a configuration. What goes out: a [Report] of findings, each with a severity, the object, the row that
// would come out wrong, and the SQL or the setting that mends it.
//
// # Checks
//
// Each kind of check is a file, each check has a name that stays (finding.go lists them). What lifecycle.Prepare would do is asked of it,
// not repeated. Definitions are parsed by package rewrite. A definition that is wrong is mended by the rules by which the proxy edits
// statements, so that the fix is what a client's own statement would have been.
//
// # What may never happen
//
// A write: all is read in one read-only transaction of one snapshot. A long wait: every statement has a timeout, and large tables are
// judged by the server's statistics. A silent gap: what could not be looked at, for want of a right or of time, is a finding.
//
// # Debugging
//
// testdata/traps.sql has one instance of each trap; TestTraps wants each check to find its own, and nothing to be left once the fixes are
// applied.
package doctor
