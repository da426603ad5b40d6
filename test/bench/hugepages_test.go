package main

import "testing"

func TestParseMissing(t *testing.T) {
	const meminfo = `MemTotal:       24684000 kB
HugePages_Total:     350
HugePages_Free:      245
HugePages_Rsvd:      183
HugePages_Surp:        0
Hugepagesize:       2048 kB
`
	for _, c := range []struct{ bytes, want int }{{62 << 21, 0}, {62<<21 + 1, 1}, {sharedMemory, 320 - 62}} {
		if got, err := parseMissing(meminfo, c.bytes); err != nil || got != c.want {
			t.Errorf("for %d bytes: %d, %v; want %d", c.bytes, got, err, c.want)
		}
	}
	for _, meminfo := range []string{
		"",
		"MemTotal: 1 kB\n",
		"HugePages_Free: 1\nHugePages_Rsvd: 0\nHugepagesize: 0 kB\n",
		"HugePages_Free: x\nHugePages_Rsvd: 0\nHugepagesize: 2048 kB\n",
	} {
		if missing, err := parseMissing(meminfo, 1); err == nil {
			t.Errorf("%q: %d", meminfo, missing)
		}
	}
}
