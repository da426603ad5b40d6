package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tombstone/admin"
	"tombstone/config"
	"tombstone/config/configtest"
	"tombstone/lifecycle/purge"
)

var scheduled = configtest.Parse

// fakeClock is a time that passes when somebody waits.
type fakeClock struct {
	at     time.Time
	waited []time.Time
}

// Purges begin when the schedule says, a little later each time, until it says otherwise or the proxy stops.
func TestSchedule(t *testing.T) {
	t.Setenv("PGUSER", "")
	const tables = "tables: [{name: public.users, retention: 30d}]\n"
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c := scheduled(t, tables+"purge: {login: \"postgres://purger@/shop\", schedule: \"30 4 * * 1\"}\n")
	s := newSchedule(c, admin.NewMetrics("", "").AddPurges(), log)
	clock := &fakeClock{at: time.Date(2026, 11, 25, 12, 0, 0, 0, time.FixedZone("", 3600))} // a Wednesday
	var purged []string
	s.now = func() time.Time { return clock.at }
	s.until = func(_ context.Context, at time.Time, _ <-chan struct{}) {
		clock.at = at
		switch len(clock.waited) {
		case 2: // the third wait ends with a new configuration
			s.reload(scheduled(t, tables+"purge: {login: \"postgres://purger@/shop\", schedule: \"0 */6 * * *\"}\n"))
			clock.at = time.Date(2026, 12, 8, 5, 0, 0, 0, time.UTC)
		case 4: // and the fifth with one that wants nothing
			s.reload(scheduled(t, tables+"purge: {login: \"postgres://purger@/shop\", schedule: off}\n"))
		case 5:
			s.reload(scheduled(t, "tables: [{name: public.users, retention: 7d}]\npurge: {schedule: \"0 0 1 * *\"}\n"))
		case 6:
			stop()
		}
		clock.waited = append(clock.waited, at)
	}
	s.purge = func(hard, soft context.Context, c *config.Config) (*purge.Purged, error) {
		purged = append(purged, clock.at.UTC().Format("Mon 15:04"))
		if len(purged) == 2 {
			return nil, fmt.Errorf("nobody is there")
		}
		return &purge.Purged{Outcome: "done"}, nil
	}
	s.run(ctx)
	if got := strings.Join(purged, ", "); got != "Mon 04:30, Mon 04:30, Tue 06:00" {
		t.Errorf("purged at %s", got)
	}
	if year := clock.waited[5].Year(); year != 2027 {
		t.Errorf("with schedule off it waits until %v", clock.waited[5])
	}
	for _, want := range []string{"nobody is there", "no login is known", "a retention is shorter now"} {
		if strings.Count(text.String(), want) != 1 {
			t.Errorf("%q is not there once:\n%s", want, &text)
		}
	}
}

// A purge that is at work when the proxy stops ends after its batch, and is cut off when the drain is over.
func TestScheduleStops(t *testing.T) {
	c := scheduled(t, "tables: [{name: public.users, retention: 30d}]\ndrain: 20ms\npurge: {login: \"postgres://purger@/shop\"}\n")
	s := newSchedule(c, admin.NewMetrics("", "").AddPurges(), slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	s.until = func(context.Context, time.Time, <-chan struct{}) {}
	ended := make(chan string, 2)
	s.purge = func(hard, soft context.Context, _ *config.Config) (*purge.Purged, error) {
		stop()
		<-soft.Done()
		if hard.Err() == nil {
			ended <- "told"
		}
		<-hard.Done()
		ended <- "cut off"
		return &purge.Purged{Outcome: "stopped"}, nil
	}
	s.run(ctx)
	if a, b := <-ended, <-ended; a != "told" || b != "cut off" {
		t.Error(a, b)
	}
}
