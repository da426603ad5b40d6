package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"time"

	"tombstone/config"
	"tombstone/lifecycle/purge"
	"tombstone/policy"
)

// purgeOld is the command purge.
func purgeOld(ctx context.Context, s stdio, args []string) error {
	f := flags(s, "purge", "--config FILE [--dsn URL] [--table NAME] [--dry-run] [--json]",
		`Deletes for good the tombstones that are older than their table's retention, those first that refer to others. One that is held, or that
anything still refers to, stays and is told. It works in batches at the pace that the configuration sets (purge), and can be stopped
(SIGINT, SIGTERM): it ends after the batch that it is at, with status 1, and the next purge goes on. While another purge is at work in the
database there is nothing to do, and that is no failure. Log in as the owner of the tables, or as one who may SELECT, UPDATE and DELETE in
them and in the schema tombstone.`)
	w := whereFlags(f)
	var o purge.Options
	f.StringVar(&o.Table, "table", "", "only the table `NAME`")
	f.BoolVar(&o.Dry, "dry-run", false, "show what would go, and delete nothing")
	asJSON := f.Bool("json", false, "print a JSON object instead")
	if err := parse(s, f, args); err != nil {
		return err
	}
	if *w.file == "" || f.NArg() > 0 {
		f.Usage()
		return errUsage
	}
	conn, c, err := w.open(ctx, purger)
	if err != nil {
		return plainly(s, err)
	}
	// The signal ends it between two batches; who gives it twice ends the process.
	whole := context.WithoutCancel(ctx)
	defer conn.Close(whole)
	if err := mayWrite(ctx, conn, o.Dry); err != nil {
		return err
	}
	o.Purge, o.Stop, o.Who = c.Purge, ctx.Done(), who("purge")
	o.Say = func(text string) { fmt.Fprintln(s.err, text) }
	out, err := purge.Run(whole, conn, policy.New(c.Tables, c.Bodies), o)
	if err != nil {
		return err
	}
	if *asJSON {
		err = encode(s.out, out)
	} else {
		err = printPurged(s.out, out)
	}
	if err != nil || out.Outcome == "done" || out.Outcome == "busy" {
		return err
	}
	if out.Outcome == "stopped" {
		fmt.Fprintln(s.err, "stopped; what went is gone, and the next tombstone purge goes on")
	}
	return errSilent
}

// purger is who purges and erases: the login of its own, if there is one.
func purger(c *config.Config) config.Upstream {
	if c.Purge.Login != nil {
		return *c.Purge.Login
	}
	return c.Upstream
}

// who says for a receipt which command is run by whom, as far as the system knows.
func who(command string) string {
	text := "tombstone " + command
	if u, err := user.Current(); err == nil {
		text += " by " + u.Username
	}
	if host, err := os.Hostname(); err == nil {
		text += " on " + host
	}
	return text
}

func printPurged(w io.Writer, p *purge.Purged) error {
	write := &errWriter{w: w}
	for _, text := range p.Warnings {
		write.f("note: %s\n", text)
	}
	if p.Outcome == "busy" {
		return write.err
	}
	verb := "purged"
	if p.DryRun {
		verb = "would be purged"
	}
	for _, t := range p.Tables {
		write.f("%s: %s %s", t.Name, rows(t.Purged), verb)
		if t.Archived > 0 {
			write.f(", %d of them archived", t.Archived)
		}
		if t.Purged > 0 && t.FirstKey != "" {
			write.f(", keys %s to %s", t.FirstKey, t.LastKey)
		}
		if t.Oldest != nil {
			write.f(", deleted from %s to %s", t.Oldest.Format(time.RFC3339), t.Newest.Format(time.RFC3339))
		}
		write.f("\n")
		for _, k := range t.Kept {
			write.f("  kept: %s of %s, %s\n", rows(k.Count), t.Name, k.Why())
		}
	}
	if len(p.Tables) == 0 && len(p.Problems) == 0 {
		write.f("no table has a retention, so everything is kept\n")
	}
	if p.Deletions > 0 {
		write.f("%d deletions of which nothing is left are forgotten\n", p.Deletions)
	}
	switch {
	case p.Receipt != 0:
		write.f("receipt %d in tombstone.receipts: %s, as %s\n", p.Receipt, p.Who, p.Role)
	case !p.DryRun && total(p) > 0:
		write.f("no receipt is kept, since there is no table tombstone.receipts; tombstone prepare makes it\n")
	}
	for _, text := range p.Problems {
		write.f("failed: %s\n", text)
	}
	return write.err
}

func total(p *purge.Purged) (n int64) {
	for _, t := range p.Tables {
		n += t.Purged
	}
	return n
}

func rows(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return fmt.Sprintf("%d rows", n)
}

// errWriter writes until it cannot.
type errWriter struct {
	w   io.Writer
	err error
}

func (e *errWriter) f(format string, values ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format, values...)
	}
}

// plainlyRefused prints why nothing was erased.
func plainlyRefused(s stdio, err error) error {
	var refused *purge.Refused
	if !errors.As(err, &refused) {
		return err
	}
	fmt.Fprintln(s.err, refused)
	return errSilent
}
