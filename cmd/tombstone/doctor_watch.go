package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tombstone/admin"
	"tombstone/config"
	"tombstone/lifecycle/doctor"
)

const (
	defaultEvery  = time.Minute
	shortestEvery = time.Second
)

// watch looks again and again, and serves what is found. The configuration is read anew each time, and the connection is a new one, so
// that a restart of the database or another policy is nothing to think of.
func watch(ctx context.Context, s stdio, w where, listen string, every time.Duration) error {
	if _, err := config.Load(*w.file); err != nil { // a mistake now is one of the call
		return plainly(s, err)
	}
	metrics := admin.NewDoctor(version, commit)
	server, err := metrics.Listen(listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	log := logger(s.err, "text", slog.LevelInfo)
	log.Info("doctor listens", "address", server.Addr().String(), "every", every.String())
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wait sync.WaitGroup
	var serveErr error
	wait.Go(func() { serveErr = server.Serve(ctx); stop() }) // ends with ctx
	again := time.NewTicker(every)
	defer again.Stop()
	known := map[string]bool{}
	for ctx.Err() == nil {
		r, err := lookOnce(ctx, w)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			metrics.Failed()
			log.Error("the database was not looked at", "error", err.Error())
		default:
			metrics.Ran(runOf(r))
			known = tellChanges(log, r, known)
		}
		select {
		case <-ctx.Done():
		case <-again.C:
		}
	}
	wait.Wait()
	if errors.Is(serveErr, context.Canceled) {
		serveErr = nil
	}
	return serveErr
}

// tellChanges logs the findings that were not there before, and those that are gone.
func tellChanges(log *slog.Logger, r *doctor.Report, before map[string]bool) map[string]bool {
	now := map[string]bool{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Severity == doctor.Info {
			continue
		}
		name := f.Check + " " + f.Object
		now[name] = true
		if !before[name] {
			level := slog.LevelWarn
			if f.Severity == doctor.Error {
				level = slog.LevelError
			}
			log.Log(context.Background(), level, "found", "check", f.Check, "object", f.Object, "why", f.Why)
		}
	}
	for name := range before {
		if !now[name] {
			log.Info("mended", "finding", name)
		}
	}
	log.Info("looked", "summary", r.Summary())
	return now
}

// runOf is what the metrics say of a report.
func runOf(r *doctor.Report) *admin.DoctorRun {
	run := &admin.DoctorRun{At: time.Now(), Took: r.Took, Findings: map[admin.DoctorFinding]int{}}
	for _, f := range r.Findings {
		run.Findings[admin.DoctorFinding{Severity: f.Severity.String(), Check: f.Check}]++
	}
	for _, c := range r.Counts {
		run.Tables = append(run.Tables, admin.DoctorTable{Table: c.Table, Rows: c.Rows, Tombstones: c.Tombstones, Oldest: c.Oldest})
	}
	return run
}
