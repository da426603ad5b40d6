// Package lifecycle is what happens to a tombstone after it has been made, and what the database itself has to know for it:
// the SQL that `tombstone prepare` prints.
//
// It works on rows with a login of its own, outside the query path, and runs without the proxy.
//
// Two rooms are behind it: lifecycle/doctor finds what is amiss in a database, and lifecycle/purge deletes tombstones for good.
package lifecycle
