package proxy

import (
	"crypto/tls"
	"fmt"
	"net"

	"github.com/jackc/pgproto3/v2"

	"tombstone/config"
	"tombstone/proxy/auth"
)

// identity is who logs in to a server when the proxy does it for a client, or for itself.
type identity struct {
	user   string
	secret auth.Secret
}

// ownIdentity is who the proxy is when it logs in for itself.
func ownIdentity(u *config.Upstream) (*identity, error) {
	secret, err := auth.ParseSecret(u.Password)
	if err != nil {
		return nil, fmt.Errorf("the password of user %q: %w", u.User, err)
	}
	return &identity{u.User, secret}, nil
}

func ownStartup(u *config.Upstream) []byte {
	params := map[string]string{"user": u.User, "application_name": "tombstone", "client_encoding": "UTF8"}
	if u.Database != "" {
		params["database"] = u.Database
	}
	return encode(nil, &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: params})
}

// serverBinding is what a login can be bound to, nil without TLS or where there is no such thing.
func serverBinding(c net.Conn) []byte {
	t, ok := c.(*tls.Conn)
	if !ok {
		return nil
	}
	binding, err := auth.ChannelBinding(t.ConnectionState().PeerCertificates[0])
	if err != nil {
		return nil
	}
	return binding
}
