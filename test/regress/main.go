package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"tombstone/cluster"
	"tombstone/test/serve"
	"tombstone/test/source"
)

// sample is what must be clean, and what runs unless -files says otherwise.
const sample = "select,select_distinct,subselect,union,join,with,update,delete,insert,insert_conflict,merge,returning,prepare,portals,truncate,copyselect,case,arrays,sequence,foreign_key" + onPrepared

// onPrepared stands behind the name of a script that runs on twins of its own, of which the soft one has the database's half.
const onPrepared = "+prepared"

// preparedFiles are the scripts that -files all runs so.
var preparedFiles = []string{"foreign_key" + onPrepared, "truncate" + onPrepared}

type options struct {
	files, clean    []string
	major           int
	report, program string
	limit           time.Duration
	control, all    bool
	each            bool
}

func main() {
	o := options{}
	var files, clean string
	flag.StringVar(&files, "files", sample, "the scripts to run, separated by commas, or all; what they depend on runs too")
	flag.StringVar(&clean, "clean", sample, "the scripts in which every difference must have a cause, or all")
	flag.IntVar(&o.major, "pg-major", 15, "PostgreSQL's major version")
	flag.StringVar(&o.report, "report", "", "also write the report to this file")
	flag.StringVar(&o.program, "tombstone", "", "the proxy's program; built from this checkout if not given")
	flag.DurationVar(&o.limit, "limit", 5*time.Minute, "how long one script may take")
	flag.BoolVar(&o.control, "control", false, "run a second twin directly, and set aside what differs between the two")
	flag.BoolVar(&o.each, "each", false, "prepare again after each statement of DDL, not only when several in a row are over")
	flag.BoolVar(&o.all, "v", false, "list differences that have a cause too")
	flag.Parse()
	o.files, o.clean = strings.Split(files, ","), strings.Split(clean, ",")

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	failed, err := run(ctx, o, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "regress:", err)
	}
	if err != nil || failed {
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, w io.Writer) (failed bool, err error) {
	scratch, err := os.MkdirTemp("/tmp", "tombstone-regress-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(scratch)
	if err := os.Chmod(scratch, 0o755); err != nil {
		return false, err
	}
	programs, err := cluster.Ensure(ctx, w, o.major)
	if err != nil {
		return false, err
	}
	suite, err := source.Fetch(ctx, w, programs.Major, programs.Version)
	if err != nil {
		return false, err
	}
	if _, err := os.Stat(suite.Library()); err != nil {
		fmt.Fprintln(w, "without the C functions of regress.c: statements that use them fail in both twins")
	}
	schedule, err := source.ReadSchedule(suite)
	if err != nil {
		return false, err
	}
	plain, prepared, err := o.choose(schedule)
	if err != nil {
		return false, err
	}
	var results []File
	for _, files := range [][]string{plain, prepared} {
		if len(files) == 0 {
			continue
		}
		some, err := play(ctx, o, programs, suite, scratch, files, w)
		if err != nil {
			return false, err
		}
		results = append(results, some...)
	}
	return finish(o, suite, results, w)
}

// choose returns the files to run: those of the schedule, and those on prepared twins.
func (o *options) choose(schedule *source.Schedule) (plain, prepared []string, err error) {
	if slices.Equal(o.files, []string{"all"}) {
		return schedule.Files, preparedFiles, nil
	}
	for _, name := range o.files {
		switch script, so := strings.CutSuffix(name, onPrepared); {
		case !so:
			plain = append(plain, name)
		case !slices.Contains(schedule.Files, script):
			return nil, nil, fmt.Errorf("PostgreSQL's schedule has no regression script %q", script)
		default:
			prepared = append(prepared, name)
		}
	}
	if len(plain) > 0 {
		plain, err = schedule.Select(plain)
	}
	return plain, prepared, err
}

// play runs files on twins that it starts, all of them prepared or none.
func play(ctx context.Context, o options, programs cluster.Programs, suite source.Source, scratch string, files []string, w io.Writer) (results []File, err error) {
	if scratch, err = os.MkdirTemp(scratch, "twins-"); err != nil {
		return nil, err
	}
	if err := os.Chmod(scratch, 0o755); err != nil {
		return nil, err
	}
	bench, stop, err := newBench(ctx, o, programs, suite, scratch, strings.HasSuffix(files[0], onPrepared))
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return nil, err
	}
	bench.progress = w
	return bench.Run(ctx, files)
}

// newBench starts the twins and the proxy. stop ends what was started, whatever the error.
func newBench(ctx context.Context, o options, programs cluster.Programs, suite source.Source, scratch string, prepared bool) (b *Bench, stop func() error, err error) {
	b = &Bench{suite: suite, story: NewStory(), limit: o.limit, stops: AfterMigrations}
	if o.each {
		b.stops = AfterEach
	}
	stop = func() error {
		var err error
		if b.preparer != nil {
			err = b.preparer.Close()
		}
		if b.proxy != nil {
			b.proxy.Stop()
		}
		for _, t := range []*Twin{b.hard, b.soft, b.control} {
			if t != nil && t.cluster != nil {
				err = errors.Join(err, t.Stop())
			}
		}
		return err
	}
	if o.program == "" {
		if o.program, err = serve.Build(ctx, scratch); err != nil {
			return b, stop, err
		}
	}
	if b.hard, err = newTwin(ctx, "hard", programs, suite, scratch); err != nil {
		return b, stop, err
	}
	if b.soft, err = newTwin(ctx, "soft", programs, suite, scratch); err != nil {
		return b, stop, err
	}
	if o.control {
		if b.control, err = newTwin(ctx, "control", programs, suite, scratch); err != nil {
			return b, stop, err
		}
	}
	config := fmt.Sprintf(rules, b.soft.port)
	if b.proxy, err = startProxy(ctx, o.program, scratch, config); err != nil {
		return b, stop, err
	}
	b.soft.port = b.proxy.Port
	if prepared {
		b.story.prepared = true
		b.preparer, err = newPreparer(ctx, b.soft, config)
	}
	return b, stop, err
}

func finish(o options, suite source.Source, files []File, w io.Writer) (failed bool, err error) {
	clean := func(name string) bool {
		return slices.Contains(o.clean, name) || slices.Equal(o.clean, []string{"all"})
	}
	report := Report(suite, files, clean)
	if o.all {
		report += explained(files)
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, report)
	if o.report != "" {
		if err := os.WriteFile(o.report, []byte(report), 0o644); err != nil {
			return false, fmt.Errorf("write the report: %w", err)
		}
	}
	passed, wrong := 0, 0
	for i := range files {
		n := len(files[i].Unexplained())
		passed += files[i].Count() - n
		if clean(files[i].Name) {
			wrong += n
		}
	}
	fmt.Fprintf(w, "%d passed, %d failed\n", passed, wrong)
	return wrong > 0, nil
}
