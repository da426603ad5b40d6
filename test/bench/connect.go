package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// workers open sessions at the same time.
const workers = 8

// connects opens sessions, one after the other in every worker: connect, SELECT 1, close.
func connects(ctx context.Context, s *Stage, t *Target) (Figures, error) {
	before, err := t.cpu()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	latencies, err := inParallel(workers, func(int) ([]time.Duration, error) {
		var mine []time.Duration
		for time.Since(start) < time.Duration(s.Options.Seconds)*time.Second {
			begin := time.Now()
			if err := oneSession(ctx, t.Port); err != nil {
				return nil, err
			}
			mine = append(mine, time.Since(begin))
		}
		return mine, nil
	})
	if err != nil {
		return nil, err
	}
	took := time.Since(start)
	after, err := t.cpu()
	if err != nil {
		return nil, err
	}
	f := Figures{Rate: float64(len(latencies)) / took.Seconds(), P50: percentile(latencies, 50), P99: percentile(latencies, 99)}
	if t.child != nil {
		f[CPU] = (after - before).Seconds() / float64(len(latencies)) * 1e3
	}
	return f, nil
}

// fakeConnects does the same before the fake server. A real one starts a process for every session, which costs ten times what a
// proxy does and hides it.
func fakeConnects(ctx context.Context, s *Stage, t *Target) (Figures, error) {
	if err := s.startFake(ctx); err != nil {
		return nil, err
	}
	proxy, err := t.proxy.start(ctx, s, t.Name+"-connect", s.fake.Port, benchClients)
	if err != nil {
		return nil, err
	}
	defer proxy.stop()
	before := &Target{Name: t.Name, Port: proxy.Port, proxy: t.proxy, child: proxy}
	if err := oneSession(ctx, before.Port); err != nil { // what is done once for all sessions
		return nil, explain(err, proxy, s.fake)
	}
	f, err := connects(ctx, s, before)
	if err != nil {
		return nil, explain(err, proxy, s.fake)
	}
	return f, nil
}

func oneSession(ctx context.Context, port int) error {
	c, err := dial(ctx, port, 4096)
	if err != nil {
		return err
	}
	if _, err := c.query("SELECT 1"); err != nil {
		c.Close()
		return err
	}
	return c.bye()
}

// inParallel does n pieces of work at once and returns what they return, in one list.
func inParallel[T any](n int, piece func(i int) ([]T, error)) ([]T, error) {
	parts, errs := make([][]T, n), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { parts[i], errs[i] = piece(i) })
	}
	all.Wait()
	var whole []T
	for _, part := range parts {
		whole = append(whole, part...)
	}
	return whole, errors.Join(errs...)
}
