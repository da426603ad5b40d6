package proxy

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgproto3/v2"

	"tombstone/policy"
	"tombstone/policy/catalog"
	"tombstone/proxy/wire"
	"tombstone/rewrite"
)

// ownName is the prepared statement and portal that the session uses for its
// own questions. The unnamed ones are the client's.
const ownName = rewrite.OwnName

// refresh is one round of questions about the names in scope.
type refresh struct {
	questions int  // 1: names; 2: names, then relations
	rights    bool // with the names, what the role may
	answers   int  // rows received
	closes    int  // CloseCompletes received
	flush     bool // inside the client's batch: ended by Flush, not by Sync
	names     *catalog.Names
	set       *policy.Set
	digest    digest // of the answer that set stands for
	changes   uint64 // of the snapshot when the question was asked
	err       string // why it failed
	retries   int    // how often a cancel request meant for the client hit it
}

// refresh asks the server for the names in scope, and for the relations of
// the database if they have to be read too. The client's input waits until
// the answers are there.
func (s *Session) refresh() {
	s.ask(&refresh{flush: s.batch, questions: 1})
}

func (s *Session) ask(q *refresh) {
	q.rights = s.Rights != "" && (s.wishes.wants || s.env.Asks != nil)
	s.question(s.asking(q.rights))
	if s.reread || s.env.Set == nil {
		q.questions = 2
		q.changes = s.Snapshots.changes(s.databaseNow())
		s.question(catalog.Query(s.Policy.Markers()))
	}
	if q.flush {
		s.ToServer.encode(&pgproto3.Flush{})
	} else {
		s.ToServer.encode(&pgproto3.Sync{})
	}
	s.queue.push(request{kind: refreshing, ask: q, own: true})
}

// closesPerQuestion is how often question closes its statement and portal:
// before, in case an earlier round was cut short, and after.
const closesPerQuestion = 4

func (s *Session) question(sql string) {
	out := s.ToServer.copied()
	for _, what := range "SP" {
		out = encode(out, &pgproto3.Close{ObjectType: byte(what), Name: ownName})
	}
	out = encode(out, &pgproto3.Parse{Name: ownName, Query: sql})
	out = encode(out, &pgproto3.Bind{DestinationPortal: ownName, PreparedStatement: ownName})
	out = encode(out, &pgproto3.Execute{Portal: ownName})
	for _, what := range "PS" {
		out = encode(out, &pgproto3.Close{ObjectType: byte(what), Name: ownName})
	}
	s.ToServer.own = out
}

// refreshed handles a reply to a round of questions.
func (s *Session) refreshed(r *request, part *wire.Part) error {
	q := r.ask
	switch part.Type {
	case '1', '2', 'C':
	case '3':
		q.closes++
		if q.flush && q.closes == q.questions*closesPerQuestion {
			s.queue.pop()
			return s.learn(q)
		}
	case 'D':
		if err := s.answer(q, part.Body()); err != nil {
			q.err = err.Error()
		}
	case 'E':
		notice, _ := wire.ReadNotice(part.Body())
		if v := notice.Get('V'); v == "FATAL" || v == "PANIC" {
			s.doomed = true
			return s.pass(part)
		}
		q.err = notice.Get('M')
		if q.flush {
			return s.unlearned(q)
		}
		if notice.Get('C') == "57014" && s.status == 'I' && q.retries < 3 {
			q.retries++
			q.err = "again"
		}
	case 'Z':
		f := wire.Read(part.Body())
		status := f.Byte()
		s.queue.pop()
		if q.err == "again" {
			s.ask(&refresh{questions: 1, retries: q.retries})
			return nil
		}
		s.status = status
		return s.learn(q)
	default:
		return s.unexpected(part, "a question about names")
	}
	return s.swallow()
}

// answer takes in one row.
func (s *Session) answer(q *refresh, body []byte) error {
	field := wire.FirstField(body)
	q.answers++
	if q.answers == 1 {
		names, err := catalog.DecodeNames(field)
		q.names = names
		return err
	}
	q.digest = sha256.Sum256(field)
	if q.set = s.known(q); q.set != nil {
		return nil
	}
	c, err := catalog.Decode(field)
	if err != nil {
		return err
	}
	q.set = s.Policy.Resolve(c)
	return nil
}

// digest stands for the server's answer about relations.
type digest [sha256.Size]byte

// known returns the Set that the same answer has led to before, or nil. Most
// answers say what the one before them said, and a Set that stays the same
// keeps every plan that was made under it.
func (s *Session) known(q *refresh) *policy.Set {
	if s.env.Set != nil && s.digest == q.digest {
		return s.env.Set
	}
	return s.Snapshots.known(q.names.Database, q.digest)
}

