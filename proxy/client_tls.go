package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"

	"tombstone/config"
	"tombstone/proxy/auth"
)

// clientTLS is TLS towards clients. It does not change: renewed files make another one, and connections that are open stay
// as they are.
type clientTLS struct {
	config *tls.Config
	chains []tls.Certificate // the first is for clients that ask for no name, or for one that none is for
}

// newClientTLS reads the files anew. It returns nil if there is to be no TLS.
func newClientTLS(c *config.TLS) (*clientTLS, error) {
	if !c.Enabled() {
		return nil, nil
	}
	t := &clientTLS{config: &tls.Config{
		MinVersion: c.MinVersion, NextProtos: []string{protocolName},
		// As in PostgreSQL: a session that is resumed would go by the certificates of the one before it.
		SessionTicketsDisabled: true,
	}}
	for _, pair := range c.Certificates {
		chain, err := tls.LoadX509KeyPair(pair.Certificate, pair.Key)
		if err != nil {
			return nil, fmt.Errorf("tls: %s: %w", pair.Certificate, err)
		}
		t.chains = append(t.chains, chain)
	}
	if c.ClientCA != "" {
		text, err := os.ReadFile(c.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("tls.client_ca: %w", err)
		}
		t.config.ClientCAs = x509.NewCertPool()
		if !t.config.ClientCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("tls.client_ca: %s has no certificates", c.ClientCA)
		}
		t.config.ClientAuth = tls.VerifyClientCertIfGiven
		if c.ClientCertificates == "require" {
			t.config.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
	return t, nil
}

// choose returns the certificate for the name that a client asks for.
func (t *clientTLS) choose(hello *tls.ClientHelloInfo) *tls.Certificate {
	if hello.ServerName != "" {
		for i := range t.chains {
			if t.chains[i].Leaf.VerifyHostname(hello.ServerName) == nil {
				return &t.chains[i]
			}
		}
	}
	return &t.chains[0]
}

// handshake makes a client's connection a TLS one. With direct, TLS came first and the client has to say which protocol it
// is for; else a browser's form could be taken for a session. binding is what a login can be bound to, nil if there is no such thing.
func (t *clientTLS) handshake(c net.Conn, direct bool) (secure *tls.Conn, binding []byte, err error) {
	cfg := t.config.Clone()
	var shown *tls.Certificate
	cfg.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		shown = t.choose(hello)
		return shown, nil
	}
	secure = tls.Server(c, cfg)
	if err := secure.Handshake(); err != nil { // the caller's deadline bounds it
		return nil, nil, err
	}
	if direct && secure.ConnectionState().NegotiatedProtocol != protocolName {
		return nil, nil, errors.New("TLS came first, but the client did not ask for the protocol postgresql (ALPN)")
	}
	binding, _ = auth.ChannelBinding(shown.Leaf) // where it is not defined, SCRAM goes on without
	return secure, binding, nil
}

// begun is a connection of which something has been read already.
type begun struct {
	net.Conn
	first []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.first) > 0 {
		n := copy(p, b.first)
		b.first = b.first[n:]
		return n, nil
	}
	return b.Conn.Read(p)
}
