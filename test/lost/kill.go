package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// killing ends somebody, again and again, and audits each time.
func (r *round) killing(ctx context.Context, kills int, deletesOnly bool) error {
	for range kills {
		if err := pause(ctx, 30, 300); err != nil {
			return err
		}
		victim, err := r.kill(ctx, deletesOnly)
		if err != nil {
			return err
		}
		r.tally.with(func() { r.tally.kills[victim]++ })
		if err := pause(ctx, 0, 60); err != nil {
			return err
		}
		if err := r.look(ctx); err != nil {
			return err
		}
	}
	return nil
}

// kill ends one of those who are at work and tells who it was.
func (r *round) kill(ctx context.Context, deletesOnly bool) (string, error) {
	for {
		n := rand.IntN(100)
		switch {
		case n < 45:
			r.stage.proxy.Load().Kill()
			return "proxy", r.stage.restart()
		case n < 80 && !deletesOnly:
			// A command is at work most of the time, at something else each time.
			if err := pause(ctx, 0, 50); err != nil {
				return "", err
			}
			if p := r.operators[rand.IntN(len(r.operators))].running.Load(); p != nil && p.Kill() == nil {
				return "command", nil
			}
		case n < 90:
			var hit bool
			err := r.stage.admin.QueryRow(ctx, `SELECT coalesce((SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = $1 AND usename = 'app' AND backend_type = 'client backend' ORDER BY state = 'active' DESC, random() LIMIT 1), false)`, r.database).Scan(&hit)
			if err != nil || hit {
				return "backend", err
			}
		default:
			if r.clients[rand.IntN(len(r.clients))].cut() {
				return "client", nil
			}
		}
	}
}

// pause waits for a random time: what it is to meet is random, too.
func pause(ctx context.Context, from, to int) error {
	t := time.NewTimer(time.Duration(from+rand.IntN(to-from)) * time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
