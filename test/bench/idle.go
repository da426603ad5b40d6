package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"time"
)

// quiet is how long nothing happens before memory is read.
func (o Options) quiet() time.Duration {
	if o.Quick {
		return time.Second
	}
	return 3 * time.Second
}

// idleSQL is what each session has done before it idles: it reads a protected table, so that the proxy has made a plan and PgBouncer
// has given the session a server connection, which it does not do for a mere login.
const idleSQL = "SELECT abalance FROM pgbench_accounts WHERE aid = 1"

// idle opens sessions through a fresh proxy to the fake server, lets them be, and reads how much more memory the proxy has than
// after the first few of them. Fresh, because memory that was used once is not given back at once.
func idle(ctx context.Context, s *Stage, t *Target) (Figures, error) {
	if err := s.startFake(ctx); err != nil {
		return nil, err
	}
	proxy, err := t.proxy.start(ctx, s, t.Name+"-idle", s.fake.Port, s.Options.Idle+workers+1)
	if err != nil {
		return nil, err
	}
	defer proxy.stop()
	// What the proxy has once for all sessions is there before it counts.
	few, err := openIdle(ctx, proxy.Port, 1)
	defer closeAll(few)
	if err != nil {
		return nil, explain(err, proxy, s.fake)
	}
	before, err := restingMemory(ctx, proxy.PID, s.Options.quiet())
	if err != nil {
		return nil, err
	}
	each := max(1, s.Options.Idle/workers)
	many, err := openIdle(ctx, proxy.Port, each)
	defer closeAll(many)
	if err != nil {
		return nil, explain(err, proxy, s.fake)
	}
	after, err := restingMemory(ctx, proxy.PID, s.Options.quiet())
	if err != nil {
		return nil, err
	}
	return Figures{Before: float64(before), After: float64(after), Memory: float64(after-before) / float64(len(many))}, nil
}

// startFake starts the fake server if it does not run.
func (s *Stage) startFake(ctx context.Context) error {
	if s.fake != nil {
		return s.fake.alive()
	}
	var err error
	s.fake, err = startChild(ctx, s.dog, s.folder, "fake", func(port int) (*exec.Cmd, error) {
		return self("fake", strconv.Itoa(port), strconv.Itoa(s.cluster.Port))
	})
	return err
}

// openIdle opens so many sessions with each worker.
func openIdle(ctx context.Context, port, each int) ([]*client, error) {
	return inParallel(workers, func(int) ([]*client, error) {
		var mine []*client
		for range each {
			c, err := dial(ctx, port, 512)
			if err != nil {
				return mine, err
			}
			mine = append(mine, c)
			if _, err := c.query(idleSQL); err != nil {
				return mine, err
			}
		}
		return mine, nil
	})
}

func closeAll(all []*client) {
	for _, c := range all {
		_ = c.Close() // the other end is about to be killed
	}
}

func restingMemory(ctx context.Context, pid int, quiet time.Duration) (int, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(quiet):
	}
	return residentOf(pid)
}

// explain adds what the proxy and the fake server have said.
func explain(err error, all ...*child) error {
	for _, c := range all {
		if said := c.said(); said != "" {
			err = fmt.Errorf("%w\n%s%s", err, c.name, said)
		}
	}
	return err
}
