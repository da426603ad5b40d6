package main

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestParseProgress(t *testing.T) {
	const out = `pgbench (15.14 (Debian 15.14-0+deb12u1))
progress: 1700000001.500 s, 900.0 tps, lat 0.201 ms stddev 0.040, 0 failed
progress: 1700000002.500 s, 2000.0 tps, lat 0.201 ms stddev 0.040, 0 failed
progress: 1700000004.500 s, 500.0 tps, lat 0.201 ms stddev 0.040, 0 failed
transaction type: <builtin: select only>
number of transactions actually processed: 109213
number of failed transactions: 0 (0.000%)
initial connection time = 14.321 ms
tps = 36400.250000 (without initial connection time)
`
	w, err := parseProgress(out)
	if err != nil || math.Round(w.transactions) != 3000 || math.Round(w.tps) != 1000 {
		t.Errorf("%+v, %v", w, err)
	}
	if from := time.UnixMilli(1700000001500); !w.from.Equal(from) || w.to.Sub(w.from) != 3*time.Second {
		t.Errorf("from %s to %s", w.from, w.to)
	}
	if ms := initial.FindStringSubmatch(out); len(ms) != 2 || ms[1] != "14.321" {
		t.Errorf("logins: %q", ms)
	}
	for _, out := range []string{
		"",
		"progress: 1700000001.500 s, 900.0 tps, lat 0.201 ms stddev 0.040, 0 failed\n",
		"progress: 1700000001.500 s, 900.0 tps\nprogress: 1700000002.500 s, 0.0 tps\n",
		"progress: 1700000001.500 s, 900.0 tps\nprogress: 1700000002.500 s, 9.0 tps\nnumber of failed transactions: 3 (3%)\n",
		"progress: 1.0 s, 900.0 tps\nprogress: 2.0 s, 900.0 tps\n",
	} {
		if w, err := parseProgress(out); err == nil {
			t.Errorf("%q: %+v", out, w)
		}
	}
}

func TestParseLog(t *testing.T) {
	w := window{from: time.Unix(1700000000, 0), to: time.Unix(1700000002, 0)}
	const log = `0 1 9000 0 1699999999 999999
0 2 1500 0 1700000000 0
1 1 failed 0 1700000000 1
1 2 250 0 1700000001 5 77 0
1 3 skipped 0 1700000001 5
0 3 700 0 1700000002 1
`
	got, err := parseLog(log, w)
	if want := []time.Duration{1500 * time.Microsecond, 250 * time.Microsecond}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for _, text := range []string{"0 1 1500\n", "0 1 x 0 1700000000 2000\n", "0 1 1500 0 1.7 2000\n"} {
		if _, err := parseLog(text, w); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
