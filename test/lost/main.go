package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	kept, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lost:", err)
		os.Exit(2)
	}
	if !kept {
		os.Exit(1)
	}
}

// run is the program. It reports whether nothing was lost; an error means that this could not be found out.
func run(ctx context.Context, args []string, out, log io.Writer) (kept bool, err error) {
	f := flag.NewFlagSet("lost", flag.ContinueOnError)
	f.SetOutput(log)
	kills := f.Int("kills", 500, "end somebody so `many` times")
	each := f.Int("each", 25, "so `many` of them in one round")
	clients := f.Int("clients", 6, "so `many` sessions of the application at once")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return true, nil
		}
		return false, err
	}
	if f.NArg() > 0 || *kills < 1 || *each < 2 || *clients < 1 {
		return false, errors.New("write e.g. -kills 500 -each 25 -clients 6; see -help")
	}
	s, err := newStage(ctx, log)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return rounds(ctx, s, *kills, *each, *clients, out)
}

// rounds plays as many rounds as it takes, and stops early when there is enough to look at.
func rounds(ctx context.Context, s *stage, kills, each, clients int, out io.Writer) (kept bool, err error) {
	t := newTally()
	said := 0
	for number, left := 1, kills; left > 0; number++ {
		n := min(left, each)
		left -= n
		began := time.Now()
		r, err := newRound(ctx, s, number, clients, t)
		if err == nil {
			more := n / 4 // while there are only deletes
			err = errors.Join(r.play(ctx, n-more, more), r.close(context.WithoutCancel(ctx)))
		}
		if err != nil {
			return false, fmt.Errorf("round %d: %w\n%s", number, err, t)
		}
		fmt.Fprintf(out, "round %d, %d kills to go, %s, %d events\n", number, left, time.Since(began).Round(time.Millisecond), r.book.events)
		for ; said < len(t.wrong) && said < enough; said++ {
			fmt.Fprintln(out, "WRONG:", t.wrong[said])
		}
		if len(t.wrong) > enough {
			break
		}
	}
	fmt.Fprintln(out, t)
	return len(t.wrong) == 0, nil
}

// enough differences are told. Those after them come from the same.
const enough = 50
