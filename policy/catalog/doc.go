// Package catalog is what the proxy knows of a database: which relations
// exist, their columns, inheritance, views and foreign keys, as read from
// pg_catalog.
//
// What comes in: the one row that [Query] asks a server for, or statements
// that stand in for it. What goes out: an immutable [Catalog]. What may never
// happen: a half-read catalog. A row that does not decode is an error and
// the snapshot before it stays.
//
// The package is a leaf: it speaks SQL and JSON, and no sockets. The session
// carries the query through the client's own connection, so reading the
// catalog needs no credentials of the proxy's own.
package catalog
