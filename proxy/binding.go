package proxy

import (
	"github.com/jackc/pgproto3/v2"

	"tombstone/proxy/wire"
)

// scramPlus is SCRAM bound to the TLS connection that it goes over.
const scramPlus = "SCRAM-SHA-256-PLUS"

// mechanisms passes the server's list of SASL mechanisms on. A server offers binding where it speaks TLS with us.
//
// A client without TLS gets the list without it: libpq takes such an offer for an attack, and ends there. To a client
// with TLS of its own the offer stays, since without it the client would say that it could have bound, and the server would
// take that for an attack. If it does bind, it is to our certificate and not to the server's; see refuseBinding.
func (s *Session) mechanisms(part *wire.Part, list *wire.Fields) error {
	var kept []string
	bound := false
	for {
		name := list.String()
		if len(name) == 0 || !list.OK() {
			break
		}
		if string(name) == scramPlus {
			bound = true
			continue
		}
		kept = append(kept, string(name))
	}
	switch {
	case !bound || !list.OK():
	case s.secrecy == encrypted:
		s.binds = true
	case len(kept) > 0:
		s.ToClient.encode(&pgproto3.AuthenticationSASL{AuthMechanisms: kept})
		return nil
	}
	return s.pass(part)
}

// refuseBinding ends a login that cannot succeed, with the way out: the server would only say that the check failed.
func (s *Session) refuseBinding() error {
	s.fatal("28000", "channel binding cannot pass through a proxy that has TLS on both sides",
		"Set auth.mode: terminate in the proxy's configuration, or connect with channel_binding=disable.")
	s.Observer.Login("failed")
	return ErrEnded
}
