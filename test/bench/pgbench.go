package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// script is one of pgbench's own.
type script struct {
	name       string
	statements int     // in a transaction, BEGIN and END too
	sampling   float64 // share of the transactions in pgbench's log: all would slow down the fast ones
}

var scripts = []script{{"select-only", 1, 0.1}, {"tpcb-like", 7, 1}}

// pgbenchCell is a script, protocol and number of clients.
func pgbenchCell(sc script, protocol string, clients int) *Cell {
	return &Cell{
		Name: fmt.Sprintf("%s/%s/%d", sc.name, protocol, clients), Kind: pgbenchKind,
		run: func(ctx context.Context, s *Stage, t *Target) (Figures, error) {
			return s.pgbenchOnce(ctx, t, sc, protocol, clients)
		},
	}
}

// warmUp is how long pgbench runs before it counts, in seconds: its own backends begin with cold caches, those that PgBouncer has kept
// do not.
const warmUp = 1

func (s *Stage) pgbenchOnce(ctx context.Context, t *Target, sc script, protocol string, clients int) (Figures, error) {
	if sc.name == "tpcb-like" {
		// As pgbench does when it is not told -n, but not through the proxy.
		if err := s.sql(ctx, "VACUUM pgbench_branches; VACUUM pgbench_tellers; TRUNCATE pgbench_history"); err != nil {
			return nil, err
		}
	}
	prefix := filepath.Join(s.folder, "transactions")
	defer removeLogs(prefix)
	// pgbench's clock starts before its logins, so what they take comes on top.
	logins, err := s.loginsOf(ctx, t, clients)
	if err != nil {
		return nil, err
	}
	m := startMeter(t)
	out, err := s.runPgbench(ctx, t.Port, "-n", "-b", sc.name, "-M", protocol, "-c", strconv.Itoa(clients), "-j", threads(clients),
		"-T", strconv.Itoa(warmUp+s.Options.Seconds+logins), "-P", "1", "--progress-timestamp",
		"--log", "--log-prefix", prefix, "--sampling-rate", fmt.Sprint(sc.sampling))
	readings, meterErr := m.ended()
	if err := errors.Join(err, meterErr); err != nil {
		return nil, err
	}
	run, err := parseProgress(out)
	if err != nil {
		return nil, err
	}
	latencies, err := readLogs(prefix, run)
	if err != nil {
		return nil, err
	}
	f := Figures{Rate: run.tps, P50: percentile(latencies, 50), P99: percentile(latencies, 99)}
	if t.child != nil {
		f[CPU] = between(readings, run.from, run.to).Seconds() / (run.transactions * float64(sc.statements)) * 1e6
	}
	return f, nil
}

// threads are pgbench's: one could be busier than the proxy with many clients.
func threads(clients int) string { return strconv.Itoa(min(clients, 2)) }

// loginsOf is how long so many logins take at one target, in whole seconds, rounded up. It is measured once.
func (s *Stage) loginsOf(ctx context.Context, t *Target, clients int) (int, error) {
	key := fmt.Sprintf("%s/%d", t.Name, clients)
	if _, is := s.logins[key]; !is {
		out, err := s.runPgbench(ctx, t.Port, "-n", "-S", "-c", strconv.Itoa(clients), "-j", threads(clients), "-t", "1")
		if err != nil {
			return 0, err
		}
		took := initial.FindStringSubmatch(out)
		if took == nil {
			return 0, fmt.Errorf("pgbench does not say how long logins took; is it of version 14 or later?\n%s", out)
		}
		ms, err := strconv.ParseFloat(took[1], 64)
		if err != nil {
			return 0, err
		}
		// A quarter more, because they do not always take as long.
		s.logins[key] = int(math.Ceil(ms / 1000 * 1.25))
	}
	return s.logins[key], nil
}

