// Command tombstone is a PostgreSQL wire-protocol proxy that makes deletes
// soft. Each subcommand is in a file of its own; see `tombstone help`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// version and commit are set by the linker: see the Makefile.
var (
	version = "dev"
	commit  = "unknown"
)

// command is one subcommand. run returns nil, errUsage after it has told the
// user how to call it, errSilent after it has said everything, or what went
// wrong.
type command struct {
	name, summary string
	run           func(ctx context.Context, s stdio, args []string) error
}

// stdio is a command's view of the terminal, so that tests can have their own.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

var commands = []command{
	{"serve", "run the proxy", serve},
	{"demo", "show it at work on a throwaway PostgreSQL, then serve", demo},
	{"doctor", "find what stands between a database and the promise", examine},
	{"prepare", "give the database what it needs to keep the policy by itself", prepare},
	{"history", "list what was deleted", history},
	{"show", "show one deletion and its rows", show},
	{"restore", "restore deleted rows, and what went with them", restore},
	{"undo", "restore all that one deletion took", undo},
	{"purge", "delete for good what was kept long enough", purgeOld},
	{"erase", "delete certain rows for good, now and with every copy", erase},
	{"rewrite", "print what the proxy would send for a statement", rewriteSQL},
	{"health", "ask a running proxy whether it is well, for container health checks", health},
	{"version", "print the version", printVersion},
}

// Errors that main answers with an exit status alone.
var (
	errUsage  = errors.New("usage")        // status 2
	errSilent = errors.New("said already") // status 1
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // who asks twice does not want to wait for transactions to end
	status := run(ctx, stdio{os.Stdin, os.Stdout, os.Stderr}, os.Args[1:])
	stop()
	os.Exit(status)
}

// run dispatches to a command and returns the exit status: 0 for success, 1
// for a failure, 2 for a call that makes no sense.
func run(ctx context.Context, s stdio, args []string) int {
	if len(args) == 0 {
		help(s.err)
		return 2
	}
	name := args[0]
	switch name {
	case "help", "-h", "-help", "--help":
		help(s.out)
		return 0
	case "-version", "--version":
		name = "version"
	}
	for _, c := range commands {
		if c.name != name {
			continue
		}
		switch err := c.run(ctx, s, args[1:]); {
		case err == nil, errors.Is(err, flag.ErrHelp):
			return 0
		case errors.Is(err, errUsage):
			return 2
		case errors.Is(err, errSilent):
			return 1
		default:
			fmt.Fprintf(s.err, "tombstone %s: %v\n", name, err)
			return 1
		}
	}
	fmt.Fprintf(s.err, "tombstone: unknown command %q; see tombstone help\n", name)
	return 2
}

func help(w io.Writer) {
	fmt.Fprint(w, "tombstone is a PostgreSQL proxy that makes deletes soft.\n\nUsage: tombstone COMMAND [options]\n\nCommands:\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  %-9s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, "\nEach command explains its options with -h.\n")
}

// flags makes a command's flag set, whose help says what the command is for.
func flags(s stdio, name, args, about string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(s.err)
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "Usage: tombstone %s %s\n\n%s\n\nOptions:\n", name, args, about)
		f.PrintDefaults()
	}
	return f
}

// options puts the arguments of a command behind its options, since people write them in any order.
func options(f *flag.FlagSet, args []string) []string {
	var first, rest []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch name := strings.TrimLeft(a, "-"); {
		case a == "--":
			return append(append(append(first, "--"), rest...), args[i+1:]...)
		case len(a) < 2 || a[0] != '-' || a[1] >= '0' && a[1] <= '9':
			rest = append(rest, a)
		default:
			first = append(first, a)
			o := f.Lookup(name)
			if o == nil || strings.Contains(name, "=") {
				continue
			}
			if b, ok := o.Value.(interface{ IsBoolFlag() bool }); (!ok || !b.IsBoolFlag()) && i+1 < len(args) {
				i++
				first = append(first, args[i])
			}
		}
	}
	return append(first, rest...)
}

// parse reads a command's options. Help goes to standard output, since it was
// asked for.
func parse(s stdio, f *flag.FlagSet, args []string) error {
	for _, a := range args {
		if a == "--" {
			break
		}
		if a == "-h" || a == "-help" || a == "--help" {
			f.SetOutput(s.out)
		}
	}
	switch err := f.Parse(args); {
	case err == nil:
		return nil
	case errors.Is(err, flag.ErrHelp):
		return err
	default:
		return errUsage
	}
}

func printVersion(_ context.Context, s stdio, args []string) error {
	f := flags(s, "version", "", "Prints the version and the commit it was built from.")
	if err := parse(s, f, args); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.out, "tombstone %s (%s)\n", version, commit)
	return err
}
