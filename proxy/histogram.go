package proxy

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Histogram counts durations in buckets that double, from 1 µs to 8 s. Add costs a few nanoseconds, so that it can be called
// for every message.
type Histogram struct {
	counts [histogramBuckets + 1]atomic.Uint64 // the last is for what is longer than all
	sum    atomic.Int64                        // in ns
}

const histogramBuckets = 24

// HistogramBounds are the upper bounds of the buckets, in seconds. A unit of the buckets is 1024 ns.
func HistogramBounds() []float64 {
	bounds := make([]float64, histogramBuckets)
	for i := range bounds {
		bounds[i] = (time.Duration(1024) << i).Seconds()
	}
	return bounds
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[min(bits.Len64(uint64(d)>>10), histogramBuckets)].Add(1)
	h.sum.Add(int64(d))
}

// Snapshot returns how many durations fell into each bucket, one more than there are bounds, and their sum.
func (h *Histogram) Snapshot() (counts []uint64, sum time.Duration) {
	counts = make([]uint64, len(h.counts))
	for i := range h.counts {
		counts[i] = h.counts[i].Load()
	}
	return counts, time.Duration(h.sum.Load())
}
