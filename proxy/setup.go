package proxy

import (
	"tombstone/config"
	"tombstone/policy/catalog"
)

// setup is what a configuration means for connections, as far as a reload can change it. It does not change itself: a
// connection goes by the one that it began with, and its session by the newest Rules.
type setup struct {
	dialer   *dialer
	tls      *clientTLS // nil for none
	demanded bool       // clients without TLS are turned away
	gate     *gate      // nil if the server authenticates
	limits   config.Limits
	options  Options
}

// newSetup reads all files that the options name, so that what is wrong with one is known before anything changes.
func newSetup(o Options) (*setup, error) {
	n := &setup{limits: o.Limits, options: o, demanded: o.TLS.Mode == "require"}
	var err error
	if n.tls, err = newClientTLS(&o.TLS); err != nil {
		return nil, err
	}
	if n.dialer, err = newDialer(&o); err != nil {
		return nil, err
	}
	n.gate, err = newGate(&o, n.dialer)
	return n, err
}

// newRules are the rules of a setup. Where before has the same policy, what was learned of the databases stays.
func newRules(o *Options, before *Rules, was *Options) *Rules {
	r := &Rules{Policy: o.Policy, StatementBytes: o.Limits.StatementBytes, MessageBytes: o.Limits.MessageBytes, Literals: o.Literals}
	r.Rights = catalog.Rights(o.Roles.See, o.Roles.Restore, o.Roles.Purge)
	if before != nil && before.Policy.Equal(o.Policy) && was.CatalogMaxAge == o.CatalogMaxAge {
		r.Policy, r.Snapshots = before.Policy, before.Snapshots
	} else {
		r.Snapshots = NewSnapshots(o.CatalogMaxAge)
	}
	return r
}

// Reload goes over to other options, whole or not at all. New connections go by them at once, and the sessions of open
// ones at their next statement: policy, sizes, literals. Where clients connect, and how many loops there are, stays.
func (s *Server) Reload(o Options) error {
	o.Log, o.Observer = s.log, s.observer
	o.complete()
	n, err := newSetup(o)
	if err != nil {
		return err
	}
	s.reloading.Lock()
	defer s.reloading.Unlock()
	before := s.setup.Load()
	if o.Upstream.String() == before.options.Upstream.String() {
		n.dialer.roles.known = before.dialer.roles.all()
	}
	if n.gate != nil && before.gate != nil {
		n.gate.mock = before.gate.mock // salts that change at a reload would be those of users who do not exist
	}
	s.rules.Store(newRules(&o, s.rules.Load(), &before.options))
	s.setup.Store(n)
	before.gate.close()
	return nil
}
