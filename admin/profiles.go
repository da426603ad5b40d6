package admin

import (
	"net/http"
	"net/http/pprof"
	"time"
)

// profileTime is how long a profile or a trace may take to be written.
const profileTime = 5 * time.Minute

// addProfiles adds the profiles of the Go runtime, where `go tool pprof` looks for them.
func addProfiles(mux *http.ServeMux) {
	patient := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			// The server's own limit is shorter than a CPU profile of 30 s. It fails only for writers that have no deadline.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(profileTime))
			h(w, r)
		}
	}
	mux.HandleFunc("GET /debug/pprof/", patient(pprof.Index))
	mux.HandleFunc("GET /debug/pprof/cmdline", patient(pprof.Cmdline))
	mux.HandleFunc("GET /debug/pprof/profile", patient(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/symbol", patient(pprof.Symbol))
	mux.HandleFunc("GET /debug/pprof/trace", patient(pprof.Trace))
}
