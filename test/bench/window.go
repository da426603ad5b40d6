package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// gathering bounds how long it takes until all clients are at work and warm, in seconds.
const gathering = 20

// warmUp is how long pgbench runs at least before it counts, in seconds. New server processes begin with cold caches, and many of them
// take longer to fill theirs.
func warmUp(clients int) int { return 2 + clients/64 }

// follow runs pgbench, and returns the part of the run that counts: so many seconds, after the warm-up, and from a second after all clients
// were seen at work. since is when the first of their server processes may have started.
func (s *Stage) follow(ctx context.Context, t *Target, clients int, since time.Time, args ...string) (*window, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := s.pgbenchCommand(ctx, t.Port, append([]string{"-T", strconv.Itoa(gathering + s.Options.Seconds)}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	var said, end strings.Builder
	cmd.Stdout = &end
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w := &window{length: time.Duration(s.Options.Seconds) * time.Second}
	seconds, there := 0, 0
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		at, tps, is, lineErr := parseProgress(lines.Text())
		if is {
			seconds++
		}
		switch {
		case !is || lineErr != nil || w.complete():
		case there < clients:
			there, lineErr = s.working(ctx, since)
		case seconds >= warmUp(clients):
			if w.add(at, tps); w.complete() {
				lineErr = cmd.Process.Signal(syscall.SIGALRM) // as pgbench itself ends the run of -T
			}
		}
		if err = errors.Join(err, lineErr); err != nil {
			cancel()
		}
	}
	err = errors.Join(err, pgbenchError(cmd, cmd.Wait(), said.String()))
	if err != nil {
		return nil, err
	}
	if failed := failures.FindStringSubmatch(end.String()); failed != nil {
		return nil, fmt.Errorf("%s transactions failed", failed[1])
	}
	if !w.complete() || w.transactions == 0 {
		return nil, fmt.Errorf("no figure; %d of %d clients were seen at work, each with a new server process\n%s", there, clients, said.String())
	}
	return w, nil
}

// working asks the server itself how many of its processes, new since a moment, work for pgbench. A pooler gives the server the name of
// the program that it works for.
func (s *Stage) working(ctx context.Context, since time.Time) (int, error) {
	out, err := s.cluster.Psql(ctx, database, fmt.Sprintf(
		"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench' AND backend_start > '%s'", since.Format(time.RFC3339Nano)))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(out)
}

// window is the part of a run that counts.
type window struct {
	length       time.Duration
	from, to     time.Time
	transactions float64
}

// add takes what pgbench did until a moment, since the last. The first moment is where the window begins.
func (w *window) add(at time.Time, tps float64) {
	if w.from.IsZero() {
		w.from = at
	} else {
		w.transactions += tps * at.Sub(w.to).Seconds()
	}
	w.to = at
}

// complete tells whether the window is as long as it is to be, as exactly as pgbench reports every second.
func (w *window) complete() bool {
	return !w.from.IsZero() && w.to.Sub(w.from) > w.length-time.Second/2
}

func (w *window) tps() float64 { return w.transactions / w.to.Sub(w.from).Seconds() }

var (
	failures = regexp.MustCompile(`(?m)^number of failed transactions: ([1-9]\d*)`)
	progress = regexp.MustCompile(`^progress: (\d+)\.(\d{3}) s, ([0-9.]+) tps`)
)

// parseProgress reads the line that pgbench writes every second, with the time in seconds since 1970. Other lines are none.
func parseProgress(text string) (at time.Time, tps float64, is bool, err error) {
	line := progress.FindStringSubmatch(text)
	if line == nil {
		return at, 0, false, nil
	}
	seconds, err := strconv.ParseInt(line[1], 10, 64)
	milliseconds, msErr := strconv.ParseInt(line[2], 10, 64)
	tps, tpsErr := strconv.ParseFloat(line[3], 64)
	if err := errors.Join(err, msErr, tpsErr); err != nil {
		return at, 0, true, fmt.Errorf("pgbench's progress is not understood: %q: %w", text, err)
	}
	return time.Unix(seconds, milliseconds*int64(time.Millisecond)), tps, true, nil
}
