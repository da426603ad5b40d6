package config

import (
	"crypto/tls"
	"log/slog"
	"time"
)

// Config is one whole, validated configuration. It must not be changed.
type Config struct {
	File     string  // the file it was read from, as given to Load or Parse
	Listen   Address // where clients connect
	Upstream Upstream
	TLS      TLS // towards clients
	Auth     Auth
	Admin    string  // host:port of the admin endpoint; empty when there is none
	PProf    bool    // whether the admin endpoint has /debug/pprof
	Tables   []Table // the protected tables, in the file's order
	Roles    Roles
	Purge    Purge
	Bodies   string // what happens to DO and to function bodies that the server runs unseen: "pass" (default) or "refuse"
	Log      Log
	Limits   Limits
	Catalog  Catalog

	Keepalive time.Duration // how long a TCP connection is silent before it is probed, on both sides; default 60 s, 0 is no probes
	Drain     time.Duration // how long sessions may finish their transactions at a stop; default 30 s, 0 stops them at once
	Loops     int           // event loops; 0, the default, is to go by the CPUs
	IOUring   string        // whether the loops use Linux's io_uring: "auto" (default), where the kernel lets them, or "off"
}

// Roles says which database roles may ask for tombstones, by the session settings tombstone.*. Members of a role may what it may.
// By default nobody may.
type Roles struct {
	See     []string // rows that were deleted: tombstone.visibility, tombstone.as_of
	Restore []string // make them live again, with UPDATE
	Purge   []string // delete for good: tombstone.delete
}

// Purge says how and when tombstones whose retention has ended are deleted for good.
type Purge struct {
	Schedule string    // when serve does it, as five fields of cron in UTC; default "17 3 * * *", "off" is never
	Login    *Upstream // who does it in serve: the Upstream itself, but for user, password and database; nil is the user of Upstream
	Batch    int       // rows of one transaction, at most; default 1,000
	Rate     int       // rows a second, at most; default 2,000, 0 is as many as it can
	// StatementTimeout bounds one statement, LockTimeout how long it waits for a lock. Default 30 s and 1 s, 0 is no limit.
	StatementTimeout, LockTimeout time.Duration
}

// Log says what the log looks like.
type Log struct {
	Level    slog.Level // default info
	Format   string     // "text" (default) or "json"
	Literals bool       // show the literals of SQL statements; by default they are redacted
}

// Limits bound what one client can make the proxy do.
type Limits struct {
	// StatementBytes is the size, in bytes, up to which the text of a Query or Parse message is read whole. Default 16 MiB.
	// It is never more than MessageBytes.
	StatementBytes int
	// MessageBytes is the size, in bytes, of the largest message that a client may send. Default 1 GiB, as the server's own limit.
	MessageBytes int
	// Connections is the number of client connections served at the same time, in all, of one user, and to one database.
	// 0, the default of each, is no limit.
	Connections, ConnectionsPerUser, ConnectionsPerDatabase int
	// StartupTime is how long a client may take from its connect until it is logged in. Default 60 s, never 0.
	StartupTime time.Duration
	// IdleTime is how long a session may be idle outside a transaction; 0, the default, is no limit.
	IdleTime time.Duration
}

// Catalog says how the database's catalog is read.
type Catalog struct {
	// MaxAge is how long a snapshot of the catalog is trusted before it is read again. Default 30 s.
	MaxAge time.Duration
}

// Defaults of fields that the file leaves out. tombstone.example.yaml repeats them; a test holds the two together.
const (
	defaultMarker         = "deleted_at"
	defaultTruncate       = "bury"
	defaultLive           = "auto"
	defaultTableMode      = "enforce"
	defaultSchedule       = "17 3 * * *"
	defaultBatch          = 1000
	defaultRate           = 2000
	defaultPurgeStatement = 30 * time.Second
	defaultPurgeLock      = time.Second
	defaultBodies         = "pass"
	defaultFormat         = "text"
	defaultLevel          = slog.LevelInfo
	defaultStatementBytes = 16 << 20
	defaultMessageBytes   = 1 << 30
	defaultStartupTime    = time.Minute
	defaultMaxAge         = 30 * time.Second
	defaultKeepalive      = time.Minute
	defaultDrain          = 30 * time.Second
	defaultTLSMode        = "allow"
	defaultTLSVersion     = tls.VersionTLS12
	defaultCertificates   = "none"
	defaultAuthMode       = "pass"
	defaultClient         = "scram"
	defaultIOUring        = "auto"
)

// The fields of each mapping, in the order messages list them.
var (
	rootFields = []string{
		"listen", "upstream", "tls", "auth", "admin", "pprof", "marker", "tables", "roles", "purge", "bodies", "log", "limits",
		"keepalive", "drain", "loops", "io_uring", "catalog",
	}
	tlsFields   = []string{"mode", "certificate", "key", "sni", "min_version", "client_ca", "client_certificates"}
	pairFields  = []string{"certificate", "key"}
	authFields  = []string{"mode", "client", "users_file", "query", "query_as"}
	tableFields = []string{
		"name", "mode", "marker", "live", "created", "deleted_by", "deletion_id", "retention", "hold", "truncate", "max_rows", "index",
	}
	rolesFields  = []string{"see", "restore", "purge"}
	purgeFields  = []string{"schedule", "login", "batch", "rate", "statement_timeout", "lock_timeout"}
	logFields    = []string{"level", "format", "literals"}
	limitsFields = []string{
		"statement_bytes", "message_bytes", "connections", "connections_per_user", "connections_per_database", "startup_time", "idle_time",
	}
	catalogFields = []string{"max_age"}
)

// Match returns the entry of Tables that governs a relation, or nil when the relation is not protected.
// An entry that names the relation exactly wins over a wildcard; among wildcards the first in the file wins.
func (c *Config) Match(schema, relation string) *Table {
	var found *Table
	for i := range c.Tables {
		t := &c.Tables[i]
		if !t.Matches(schema, relation) {
			continue
		}
		if !t.Glob() {
			return t
		}
		if found == nil {
			found = t
		}
	}
	return found
}
