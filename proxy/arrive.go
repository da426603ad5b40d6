package proxy

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgproto3/v2"

	"tombstone/config"
	"tombstone/proxy/auth"
	"tombstone/proxy/wire"
)

// identity is who logs in to a server when the proxy does it for a client, or for itself.
type identity struct {
	user   string
	secret auth.Secret
}

// arrival is a connection to a server that has got a startup packet.
type arrival struct {
	net.Conn
	host config.Host
	said []byte // what the server has said to the client, or of the next message what has come of it
	role role
	code string // SQLSTATE if it said an error
	done bool   // ReadyForQuery has been read
}

// arrive connects to a server that will do and sends it the startup packet. With an identity it also logs in; the
// server's requests are answered here and are not in said. Without one they are the client's to answer.
func (d *dialer) arrive(ctx context.Context, packet []byte, as *identity) (*arrival, error) {
	var failed []error
	attrs := d.attrs()
	for _, want := range passes(attrs) {
		hosts := d.hosts()
		for i, h := range hosts {
			if err := d.unsuited(ctx, h, want); err != nil {
				failed = append(failed, err)
				continue
			}
			c, err := d.dial(ctx, h)
			if err != nil {
				failed = append(failed, hostError(h, len(hosts), err))
				continue
			}
			a, err := d.begin(ctx, c, h, packet, as, want)
			switch {
			case err != nil:
			case a.code == "57P03" && i < len(hosts)-1: // it starts up or shuts down; another may be there
				err = fmt.Errorf("%s cannot take connections now", h.Address)
			case a.done && !a.role.suits(want):
				err = &roleError{h.Address, a.role, want}
			default:
				return a, nil
			}
			_ = c.Close()
			var refused *auth.Error
			if errors.As(err, &refused) {
				return nil, err // the same login elsewhere would end in the same way
			}
			failed = append(failed, hostError(h, len(hosts), err))
		}
	}
	return nil, errors.Join(failed...)
}

// passes are what to look for, one after the other.
func passes(attrs string) []string {
	if attrs == "prefer-standby" {
		return []string{"standby", "any"}
	}
	return []string{attrs}
}

func hostError(h config.Host, hosts int, err error) error {
	if hosts == 1 || strings.Contains(err.Error(), h.Address) {
		return err
	}
	return fmt.Errorf("%s: %w", h.Address, err)
}

// unsuited says why a server need not be tried: its role is known, and another one is wanted.
func (d *dialer) unsuited(ctx context.Context, h config.Host, want string) error {
	if want == "any" {
		return nil
	}
	is, known := d.roles.of(h.Address, time.Now())
	if !known && d.upstream.User != "" {
		// Should the asking fail, the client's own login tells why.
		is, known = d.askRole(ctx, h)
	}
	if known && !is.suits(want) {
		return &roleError{h.Address, is, want}
	}
	return nil
}

// begin sends a startup packet and reads what the server says until the client is needed, or as much as has to be known.
func (d *dialer) begin(ctx context.Context, c net.Conn, h config.Host, packet []byte, as *identity, want string) (*arrival, error) {
	a := &arrival{Conn: c, host: h}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if d.upstream.ConnectTimeout > 0 && (as != nil || d.several()) {
		_ = c.SetDeadline(time.Now().Add(d.upstream.ConnectTimeout))
		defer c.SetDeadline(time.Time{})
	}
	if _, err := c.Write(packet); err != nil {
		return nil, err
	}
	if as == nil && !d.several() {
		return a, nil
	}
	var login *auth.Login
	if as != nil {
		login = auth.NewLogin(as.user, as.secret, serverBinding(c), rand.Reader)
	}
	p := newPeer(c, nil)
	if err := a.listen(p, login, want != "any"); err != nil {
		return nil, err
	}
	if a.done && !a.role.known() && want != "any" {
		if err := a.ask(p); err != nil { // it is older than 14
			return nil, err
		}
	}
	if a.done {
		d.roles.learn(h.Address, a.role, time.Now())
	}
	a.said = append(a.said, p.rest...)
	return a, nil
}

// listen reads messages of a server that has got a startup packet.
func (a *arrival) listen(p *peer, login *auth.Login, toTheEnd bool) error {
	for len(a.said) < 1<<20 {
		typ, raw, err := p.next()
		if err != nil {
			return err
		}
		body := raw[wire.HeaderSize:]
		f := wire.Read(body)
		switch typ {
		case 'R':
			isOK := f.Int32() == 0
			if login != nil {
				reply, _, err := login.Answer(body)
				if err != nil {
					return err
				}
				if reply != nil {
					if _, err := p.Write(frame('p', reply)); err != nil {
						return err
					}
				}
				if isOK {
					a.said = append(a.said, raw...)
				}
			} else {
				a.said = append(a.said, raw...)
				if !isOK {
					return nil // the client has to answer
				}
			}
			if isOK && !toTheEnd {
				return nil
			}
			continue
		case 'S':
			name, value := f.String(), f.String()
			a.role.note(string(name), string(value))
		case 'E':
			notice, _ := wire.ReadNotice(body)
			a.code = notice.Get('C')
			a.said = append(a.said, raw...)
			return nil
		case 'Z':
			a.done = true
		}
		a.said = append(a.said, raw...)
		if a.done {
			return nil
		}
	}
	return errors.New("the server says too much before a login is over")
}

// frame is a message of which only the body is known.
func frame(typ byte, body []byte) []byte {
	return sized(append([]byte{typ, 0, 0, 0, 0}, body...), 0)
}

// note takes in a ParameterStatus.
func (r *role) note(name, value string) {
	switch name {
	case "in_hot_standby":
		r.standby = yes(value == "on")
	case "default_transaction_read_only":
		r.readOnly = yes(value == "on")
	}
}

// roleQuery asks a server older than 14 for what newer ones tell by themselves.
const roleQuery = "SELECT pg_catalog.pg_is_in_recovery()::text || ' ' || pg_catalog.current_setting('default_transaction_read_only')"

// ask asks for the role, on a connection on which nothing else is on its way.
func (a *arrival) ask(p *peer) error {
	if _, err := p.Write(encode(nil, &pgproto3.Query{String: roleQuery})); err != nil {
		return err
	}
	for {
		typ, raw, err := p.next()
		if err != nil {
			return err
		}
		switch typ {
		case 'D':
			recovery, readOnly, _ := strings.Cut(string(wire.FirstField(raw[wire.HeaderSize:])), " ")
			a.role = role{standby: yes(recovery == "true"), readOnly: yes(readOnly == "on")}
		case 'Z':
			return nil
		}
	}
}

// askRole logs in as upstream says, to find out what a server is.
func (d *dialer) askRole(ctx context.Context, h config.Host) (role, bool) {
	as, err := ownIdentity(&d.upstream)
	if err != nil {
		return role{}, false
	}
	c, err := d.dial(ctx, h)
	if err != nil {
		return role{}, false
	}
	defer c.Close()
	a, err := d.begin(ctx, c, h, ownStartup(&d.upstream), as, "primary") // so that the role is read, whatever it is
	if err != nil || !a.done {
		return role{}, false
	}
	_, _ = c.Write(encode(nil, &pgproto3.Terminate{}))
	return a.role, a.role.known()
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
