package proxy

import (
	gosync "sync"
	"sync/atomic"
	"time"

	"tombstone/policy"
)

// Snapshots holds the newest policy.Set of each database, shared by all
// sessions of a server. A Set in it was read outside any transaction that had
// changed the catalog, so it is what everybody sees.
type Snapshots struct {
	maxAge time.Duration
	begin  time.Time // what due counts from

	mu   gosync.Mutex
	all  map[string]*snapshot
	said map[[2]string]bool // database and problem, logged

	shapes shapes // of observed statements, logged
}

// snapshot is what is known of one database. It is looked at with each
// statement of each session, hence without a lock; none is ever taken out.
type snapshot struct {
	of       *Snapshots
	database string

	changes atomic.Uint64 // how often a session has changed the catalog
	due     atomic.Int64  // from when on somebody should read it again, in ns since Snapshots.begin
	newest  atomic.Pointer[published]
}

// published is a Set as it was read. It does not change.
type published struct {
	set    *policy.Set
	digest digest // of the answer that set stands for
	read   uint64 // snapshot.changes when set was asked for
}

// NewSnapshots makes an empty store whose entries are read again after maxAge.
func NewSnapshots(maxAge time.Duration) *Snapshots {
	return &Snapshots{maxAge: maxAge, begin: time.Now(), all: map[string]*snapshot{}, said: map[[2]string]bool{}}
}

// database returns what is known of one, which a caller may keep.
func (s *Snapshots) database(name string) *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.locked(name)
}

func (s *Snapshots) locked(name string) *snapshot {
	e := s.all[name]
	if e == nil {
		e = &snapshot{of: s, database: name}
		s.all[name] = e
	}
	return e
}

// current returns the database's Set, nil if there is none, and the count of
// changes when it was read. due asks the
// caller to read it again: after maxAge one caller is asked, and after a
// change by any session every caller, until one has read it.
func (e *snapshot) current(now time.Time) (set *policy.Set, read uint64, due bool) {
	p := e.newest.Load()
	if p == nil {
		return nil, 0, true
	}
	if p.read != e.changes.Load() {
		return p.set, p.read, true
	}
	at, when := int64(now.Sub(e.of.begin)), e.due.Load()
	return p.set, p.read, at >= when && e.due.CompareAndSwap(when, at+int64(e.of.maxAge))
}

// changed says that a session has changed, or may be about to change, the
// database's relations.
//
// Without it, another session would really delete from a table that was
// created a moment ago and that a wildcard protects.
func (s *Snapshots) changed(database string) { s.database(database).changes.Add(1) }

// changes is to be asked before the catalog is, and handed to publish: a
// change that comes between makes what was read out of date.
func (s *Snapshots) changes(database string) uint64 { return s.database(database).changes.Load() }

// publish makes a Set the database's newest, unless a newer one is there.
func (s *Snapshots) publish(set *policy.Set, answer digest, changes uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.locked(set.Database)
	if p := e.newest.Load(); p != nil && (p.read > changes || p.read == changes && p.set.Version > set.Version) {
		return
	}
	e.due.Store(int64(now.Sub(s.begin) + s.maxAge))
	e.newest.Store(&published{set, answer, changes})
}

// known returns the database's newest Set if an answer leads to it.
func (s *Snapshots) known(database string, answer digest) *policy.Set {
	if p := s.database(database).newest.Load(); p != nil && p.digest == answer {
		return p.set
	}
	return nil
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
