package proxy

import (
	"strings"

	"tombstone/proxy/wire"
)

// hints are for what the server says of the connection that it sees, which is the proxy's. Without them a client with TLS
// is told "no encryption", or that it has no certificate, and looks for the cause where it is not.
//
// The messages are in English unless the server's lc_messages says otherwise; then there is no hint.
var hints = []struct{ begin, hint string }{
	{"no pg_hba.conf entry", seesProxy},
	{"connection requires a valid client certificate", seesCertificate},
	{"certificate authentication failed", seesCertificate},
	{"Peer authentication failed", "The server sees the proxy's process, not the client's. Set auth.mode: terminate and auth.client: peer in the proxy's configuration."},
}

const (
	seesProxy       = "The server sees the proxy's connection: it comes from the proxy's address, with TLS or without as sslmode in the proxy's upstream says."
	seesCertificate = "The server sees the proxy's certificate, sslcert in its upstream, and not the client's. Set auth.mode: terminate and auth.client: cert in the proxy's configuration."
)

// loginFailed passes on why the server lets a client not in.
func (s *Session) loginFailed(part *wire.Part) error {
	notice, ok := wire.ReadNotice(part.Body())
	s.unwilling = ok && notice.Get('C') == cannotConnectNow
	if !ok || notice.Get('H') != "" {
		return s.pass(part)
	}
	hint := s.hint(notice.Get('M'))
	if hint == "" {
		return s.pass(part)
	}
	notice = append(notice, wire.NoticeField{Code: 'H', Value: hint})
	s.ToClient.own = notice.Append(s.ToClient.copied(), 'E')
	return nil
}

func (s *Session) hint(message string) string {
	for _, h := range hints {
		if strings.HasPrefix(message, h.begin) {
			return h.hint
		}
	}
	// A rule that rejects somebody is about that somebody, unless what it says of the connection is not so for the client.
	if strings.HasPrefix(message, "pg_hba.conf rejects connection") && strings.HasSuffix(message, "no encryption") && s.secrecy == encrypted {
		return seesProxy
	}
	return ""
}

// stale is a hint for an error in one of the database's own functions: they have names of tables and columns in them.
//
// Without it, a client whose INSERT fails after a migration reads that a table is missing which it never named.
const stale = "A table or column was renamed or dropped since the database was prepared. Run tombstone prepare --apply, as the last step of each migration."

// unprepared reports whether an error comes from a function of the schema tombstone that names what is not there any more. In its context the
// function that failed comes first; one that others have made stands before ours.
func unprepared(notice wire.Notice) bool {
	switch notice.Get('C') {
	case "42P01", "42703", "42704", "42883", "3F000": // no such table, column, object, function, schema
	default:
		return false
	}
	for line := range strings.Lines(notice.Get('W')) {
		if strings.Contains(line, "PL/pgSQL") {
			return strings.Contains(line, " tombstone.")
		}
	}
	return false
}
