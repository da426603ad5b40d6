package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// shutdownTimeout is how long requests that are being answered may take once the server is told to stop.
const shutdownTimeout = 5 * time.Second

const index = `tombstone

/metrics   Prometheus metrics
/healthz   the process lives
/readyz    the PostgreSQL server answers
`

// Server is the HTTP endpoint. It is bound from the moment NewServer returns it; Serve or Close must be called.
type Server struct {
	listener net.Listener
	http     http.Server
}

// NewServer binds the endpoint to addr (host:port) at once, so that an address that cannot be had is known before
// anything else starts. Ready is asked by /readyz, at most about once a second and never twice at the same time; it must
// return when its context ends. Nil means always ready. With profiles it also has /debug/pprof.
func NewServer(addr string, m *Metrics, profiles bool, ready func(ctx context.Context) error) (*Server, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, bindError(addr, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", text(index))
	mux.HandleFunc("GET /healthz", text("ok\n"))
	mux.Handle("GET /readyz", &readiness{check: ready, now: time.Now})
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, // a scrape takes memory; more scrapers than that at once are a mistake
		Timeout:             10 * time.Second,
	}))
	if profiles {
		addProfiles(mux)
	}
	return &Server{
		listener: listener,
		http: http.Server{
			Handler:           mux,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      15 * time.Second,
			IdleTimeout:       2 * time.Minute, // longer than the usual time between two scrapes
			MaxHeaderBytes:    16 << 10,
		},
	}, nil
}

// Addr is the address that the endpoint is bound to. With port 0 asked for, it has the port that was given.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve answers until ctx is done, then lets requests that are being answered finish, for up to 5 s, and closes the
// rest. It returns nil after a clean stop, and then no goroutine of the server is left.
func (s *Server) Serve(ctx context.Context) error {
	stopped := make(chan error, 1)
	go func() { stopped <- s.http.Serve(s.listener) }() // ends with Shutdown or Close below, or on its own with an error
	select {
	case err := <-stopped:
		s.http.Close()
		return fmt.Errorf("admin endpoint at %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	// ctx is done already; the shutdown gets its own time.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := s.http.Shutdown(grace)
	if err != nil {
		s.http.Close()
		err = fmt.Errorf("admin endpoint at %s: requests were cut off after %s: %w", s.Addr(), shutdownTimeout, err)
	}
	<-stopped
	return err
}

// Close frees the address of a server on which Serve is not called.
func (s *Server) Close() error { return s.listener.Close() }

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, body)
	}
}

func bindError(addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("admin: %s is in use by another program; stop that one, or set admin in the configuration to a free address: %w", addr, err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("admin: no permission to listen on %s; set admin in the configuration to a port above 1023: %w", addr, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("admin: %s is not an address of this machine; set admin in the configuration to one that is, or to :PORT for all: %w", addr, err)
	}
	return fmt.Errorf("admin: cannot listen on %s; check admin in the configuration: %w", addr, err)
}
