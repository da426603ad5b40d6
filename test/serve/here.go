package serve

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"tombstone/proxy"
)

// Here is a proxy in the test's own process.
type Here struct {
	*proxy.Server
	Stop func() // has it end, and waits; the test's end does it too
}

// InProcess runs a proxy until the test ends. The test fails if Serve does not return in that time, or if the log, which o.Log
// writes to, has an internal error or one of the words that it must never have.
func InProcess(t testing.TB, o proxy.Options, log *Journal, patience time.Duration, never ...string) *Here {
	t.Helper()
	server, err := proxy.Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx) }() // ends with the context
	h := &Here{Server: server}
	h.Stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(patience):
			t.Errorf("Serve has not returned %s after its context ended", patience)
		}
		said := log.String()
		for _, bad := range append(never, "internal error") {
			if strings.Contains(said, bad) {
				t.Errorf("%q is in the log:\n%s", bad, said)
			}
		}
	})
	t.Cleanup(h.Stop)
	return h
}

// Journal keeps what a proxy logs.
type Journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (j *Journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

// String is all that was logged.
func (j *Journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// Has reports whether a word was logged.
func (j *Journal) Has(word string) bool { return strings.Contains(j.String(), word) }
