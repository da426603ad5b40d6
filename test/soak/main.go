package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"tombstone/cluster"
	"tombstone/test/chaos"
)

type options struct {
	duration, warmUp time.Duration
	workers          int
	rate             float64 // requests per second of each worker
	log              string
}

func main() {
	o := options{}
	flag.DurationVar(&o.duration, "duration", 30*time.Minute, "how long the load runs")
	flag.DurationVar(&o.warmUp, "warm-up", 0, "when memory is measured first; 0 for two minutes, or a quarter of a short run")
	flag.IntVar(&o.workers, "workers", 8, "sessions under constant load")
	flag.Float64Var(&o.rate, "rate", 40, "requests per second of each worker")
	flag.StringVar(&o.log, "log", "", "keep the proxy's log in this `FILE`")
	flag.Parse()
	if o.warmUp == 0 {
		o.warmUp = min(2*time.Minute, o.duration/4)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

const schema = `
CREATE TABLE kept (worker integer, n bigint, token text NOT NULL, deleted_at timestamptz);
CREATE INDEX ON kept (worker, n);
CREATE TABLE plain (worker integer, n bigint, token text NOT NULL);
CREATE INDEX ON plain (worker, n);
`

func run(ctx context.Context, o options) error {
	programs, err := cluster.Ensure(ctx, os.Stderr, 0)
	if err != nil {
		return err
	}
	server, err := cluster.Start(ctx, cluster.Options{Programs: programs, Settings: map[string]string{"max_connections": "100", "log_min_messages": "panic"}})
	if err != nil {
		return err
	}
	defer server.Stop()
	if err := prepare(ctx, server); err != nil {
		return fmt.Errorf("prepare the database: %w", err)
	}
	folder, err := os.MkdirTemp("", "tombstone-soak")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	binary, err := chaos.Build(ctx, folder)
	if err != nil {
		return err
	}
	trial, err := chaos.Start(binary, folder, "", configFor(server))
	if err != nil {
		return err
	}
	reloads := trial.Reloads()
	trial.Kill()
	p, err := chaos.Start(binary, folder, o.log, configFor(server))
	if err != nil {
		return err
	}
	defer p.Kill()

	// One session of every kind first: what the process opens once and keeps is no leak.
	if conn, err := pgx.Connect(ctx, dsn(p, "soak-first")); err != nil {
		return fmt.Errorf("the first login: %w", err)
	} else if err := conn.Close(ctx); err != nil {
		return err
	}
	t := newTally()
	before, err := p.Settled(ctx, chaos.Sample{})
	if err != nil {
		return err
	}
	fmt.Printf("%d workers, %.0f requests/s each, for %s; before: %s; reload by SIGHUP: %t\n", o.workers, o.rate, o.duration, before, reloads)

	if err := fill(ctx, p); err != nil {
		return fmt.Errorf("fill the cache of plans: %w", err)
	}
	load, end := context.WithTimeout(ctx, o.duration)
	defer end()
	books := make([]*ledger, o.workers)
	var wait sync.WaitGroup
	for i := range books {
		books[i] = new(ledger)
		w := &worker{id: i, proxy: p, tally: t, book: books[i], rate: o.rate}
		wait.Go(func() { w.run(load) })
	}
	for _, what := range troubles(p, server, t, reloads) {
		wait.Go(func() { what.run(load) })
	}
	memory := watch(load, p, t, o)
	wait.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}

	after, err := p.Settled(ctx, before)
	if err != nil {
		return err
	}
	fmt.Printf("%s\nafter the load: %s\n", t, after)
	t.check(memory.verdict(o.duration))
	t.check(chaos.LeftOver(before, after))
	t.check(verify(ctx, server, books))
	if len(t.wrong) > 0 {
		for _, w := range t.wrong {
			fmt.Println("WRONG:", w)
		}
		return fmt.Errorf("%d things went wrong", len(t.wrong))
	}
	fmt.Println("all is well")
	return nil
}

// configFor is a configuration that is a little different each time.
func configFor(server *cluster.Cluster) func(int) string {
	return func(version int) string {
		return fmt.Sprintf(`upstream: postgres://%s:%d
tables:
  - name: public.kept
    retention: %dd
  - name: "public.ddl_*"
log:
  level: warn
catalog:
  max_age: 5s
`, server.Host, server.Port, version)
	}
}

func dsn(p *chaos.Process, application string) string {
	return p.DSN("postgres", "soak") + " application_name=" + application
}

func prepare(ctx context.Context, server *cluster.Cluster) error {
	conn, err := pgx.Connect(ctx, server.DSN("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE soak"); err != nil {
		return err
	}
	db, err := pgx.Connect(ctx, server.DSN("soak"))
	if err != nil {
		return err
	}
	defer db.Close(ctx)
	_, err = db.PgConn().Exec(ctx, schema).ReadAll()
	return err
}
