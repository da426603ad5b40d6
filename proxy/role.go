package proxy

import (
	"fmt"
	"maps"
	"strings"
	gosync "sync"
	"time"
)

// answer is what is known of a question with two answers.
type answer uint8

const (
	unknown answer = iota
	no
	affirmed
)

func yes(is bool) answer {
	if is {
		return affirmed
	}
	return no
}

// role is what a server is in a cluster. From version 14 on it tells by itself, in ParameterStatus messages.
type role struct {
	standby  answer // in_hot_standby
	readOnly answer // default_transaction_read_only
}

// note takes in a ParameterStatus.
func (r *role) note(name, value string) {
	switch name {
	case "in_hot_standby":
		r.standby = yes(value == "on")
	case "default_transaction_read_only":
		r.readOnly = yes(value == "on")
	}
}

// setsReadOnly reports whether a client may have set for itself what tells the role of its server.
func setsReadOnly(params map[string]string) bool {
	for name, value := range params {
		if strings.Contains(strings.ToLower(name+value), "read_only") {
			return true
		}
	}
	return false
}

// suits reports whether a server of this role will do, as libpq decides (connectOptions2 and PQconnectPoll in fe-connect.c).
// A role that is not known will not do.
func (r role) suits(attrs string) bool {
	switch attrs {
	case "read-write":
		return r.standby == no && r.readOnly == no
	case "read-only":
		return r.standby == affirmed || r.readOnly == affirmed
	case "primary":
		return r.standby == no
	case "standby", "prefer-standby":
		return r.standby == affirmed
	}
	return true
}

func (r role) known() bool { return r.standby != unknown }

func (r role) String() string {
	switch {
	case r.standby == affirmed:
		return "a standby"
	case r.standby == unknown:
		return "a server that does not tell its role"
	case r.readOnly == affirmed:
		return "read-only"
	}
	return "a primary"
}

// roleError says that a server is not what target_session_attrs asks for.
type roleError struct {
	host       string
	role       role
	attrs      string
	remembered bool // it was not asked now
}

func (e *roleError) Error() string {
	return fmt.Sprintf("%s is %s, and target_session_attrs=%s", e.host, e.role, e.attrs)
}

// hint is for a client that has logged in, only to be told this.
func (e *roleError) hint() string {
	if !e.role.known() {
		return "PostgreSQL tells from version 14 on. Put a user and a password in the proxy's upstream, so that the proxy can ask."
	}
	return "Try again: the proxy asks another server first now. With a user and a password in its upstream it would have known."
}

// roleAge is how long what was learned of a server's role is gone by. It bounds how many clients are sent to the wrong
// server after a failover where only their own logins can tell: with a login in upstream the proxy asks by itself.
const roleAge = 5 * time.Second

// roles remembers which server was what.
type roles struct {
	mu    gosync.Mutex
	known map[string]rolesEntry
}

type rolesEntry struct {
	role role
	at   time.Time
}

// learn keeps what a session was told.
func (r *roles) learn(address string, is role, now time.Time) {
	if !is.known() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string]rolesEntry{}
	}
	r.known[address] = rolesEntry{is, now}
}

// all returns a copy of what is remembered.
func (r *roles) all() map[string]rolesEntry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.known)
}

// of returns a server's role if it was learned a moment ago.
func (r *roles) of(address string, now time.Time) (role, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.known[address]
	return e.role, ok && now.Sub(e.at) < roleAge
}
