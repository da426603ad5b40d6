package main

import (
	"slices"
	"testing"
	"time"
)

func TestParseLog(t *testing.T) {
	w := &window{from: time.Unix(1700000000, 0), to: time.Unix(1700000002, 0)}
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
