package proxy

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgproto3/v2"

	"tombstone/proxy/wire"
)

// trouble is why a client could not be served that came a moment ago, and had done nothing wrong.
type trouble struct {
	params map[string]string // of its startup packet: who it is and what it wants to reach
	err    error
	at     time.Time
}

// troubleAge is how long it counts that a client was not served, if that happens to no other. Else one could keep the proxy from being
// ready for all: by what it has set for itself, such as default_transaction_read_only.
const troubleAge = 30 * time.Second

// errUnwilling is a server that answers, and lets nobody in.
var errUnwilling = errors.New("the PostgreSQL server takes no connections now: it starts up, shuts down, or is a standby without hot_standby")

// cannotConnectNow is the SQLSTATE with which a server says that, before it knows who comes.
const cannotConnectNow = "57P03"

// Ping reports whether clients can be served, as far as can be told without a login: a server is there, and TLS with it comes about if
// it is to have TLS; ping asks one that is to have none. If the last client found no server that would do, its way is gone again as
// far as it needs no password.
func (s *Server) Ping(ctx context.Context, ping func(ctx context.Context, network, address string) error) error {
	d := s.setup.Load().dialer
	t := d.trouble.Load()
	if t != nil && time.Since(t.at) > troubleAge {
		d.trouble.CompareAndSwap(t, nil)
		t = nil
	}
	if t != nil {
		if err := d.retrace(ctx, t); err != nil {
			return err
		}
		d.trouble.CompareAndSwap(t, nil)
		return nil
	}
	var first error
	for _, h := range d.upstream.Hosts {
		var err error
		if d.tls == nil || h.Network == "unix" {
			err = ping(ctx, h.Network, h.Address)
		} else if c, dialErr := d.dial(ctx, h); dialErr != nil {
			err = hostError(h, len(d.upstream.Hosts), dialErr)
		} else {
			_ = c.Close()
		}
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// retrace does what was done for a client in trouble once more, and gives up where the client would be needed.
func (d *dialer) retrace(ctx context.Context, t *trouble) error {
	packet := encode(nil, &pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersionNumber, Parameters: t.params})
	a, err := d.arrive(ctx, packet, nil)
	if err != nil {
		return err
	}
	defer a.Close()
	if len(a.said) == 0 {
		stop := context.AfterFunc(ctx, func() { _ = a.SetDeadline(time.Unix(1, 0)) })
		defer stop()
		typ, raw, err := newPeer(a, nil).next()
		if err != nil {
			return err
		}
		if typ == 'E' {
			notice, _ := wire.ReadNotice(raw[wire.HeaderSize:])
			a.code = notice.Get('C')
		}
	}
	if a.code == cannotConnectNow {
		return errUnwilling
	}
	return nil
}

// inTrouble remembers why this client is not served; nil that it is.
func (c *conn) inTrouble(err error) {
	d := c.setup.dialer
	switch {
	case err == nil && d.trouble.Load() != nil:
		d.trouble.Store(nil)
	case err != nil:
		params := map[string]string{}
		for _, name := range []string{"user", "database", "replication"} {
			if value, given := c.session.params[name]; given {
				params[name] = value
			}
		}
		d.trouble.Store(&trouble{params, err, time.Now()})
	}
}
