package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves until the test ends, and checks that the stop is clean.
func start(t *testing.T, m *Metrics, ready func(context.Context) error) *Server {
	t.Helper()
	s, err := NewServer("127.0.0.1:0", m, false, ready)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

func request(t *testing.T, s *Server, method, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+s.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res.StatusCode, string(body)
}

func get(t *testing.T, s *Server, path string) (int, string) {
	t.Helper()
	return request(t, s, http.MethodGet, path)
}

func TestPages(t *testing.T) {
	s := start(t, NewMetrics("v1.2.3", "abc1234"), func(context.Context) error { return errors.New("the server is down") })
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/", 200, index},
		{"HEAD", "/", 200, ""},
		{"GET", "/healthz", 200, "ok\n"},
		{"GET", "/readyz", 503, "not ready: the server is down\n"},
		{"GET", "/nothing", 404, "404 page not found\n"},
		{"GET", "/metrics/x", 404, "404 page not found\n"},
		{"GET", "/debug/pprof/", 404, "404 page not found\n"},
		{"POST", "/readyz", 405, "Method Not Allowed\n"},
	} {
		if status, body := request(t, s, c.method, c.path); status != c.status || body != c.body {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.path, status, body, c.status, c.body)
		}
	}
}

func TestNoReadyFunctionIsReady(t *testing.T) {
	s := start(t, NewMetrics("v1.2.3", "abc1234"), nil)
	if status, body := get(t, s, "/readyz"); status != 200 || body != "ok\n" {
		t.Errorf("%d %q", status, body)
	}
}

// The real thing: /readyz follows a listener that answers like PostgreSQL, then goes away, then comes back.
func TestReadyFollowsTheServer(t *testing.T) {
	postgres := listen(t, "tcp", "127.0.0.1:0", answering("N"))
	address := postgres.Addr().String()
	passing := new(clock)
	r := &readiness{now: passing.now, check: func(ctx context.Context) error { return Ping(ctx, "tcp", address) }}
	if err := r.ask(t.Context()); err != nil {
		t.Fatal(err)
	}
	postgres.Close()
	if err := r.ask(t.Context()); err != nil {
		t.Errorf("within a second the answer changed: %v", err)
	}
	passing.advance(readyFor)
	if err := r.ask(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after a second: %v", err)
	}
	listen(t, "tcp", address, answering("S"))
	passing.advance(readyFor)
	if err := r.ask(t.Context()); err != nil {
		t.Errorf("the server is back: %v", err)
	}
}

func TestReadyOverHTTP(t *testing.T) {
	postgres := listen(t, "tcp", "127.0.0.1:0", answering("S"))
	m := NewMetrics("v1.2.3", "abc1234")
	ready := func(ctx context.Context) error { return Ping(ctx, "tcp", postgres.Addr().String()) }
	if status, body := get(t, start(t, m, ready), "/readyz"); status != 200 {
		t.Errorf("%d %q", status, body)
	}
	postgres.Close()
	if status, body := get(t, start(t, m, ready), "/readyz"); status != 503 || !strings.Contains(body, "refuses connections") {
		t.Errorf("%d %q", status, body)
	}
}

// Many probes at once are one check, and a probe that hangs up does not spoil it for the others.
func TestOneCheckForManyProbes(t *testing.T) {
	var checks atomic.Int32
	entered, release := make(chan struct{}), make(chan struct{})
	passing := new(clock)
	r := &readiness{now: passing.now, check: func(ctx context.Context) error {
		checks.Add(1)
		close(entered) // a second check would panic
		<-release
		return ctx.Err()
	}}
	impatient, hangUp := context.WithCancel(context.Background())
	errs := make([]error, 50)
	var probes sync.WaitGroup
	probes.Go(func() { errs[0] = r.ask(impatient) })
	<-entered
	hangUp()
	for i := 1; i < len(errs); i++ {
		probes.Go(func() { errs[i] = r.ask(context.Background()) })
	}
	close(release)
	probes.Wait()
	if n := checks.Load(); n != 1 {
		t.Errorf("%d checks, want 1", n)
	}
	for i, err := range errs {
		if err != nil {
			t.Errorf("probe %d: %v", i, err)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	m := NewMetrics("v1.2.3", "abc1234")
	first, err := NewServer("127.0.0.1:0", m, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	address := first.Addr().String()
	_, err = NewServer(address, m, false, nil)
	want := "admin: " + address + " is in use by another program; stop that one, or set admin in the configuration to a free address: "
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v\nwant  %s..", err, want)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := NewServer(address, m, false, nil)
	if err != nil {
		t.Fatalf("Close did not free the address: %v", err)
	}
	again.Close()
}

func TestAddressesThatCannotBeHad(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1:0":     "is not an address of this machine; set admin", // TEST-NET-1 of RFC 5737
		"127.0.0.1:99999": "check admin in the configuration",
	} {
		if _, err := NewServer(addr, NewMetrics("v1.2.3", "abc1234"), false, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", addr, err, want)
		}
	}
}

// A request that is being answered when the stop comes still gets its answer.
func TestStopLetsRequestsFinish(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s, err := NewServer("127.0.0.1:0", NewMetrics("v1.2.3", "abc1234"), false, func(context.Context) error {
		close(entered)
		<-release
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	var probe sync.WaitGroup
	probe.Go(func() {
		if status, body := get(t, s, "/readyz"); status != 200 {
			t.Errorf("%d %q", status, body)
		}
	})
	<-entered
	cancel()
	close(release)
	probe.Wait()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if conn, err := net.Dial("tcp", s.Addr().String()); err == nil {
		conn.Close()
		t.Error("still listening after the stop")
	}
}

func TestServeWithAContextThatIsDone(t *testing.T) {
	s, err := NewServer("127.0.0.1:0", NewMetrics("v1.2.3", "abc1234"), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Serve(ctx); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeReportsALostListener(t *testing.T) {
	s, err := NewServer("127.0.0.1:0", NewMetrics("v1.2.3", "abc1234"), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := s.Serve(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
}

func TestTimeoutsAreSet(t *testing.T) {
	s, err := NewServer("127.0.0.1:0", NewMetrics("v1.2.3", "abc1234"), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := &s.http
	if h.ReadHeaderTimeout == 0 || h.ReadTimeout == 0 || h.WriteTimeout == 0 || h.IdleTimeout == 0 || h.MaxHeaderBytes == 0 {
		t.Error("a timeout or limit is missing")
	}
}

// clock is a time that passes only when told to.
type clock struct{ nanoseconds atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.nanoseconds.Load()) }
func (c *clock) advance(d time.Duration) { c.nanoseconds.Add(int64(d)) }
