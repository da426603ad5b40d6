package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tombstone/cluster"
	"tombstone/test/serve"
	"tombstone/test/source"
)

type options struct {
	suites, modes, files    []string
	sample, verbose         bool
	program, keep, markdown string
	limit                   time.Duration
}

// major is PostgreSQL's major version: that of the suites.
const major = 15

func main() {
	var o options
	var suite, mode, files string
	flag.StringVar(&suite, "suite", "all", "the suites to run, separated by commas: regress, isolation, pipeline, pgx, pq")
	flag.StringVar(&mode, "mode", "all", "the policies, separated by commas: empty, guarded, or direct for a second direct run, which shows what is unsteady")
	flag.StringVar(&files, "files", "", "run these tests only, separated by commas; of pgx and pq, packages such as ./pgconn")
	flag.BoolVar(&o.sample, "sample", false, "run a fair part of each suite")
	flag.BoolVar(&o.verbose, "v", false, "show the first lines of each difference")
	flag.StringVar(&o.keep, "keep", "", "keep the outputs in this folder")
	flag.StringVar(&o.markdown, "markdown", "", "also write the table to this file")
	flag.StringVar(&o.program, "tombstone", "", "the proxy's program; built from this checkout if not given")
	flag.DurationVar(&o.limit, "limit", 20*time.Minute, "how long one suite may take in one mode")
	flag.Parse()
	o.suites, o.modes = strings.Split(suite, ","), strings.Split(mode, ",")
	if files != "" {
		o.files = strings.Split(files, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	failed, err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "suites:", err)
	}
	if err != nil || failed {
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, w io.Writer) (failed bool, err error) {
	chosen, where, err := choose(o)
	if err != nil {
		return false, err
	}
	b, err := newBench(ctx, o, w)
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(b.scratch)
	var done []Comparison
	for _, s := range chosen {
		tests, err := s.Tests(b)
		if err != nil {
			return false, fmt.Errorf("%s: %w", s.Name, err)
		}
		switch {
		case o.files != nil:
			tests = o.files
		case o.sample && s.Sample != nil:
			tests = s.Sample
		}
		c, err := b.Compare(s, tests, where)
		if err != nil {
			return false, err
		}
		done = append(done, c...)
	}
	return finish(o, b, done, w)
}

// choose finds what the flags name.
func choose(o options) (chosen []*Suite, where []Mode, err error) {
	unknown := func(names []string, known ...string) error {
		for _, name := range names {
			if !slices.Contains(append(known, "all"), name) {
				return fmt.Errorf("nothing is named %q; there are %s, and all", name, strings.Join(known, ", "))
			}
		}
		return nil
	}
	var names []string
	for _, s := range suites {
		names = append(names, s.Name)
	}
	if err := errors.Join(unknown(o.suites, names...), unknown(o.modes, "empty", "guarded", "direct")); err != nil {
		return nil, nil, err
	}
	for _, s := range suites {
		if slices.Contains(o.suites, s.Name) || slices.Equal(o.suites, []string{"all"}) {
			chosen = append(chosen, s)
		}
	}
	for _, m := range append(modes, direct) {
		if slices.Contains(o.modes, m.Name) || slices.Equal(o.modes, []string{"all"}) && m != direct {
			where = append(where, m)
		}
	}
	return chosen, where, nil
}

// newBench gets what is needed: the server's programs, PostgreSQL's source, the proxy.
func newBench(ctx context.Context, o options, w io.Writer) (b *Bench, err error) {
	b = &Bench{ctx: ctx, limit: o.limit, progress: w, program: o.program}
	if o.keep != "" {
		if b.keep, err = filepath.Abs(o.keep); err != nil {
			return nil, err
		}
	}
	if b.programs, err = cluster.Ensure(ctx, w, major); err != nil {
		return nil, err
	}
	if b.source, err = source.Fetch(ctx, w, b.programs.Major, b.programs.Version); err != nil {
		return nil, err
	}
	if b.port, err = serve.FreePort(); err != nil {
		return nil, err
	}
	if b.scratch, err = os.MkdirTemp("/tmp", "tombstone-suites-"); err != nil {
		return nil, err
	}
	err = os.Chmod(b.scratch, 0o755)
	if err == nil && b.program == "" {
		b.program, err = serve.Build(ctx, b.scratch)
	}
	if err != nil {
		os.RemoveAll(b.scratch)
		return nil, err
	}
	return b, nil
}

func finish(o options, b *Bench, done []Comparison, w io.Writer) (failed bool, err error) {
	report := Report(b, done)
	fmt.Fprintf(w, "\n%s", report)
	if o.verbose {
		fmt.Fprint(w, Details(done))
	}
	if o.markdown != "" {
		if err := os.WriteFile(o.markdown, []byte(report), 0o644); err != nil {
			return false, fmt.Errorf("write the report: %w", err)
		}
	}
	same, wrong := 0, 0
	for i := range done {
		wrong += done[i].Unexplained()
		same += done[i].Tests - done[i].Unexplained()
	}
	fmt.Fprintf(w, "%d passed, %d failed\n", same, wrong)
	return wrong > 0, nil
}
