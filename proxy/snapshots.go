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
	set *policy.Set
	due time.Time // from when on somebody should read it again
}

// NewSnapshots makes an empty store whose entries are read again after maxAge.
func NewSnapshots(maxAge time.Duration) *Snapshots {
	return &Snapshots{maxAge: maxAge, set: map[string]*snapshot{}, said: map[[2]string]bool{}}
}

// current returns the database's Set, nil if there is none. due asks the
// caller to read it again: one caller at a time is asked.
func (s *Snapshots) current(database string, now time.Time) (set *policy.Set, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.set[database]
	if e == nil {
		return nil, true
	}
	if now.Before(e.due) {
		return e.set, false
	}
	e.due = now.Add(s.maxAge)
	return e.set, true
}

// publish makes a Set the database's newest.
func (s *Snapshots) publish(set *policy.Set, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.set[set.Database]; e != nil && e.set.Version > set.Version {
		return
	}
	s.set[set.Database] = &snapshot{set: set, due: now.Add(s.maxAge)}
}

// firstTime reports whether a problem of a database has not been reported.
func (s *Snapshots) firstTime(database, problem string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said[[2]string{database, problem}] {
		return false
	}
	s.said[[2]string{database, problem}] = true
	return true
}
