package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 {
		if play, is := roles[os.Args[1]]; is {
			exit(play(os.Args[2:]))
		}
	}
	o, err := parseOptions(os.Args[1:])
	if err != nil {
		exit(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, o)
	stop()
	exit(err)
}

// roles are what this program is as a child of itself: a process of its own has CPU and memory of its own.
var roles = map[string]func(args []string) error{
	"relay":    relayRole,
	"fake":     fakeRole,
	"watchdog": watchdogRole,
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run measures and reports. What was measured before an interrupt, or besides what broke, is reported too.
func run(ctx context.Context, o Options) (err error) {
	s, err := newStage(ctx, o)
	defer func() { err = errors.Join(err, s.Close()) }()
	if err != nil {
		return err
	}
	results := measure(ctx, s, os.Stderr)
	report := newReport(s, results)
	if err := report.write(os.Stdout, o); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return errors.New("interrupted; the figures are of the rounds until then")
	}
	if n := len(results.Broken); n > 0 {
		return fmt.Errorf("%d measurements broke; the report lists them", n)
	}
	return nil
}
