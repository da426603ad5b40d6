package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"tombstone/cluster"
	"tombstone/policy"
	"tombstone/proxy"
	"tombstone/test/serve"
)

// Stage is one cluster and the proxy before it. All twins stand on it.
type Stage struct {
	cluster *cluster.Cluster
	proxy   *proxy.Server
	policy  *policy.Policy
	stop    func() error // ends the proxy
	serial  atomic.Int64
	copying sync.Mutex // held while a database is made
}

// settings of the server. deadlock_timeout is so short that who closes a circle of waits is who finds it: those who wait already have looked.
var settings = map[string]string{
	"autovacuum": "off", "jit": "off", "timezone": "UTC", "max_parallel_workers_per_gather": "0", "synchronous_commit": "off", "fsync": "off",
	"full_page_writes": "off", "shared_buffers": "128MB", "wal_level": "minimal", "max_wal_senders": "0", "log_min_messages": "panic",
	"deadlock_timeout": "10ms", "max_connections": "100",
}

// NewStage starts a cluster and a proxy. major is PostgreSQL's, 0 for any.
func NewStage(ctx context.Context, w io.Writer, major int) (*Stage, error) {
	programs, err := cluster.Ensure(ctx, w, major)
	if err != nil {
		return nil, err
	}
	c, err := cluster.Start(ctx, cluster.Options{Programs: programs, Settings: settings})
	if err != nil {
		return nil, err
	}
	s := &Stage{cluster: c}
	log := &serve.Journal{Most: 1 << 20}
	o, err := serve.Before(c, policyText(), log)
	if err == nil {
		s.policy = o.Policy
		s.proxy, s.stop, err = serve.Begin(o, log, patience)
	}
	if err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return s, nil
}

// Close ends the proxy and the cluster. The error also tells of an internal error that the proxy logged.
func (s *Stage) Close() error { return errors.Join(s.stop(), s.cluster.Stop()) }

// patience is how long anything may take that ought to take no time.
const patience = 30 * time.Second
