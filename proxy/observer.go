package proxy

import "time"

// Observer is told what happens, for metrics. Its methods must be quick and
// safe for concurrent use.
type Observer interface {
	ConnectionOpened()
	ConnectionClosed()
	Bytes(direction string, n int)    // "client_to_server" or "server_to_client"
	Statement(kind, action string)    // one statement, as rewrite.Stmt has it
	Table(table, action string)       // one protected table in one statement
	Asked(setting, value string)      // one statement that a setting tombstone.* had to do with
	RowsBuried(table string, n int64) // by a top-level DELETE or TRUNCATE
	Rewrite(d time.Duration)          // time to plan one message's text
	ParseFailure()                    // a text that the parser rejects
	Observed(table, action string)    // what would have been done to one statement about one table that is only observed
	ObservedRule(table, rule string)  // and by which of the rules, or refusals
	Handshake(side, result string)    // of TLS: "client" or "server"; "ok" or "failed"
	Login(result string)              // "ok", "failed", "over limit", "no server"
}

// silent is the Observer where none is given.
type silent struct{}

func (silent) ConnectionOpened()           {}
func (silent) ConnectionClosed()           {}
func (silent) Bytes(string, int)           {}
func (silent) Statement(string, string)    {}
func (silent) Table(string, string)        {}
func (silent) RowsBuried(string, int64)    {}
func (silent) Asked(string, string)        {}
func (silent) Observed(string, string)     {}
func (silent) ObservedRule(string, string) {}
func (silent) Rewrite(time.Duration)       {}
func (silent) ParseFailure()               {}
func (silent) Handshake(string, string)    {}
func (silent) Login(string)                {}
