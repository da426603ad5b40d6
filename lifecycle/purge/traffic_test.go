package purge

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tombstone/cluster"
)

// traffic is a pgbench at work, at a rate that leaves room.
type traffic struct {
	name   string
	out    bytes.Buffer
	done   chan error
	folder string
}

// answer is a transaction of pgbench: when it was to begin, and how long it took from then on. What it waited for its turn is in that, as it would
// be for a user.
type answer struct {
	at   time.Time
	took time.Duration
}

// findPgbench looks beside the server, where its version is right, and in PATH.
func findPgbench(b *testing.B, p cluster.Programs) string {
	b.Helper()
	program, err := exec.LookPath(filepath.Join(p.Bin, "pgbench"))
	if err != nil {
		program, err = exec.LookPath("pgbench")
	}
	if err != nil {
		b.Skip("pgbench is neither beside postgres nor in PATH; on Debian it comes with postgresql-15")
	}
	return program
}

// drive starts a pgbench that goes on until it is ended.
func drive(b *testing.B, program, dsn, name string, rate, seed int, args ...string) *traffic {
	b.Helper()
	t := &traffic{name: name, done: make(chan error, 1), folder: b.TempDir()}
	all := []string{"--no-vacuum", "--protocol=prepared", "--client=4", "--jobs=1", "--time=86400", "--random-seed=" + strconv.Itoa(seed), "--rate=" + strconv.Itoa(rate), "--log", "--log-prefix=" + filepath.Join(t.folder, "log")}
	cmd := exec.Command(program, append(append(all, args...), dsn)...)
	cmd.Env = append(os.Environ(), "PGAPPNAME=pgbench "+name)
	cmd.Stdout, cmd.Stderr = &t.out, &t.out
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill() })
	go func() { t.done <- cmd.Wait() }() // ends with the process
	return t
}

// end ends it and reads what it has written down. Its sessions are ended rather than the process, which would lose the end of the log.
func (t *traffic) end(b *testing.B, conn *pgx.Conn) []answer {
	b.Helper()
	select {
	case err := <-t.done:
		b.Fatalf("pgbench ended by itself: %v\n%s", err, &t.out)
	default:
	}
	if _, err := conn.Exec(context.Background(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", "pgbench "+t.name); err != nil {
		b.Fatal(err)
	}
	var exit *exec.ExitError
	if err := <-t.done; !errors.As(err, &exit) || exit.ExitCode() != 2 {
		b.Fatalf("pgbench: %v\n%s", err, &t.out)
	}
	files, _ := filepath.Glob(filepath.Join(t.folder, "log.*"))
	var all []answer
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			var client, number, script int
			var took, second, micro int64
			if _, err := fmt.Sscan(lines.Text(), &client, &number, &took, &script, &second, &micro); err != nil {
				b.Fatalf("pgbench wrote %q: %v", lines.Text(), err)
			}
			duration := time.Duration(took) * time.Microsecond
			all = append(all, answer{time.Unix(second, micro*1000).Add(-duration), duration})
		}
	}
	if len(all) == 0 {
		b.Fatalf("pgbench has written nothing down\n%s", &t.out)
	}
	return all
}

// turn is a stretch of time in which a purge was at work, or none was.
type turn struct {
	from, to time.Time
}

// times are how long transactions took that were to begin in a turn, sorted.
func (t turn) times(all []answer) []time.Duration {
	var list []time.Duration
	for _, one := range all {
		if !one.at.Before(t.from) && one.at.Before(t.to) {
			list = append(list, one.took)
		}
	}
	slices.Sort(list)
	return list
}

// quantile is the time that a share of the transactions took no longer than.
func quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// ratio is how much longer transactions took in the turns of a purge than in the idle ones before and after: the median of the turns, so that what
// else goes on in a machine counts only if it goes on in half of them.
func ratio(all []answer, idle, busy []turn, share float64) float64 {
	list := make([]float64, len(busy))
	for i := range busy {
		before, after := quantile(idle[i].times(all), share), quantile(idle[i+1].times(all), share)
		list[i] = 2 * float64(quantile(busy[i].times(all), share)) / float64(before+after)
	}
	slices.Sort(list)
	return (list[len(list)/2] + list[(len(list)-1)/2]) / 2
}

// pooled is a quantile of all the turns together.
func pooled(all []answer, turns []turn, share float64) time.Duration {
	var list []time.Duration
	for _, t := range turns {
		list = append(list, t.times(all)...)
	}
	slices.Sort(list)
	return quantile(list, share)
}
