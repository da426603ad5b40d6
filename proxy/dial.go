package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"tombstone/config"
)

// dialer connects to the upstream: to one server, or to that of several which will do.
type dialer struct {
	upstream  config.Upstream
	tls       *tls.Config // nil for none
	keepalive net.KeepAliveConfig
	observer  Observer
	roles     roles
	trouble   atomic.Pointer[trouble] // nil if the last client that came this far was served
}

func newDialer(o *Options) (*dialer, error) {
	t, err := upstreamTLS(o.Upstream.TLS)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	u := o.Upstream
	if len(u.Hosts) == 0 { // not from a configuration
		u.Hosts = []config.Host{{Network: u.Network, Address: u.Address}}
		u.ConnectTimeout = dialTimeout
	}
	return &dialer{upstream: u, tls: t, keepalive: keepalive(o.Keepalive), observer: o.Observer}, nil
}

// keepalive says when a TCP connection that is silent is probed, and how often before it counts as broken.
func keepalive(after time.Duration) net.KeepAliveConfig {
	if after <= 0 {
		return net.KeepAliveConfig{}
	}
	return net.KeepAliveConfig{Enable: true, Idle: after, Interval: max(after/4, time.Second), Count: 4}
}

// several reports whether there is a choice to make.
func (d *dialer) several() bool { return len(d.upstream.Hosts) > 1 || d.picky() }

// picky reports whether not every server will do.
func (d *dialer) picky() bool { return d.attrs() != "any" }

func (d *dialer) attrs() string {
	if d.upstream.TargetSessionAttrs == "" {
		return "any"
	}
	return d.upstream.TargetSessionAttrs
}

// hosts returns the servers in the order to try them.
func (d *dialer) hosts() []config.Host {
	if !d.upstream.RandomHosts {
		return d.upstream.Hosts
	}
	mixed := append([]config.Host(nil), d.upstream.Hosts...)
	rand.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	return mixed
}

// dial connects to one server, with TLS as sslmode says.
func (d *dialer) dial(ctx context.Context, h config.Host) (net.Conn, error) {
	if d.upstream.ConnectTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.upstream.ConnectTimeout)
		defer cancel()
	}
	c, err := d.plain(ctx, h)
	if err != nil || d.tls == nil || h.Network == "unix" {
		return c, err
	}
	secure, err := d.secure(ctx, c, h)
	switch {
	case err == nil:
		return secure, nil
	case d.prefers() && errors.Is(err, errPlain):
		return c, nil
	}
	_ = c.Close()
	if d.prefers() && errors.Is(err, errHandshake) {
		return d.plain(ctx, h)
	}
	return nil, err
}

// prefers reports whether TLS is for servers that have it only. libpq goes on without TLS if a server has none, and connects once more
// without if the handshake fails, or if the server lets nobody in over TLS (see again). No answer to the request for TLS, or one
// that is none, is an error there too.
func (d *dialer) prefers() bool { return d.upstream.TLS.Mode == "prefer" }

// plain connects to one server without TLS.
func (d *dialer) plain(ctx context.Context, h config.Host) (net.Conn, error) {
	n := net.Dialer{Timeout: d.upstream.ConnectTimeout, KeepAlive: -1, KeepAliveConfig: d.keepalive}
	return n.DialContext(ctx, h.Network, h.Address)
}

// secure is encrypt with a bound on its time, and counted.
func (d *dialer) secure(ctx context.Context, c net.Conn, h config.Host) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	s, err := d.encrypt(ctx, c, h)
	switch {
	case ctx.Err() != nil && err != nil:
		err = fmt.Errorf("%w (%w)", err, ctx.Err())
	case !errors.Is(err, errPlain):
		d.observer.Handshake("server", outcome(err))
	}
	if err == nil || errors.Is(err, errPlain) {
		stop()
		_ = c.SetDeadline(time.Time{})
	}
	return s, err
}

// outcome is the label of what succeeded or failed.
func outcome(err error) string {
	if err != nil {
		return "failed"
	}
	return "ok"
}
