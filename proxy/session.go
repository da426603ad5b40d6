package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"tombstone/proxy/wire"
	"tombstone/rewrite"
)

// Settings is what all sessions of a server share. It does not change, but for
// where Current points.
type Settings struct {
	Current  *atomic.Pointer[Rules]
	Plans    *rewrite.Cache
	Log      *slog.Logger
	Root     *slog.Logger // what Log is made of: it says which levels are logged. nil for Log
	Observer Observer
	Now      func() time.Time
}

// Session is one client's connection as a state machine. Bytes of either side
// go in by FromClient and FromServer; what is to be sent comes out in ToServer
// and ToClient, which the caller empties. It is not safe for concurrent use.
//
// With many clients the state of each has left the processor's caches when its
// next statement comes. So what each statement needs stands together, in front,
// and what a login or a rare event needs comes last.
type Session struct {
	Settings
	*Rules   // those that it goes by now; see reload
	ToServer Output
	ToClient Output

	client     wire.Splitter
	server     wire.Splitter
	clientSink sink // the rest of the message being received from the client
	serverSink sink // the same from the server
	phase      phase

	status   byte // transaction status of the last ReadyForQuery: I, T, E
	batch    bool // extended messages were sent since the last Sync
	skipping bool // the server discards everything up to a Sync
	copying  bool // the server waits for COPY data
	asked    bool // the server waits for the client's answer about authentication
	binds    bool // the server and the client could each bind the login to TLS, and not to the same
	entered  bool // the client has been let in
	doomed   bool // the server said FATAL, or the client was told of an end
	over     bool // the client said Terminate

	unwilling bool // the server said that it lets nobody in now

	stale     bool // names may have changed since they were read
	reread    bool // relations too
	private   bool // env.Set was read inside a transaction that changed the catalog
	lexing    bool // a statement on its way may change how text is read
	flushed   bool // a Flush has been sent to bring the replies of a batch in
	ends      bool // the end of a transaction, or part of one, is on its way
	backslash bool // standard_conforming_strings is off
	behind    bool // the open transaction's snapshot is older than the names that the server goes by

	forgotten bool // the server may have lost what it was told of the client: RESET ALL, DISCARD ALL
	opened    bool // there may be portals and cursors that another setting makes outdated: see wishes

	wary  bool // nothing is protected, but there may be prepared statements from when something was
	blind bool // there may be prepared statements that were not looked at, made when nothing was protected

	unable bool // the names could not be read, which only observing needs: see unlearned

	renews       bool            // relations are read anew before the client hears that its transaction has ended
	dirtyCatalog bool            // the open transaction changed relations: see rewrite.Env.Dirty
	cursors      rewrite.Changes // what cursors that were declared may change when fetched from

	in    []byte // client's bytes that cannot be handled yet
	queue queue
	most  int    // requests in queue: mostRequests, but in tests
	much  int    // bytes of them; 0, but in tests, for mostTaken
	taken int    // bytes from the client since queue was empty
	full  bool   // in waits for room: see crowded
	eaten int    // Syncs that the server read, or will not, as part of a COPY that is not over
	turns uint64 // texts that were planned
	names uint64 // grows whenever the names or the Set in env become others

	env      rewrite.Env
	scratch  *rewrite.Scratch
	snapshot *snapshot // see shared
	seen     uint64    // snapshot.changes when env.Set was read
	begun    uint64    // snapshot.changes when the session was idle last, before it said something
	own      uint64    // how many of the changes since then are its own
	batches  uint64    // grows with each Sync and Query sent; starts at 1
	endsIn   uint64    // the last of batches that may have the end of a transaction
	learned  time.Time // when names were read last
	came     time.Time // see clock

	statements named[*prepared]
	portals    named[*prepared]
	sendings   named[sending]         // prepared statements on their way
	effects    named[rewrite.Changes] // what the portals bound by the client may change when run
	utilities  named[utility]         // portals of utility statements that run something prepared, or depend on names
	unnamed    [2]prepared            // see accepted
	bindings   named[uint64]          // reloads when portals were bound, of those bound after the first
	reloads    uint64                 // how often the policy has become another

	encoding, serverEncoding string // client_encoding, server_encoding

	wishes wishes

	digest  digest // of the answer that env.Set stands for, zero if not known
	heldRFQ []byte // a ReadyForQuery that is held back until the names are known

	secrecy secrecy
	asks    map[uint32]bool       // requests for encryption that were answered
	params  map[string]string     // of the startup packet
	key     string                // what a cancel request must bear: BackendKeyData's body
	role    role                  // the server's, as far as it has told
	suits   func(role) *roleError // whether a server of that role will do, nil if any will
}