// learn puts the answers to use and lets the client's input go on.
func (s *Session) learn(q *refresh) error {
	if q.err == "" && (q.names == nil || q.questions == 2 && q.set == nil) {
		q.err = "no answer"
	}
	if q.err != "" {
		return s.unlearned(q)
	}
	if !slices.Equal(s.env.Path, q.names.Path) || !slices.Equal(s.env.Temp, q.names.Temp) {
		s.names++
	}
	s.env.Path, s.env.Temp = q.names.Path, q.names.Temp
	s.stale = false
	s.learned = s.Now()
	if q.set != nil && s.old(q) {
		// What everybody else sees is what the server goes by.
		set, seen, _ := s.Snapshots.database(q.names.Database).current(s.learned)
		s.behind = set == nil || seen != s.Snapshots.changes(q.names.Database) || s.dirtyCatalog
		if !s.behind {
			q.set, q.changes, q.digest = set, seen, digest{}
		}
	}
	if q.set != nil {
		if s.env.Set != q.set {
			s.names++
		}
		s.env.Set, s.seen, s.digest = q.set, q.changes, q.digest
		s.reread = false
		if s.status == 'I' && !q.flush {
			s.Snapshots.publish(q.set, q.digest, q.changes, s.Now())
			s.report(q.set)
		} else {
			// What this transaction sees need not be what others see.
			s.private = true
		}
	}
	if s.env.Set.Database != q.names.Database {
		// The server put the client into another database than it named.
		s.digest = digest{}
		if s.env.Set, s.seen, s.reread = s.Snapshots.database(q.names.Database).current(s.Now()); s.env.Set == nil {
			s.refresh()
			return nil
		}
	}
	if !s.heed(q) || q.names.Unlisted() {
		s.refresh()
		return nil
	}
	s.named()
	return s.goOn()
}

// goOn lets the client go on after questions of our own.
func (s *Session) goOn() error {
	if s.heldRFQ != nil {
		if why := s.backsUp(); why != nil && !s.entered {
			s.fatal(why.Code, why.Message, why.Hint)
			return ErrEnded
		}
		s.ToClient.add(s.heldRFQ...)
		s.heldRFQ, s.entered = nil, true
	}
	s.serverSink = discard
	return nil
}

// old reports whether what was read of the relations is older than what the
// server resolves names by: in a transaction that keeps its snapshot, when
// another session has changed them since.
//
// Without it, a DELETE under REPEATABLE READ really deletes from a table that
// became a partition of a protected one a moment ago.
func (s *Session) old(q *refresh) bool {
	switch q.names.Isolation {
	case "repeatable read", "serializable":
		return (s.status == 'T' || q.flush) && s.Snapshots.changes(q.names.Database)-s.begun > s.own
	}
	return false
}

// named notes that the names in scope, the Set, or what the session asks for are others now.
func (s *Session) named() {
	s.env.Key = strconv.FormatUint(s.env.Set.Version, 10) + "\x00" + strings.Join(s.env.Path, "\x00") + "\x00\x00" + strings.Join(s.env.Temp, "\x00")
	if s.env.Asks != nil {
		s.env.Key += "\x00\x00\x00" + s.env.Asks.Key()
	}
}

// unlearned ends the session: without knowing the names nothing that it sends
// can be vouched for. Where nothing has to be vouched for, it is only not observed
// from now on. But a question that failed inside a transaction has ended that.
func (s *Session) unlearned(q *refresh) error {
	if !s.enforces() && s.status == 'I' && !q.flush {
		s.unable = true
		s.Log.Warn("the statements of this session are not observed: the names in scope could not be read from the server", "error", q.err)
		return s.goOn()
	}
	s.fatal("08006", fmt.Sprintf("tombstone could not read the names in scope from the server: %s", q.err),
		"The proxy reads pg_catalog through the client's own connection; see that the role may, and that statement_timeout allows it.")
	return ErrEnded
}

// report logs what a newly read database lacks, once for each state of it.
func (s *Session) report(set *policy.Set) {
	for _, w := range set.Warnings() {
		if s.Snapshots.firstTime(set.Database, w.Problem) {
			s.Log.Warn("the policy cannot be kept in full", "database", set.Database, "table", w.Table, "problem", w.Problem, "fix", w.Fix)
		}
	}
	for _, w := range set.Missing() {
		if s.Snapshots.firstTime(set.Database, w.Problem) {
			s.Log.Info("before an observed table is enforced", "database", set.Database, "table", w.Table, "problem", w.Problem, "fix", w.Fix)
		}
	}
	for table, from := range set.Unfollowed() {
		if s.Snapshots.firstTime(set.Database, table) {
			s.Log.Info("foreign keys to a protected table are not followed yet: rows that refer to a deleted row stay as they are",
				"database", set.Database, "table", table, "referenced_by", fmt.Sprint(from))
		}
	}
}
