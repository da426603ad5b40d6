package main

import (
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const stat = "2548 (a (b) c) R 2546 2546 28588 0 -1 4194304 101 0 0 0 250 31 7 8 20 0 1 0 2396193 3133440 416"
	if cpu, err := parseStat(stat); err != nil || cpu != 2810*time.Millisecond {
		t.Errorf("%s, %v", cpu, err)
	}
	for _, stat := range []string{"", "1 (x) R 1 2", "1 (x) R 1 2 3 4 5 6 7 8 9 10 x y 13"} {
		if _, err := parseStat(stat); err == nil {
			t.Errorf("%q was read", stat)
		}
	}
}

func TestParseStatus(t *testing.T) {
	if kib, err := parseStatus("Name:\tx\nVmHWM:\t    9999 kB\nVmRSS:\t    1664 kB\nRssAnon:\t 1 kB\n"); err != nil || kib != 1664 {
		t.Errorf("%d, %v", kib, err)
	}
	if _, err := parseStatus("Name:\tzombie\n"); err == nil {
		t.Error("a process without memory was read")
	}
}

func TestBetween(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(1_000_000 + ms)) }
	readings := []reading{{at(0), 5 * time.Second}, {at(100), 5 * time.Second}, {at(200), 6 * time.Second}, {at(300), 8 * time.Second}}
	for _, c := range []struct {
		from, to int
		want     time.Duration
	}{
		{0, 300, 3 * time.Second}, {100, 200, time.Second}, {150, 250, 1500 * time.Millisecond},
		{-50, 150, 500 * time.Millisecond}, {250, 900, time.Second}, {120, 120, 0},
	} {
		if got := between(readings, at(c.from), at(c.to)); got.Round(time.Microsecond) != c.want {
			t.Errorf("%d to %d: %s, want %s", c.from, c.to, got, c.want)
		}
	}
	if got := between(nil, at(0), at(1)); got != 0 {
		t.Errorf("without readings: %s", got)
	}
}
