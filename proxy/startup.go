package proxy

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgproto3/v2"

	"tombstone/proxy/wire"
)

// secrecy says how a client's connection stands to TLS.
type secrecy uint8

const (
	declined  secrecy = iota // there is none here
	offered                  // it may ask for TLS
	demanded                 // it must
	encrypted                // it has
)

// startup handles the packets that come before typed messages and returns
// how many bytes it used, 0 if more are needed.
func (s *Session) startup(p []byte) (int, error) {
	code, size, err := wire.Startup(p)
	if err != nil {
		return 0, s.violation(err)
	}
	if size == 0 {
		return 0, nil
	}
	packet := p[:size]
	switch {
	case code == wire.SSLRequest, code == wire.GSSENCRequest:
		// Each is asked once, and answered by one byte outside any message. Where the answer is no, the client goes
		// on without or closes, as its sslmode says.
		if s.asks[code] || s.secrecy == encrypted {
			return 0, s.violation(fmt.Errorf("encryption was requested twice"))
		}
		if s.asks == nil {
			s.asks = map[uint32]bool{}
		}
		s.asks[code] = true
		if code == wire.SSLRequest && s.secrecy != declined {
			s.ToClient.add('S')
			s.phase = encrypting
		} else {
			s.ToClient.add('N')
			if len(p) > size { // the server does not take it either
				what := "SSL"
				if code == wire.GSSENCRequest {
					what = "GSSAPI encryption"
				}
				s.Log.Warn("unencrypted data after a request for encryption")
				s.end(&pgproto3.ErrorResponse{
					Code: "08P01", Message: "received unencrypted data after " + what + " request",
					Detail: "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.",
				})
				return size, ErrEnded
			}
		}
		return size, nil
	case code == wire.CancelRequest:
		// The key in it is the server's own, since BackendKeyData passes
		// through, so the server finds the session that it means.
		s.ToServer.add(packet...)
		s.phase = canceling
		return size, nil
	case code>>16 != 3:
		s.fatal("0A000", fmt.Sprintf("unsupported frontend protocol %d.%d: server supports 3.0 to 3.2", code>>16, code&0xffff), "")
		return size, ErrEnded
	}
	if s.secrecy == demanded {
		s.fatal("28000", "this proxy takes connections with TLS only", "Connect with sslmode=require or a stronger one.")
		return size, ErrEnded
	}
	params, ok := startupParams(packet[8:])
	if !ok {
		return size, s.violation(fmt.Errorf("invalid startup packet layout: expected terminator as last byte"))
	}
	if name := ours(params); name != "" {
		s.fatal("42704", fmt.Sprintf("unrecognized configuration parameter %q", name),
			"There are tombstone.visibility, tombstone.as_of, tombstone.delete, tombstone.actor and tombstone.reason.")
		return size, ErrEnded
	}
	s.params = params
	s.ToServer.add(packet...)
	s.phase = dialing
	return size, nil
}

// startupParams reads the names and values of a startup packet.
func startupParams(body []byte) (map[string]string, bool) {
	params := map[string]string{}
	f := wire.Read(body)
	for {
		name := f.String()
		if !f.OK() {
			return nil, false
		}
		if len(name) == 0 {
			return params, len(f.Rest()) == 0
		}
		value := f.String()
		if !f.OK() {
			return nil, false
		}
		params[string(name)] = string(bytes.Clone(value))
	}
}

// optionSet is a setting of our own in the options of a startup packet, as the server reads them once it has taken out backslashes (postgres.c).
var optionSet = regexp.MustCompile(`(?i)(?:^|\s|-c\s*|--)(tombstone\.[\w$-]+)\s*=`)

// ours is a setting of our own that a client may not begin with, "" if there is none: the server takes any name with a dot in it, and by some
// the functions in the database tell each other what has been done.
func ours(params map[string]string) string {
	var names []string
	for name := range params {
		names = append(names, name)
	}
	for _, found := range optionSet.FindAllStringSubmatch(strings.ReplaceAll(params["options"], `\`, ""), -1) {
		names = append(names, strings.ReplaceAll(found[1], "-", "_"))
	}
	for _, name := range names {
		switch what, mine := strings.CutPrefix(strings.ToLower(name), "tombstone."); {
		case !mine, what == "visibility", what == "as_of", what == "delete", what == "actor", what == "reason":
		default:
			return name
		}
	}
	return ""
}

// replication reports whether a connection with this parameter is one for
// replication. The server takes what it takes for a boolean (parse_bool in
// bool.c): "fals" and "F" make an ordinary session.
func replication(value string) bool {
	v := strings.ToLower(value)
	switch {
	case v == "", v == "0", v == "of":
		return false
	case strings.HasPrefix("false", v), strings.HasPrefix("no", v), v == "off":
		return false
	}
	return true
}

// database is the name of the database that the client asked for; the server
// has the last word, see refresh.
func (s *Session) database() string {
	if d := s.params["database"]; d != "" {
		return d
	}
	return s.params["user"]
}

// databaseNow is the name of the database that the session is in, as far as
// it is known.
func (s *Session) databaseNow() string {
	if s.env.Set != nil {
		return s.env.Set.Database
	}
	return s.database()
}
