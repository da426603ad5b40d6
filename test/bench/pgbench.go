package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

func (s *Stage) pgbenchOnce(ctx context.Context, t *Target, sc script, protocol string, clients int) (Figures, error) {
	if sc.name == "tpcb-like" {
		// As pgbench does when it is not told -n, but not through the proxy.
		if err := s.sql(ctx, "VACUUM pgbench_branches; VACUUM pgbench_tellers; TRUNCATE pgbench_history"); err != nil {
			return nil, err
		}
	}
	prefix := filepath.Join(s.folder, "transactions")
	defer removeLogs(prefix)
	since := time.Now()
	if t.proxy != nil && t.proxy.pools {
		var err error
		if t, err = t.refill(ctx, s, clients); err != nil {
			return nil, err
		}
		defer t.child.stop()
	}
	m := startMeter(t)
	w, err := s.follow(ctx, t, clients, since, "-n", "-b", sc.name, "-M", protocol, "-c", strconv.Itoa(clients), "-j", threads(clients),
		"-P", "1", "--progress-timestamp", "--log", "--log-prefix", prefix, "--sampling-rate", fmt.Sprint(sc.sampling))
	readings, meterErr := m.ended()
	if err := errors.Join(err, meterErr); err != nil {
		return nil, err
	}
	latencies, err := readLogs(prefix, w)
	if err != nil {
		return nil, err
	}
	f := Figures{Rate: w.tps(), P50: percentile(latencies, 50), P99: percentile(latencies, 99)}
	if t.child != nil {
		f[CPU] = between(readings, w.from, w.to).Seconds() / (w.transactions * float64(sc.statements)) * 1e6
	}
	return f, nil
}

// threads are pgbench's: one could be busier than the proxy with many clients.
func threads(clients int) string { return strconv.Itoa(min(clients, 2)) }

// runPgbench runs pgbench to its end.
func (s *Stage) runPgbench(ctx context.Context, port int, args ...string) error {
	cmd := s.pgbenchCommand(ctx, port, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	return pgbenchError(cmd, cmd.Run(), stderr.String())
}

func (s *Stage) pgbenchCommand(ctx context.Context, port int, args ...string) *exec.Cmd {
	args = append(args, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", role, database)
	cmd := exec.CommandContext(ctx, s.pgbench, args...)
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "PG") {
			cmd.Env = append(cmd.Env, entry)
		}
	}
	cmd.Env = append(cmd.Env, "PGSSLMODE=disable", "PGGSSENCMODE=disable")
	return cmd
}

// pgbenchError adds to an error what was run, and the end of what it said.
func pgbenchError(cmd *exec.Cmd, err error, said string) error {
	if err == nil {
		return nil
	}
	words := strings.TrimSpace(said)
	return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, words[max(0, len(words)-1000):])
}

// readLogs reads the logs of all threads, prefix.PID and prefix.PID.THREAD, and returns the latencies of a window.
func readLogs(prefix string, w *window) ([]time.Duration, error) {
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
func parseLog(text string, w *window) ([]time.Duration, error) {
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