type phase uint8

const (
	starting   phase = iota // the client's startup packet is awaited
	encrypting              // the caller makes the client's connection a TLS one
	dialing                 // the caller connects to the server
	canceling               // the caller hands a CancelRequest over
	logging                 // authentication, up to the first ReadyForQuery
	ready                   // statements flow
	replicates              // a replication connection: nothing is looked at
	ended
)

// sink says what becomes of the rest of a message.
type sink uint8

const (
	forward sink = iota
	discard
)

// ErrEnded says that the session is over: the caller sends what is left and
// closes both connections.
var ErrEnded = errors.New("the session has ended")

// NewSession makes a session for a client that has just connected.
func NewSession(s *Settings) *Session {
	n := &Session{Settings: *s, Rules: s.Current.Load(), status: 'I', batches: 1, most: mostRequests, scratch: new(rewrite.Scratch)}
	if n.Root == nil {
		n.Root = n.Log
	}
	n.client.Head = n.clientHead
	n.server.Head = n.serverHead
	return n
}

// WantsTLS reports that the client has been told to begin TLS: the caller sends
// what there is to send, does the handshake, and calls Encrypted.
func (s *Session) WantsTLS() bool { return s.phase == encrypting }

// Encrypted says that what the client sends comes through TLS from now on.
func (s *Session) Encrypted() { s.phase, s.secrecy = starting, encrypted }

// WantsServer reports that the startup packet has been read: the caller is to
// connect to the server, then call ServerConnected or ServerUnreachable.
func (s *Session) WantsServer() bool { return s.phase == dialing }

// WantsCancel reports that ToServer holds a CancelRequest: the caller sends it
// over a connection of its own and ends the session.
func (s *Session) WantsCancel() bool { return s.phase == canceling }

// Ready reports that the client has been let in.
func (s *Session) Ready() bool {
	return s.phase == replicates || s.phase == ready && s.entered
}

// Idle reports that the session could end here and lose nothing: the client
// waits for no reply, and no transaction is open.
func (s *Session) Idle() bool {
	return s.Ready() && s.phase == ready && s.status == 'I' && !s.batch && s.queue.empty() && !s.Held() && !s.client.Partial() && s.eaten == 0
}

// HungUp says that the client will send nothing more, but may still read; owed, that it has not taken all it was sent. It
// reports whether it waits for an answer, or the rest of one: then the caller tells the server in the same way, once all
// is sent and the server [Session.Listens], and the session goes on until the server ends it.
//
// Without it, `echo .. | nc` and the like get no answer: they close their half when they have sent all.
func (s *Session) HungUp(owed bool) bool {
	switch {
	case s.doomed:
		return false
	case s.phase == logging: // the startup packet is to be answered
	case s.phase != ready, s.queue.empty() && !s.Held() && !owed:
		return false
	}
	s.over = true
	return true
}

// Listens reports whether what the client says next is what the server waits for, or would take: a password, a statement, the rest of a
// message.
func (s *Session) Listens() bool { return s.Ready() || s.asked || s.client.Partial() }

// Held reports that the client's bytes cannot be handled now: the caller
// should stop reading them.
func (s *Session) Held() bool { return len(s.in) > 0 && s.phase != starting }

// Heavy reports that what comes next may end in much work: the planning of a
// large text, or the reading of a large catalog.
func (s *Session) Heavy() bool {
	return s.client.Gathering() > heavy || s.server.Gathering() > heavy || len(s.in) > heavy
}

// heavy is the size in bytes of a message from which on it may be more than
// other sessions should wait for.
const heavy = 128 << 10

// ServerConnected says that bytes can be sent to the server.
func (s *Session) ServerConnected() {
	s.phase = logging
}

