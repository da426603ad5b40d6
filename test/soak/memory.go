package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tombstone/test/chaos"
)

// memory holds the samples of the two windows that are compared.
type memory struct{ begin, end []chaos.Sample }

// watch takes samples while the load runs and prints a line a minute.
func watch(ctx context.Context, p *chaos.Process, t *tally, o options) *memory {
	m := new(memory)
	began := time.Now()
	window := o.warmUp
	every := min(2*time.Second, window/10)
	tick := time.NewTicker(every)
	defer tick.Stop()
	said, last := began, t.requests.Load()
	for {
		select {
		case <-ctx.Done():
			return m
		case <-tick.C:
		}
		s, err := p.Sample(ctx)
		if err != nil {
			if ctx.Err() == nil {
				t.bad("the proxy is gone: %v\n%s", err, p.Said())
			}
			return m
		}
		past := time.Since(began)
		if past > o.warmUp && past <= o.warmUp+window {
			m.begin = append(m.begin, s)
		}
		if past > o.duration-window {
			m.end = append(m.end, s)
		}
		if since := time.Since(said); since >= min(time.Minute, o.duration/6) {
			now := t.requests.Load()
			fmt.Printf("%7s  %.0f requests/s; %s; %s\n", past.Round(time.Second), float64(now-last)/since.Seconds(), s, t)
			said, last = time.Now(), now
		}
	}
}

// growth is how much of its memory after the warm-up a process may have gained at the end. In a short run the heap has not
// found its size after the warm-up; that one is a look at everything else.
func growth(duration time.Duration) float64 {
	if duration < 10*time.Minute {
		return 1.30
	}
	return 1.10
}

func (m *memory) verdict(duration time.Duration) error {
	if len(m.begin) < 3 || len(m.end) < 3 {
		return fmt.Errorf("too few samples of memory; let it run longer")
	}
	median := func(list []chaos.Sample, of func(chaos.Sample) int64) float64 {
		values := make([]int64, len(list))
		for i, s := range list {
			values[i] = of(s)
		}
		slices.Sort(values)
		return float64(values[len(values)/2])
	}
	rss := func(s chaos.Sample) int64 { return s.RSS }
	heap := func(s chaos.Sample) int64 { return s.Heap }
	begin, end := median(m.begin, rss), median(m.end, rss)
	fmt.Printf("memory, medians of %d and %d samples: rss %.1f MB after the warm-up, %.1f MB at the end (%+.1f%%); heap in use %.1f MB, %.1f MB\n",
		len(m.begin), len(m.end), begin/1e6, end/1e6, 100*(end/begin-1), median(m.begin, heap)/1e6, median(m.end, heap)/1e6)
	if end > growth(duration)*begin {
		return fmt.Errorf("resident memory has grown by %.1f%%", 100*(end/begin-1))
	}
	return nil
}
