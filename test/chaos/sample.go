package chaos

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Sample is what the proxy's process holds.
type Sample struct {
	RSS, Heap                      int64 // bytes
	Goroutines, Files, Connections int64
	Evictions                      int64 // of plans, since the start
}

func (s Sample) String() string {
	return fmt.Sprintf("rss %.1f MB, heap in use %.1f MB, %d goroutines, %d descriptors, %d connections",
		float64(s.RSS)/1e6, float64(s.Heap)/1e6, s.Goroutines, s.Files, s.Connections)
}

// Sample asks the process's metrics, and the kernel for its memory.
func (p *Process) Sample(ctx context.Context) (s Sample, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return s, fmt.Errorf("read the proxy's memory, which needs Linux: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return s, err
			}
			s.RSS = kb << 10
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Admin+"/metrics", nil)
	if err != nil {
		return s, err
	}
	request.Header.Set("Accept-Encoding", "identity") // compressing would itself take the memory that is measured
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return s, fmt.Errorf("ask for metrics: %w", err)
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		into := map[string]*int64{"go_goroutines": &s.Goroutines, "process_open_fds": &s.Files, "go_memstats_heap_inuse_bytes": &s.Heap, "tombstone_connections_open": &s.Connections, "tombstone_plan_cache_evictions_total": &s.Evictions}[name]
		if into == nil {
			continue
		}
		f, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return s, err
		}
		*into = int64(f)
	}
	return s, nil
}

// Collect makes the process collect its garbage, so that the next sample's heap is what it needs. It must have been started with
// pprof: true.
func (p *Process) Collect(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Admin+"/debug/pprof/heap?gc=1", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask for a garbage collection: %w", err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("ask for a garbage collection: %s %v", answer.Status, err)
	}
	return nil
}

// Settled takes a sample when all clients are gone and what they held has been given back: at most what there was before.
func (p *Process) Settled(ctx context.Context, before Sample) (s Sample, err error) {
	for range 300 {
		if s, err = p.Sample(ctx); err != nil {
			return s, err
		}
		if s.Connections == 0 && LeftOver(before, s) == nil {
			break
		}
		time.Sleep(100 * time.Millisecond) // the state of another process can only be asked for again
	}
	return s, nil
}

// slack is how many goroutines and descriptors may be there that no session holds, such as those of this program's own HTTP
// connection.
const slack = 3

// LeftOver compares samples from before and after some clients: an error names both if something is left.
func LeftOver(before, after Sample) error {
	if before.Goroutines == 0 {
		return nil
	}
	if after.Connections > 0 || after.Goroutines > before.Goroutines+slack || after.Files > before.Files+slack {
		return fmt.Errorf("something is left: before %s; after %s", before, after)
	}
	return nil
}
