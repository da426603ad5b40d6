package proxy

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"tombstone/config"
	"tombstone/proxy/auth"
	"tombstone/proxy/wire"
)

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
	var busy *arrival // it starts up or shuts down; if nobody else is there, what it says of that is the answer
	wants := passes(d.attrs())
	for i, want := range wants {
		hosts, remembered := d.hosts(), true
		for len(hosts) > 0 {
			var passedOver []config.Host
			for _, h := range hosts {
				a, err := d.try(ctx, h, packet, as, want, remembered)
				var unsuited *roleError
				var refused *auth.Error
				switch {
				case err == nil && a.code == cannotConnectNow:
					busy.close()
					busy = a
					failed = append(failed, hostError(h, len(d.upstream.Hosts), errors.New("it takes no connections now")))
				case err == nil:
					busy.close()
					return a, nil
				case errors.As(err, &refused):
					busy.close()
					return nil, err // the same login elsewhere would end in the same way
				case errors.As(err, &unsuited) && unsuited.remembered:
					passedOver = append(passedOver, h)
					fallthrough
				default:
					failed = append(failed, hostError(h, len(d.upstream.Hosts), err))
				}
			}
			hosts = nil
			if i == len(wants)-1 {
				// What is remembered may be over: the primary is gone, and a standby has taken its place.
				hosts, remembered = passedOver, false
			}
		}
	}
	if busy != nil {
		return busy, nil
	}
	var different []error // a server may have been asked twice
	for _, err := range failed {
		if !slices.ContainsFunc(different, func(e error) bool { return e.Error() == err.Error() }) {
			different = append(different, err)
		}
	}
	return nil, errors.Join(different...)
}

// try asks one server. remembered says that what was learned of its role a moment ago is good enough to pass it over.
func (d *dialer) try(ctx context.Context, h config.Host, packet []byte, as *identity, want string, remembered bool) (*arrival, error) {
	if want != "any" {
		is, known := d.roles.of(h.Address, time.Now())
		if known && remembered && !is.suits(want) {
			return nil, &roleError{host: h.Address, role: is, attrs: want, remembered: true}
		}
		if (!known || !remembered) && d.upstream.User != "" {
			is, err := d.askRole(ctx, h)
			switch {
			case err != nil:
				return nil, err
			case is.known() && !is.suits(want): // should it not be known, the client's own login tells
				return nil, &roleError{host: h.Address, role: is, attrs: want}
			}
		}
	}
	c, err := d.dial(ctx, h)
	if err != nil {
		return nil, err
	}
	a, err := d.begin(ctx, c, h, packet, as, want)
	if err == nil {
		a = d.again(ctx, a, packet, as, want)
		c = a.Conn
	}
	if err == nil && a.done && !a.role.suits(want) {
		err = &roleError{host: h.Address, role: a.role, attrs: want}
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return a, nil
}

func (a *arrival) close() {
	if a != nil {
		_ = a.Close()
	}
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

// again has an arrival that a server did not let in over TLS, with sslmode=prefer, arrive without TLS, as libpq does: a pg_hba.conf may
// have entries for that only. If it is not let in like this either, what the server said first is the answer.
func (d *dialer) again(ctx context.Context, a *arrival, packet []byte, as *identity, want string) *arrival {
	if !d.prefers() || !a.encrypted() || a.code == "" || a.code == cannotConnectNow {
		return a
	}
	c, err := d.plain(ctx, a.host)
	if err != nil {
		return a
	}
	b, err := d.begin(ctx, c, a.host, packet, as, want)
	if err != nil || b.code != "" {
		_ = c.Close()
		return a
	}
	a.close()
	return b
}

func (a *arrival) encrypted() bool {
	_, ok := a.Conn.(*tls.Conn)
	return ok
}

// begin sends a startup packet and reads what the server says until the client is needed, or as much as has to be known.
func (d *dialer) begin(ctx context.Context, c net.Conn, h config.Host, packet []byte, as *identity, want string) (*arrival, error) {
	a := &arrival{Conn: c, host: h}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	listens := as != nil || d.several() || d.prefers()
	if d.upstream.ConnectTimeout > 0 && listens {
		_ = c.SetDeadline(time.Now().Add(d.upstream.ConnectTimeout))
		defer c.SetDeadline(time.Time{})
	}
	if _, err := c.Write(packet); err != nil {
		return nil, err
	}
	if !listens {
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
	if params, _ := startupParams(packet[8:]); a.done && !setsReadOnly(params) {
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
