package main

import (
	"math"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 100}, 3}} {
		before := c.values[0]
		if got := median(c.values); got != c.want || c.values[0] != before {
			t.Errorf("%v: %v, want %v", c.values, got, c.want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for i := 100; i > 0; i-- {
		hundred = append(hundred, time.Duration(i)*time.Millisecond)
	}
	for p, want := range map[float64]float64{0: 1, 1: 1, 50: 50, 99: 99, 99.5: 100, 100: 100} {
		if got := percentile(hundred, p); got != want {
			t.Errorf("p%v of 1..100 ms: %v, want %v", p, got, want)
		}
	}
	if got := percentile([]time.Duration{1500 * time.Microsecond}, 99); got != 1.5 {
		t.Errorf("of one: %v", got)
	}
	if !math.IsNaN(percentile(nil, 50)) {
		t.Error("a percentile of nothing is a number")
	}
}

// A slow minute that hits both targets leaves their ratio alone.
func TestCompare(t *testing.T) {
	ours := []Figures{{Rate: 90}, {Rate: 45}, nil, {Rate: 99}, {CPU: 1}}
	theirs := []Figures{{Rate: 100}, {Rate: 50}, {Rate: 70}, {Rate: 90}}
	r, is := compare(ours, theirs, Rate)
	if !is || r.Median != 0.9 || r.Min != 0.9 || r.Max != 1.1 || r.Rounds != 3 {
		t.Errorf("%+v, %v", r, is)
	}
	if r, is := compare(ours, theirs, CPU); is {
		t.Errorf("without a common round: %+v", r)
	}
	if m, is := middle(ours, Rate); !is || m != 90 {
		t.Errorf("middle %v, %v", m, is)
	}
	if _, is := middle(theirs, CPU); is {
		t.Error("the middle of nothing")
	}
}
