package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tombstone/cluster"
	"tombstone/config"
	"tombstone/policy"
	"tombstone/proxy"
)

// Stage is one cluster and the proxy before it. All twins stand on it.
type Stage struct {
	cluster *cluster.Cluster
	front   net.Addr
	policy  *policy.Policy
	log     *journal
	stop    context.CancelFunc
	served  chan error
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
func NewStage(ctx context.Context, log io.Writer, major int) (*Stage, error) {
	programs, err := cluster.Ensure(ctx, log, major)
	if err != nil {
		return nil, err
	}
	c, err := cluster.Start(ctx, cluster.Options{Programs: programs, Settings: settings})
	if err != nil {
		return nil, err
	}
	s := &Stage{cluster: c, log: &journal{}, served: make(chan error, 1)}
	if err := s.listen(); err != nil {
		_ = c.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Stage) listen() error {
	text := fmt.Sprintf("listen: 127.0.0.1:6432\nupstream: postgres://%s:%d\ntables:\n%s", s.cluster.Host, s.cluster.Port, policyText())
	cfg, err := config.Parse("keys.yaml", []byte(text))
	if err != nil {
		return err
	}
	s.policy = policy.New(cfg.Tables, cfg.Bodies)
	o := proxy.From(cfg)
	o.Listen = config.Address{Network: "tcp", Address: "127.0.0.1:0"}
	o.CatalogMaxAge, o.Drain, o.Literals, o.Log = time.Hour, 0, true, slog.New(slog.NewTextHandler(s.log, nil))
	p, err := proxy.Listen(o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.front, s.stop = p.Addr(), cancel
	// Serve ends when Close cancels ctx, and Close waits for it.
	go func() { s.served <- p.Serve(ctx) }()
	return nil
}

// Close ends the proxy and the cluster. The error also tells of an internal error that the proxy logged.
func (s *Stage) Close() error {
	s.stop()
	var err error
	select {
	case err = <-s.served:
	case <-time.After(patience):
		err = fmt.Errorf("the proxy has not ended within %s", patience)
	}
	if stopErr := s.cluster.Stop(); err == nil {
		err = stopErr
	}
	if said := s.log.String(); err == nil && strings.Contains(said, "internal error") {
		err = fmt.Errorf("the proxy logged an internal error:\n%s", said)
	}
	return err
}

// patience is how long anything may take that ought to take no time.
const patience = 30 * time.Second

// journal keeps what the proxy logs, up to a size.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.text.Len() < 1<<20 || strings.Contains(string(p), "internal error") {
		j.text.Write(p)
	}
	return len(p), nil
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}
