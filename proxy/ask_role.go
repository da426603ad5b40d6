package proxy

import (
	"context"
	"strings"

	"github.com/jackc/pgproto3/v2"

	"tombstone/config"
	"tombstone/proxy/wire"
)

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

// askRole logs in as upstream says, to find out what a server is. Where that cannot be found out the role is not known; an
// error is a server that cannot be reached.
func (d *dialer) askRole(ctx context.Context, h config.Host) (role, error) {
	as, err := ownIdentity(&d.upstream)
	if err != nil {
		return role{}, nil
	}
	c, err := d.dial(ctx, h)
	if err != nil {
		return role{}, err
	}
	defer c.Close()
	packet, want := ownStartup(&d.upstream), "primary" // so that the role is read, whatever it is
	a, err := d.begin(ctx, c, h, packet, as, want)
	if err != nil {
		return role{}, nil
	}
	a = d.again(ctx, a, packet, as, want)
	defer a.Close()
	if !a.done {
		return role{}, nil
	}
	_, _ = a.Write(encode(nil, &pgproto3.Terminate{}))
	return a.role, nil
}
