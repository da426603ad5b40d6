package main

import (
	"math"
	"slices"
	"time"
)

// median returns the middle one, or the mean of the two in the middle, and NaN of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// percentile returns, in ms, the smallest latency that p percent of all do not exceed (nearest rank), and NaN of none.
func percentile(latencies []time.Duration, p float64) float64 {
	if len(latencies) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(latencies))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return float64(sorted[max(rank, 1)-1]) / float64(time.Millisecond)
}

// Ratio compares two targets round by round.
type Ratio struct {
	Median, Min, Max float64
	Rounds           int
}

// compare divides the rounds' figures of one target by another's. A round that one of them lacks, or whose divisor is 0, does not
// count.
func compare(figures, others []Figures, m Metric) (Ratio, bool) {
	var ratios []float64
	for round := range min(len(figures), len(others)) {
		one, is := figures[round][m]
		other, otherIs := others[round][m]
		if is && otherIs && other != 0 {
			ratios = append(ratios, one/other)
		}
	}
	if len(ratios) == 0 {
		return Ratio{}, false
	}
	return Ratio{median(ratios), slices.Min(ratios), slices.Max(ratios), len(ratios)}, true
}

// middle is the median of the rounds' figures.
func middle(rounds []Figures, m Metric) (float64, bool) {
	var values []float64
	for _, f := range rounds {
		if v, is := f[m]; is {
			values = append(values, v)
		}
	}
	return median(values), len(values) > 0
}
