// Package source is PostgreSQL's source as far as tests need it: the regression scripts, the isolation specifications and
// libpq_pipeline, with what has to be compiled of them. test/regress and test/suites run them.
//
// Nothing of it is kept here. [Fetch] takes Debian's source package of the server's version, once, into the cache
// folder that package cluster uses too, and compiles two small things against Debian's headers of the same version,
// which it unpacks beside them and does not install: regress.so (C functions that the regression scripts load) and
// libpq_pipeline (a client). The programs that run the suites (pg_regress, pg_isolation_regress, isolationtester) are in
// Debian's package postgresql-client already.
//
// What may never happen: that the system's apt lists or packages change. apt runs with folders of its own (apt.go).
package source
