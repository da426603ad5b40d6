package proxy

import (
	"github.com/jackc/pgproto3/v2"
)

// ServerGone says that the server closed its connection.
func (s *Session) ServerGone() {
	s.leave()
	if s.phase == ended || s.doomed || s.over {
		s.phase = ended
		return
	}
	if s.server.Partial() && s.clientMidMessage() {
		s.phase = ended // in the middle of a message nothing can be added
		return
	}
	s.fatal("08006", "the PostgreSQL server closed the connection unexpectedly", "The server may have been stopped or have crashed."+s.lost())
}

// lost says what has become of what was under way when the server went. A COMMIT may have been carried out before it could be
// answered: whoever then believes that it was rolled back does everything twice.
func (s *Session) lost() string {
	switch {
	case !s.Ready():
		return ""
	case !s.queue.empty() || s.batch:
		return " Whether what it had not answered took effect is not known."
	case s.status != 'I':
		return " The transaction that was open has been rolled back."
	}
	return ""
}

// leave tells other sessions of changes whose end was not seen.
func (s *Session) leave() {
	if s.dirtyCatalog {
		s.Snapshots.changed(s.databaseNow())
		s.own++
	}
}

// clientMidMessage reports whether the client has been sent the beginning of
// a message whose rest is missing.
func (s *Session) clientMidMessage() bool { return s.serverSink == forward && s.server.Streaming() }

// Shutdown ends the session because the proxy stops.
func (s *Session) Shutdown() {
	s.close("57P01", "terminating connection because the proxy is shutting down")
}

// TooIdle ends the session because nothing has come for too long.
func (s *Session) TooIdle() {
	s.close("57P05", "terminating connection due to idle-session timeout of the proxy")
}

func (s *Session) close(code, message string) {
	if s.phase == ended || s.phase == starting || s.doomed || s.clientMidMessage() {
		s.phase = ended
		return
	}
	s.fatal(code, message, "")
}

// fatal tells the client why its session ends.
func (s *Session) fatal(code, message, hint string) {
	s.end(&pgproto3.ErrorResponse{Code: code, Message: message, Hint: hint})
}

func (s *Session) end(why *pgproto3.ErrorResponse) {
	s.phase = ended
	s.doomed = true
	why.Severity, why.SeverityUnlocalized = "FATAL", "FATAL"
	s.ToClient.encode(why)
}

// encode appends a message of our own making. They are all far below the
// size at which encoding fails.
func encode(dst []byte, m pgproto3.Message) []byte {
	out, err := m.Encode(dst)
	if err != nil {
		return dst
	}
	return out
}

// violation ends the session over bytes that are no protocol.
func (s *Session) violation(err error) error {
	if s.phase != ended {
		s.Log.Warn("protocol violation", "error", err)
		if !s.clientMidMessage() {
			s.fatal("08P01", "protocol violation: "+err.Error(), "")
		}
		s.phase = ended
	}
	return ErrEnded
}