// ServerUnreachable says that the server cannot be reached, and why.
func (s *Session) ServerUnreachable(err error) {
	hint := "Check that the server runs and that the proxy's upstream setting points at it."
	var certificate *tls.CertificateVerificationError
	var role *roleError
	switch {
	case errors.As(err, &certificate):
		hint = "Check the server's certificate, and sslmode, sslrootcert and the host's name in the proxy's upstream setting."
	case errors.As(err, &role):
		hint = "Check the hosts and target_session_attrs in the proxy's upstream setting."
	}
	s.fatal("08006", "tombstone cannot reach the PostgreSQL server: "+err.Error(), hint)
}

// FromClient takes bytes that the client sent. It keeps none of p.
func (s *Session) FromClient(p []byte) error {
	s.came = time.Time{}
	if len(s.in) > 0 {
		s.in = append(s.in, p...)
		if s.phase == starting { // the rest of a packet that came in pieces
			return s.resume()
		}
		return s.ended()
	}
	rest, err := s.fromClient(p)
	if len(rest) > 0 && err == nil {
		s.in = append(s.in, rest...)
	}
	return err
}

// resume handles bytes of the client that had to wait.
func (s *Session) resume() error {
	s.came = time.Time{}
	s.flushed, s.full = false, false
	if len(s.in) == 0 {
		return s.ended()
	}
	rest, err := s.fromClient(s.in)
	s.ToServer.copied() // it may be part of s.in
	s.in = append(s.in[:0], rest...)
	if len(s.in) == 0 && cap(s.in) > 4<<10 {
		s.in = nil
	}
	return err
}

func (s *Session) ended() error {
	if s.phase == ended {
		return ErrEnded
	}
	return nil
}

// fromClient handles as much of p as it can and returns the rest.
func (s *Session) fromClient(p []byte) (rest []byte, err error) {
	var part wire.Part
	for len(p) > 0 {
		switch s.phase {
		case starting:
			n, err := s.startup(p)
			if err != nil || n == 0 {
				return p[n:], err
			}
			p = p[n:]
			continue
		case encrypting:
			// Somebody between the client and us may have put it there, to have it read as if it had come encrypted.
			s.Log.Warn("unencrypted data after a request for TLS")
			s.ToClient.Take()
			s.phase = ended
			return nil, ErrEnded
		case dialing, canceling:
			return p, nil
		case replicates:
			s.ToServer.pass(p, true)
			return nil, nil
		case ended:
			return nil, ErrEnded
		}
		if s.holding(p[0]) || s.crowded() {
			return p, nil
		}
		if n := s.stream(p); n > 0 {
			p = p[n:]
			continue
		}
		n := s.client.Whole(p, &part)
		if n > 0 {
			_, err = s.clientHead(part.Type, part.Size)
		} else {
			part, n, err = s.client.Next(p)
		}
		if err != nil {
			return nil, s.violation(err)
		}
		if part.Raw != nil {
			if part.First && s.keeps(&part) {
				s.taken += len(part.Raw)
			}
			done, err := s.clientPart(&part)
			if err != nil {
				return nil, err
			}
			if !done {
				// Not now: give the message back, as it came.
				s.client.Unread(&part)
				if n < len(part.Raw) { // it had been gathered from earlier bytes
					return append(append([]byte(nil), part.Raw...), p[n:]...), nil
				}
				return p, nil
			}
		}
		p = p[n:]
	}
	return nil, s.ended()
}

// FromServer takes bytes that the server sent. It keeps none of p.
func (s *Session) FromServer(p []byte) (err error) {
	s.came = time.Time{}
	var part wire.Part
	for len(p) > 0 {
		switch s.phase {
		case ended:
			return ErrEnded
		case replicates:
			s.ToClient.pass(p, true)
			return nil
		}
		if n := s.rows(p); n > 0 {
			p = p[n:]
			continue
		}
		n := s.server.Whole(p, &part)
		if n > 0 {
			_, err = s.serverHead(part.Type, part.Size)
		} else {
			part, n, err = s.server.Next(p)
		}
		if err != nil {
			return s.violation(fmt.Errorf("from the server: %w", err))
		}
		if part.Raw != nil {
			if err := s.serverPart(&part); err != nil {
				return err
			}
		}
		p = p[n:]
	}
	return s.ended()
}
