package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"tombstone/cluster"
	"tombstone/config"
	"tombstone/proxy"
)

// Here is a proxy in the test's own process.
type Here struct {
	*proxy.Server
	Stop func() // has it end, and waits; the test's end does it too
}

// InProcess runs a proxy until the test ends, as Begin does.
func InProcess(t testing.TB, o proxy.Options, log *Journal, patience time.Duration, never ...string) *Here {
	t.Helper()
	server, stop, err := Begin(o, log, patience, never...)
	if err != nil {
		t.Fatal(err)
	}
	h := &Here{Server: server}
	h.Stop = sync.OnceFunc(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(h.Stop)
	return h
}

// Begin runs a proxy in this process until stop is called, which waits for its end. It is an error if Serve does not return in that time,
// or if the log, which o.Log writes to, has an internal error or one of the words that it must never have.
func Begin(o proxy.Options, log *Journal, patience time.Duration, never ...string) (server *proxy.Server, stop func() error, err error) {
	if server, err = proxy.Listen(o); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx) }() // ends with the context
	return server, func() (err error) {
		cancel()
		select {
		case err = <-done:
			if err != nil {
				err = fmt.Errorf("the proxy: %w", err)
			}
		case <-time.After(patience):
			err = fmt.Errorf("the proxy has not ended %s after its context did", patience)
		}
		said := log.String()
		for _, bad := range append(never, "internal error") {
			if strings.Contains(said, bad) {
				err = errors.Join(err, fmt.Errorf("%q is in the log:\n%s", bad, said))
			}
		}
		return err
	}, nil
}

// Before is a proxy before a cluster, on a free port, that asks for the catalog once. tables is the list below tables: in its configuration.
func Before(c *cluster.Cluster, tables string, log *Journal) (proxy.Options, error) {
	cfg, err := config.Parse("test.yaml", fmt.Appendf(nil, "listen: 127.0.0.1:0\nupstream: postgres://%s:%d\ntables:\n%s", c.Host, c.Port, tables))
	if err != nil {
		return proxy.Options{}, err
	}
	o := proxy.From(cfg)
	o.CatalogMaxAge, o.Drain, o.Literals, o.Log = time.Hour, 0, true, slog.New(slog.NewTextHandler(log, nil))
	return o, nil
}

// Journal keeps what a proxy logs.
type Journal struct {
	Most int // bytes after which it keeps internal errors only, 0 for no limit
	mu   sync.Mutex
	buf  bytes.Buffer
}

// Write implements io.Writer.
func (j *Journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.Most > 0 && j.buf.Len() > j.Most && !bytes.Contains(p, []byte("internal error")) {
		return len(p), nil
	}
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
