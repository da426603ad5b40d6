package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of time in /proc/PID/stat: Linux gives programs 100 a second on every machine that Go runs on (USER_HZ).
const tick = time.Second / 100

// cpuOf returns the user and system time that a process has used, all its threads together.
func cpuOf(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read the process's CPU time, which needs Linux: %w", err)
	}
	return parseStat(string(stat))
}

// parseStat reads utime and stime, fields 14 and 15 of proc(5). Field 2, the name, may hold spaces and parentheses.
func parseStat(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat is too short: %q", stat)
	}
	var sum time.Duration
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// residentOf returns the resident memory of a process, in KiB.
func residentOf(pid int) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the process's memory, which needs Linux: %w", err)
	}
	return parseStatus(string(status))
}

func parseStatus(status string) (int, error) {
	for line := range strings.Lines(status) {
		if value, is := strings.CutPrefix(line, "VmRSS:"); is {
			return strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		}
	}
	return 0, fmt.Errorf("/proc/PID/status has no VmRSS")
}

// reading is the CPU time that a process had used at a moment.
type reading struct {
	at  time.Time
	cpu time.Duration
}

// meterEvery is the pause between two readings.
const meterEvery = 20 * time.Millisecond

// meter reads a process's CPU time again and again, so that it can be said afterwards what was used between two moments.
type meter struct {
	readings []reading
	err      error
	stop     chan struct{}
	done     chan struct{}
}

// startMeter reads the CPU time of a target's proxy until ended is called, where its one goroutine ends. There is nothing to read
// without a proxy.
func startMeter(t *Target) *meter {
	m := &meter{stop: make(chan struct{}), done: make(chan struct{})}
	if t.child == nil {
		close(m.done)
		return m
	}
	go func() {
		defer close(m.done)
		every := time.NewTicker(meterEvery)
		defer every.Stop()
		for last := false; ; {
			cpu, err := cpuOf(t.child.PID)
			if err != nil {
				m.err = err
				return
			}
			m.readings = append(m.readings, reading{time.Now(), cpu})
			if last {
				return
			}
			select {
			case <-m.stop:
				last = true
			case <-every.C:
			}
		}
	}()
	return m
}

// ended returns the readings.
func (m *meter) ended() ([]reading, error) {
	close(m.stop)
	<-m.done
	return m.readings, m.err
}

// between is the CPU time used between two moments. What lies between two readings was used evenly.
func between(readings []reading, from, to time.Time) time.Duration {
	return used(readings, to) - used(readings, from)
}

func used(readings []reading, at time.Time) time.Duration {
	i := slices.IndexFunc(readings, func(r reading) bool { return !r.at.Before(at) })
	switch {
	case len(readings) == 0:
		return 0
	case i == 0:
		return readings[0].cpu
	case i < 0:
		return readings[len(readings)-1].cpu
	}
	before, after := readings[i-1], readings[i]
	part := float64(at.Sub(before.at)) / float64(after.at.Sub(before.at))
	return before.cpu + time.Duration(part*float64(after.cpu-before.cpu))
}
