package proxy

import (
	"time"

	"github.com/jackc/pgproto3/v2"

	"tombstone/rewrite"
)

// unseen is the plan of a text that was not looked at, because nothing is
// protected.
var unseen = new(rewrite.Plan)

// plan decides what becomes of a text. It returns nil if that depends on
// names that have to be read first; their reading has then begun, or begins
// when the replies that are on their way have come.
func (s *Session) plan(sql string) *rewrite.Plan {
	s.reload()
	if !s.looks() {
		return unseen
	}
	timed := s.turns%sampled == 0
	var began time.Time
	if timed {
		began = s.Now()
	}
	s.follow()
	idle := s.queue.empty()
	if s.forgotten && !s.aborted() {
		// Now rather than when it matters: what runs unseen may delete.
		if idle {
			s.refresh()
		} else {
			s.drain()
		}
		return nil
	}
	// In a transaction that has failed nothing is looked up, and nothing runs.
	s.env.Failed = s.aborted()
	s.env.Stale = (s.stale || s.reread) && !s.env.Failed
	s.reading()
	plan := s.Plans.Rewrite(sql, &s.env, s.scratch)
	if plan.Stale {
		s.wishes.wants = s.wishes.wants || plan.Rights
		if !idle {
			s.drain()
		} else {
			s.refresh()
		}
		return nil
	}
	if s.turns++; timed {
		s.Observer.Rewrite(s.Now().Sub(began))
	}
	if s.behind && plan.Depends && s.enforces() {
		return rewrite.RefuseWhole(sql, rewrite.Behind())
	}
	return plan
}

// aborted reports whether the transaction has failed, and what has been sent
// does not end it: the server answers no question then, and runs nothing.
func (s *Session) aborted() bool { return s.status == 'E' && !s.ends }

// follow takes in what other sessions have changed of the relations.
func (s *Session) follow() {
	shared := s.shared()
	if s.private || s.status != 'I' || !s.queue.empty() {
		// Here another Set cannot just be taken: it is read anew.
		s.reread = s.reread || shared.changes.Load() != s.seen
		return
	}
	now := s.clock()
	set, seen, due := shared.current(now)
	if set != nil && set != s.env.Set {
		s.env.Set, s.digest = set, digest{}
		s.names++
		s.named()
		s.stale = true
	}
	// What others have changed may be the search_path too: a schema that was
	// not there, a right to use one.
	s.stale = s.stale || set != nil && seen != s.seen || now.Sub(s.learned) > s.Snapshots.maxAge
	if set != nil {
		s.seen = seen
	}
	s.reread = s.reread || due
}

// shared is what is known of the database that env.Set is of.
func (s *Session) shared() *snapshot {
	if e := s.snapshot; e == nil || e.of != s.Snapshots || e.database != s.env.Set.Database {
		s.snapshot = s.Snapshots.database(s.env.Set.Database)
	}
	return s.snapshot
}

// clock is the time at which the bytes came that are being handled. To read the clock costs as much as to look a plan up, so
// it is done once for all statements in them.
func (s *Session) clock() time.Time {
	if s.came.IsZero() {
		s.came = s.Now()
	}
	return s.came
}

// steady returns a clock for sessions, which only ask how long ago something was. It reads the processor's clock once,
// where time.Now does so a second time for the time of day.
func steady() func() time.Time {
	began := time.Now()
	return func() time.Time { return began.Add(time.Since(began)) }
}

// reading sets how the server will read text, as far as is known: it reports
// a change only with the next ReadyForQuery.
func (s *Session) reading() {
	s.env.Backslash, s.env.Encoding = s.backslash || s.lexing, s.encoding
	if s.lexing {
		s.env.Encoding = rewrite.Changing
	}
}

// drain makes the server answer what has been sent, so that nothing is on its
// way any more.
func (s *Session) drain() {
	if s.batch && !s.flushed {
		s.flushed = true
		s.ToServer.encode(&pgproto3.Flush{})
	}
}

// changes notes what a statement that is about to run may change.
func (s *Session) changes(c rewrite.Changes) {
	if c == 0 {
		return
	}
	if c&rewrite.ChangesLexing != 0 {
		s.lexing = true
	}
	if c&rewrite.EndsWork != 0 {
		s.ends, s.endsIn = true, s.batches
	}
	if c&rewrite.EndsWork != 0 && s.env.Dirty {
		s.stale, s.reread = true, s.reread || s.dirtyCatalog
	}
	s.forgotten = s.forgotten || c&rewrite.ForgetsAll != 0
	if c&(rewrite.ChangesNames|rewrite.ChangesCatalog|rewrite.ChangesAsks) != 0 {
		s.stale, s.env.Dirty = true, true
		if c&rewrite.ChangesCatalog != 0 {
			s.reread, s.dirtyCatalog = true, true
			s.Snapshots.changed(s.databaseNow())
			s.own++
		}
	}
}
