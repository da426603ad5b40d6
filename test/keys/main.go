package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	agreed, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "keys:", err)
		os.Exit(2)
	}
	if !agreed {
		os.Exit(1)
	}
}

// run is the program. It reports whether the twins agreed in everything; an error means that this could not be found out.
func run(ctx context.Context, args []string, out, log io.Writer) (agreed bool, err error) {
	f := flag.NewFlagSet("keys", flag.ContinueOnError)
	f.SetOutput(log)
	p := &Plan{Progress: out}
	f.Uint64Var(&p.Seed, "seed", 1, "the `number` that all chance comes from")
	f.IntVar(&p.Script, "script", -1, "play only the script of this `number`")
	f.IntVar(&p.Scripts, "scripts", 1000, "so `many` scripts")
	f.IntVar(&p.Tables, "tables", 0, "so `many` tables in each graph; 0 for 2 to 6")
	f.IntVar(&p.Parted, "partitioned", parted, "so `many` tables in a hundred are partitioned")
	f.IntVar(&p.Sessions, "sessions", 1, "so `many` concurrent sessions in each script")
	f.StringVar(&p.Isolation, "isolation", "", "with -sessions: the `level` of their transactions, such as \"repeatable read\"; \"\" for any")
	f.IntVar(&p.Kinds, "differences", 0, "stop after so `many` kinds of difference; 0 for no limit")
	f.IntVar(&p.Workers, "workers", max(2, runtime.NumCPU()), "so `many` twins at a time")
	f.DurationVar(&p.Patience, "shrink", 40*time.Second, "spend at most so `long` on shrinking one difference")
	major := f.Int("pg-major", 0, "PostgreSQL's major `version`; 0 for the one that is here")
	known := f.Float64("known", 0, "agree if at most so `many` scripts in a hundred differ: differences that are known and not mended yet")
	verbose := f.Bool("v", false, "tell which errors both agreed on, and show -script")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return true, nil
		}
		return false, err
	}
	if f.NArg() > 0 {
		return false, fmt.Errorf("unexpected argument %q; see -help", f.Arg(0))
	}
	if *verbose && p.Script >= 0 {
		p.script(p.Script, p.graph(p.Script)).write(out)
	}
	stage, err := NewStage(ctx, log, *major)
	if err != nil {
		return false, err
	}
	defer func() {
		if closeErr := stage.Close(); err == nil && closeErr != nil {
			agreed, err = false, closeErr
		}
	}()
	r := NewReport(out)
	if err := Run(ctx, stage, p, r); err != nil && ctx.Err() == nil {
		return false, err
	}
	return r.Summary(out, *verbose, *known), nil
}
