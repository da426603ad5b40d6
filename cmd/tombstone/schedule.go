package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/adhocore/gronx"

	"tombstone/admin"
	"tombstone/config"
	"tombstone/lifecycle/purge"
	"tombstone/policy"
)

// maxJitter is how much later than the schedule says a purge begins, at most, so that not all replicas come at once.
const maxJitter = 20 * time.Second

// schedule purges when the configuration says so: the one database of its login.
//
// Of several replicas that come at the same time one does it, by an advisory lock in the database; those that come a little later find nothing left.
type schedule struct {
	log     *slog.Logger
	metrics *admin.Purges

	// What a test has its own of: when it is, what waits until a moment or until the channel or the context ends it, and what purges.
	now   func() time.Time
	until func(ctx context.Context, at time.Time, changed <-chan struct{})
	purge func(ctx, soft context.Context, c *config.Config) (*purge.Purged, error)

	mu      sync.Mutex
	config  *config.Config
	changed chan struct{} // closed when config is another
}

func newSchedule(c *config.Config, metrics *admin.Purges, log *slog.Logger) *schedule {
	s := &schedule{log: log, metrics: metrics, now: time.Now, until: wait, config: c, changed: make(chan struct{})}
	s.purge = s.purgeDatabase
	s.warn(c)
	return s
}

// reload goes by another configuration from now on. A purge that is at work comes to its end under the old one.
func (s *schedule) reload(c *config.Config) {
	s.mu.Lock()
	before := s.config
	s.config = c
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
	s.warn(c)
	for _, now := range c.Tables {
		i := slices.IndexFunc(before.Tables, func(t config.Table) bool { return t.Name == now.Name })
		if i < 0 || now.Retention == 0 {
			continue
		}
		if old := before.Tables[i].Retention; old == 0 || old > now.Retention {
			s.log.Warn("a retention is shorter now, so the next purge deletes more than usual; tombstone purge --dry-run shows what",
				"table", now.Name, "before", kept(old), "now", kept(now.Retention))
		}
	}
}

func kept(d time.Duration) string {
	if d == 0 {
		return "forever"
	}
	return d.String()
}

// warn says once if the policy wants a purge and nobody can do it.
func (s *schedule) warn(c *config.Config) {
	if wanted(c) && !known(c) {
		s.log.Warn(`nothing is purged on schedule, since no login is known for it; write e.g. purge: {login: "postgres://purger:${PGPASSWORD}@/shop"}, or purge: {schedule: off}`)
	}
}

// wanted reports whether something is to be purged on schedule.
func wanted(c *config.Config) bool {
	return c.Purge.Schedule != "off" && slices.ContainsFunc(c.Tables, func(t config.Table) bool { return t.Retention > 0 && t.Mode == "enforce" })
}

// known reports whether it is known as whom.
func known(c *config.Config) bool { return purger(c).User != "" || os.Getenv("PGUSER") != "" }

// run purges at each tick until ctx is done, and then ends after the batch that it is at.
func (s *schedule) run(ctx context.Context) {
	for ctx.Err() == nil {
		s.mu.Lock()
		c, changed := s.config, s.changed
		s.mu.Unlock()
		at := s.now().AddDate(1, 0, 0) // until something changes
		due := wanted(c) && known(c)
		if due {
			tick, err := gronx.NextTickAfter(c.Purge.Schedule, s.now().UTC(), false)
			if err != nil { // such as the 30th of February
				s.log.Warn("the schedule of purges has no next time", "schedule", c.Purge.Schedule, "error", err)
				due = false
			} else {
				at = tick.Add(rand.N(maxJitter))
			}
		}
		s.until(ctx, at, changed)
		select {
		case <-changed: // perhaps another time, or nobody
			continue
		default:
		}
		if ctx.Err() == nil && due {
			s.once(ctx, c)
		}
	}
}

func wait(ctx context.Context, at time.Time, changed <-chan struct{}) {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-t.C:
	}
}

// once purges. When ctx is done it may go on until the batch is committed, for as long as sessions may, too.
func (s *schedule) once(ctx context.Context, c *config.Config) {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { // ends with hard, which ends with this call
		late := time.NewTimer(c.Drain)
		defer late.Stop()
		select {
		case <-late.C:
			cancel()
		case <-hard.Done():
		}
	})
	defer stop()
	out, err := s.purge(hard, ctx, c)
	if err != nil {
		s.metrics.Ran("failed", nil)
		s.log.Error("the purge could not begin", "error", err)
		return
	}
	var tables []admin.PurgedTable
	for _, t := range out.Tables {
		one := admin.PurgedTable{Name: t.Name, Purged: t.Purged, Kept: map[string]int64{}}
		for _, k := range t.Kept {
			one.Kept[k.Reason] += k.Count
		}
		if t.KeptOldest != nil {
			ended := t.KeptOldest.Add(time.Duration(t.Retention * float64(time.Second)))
			one.Ended = &ended
		}
		tables = append(tables, one)
		s.log.Info("purged", "table", t.Name, "rows", t.Purged, "kept", t.Stay())
	}
	s.metrics.Ran(out.Outcome, tables)
	for _, text := range out.Problems {
		s.log.Error("the purge failed in part", "error", text)
	}
	for _, text := range out.Warnings {
		s.log.Warn("purge", "note", text)
	}
	s.log.Info("the purge has ended", "outcome", out.Outcome, "receipt", out.Receipt, "rows", total(out))
}

func (s *schedule) purgeDatabase(ctx, soft context.Context, c *config.Config) (*purge.Purged, error) {
	u := purger(c)
	conn, err := logIn(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := mayWrite(ctx, conn, false); err != nil {
		return nil, err
	}
	out, err := purge.Run(ctx, conn, policy.New(c.Tables, c.Bodies), purge.Options{
		Purge: c.Purge, Who: who("serve"), Stop: soft.Done(), Paused: s.metrics.Paused,
		Say: func(text string) { s.log.Info("purge", "note", text) },
	})
	if ctx.Err() != nil {
		return nil, errors.New("stopped in the middle of a batch, which is undone")
	}
	return out, err
}
