package proxy

import (
	"log/slog"
	"time"

	"tombstone/config"
	"tombstone/policy"
)

// Options says how a Server is to work. A zero value of a field is its default in the configuration.
type Options struct {
	// What only Listen reads.
	Listen   config.Address
	Loops    int          // event loops for connections without TLS, where there are any; 0 to choose, -1 for none
	IOUring  string       // "off" for loops over epoll; else over io_uring, where the kernel lets us
	Log      *slog.Logger // nil for slog.Default
	Observer Observer     // nil for none

	// What Reload can change.
	Upstream      config.Upstream
	Policy        *policy.Policy
	Roles         config.Roles // who may ask for deleted rows
	TLS           config.TLS
	Auth          config.Auth
	Limits        config.Limits
	CatalogMaxAge time.Duration // how long what is known of a database's relations is trusted
	Keepalive     time.Duration // of silence before a TCP connection is probed; 0 is no probes
	Drain         time.Duration // how long sessions may finish their transactions at a stop; 0 stops them at once
	Literals      bool          // show literals in logged SQL
}

// From returns the options that a configuration asks for, all but Log and Observer.
func From(c *config.Config) Options {
	return Options{
		Listen: c.Listen, Loops: c.Loops, IOUring: c.IOUring, Upstream: c.Upstream, Policy: policy.New(c.Tables, c.Bodies), Roles: c.Roles, TLS: c.TLS, Auth: c.Auth, Limits: c.Limits,
		CatalogMaxAge: c.Catalog.MaxAge, Keepalive: c.Keepalive, Drain: c.Drain, Literals: c.Log.Literals,
	}
}

// complete fills in what is missing, for callers that have no configuration.
func (o *Options) complete() {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Observer == nil {
		o.Observer = silent{}
	}
	if o.Policy == nil {
		o.Policy = policy.New(nil, "pass")
	}
	if o.CatalogMaxAge <= 0 {
		o.CatalogMaxAge = 30 * time.Second
	}
	if o.Limits.StatementBytes <= 0 {
		o.Limits.StatementBytes = 16 << 20
	}
	if o.Limits.MessageBytes <= 0 {
		o.Limits.MessageBytes = 1 << 30
	}
	if o.Limits.StartupTime <= 0 {
		o.Limits.StartupTime = time.Minute // as the server's authentication_timeout
	}
}
