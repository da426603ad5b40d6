package config

import (
	"log/slog"
	"time"
)

// Config is one whole, validated configuration. It must not be changed.
type Config struct {
	File     string  // the file it was read from, as given to Load or Parse
	Listen   Address // where clients connect
	Upstream Upstream
	Admin    string  // host:port of the admin endpoint; empty when there is none
	Tables   []Table // the protected tables, in the file's order
	Bodies   string  // what happens to DO and to function bodies that the server runs unseen: "pass" (default) or "refuse"
	Log      Log
	Limits   Limits
	Catalog  Catalog
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
	StatementBytes int
	// Connections is the number of client connections served at the same time; 0, the default, is no limit.
	Connections int
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
	defaultBodies         = "pass"
	defaultFormat         = "text"
	defaultLevel          = slog.LevelInfo
	defaultStatementBytes = 16 << 20
	defaultMaxAge         = 30 * time.Second
)

// The fields of each mapping, in the order messages list them.
var (
	rootFields    = []string{"listen", "upstream", "admin", "marker", "tables", "bodies", "log", "limits", "catalog"}
	tableFields   = []string{"name", "marker", "live", "deleted_by", "deletion_id", "retention", "truncate"}
	logFields     = []string{"level", "format", "literals"}
	limitsFields  = []string{"statement_bytes", "connections"}
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
