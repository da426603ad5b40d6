// Package clustertest gives tests a real PostgreSQL: one that all tests of a package share, or one of a test's own.
//
//	var server *cluster.Cluster
//
//	func TestMain(m *testing.M) {
//		clustertest.Main(m, func(s *clustertest.Shared) (err error) {
//			server, err = s.Start(cluster.Options{Settings: map[string]string{"autovacuum": "off"}})
//			return err
//		})
//	}
package clustertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"tombstone/cluster"
)

// Shared is what the tests of a package have in common. It is also the context of its beginning, which may take five minutes.
type Shared struct {
	context.Context
	ends []func() error
}

// Finally has something done when the tests are over, or when their beginning has failed. What came last is ended first.
func (s *Shared) Finally(end func() error) { s.ends = append(s.ends, end) }

// Start starts a cluster that is stopped when the tests are over. Programs that are missing are fetched.
func (s *Shared) Start(o cluster.Options) (*cluster.Cluster, error) {
	c, err := start(s, o)
	if err == nil {
		s.Finally(c.Stop)
	}
	return c, err
}

func start(ctx context.Context, o cluster.Options) (c *cluster.Cluster, err error) {
	if o.Programs.Bin == "" {
		if o.Programs, err = cluster.Ensure(ctx, os.Stderr, 0); err != nil {
			return nil, err
		}
	}
	return cluster.Start(ctx, o)
}

// Main begins, runs the tests of a package, ends what was begun, and exits.
func Main(m *testing.M, begin func(*Shared) error) {
	status, err := run(m, begin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "what the tests share:", err)
		status = 1
	}
	os.Exit(status)
}

func run(m *testing.M, begin func(*Shared) error) (status int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	s := &Shared{Context: ctx}
	defer func() {
		for _, end := range slices.Backward(s.ends) {
			err = errors.Join(err, end())
		}
	}()
	if err := begin(s); err != nil {
		return 1, err
	}
	return m.Run(), nil
}