// runPgbench runs pgbench and returns what it prints, its progress first.
func (s *Stage) runPgbench(ctx context.Context, port int, args ...string) (string, error) {
	args = append(args, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", role, database)
	cmd := exec.CommandContext(ctx, s.pgbench, args...)
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "PG") {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	cmd.Env = append(cmd.Env, "PGSSLMODE=disable", "PGGSSENCMODE=disable")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		words := strings.TrimSpace(stderr.String())
		return "", fmt.Errorf("pgbench %s: %w\n%s", strings.Join(args, " "), err, words[max(0, len(words)-1000):])
	}
	return stderr.String() + stdout.String(), nil
}

// window is the part of a run that counts.
type window struct {
	from, to     time.Time
	transactions float64
	tps          float64
}

var (
	initial  = regexp.MustCompile(`(?m)^initial connection time = ([0-9.]+) ms`)
	failures = regexp.MustCompile(`(?m)^number of failed transactions: ([1-9]\d*)`)
	progress = regexp.MustCompile(`(?m)^progress: (\d+)\.(\d{3}) s, ([0-9.]+) tps`)
)

// parseProgress reads the lines that pgbench writes every second, with the time in seconds since 1970. The first one ends the warm-up.
func parseProgress(out string) (window, error) {
	if failed := failures.FindStringSubmatch(out); failed != nil {
		return window{}, fmt.Errorf("%s transactions failed", failed[1])
	}
	var w window
	for _, line := range progress.FindAllStringSubmatch(out, -1) {
		seconds, err := strconv.ParseInt(line[1], 10, 64)
		milliseconds, msErr := strconv.ParseInt(line[2], 10, 64)
		tps, tpsErr := strconv.ParseFloat(line[3], 64)
		if err := errors.Join(err, msErr, tpsErr); err != nil {
			return w, fmt.Errorf("pgbench's progress is not understood: %q: %w", line[0], err)
		}
		at := time.Unix(seconds, milliseconds*int64(time.Millisecond))
		if w.from.IsZero() {
			w.from, w.to = at, at
			continue
		}
		w.transactions += tps * at.Sub(w.to).Seconds()
		w.to = at
	}
	if w.transactions == 0 {
		return w, fmt.Errorf("pgbench did no transaction after its first second; give it more time with -seconds\n%s", out)
	}
	w.tps = w.transactions / w.to.Sub(w.from).Seconds()
	return w, nil
}

// readLogs reads the logs of all threads, prefix.PID and prefix.PID.THREAD, and returns the latencies of a window.
func readLogs(prefix string, w window) ([]time.Duration, error) {
	files, err := filepath.Glob(prefix + ".*")
	if err != nil {
		return nil, err
	}
	var latencies []time.Duration
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		some, err := parseLog(string(text), w)
		if err != nil {
			return nil, err
		}
		latencies = append(latencies, some...)
	}
	if len(latencies) == 0 {
		return nil, errors.New("pgbench logged no transaction; give it more time with -seconds")
	}
	return latencies, nil
}

// parseLog reads one log: client, number, latency in µs, script, then the second and the µs of the end ("Per-Transaction Logging"
// in pgbench's manual). The latency of a transaction that was not done is a word.
func parseLog(text string, w window) ([]time.Duration, error) {
	var latencies []time.Duration
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 6 {
			return nil, fmt.Errorf("pgbench's log is not understood: %q", line)
		}
		if f[2] == "failed" || f[2] == "skipped" {
			continue
		}
		var n [3]int64
		for i, at := range []int{2, 4, 5} {
			var err error
			if n[i], err = strconv.ParseInt(f[at], 10, 64); err != nil {
				return nil, fmt.Errorf("pgbench's log is not understood: %q: %w", line, err)
			}
		}
		end := time.Unix(n[1], n[2]*int64(time.Microsecond))
		if !end.Before(w.from) && !end.After(w.to) {
			latencies = append(latencies, time.Duration(n[0])*time.Microsecond)
		}
	}
	return latencies, nil
}

func removeLogs(prefix string) {
	files, _ := filepath.Glob(prefix + ".*") // fails only on a pattern that is none
	for _, file := range files {
		_ = os.Remove(file) // the folder goes at the end
	}
}
