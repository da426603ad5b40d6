package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestWindow(t *testing.T) {
	const out = `pgbench (15.14 (Debian 15.14-0+deb12u1))
progress: 1700000002.502 s, 2000.0 tps, lat 0.201 ms stddev 0.040, 0 failed
progress: 1700000003.500 s, 2000.0 tps, lat 0.201 ms stddev 0.040, 0 failed
progress: 1700000005.500 s, 500.0 tps, lat 0.201 ms stddev 0.040, 0 failed
`
	w := &window{length: 3 * time.Second}
	lines := 0
	for line := range strings.Lines(out) {
		at, tps, is, err := parseProgress(line)
		if err != nil {
			t.Fatal(err)
		}
		if is {
			lines++
			w.add(at, tps)
		}
		if w.complete() != (lines == 3) {
			t.Errorf("complete after %d lines: %v", lines, w.complete())
		}
	}
	if math.Round(w.transactions) != 2996 || math.Round(w.tps()) != 999 {
		t.Errorf("%f transactions, %f a second", w.transactions, w.tps())
	}
	if !w.from.Equal(time.UnixMilli(1700000002502)) || !w.to.Equal(time.UnixMilli(1700000005500)) {
		t.Errorf("from %s to %s", w.from, w.to)
	}
	if _, _, is, err := parseProgress("progress: 1700000001.500 s, 9.0.0 tps"); !is || err == nil {
		t.Errorf("a line with a broken number: %v, %v", is, err)
	}
	if failed := failures.FindStringSubmatch("tps = 1\nnumber of failed transactions: 3 (3%)\n"); len(failed) != 2 || failed[1] != "3" {
		t.Errorf("failures: %q", failed)
	}
	if failures.MatchString("number of failed transactions: 0 (0.000%)\n") {
		t.Error("no failure was taken for one")
	}
}
