package proxy

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/jackc/pgproto3/v2"

	"tombstone/config"
	"tombstone/proxy/auth"
	"tombstone/proxy/wire"
)

// gate authenticates clients itself, where the configuration says auth.mode: terminate. The client is asked before
// there is a connection to the server, so who does not get past it costs the server nothing.
type gate struct {
	client   string // how a client proves who it is: scram, cert, peer
	users    map[string]auth.Secret
	verifier *verifiers // nil if nobody is asked
	mock     *auth.Mock
}

// newGate returns nil if the server authenticates.
func newGate(o *Options, d *dialer) (*gate, error) {
	if o.Auth.Mode != "terminate" {
		return nil, nil
	}
	g := &gate{client: o.Auth.Client, users: map[string]auth.Secret{}}
	if o.Auth.UsersFile != "" {
		texts, err := config.ReadUsers(o.Auth.UsersFile)
		if err != nil {
			return nil, err
		}
		for name, text := range texts {
			if g.users[name], err = auth.ParseSecret(text); err != nil {
				return nil, fmt.Errorf("%s: the secret of user %q: %w", o.Auth.UsersFile, name, err)
			}
		}
	}
	if o.Auth.QueryAs != nil {
		as, err := ownIdentity(o.Auth.QueryAs)
		if err != nil {
			return nil, fmt.Errorf("auth.query_as: %w", err)
		}
		g.verifier = &verifiers{dialer: d, query: o.Auth.Query, as: as, startup: ownStartup(o.Auth.QueryAs)}
	}
	mock, err := mockSecret(o)
	if err != nil {
		return nil, err
	}
	g.mock = auth.NewMock(mock, 0)
	return g, nil
}

// mockSecret is what the salts of users who do not exist are made of: where there is a private key, something that stays the
// same over restarts and in all replicas.
func mockSecret(o *Options) ([]byte, error) {
	if len(o.TLS.Certificates) > 0 {
		key, err := os.ReadFile(o.TLS.Certificates[0].Key)
		if err != nil {
			return nil, fmt.Errorf("tls.key: %w", err)
		}
		sum := sha256.Sum256(append([]byte("tombstone: salts of users who do not exist\x00"), key...))
		return sum[:], nil
	}
	secret := make([]byte, sha256.Size)
	_, err := rand.Read(secret)
	return secret, err
}

func (g *gate) close() {
	if g != nil && g.verifier != nil {
		g.verifier.close()
	}
}

// admit authenticates a client that has sent its startup packet, and returns what to log in to the server with. Its
// errors are *auth.Error where the client is to blame.
func (g *gate) admit(ctx context.Context, p *peer, user string, binding []byte) (auth.Secret, error) {
	switch g.client {
	case "cert":
		return g.users[user], certified(p.Conn, user)
	case "peer":
		return g.users[user], sameUser(p.Conn, user)
	}
	secret, err := g.secret(ctx, user)
	if err != nil {
		return auth.Secret{}, &lookupError{err}
	}
	return g.scram(p, user, secret, binding)
}

// lookupError says that a verifier could not be asked for. It is the operator's to read: who is not let in yet learns nothing
// about the database. It does not unwrap, since a connection that was lost is not the client's here, nor is a refusal.
type lookupError struct{ err error }

func (e *lookupError) Error() string {
	var refused *auth.Error
	if errors.As(e.err, &refused) && refused.Hint != "" {
		return e.err.Error() + "; " + refused.Hint
	}
	return e.err.Error()
}

func (g *gate) secret(ctx context.Context, user string) (auth.Secret, error) {
	if secret, ok := g.users[user]; ok || g.verifier == nil {
		return secret, nil
	}
	return g.verifier.secret(ctx, user)
}

// scram is the server's half of SCRAM-SHA-256, message by message.
func (g *gate) scram(p *peer, user string, secret auth.Secret, binding []byte) (auth.Secret, error) {
	s := auth.NewServer(user, secret, g.mock, binding, rand.Reader)
	if _, err := p.Write(encode(nil, &pgproto3.AuthenticationSASL{AuthMechanisms: s.Mechanisms()})); err != nil {
		return auth.Secret{}, err
	}
	body, err := password(p)
	if err != nil {
		return auth.Secret{}, err
	}
	reply, err := s.Start(body)
	for done := false; ; {
		if err != nil {
			return auth.Secret{}, err
		}
		var m pgproto3.Message = &pgproto3.AuthenticationSASLContinue{Data: reply}
		if done {
			m = &pgproto3.AuthenticationSASLFinal{Data: reply}
		}
		if _, err := p.Write(encode(nil, m)); err != nil {
			return auth.Secret{}, err
		}
		if done {
			return s.Secret(), nil
		}
		if body, err = password(p); err != nil {
			return auth.Secret{}, err
		}
		reply, done, err = s.Next(body)
	}
}

// password reads the next message of a client, which has to be its answer to a request.
func password(p *peer) ([]byte, error) {
	typ, raw, err := p.next()
	switch {
	case err != nil:
		return nil, err
	case typ == 'X':
		return nil, net.ErrClosed
	case typ != 'p':
		return nil, &auth.Error{Code: "08P01", Message: fmt.Sprintf("expected SASL response, got message type %d", typ)}
	}
	return raw[wire.HeaderSize:], nil
}

// certified reports whether the client's certificate, which the handshake has verified, is the user's.
func certified(c net.Conn, user string) error {
	refused := &auth.Error{Code: "28000", Message: fmt.Sprintf("certificate authentication failed for user \"%s\"", user)}
	t, ok := c.(*tls.Conn)
	switch {
	case !ok:
		refused.Hint = "Connect with TLS: sslmode=require or stronger, with sslcert and sslkey."
		refused.Log = "the connection has no TLS"
		return refused
	case len(t.ConnectionState().VerifiedChains) == 0:
		refused.Hint = "Connect with a client certificate: sslcert and sslkey."
		refused.Log = "the client has no certificate"
		return refused
	}
	if name := t.ConnectionState().PeerCertificates[0].Subject.CommonName; name != user {
		refused.Log = fmt.Sprintf("the certificate's CN is %q", name)
		return refused
	}
	return nil
}

// isRefusal reports whether an error is to be told to the client as it is.
func isRefusal(err error) (*auth.Error, bool) {
	var refused *auth.Error
	return refused, errors.As(err, &refused)
}
