package admin

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	readyFor     = time.Second     // how long one answer is good for
	readyTimeout = 2 * time.Second // how long one check may take; below the 5 s that a shutdown waits
)

// readiness answers /readyz. However many probes come, one check runs at a time, and its answer serves all of them
// for readyFor.
type readiness struct {
	check func(context.Context) error // nil is always ready
	now   func() time.Time

	mu    sync.Mutex // held during the check: probes that come meanwhile wait for its answer
	known bool
	at    time.Time // when the last check ended
	err   error     // what it found
}

func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err := r.ask(req.Context()); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "not ready: %v\n", err)
		return
	}
	fmt.Fprintln(w, "ok")
}

// ask returns the last answer while it is fresh, and a new one otherwise.
func (r *readiness) ask(ctx context.Context) error {
	if r.check == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known && r.now().Sub(r.at) < readyFor {
		return r.err
	}
	// A probe that hangs up must not decide the answer that the others get.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	r.err = r.check(ctx)
	r.at, r.known = r.now(), true
	return r.err
}
