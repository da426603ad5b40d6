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
		fmt.Fprintln(os.Stderr, "parity:", err)
		os.Exit(2)
	}
	if !agreed {
		os.Exit(1)
	}
}

// run is the program. It reports whether the twins agreed in everything; an
// error means that this could not be found out.
func run(ctx context.Context, args []string, out, log io.Writer) (agreed bool, err error) {
	f := flag.NewFlagSet("parity", flag.ContinueOnError)
	f.SetOutput(log)
	p := Plan{Progress: out}
	f.Uint64Var(&p.Seed, "seed", 1, "the `number` that all chance comes from")
	f.IntVar(&p.Case, "case", -1, "play only the generated case of this `number`")
	f.IntVar(&p.Cases, "cases", 0, "generate at most so `many` cases")
	f.IntVar(&p.Statements, "statements", 2000, "generate until so `many` statements were compared; 0 for no limit")
	f.DurationVar(&p.Duration, "duration", 0, "generate for so `long`")
	f.IntVar(&p.Kinds, "differences", 10, "stop after so `many` kinds of difference")
	f.IntVar(&p.Workers, "workers", max(2, runtime.NumCPU()), "so `many` twins at a time")
	f.DurationVar(&p.Patience, "shrink", 40*time.Second, "spend at most so `long` on shrinking one difference")
	scripts := f.String("scripts", "", "play the *.sql of this `folder`, or this file, in place of the own scripts; none for none")
	forms := f.String("ways", "", "with scripts: play them only in these `ways`: simple,unnamed,binary,named")
	setup := f.String("setup", "", "with -scripts: SQL in this `file` makes the tables that scripts start from, in place of the own ones")
	tables := f.String("tables", protects, "with -scripts: the `policy` that the proxy keeps, as the list below tables: in its configuration")
	major := f.Int("pg-major", 0, "PostgreSQL's major `version`; 0 for the one that is here")
	verbose := f.Bool("v", false, "tell what was compared, and show the statements of -case")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return true, nil
		}
		return false, err
	}
	if f.NArg() > 0 {
		return false, fmt.Errorf("unexpected argument %q; see -help", f.Arg(0))
	}
	if p.Case >= 0 {
		p.Workers = 1
		if *verbose {
			c := NewCase(p.Seed, p.Case, NewWorld(p.Seed, uint64(p.Case/casesPerWorld)))
			c.write(out, nil)
		}
	}
	stage, err := NewStage(ctx, log, *major, *tables)
	if err != nil {
		return false, err
	}
	defer func() {
		if closeErr := stage.Close(); err == nil && closeErr != nil {
			agreed, err = false, closeErr
		}
	}()
	fmt.Fprintf(out, "PostgreSQL %d\n", stage.major)
	r := NewReport(out)
	if *scripts != "none" && p.Case < 0 {
		if err := scripted(ctx, stage, *scripts, *setup, *forms, r, out); err != nil {
			return false, err
		}
	}
	if p.Statements > 0 || p.Cases > 0 || p.Duration > 0 || p.Case >= 0 {
		if err := Generate(ctx, stage, p, r); err != nil && ctx.Err() == nil {
			return false, err
		}
	}
	return r.Summary(out, *verbose), nil
}

func scripted(ctx context.Context, stage *Stage, dir, setup, forms string, r *Report, out io.Writer) error {
	list, err := loadScripts(dir)
	if err != nil {
		return err
	}
	base, err := loadSetup(setup)
	if err != nil {
		return err
	}
	in, err := chosen(forms)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := PlayScripts(ctx, stage, base, list, in, r); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d scripts in %d ways: %d statements in %.1f s\n", len(list), len(in), r.Compared(), time.Since(start).Seconds())
	return nil
}
