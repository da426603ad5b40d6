package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"tombstone/admin"
	"tombstone/config"
	"tombstone/proxy"
)

func serve(ctx context.Context, s stdio, args []string) error {
	f := flags(s, "serve", "--config FILE [--check]",
		"Runs the proxy until it is told to stop (SIGINT, SIGTERM).\nconfig/tombstone.example.yaml shows every setting.")
	file := f.String("config", "", "read the configuration from `FILE`")
	check := f.Bool("check", false, "check the configuration and exit")
	if err := parse(s, f, args); err != nil {
		return err
	}
	if *file == "" || f.NArg() > 0 {
		f.Usage()
		return errUsage
	}
	c, loaded, err := load(*file, []string{*file})
	if err != nil {
		return plainly(s, err)
	}
	if *check {
		enforced, observed, off := c.Modes()
		_, err := fmt.Fprintf(s.out, "%s is valid: %d table entries, %d enforced, %d observed, %d off\n", c.File, len(c.Tables), enforced, observed, off)
		return err
	}
	level := new(slog.LevelVar)
	level.Set(c.Log.Level)
	service, err := start(c, logger(s.err, c.Log.Format, level), level)
	if err != nil {
		return err
	}
	service.reloader.loaded = loaded
	return service.run(ctx)
}

// plainly prints a configuration's problems as they are: each says its own
// file, line and field.
func plainly(s stdio, err error) error {
	var problems *config.Error
	if !errors.As(err, &problems) {
		return err
	}
	fmt.Fprintln(s.err, problems)
	return errSilent
}

func logger(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// service is a proxy and its admin endpoint, bound and ready to run.
type service struct {
	log      *slog.Logger
	proxy    *proxy.Server
	admin    *admin.Server // nil if there is none
	reloader *reloader
	schedule *schedule
}

// start binds both addresses, so that whoever sees it return can connect. level is the log's, which follows the
// configuration; nil if nothing is to be read again.
func start(c *config.Config, log *slog.Logger, level *slog.LevelVar) (*service, error) {
	metrics := admin.NewMetrics(version, commit)
	o := proxy.From(c)
	o.Log, o.Observer = log, metrics
	p, err := proxy.Listen(o)
	if err != nil {
		return nil, err
	}
	metrics.ReadPlanCache(func() admin.PlanCache { return admin.PlanCache(p.PlanCache()) })
	metrics.ReadSessions(sessionsOf(p))
	v := &service{log: log, proxy: p, schedule: newSchedule(c, metrics.AddPurges(), log)}
	if level != nil {
		v.reloader = &reloader{config: c, proxy: p, level: level, metrics: metrics, log: log, changed: v.schedule.reload}
	}
	enforced, observed, off := c.Modes()
	log.Info("proxy listens", "address", p.Addr().String(), "upstream", c.Upstream.String(), "enforced", enforced, "observed", observed, "off", off, "version", version)
	if c.Admin != "" {
		v.admin, err = admin.NewServer(c.Admin, metrics, c.PProf, func(ctx context.Context) error {
			if p.Draining() {
				return errors.New("the proxy is stopping")
			}
			return p.Ping(ctx, admin.Ping)
		})
		if err != nil {
			_ = p.Close()
			return nil, err
		}
		log.Info("admin endpoint listens", "address", v.admin.Addr().String())
	}
	return v, nil
}

// sessionsOf joins the proxy's numbers to the metrics.
func sessionsOf(p *proxy.Server) admin.Sessions {
	read := func(h *proxy.Histogram) func() admin.Histogram {
		return func() admin.Histogram {
			counts, sum := h.Snapshot()
			return admin.Histogram{Bounds: proxy.HistogramBounds(), Counts: counts, Sum: sum}
		}
	}
	t := p.Timing()
	return admin.Sessions{States: proxy.States(), Count: p.States, Own: read(&t.Own), Wait: read(&t.Wait), Lag: read(&t.Lag)}
}

// run serves until ctx is done or one of the two fails; then both stop, the admin endpoint last: while sessions
// come to their ends it says that the proxy is not ready.
func (v *service) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	last, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var wait sync.WaitGroup
	var proxyErr, adminErr error
	wait.Go(func() { proxyErr = v.proxy.Serve(ctx); cancel(); end() })
	wait.Go(func() { v.schedule.run(ctx) })
	if v.reloader != nil {
		wait.Go(func() { v.reloader.run(ctx) })
	}
	if v.admin != nil {
		wait.Go(func() { adminErr = v.admin.Serve(last); cancel() })
	}
	wait.Wait()
	v.log.Info("stopped")
	return errors.Join(proxyErr, adminErr)
}
