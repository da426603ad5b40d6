package proxy

import (
	gosync "sync"
	"time"

	"tombstone/policy"
)

// Snapshots holds the newest policy.Set of each database, shared by all
// sessions of a server. A Set in it was read outside any transaction that had
// changed the catalog, so it is what everybody sees.
type Snapshots struct {
	maxAge time.Duration

	mu   gosync.Mutex
	set  map[string]*snapshot
	said map[[2]string]bool // database and problem, logged
}

type snapshot struct {
	set     *policy.Set // nil until one is published
	digest  digest      // of the answer that set stands for
	due     time.Time   // from when on somebody should read it again
	changes uint64      // how often a session has changed the catalog
	read    uint64      // changes when set was asked for
}

// NewSnapshots makes an empty store whose entries are read again after maxAge.
func NewSnapshots(maxAge time.Duration) *Snapshots {
	return &Snapshots{maxAge: maxAge, set: map[string]*snapshot{}, said: map[[2]string]bool{}}
}

// current returns the database's Set, nil if there is none, and the count of
// changes when it was read. due asks the
// caller to read it again: after maxAge one caller is asked, and after a
// change by any session every caller, until one has read it.
func (s *Snapshots) current(database string, now time.Time) (set *policy.Set, read uint64, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entry(database)
	switch {
	case e.set == nil, e.read != e.changes:
		return e.set, e.read, true
	case now.Before(e.due):
		return e.set, e.read, false
	}
	e.due = now.Add(s.maxAge)
	return e.set, e.read, true
}

// changed says that a session has changed, or may be about to change, the
// database's relations.
//
// Without it, another session would really delete from a table that was
// created a moment ago and that a wildcard protects.
func (s *Snapshots) changed(database string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entry(database).changes++
}

// changes is to be asked before the catalog is, and handed to publish: a
// change that comes between makes what was read out of date.
func (s *Snapshots) changes(database string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entry(database).changes
}

// publish makes a Set the database's newest, unless a newer one is there.
func (s *Snapshots) publish(set *policy.Set, answer digest, changes uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entry(set.Database)
	if e.set != nil && (e.read > changes || e.read == changes && e.set.Version > set.Version) {
		return
	}
	e.set, e.digest, e.read, e.due = set, answer, changes, now.Add(s.maxAge)
}

// known returns the database's newest Set if an answer leads to it.
func (s *Snapshots) known(database string, answer digest) *policy.Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entry(database); e.digest == answer {
		return e.set
	}
	return nil
}

func (s *Snapshots) entry(database string) *snapshot {
	e := s.set[database]
	if e == nil {
		e = &snapshot{}
		s.set[database] = e
	}
	return e
}

// firstTime reports whether a problem of a database has not been reported.
func (s *Snapshots) firstTime(database, problem string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said[[2]string{database, problem}] {
		return false
	}
	if len(s.said) >= 10000 { // names of tables are in them, and clients make tables; so it may be said again
		clear(s.said)
	}
	s.said[[2]string{database, problem}] = true
	return true
}
