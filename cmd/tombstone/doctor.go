package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tombstone/lifecycle/doctor"
)

const aboutDoctor = `Looks at a database for everything that stands between it and the promise: what would show a tombstone, really delete a row, or refuse a
deletion. Each finding says why it matters and what mends it: SQL that can be run as it stands, or a setting. It reads, in one transaction,
and changes nothing. What the login may not read is not looked at, and said: log in as the owner of the tables, or as a superuser.

Severities: error (rows are lost or shown, or a deletion is refused), warning (somebody may see, change or miss rows), info (a fact to know).

Status: 0 if there is nothing as bad as --fail-on says; 1 if there is, or if the database could not be looked at; 2 if the call makes no sense.`

// examine is the command doctor.
func examine(ctx context.Context, s stdio, args []string) error {
	f := flags(s, "doctor", "--config FILE [--dsn URL] [--json] [--fail-on SEVERITY] | --watch --listen ADDR [--every TIME]", aboutDoctor)
	w := whereFlags(f)
	asJSON := f.Bool("json", false, "print an array of JSON objects instead: severity, check, object, why, fix, and whether fix is SQL")
	failOn := f.String("fail-on", "error", "exit with status 1 at findings of this `SEVERITY` or worse: error, warning or never")
	list := f.Bool("checks", false, "list what is looked for, and exit")
	watching := f.Bool("watch", false, "look again and again, and serve what is found as metrics, until told to stop")
	every := f.Duration("every", defaultEvery, "with --watch: how long from one look to the next")
	listen := f.String("listen", "", "with --watch: serve /metrics at `HOST:PORT`, an address of its own: that in the configuration is the proxy's")
	if err := parse(s, f, args); err != nil {
		return err
	}
	if *list {
		return listChecks(s)
	}
	misused := func(format string, a ...any) error {
		fmt.Fprintf(s.err, "tombstone doctor: "+format+"\n", a...)
		return errUsage
	}
	switch {
	case *w.file == "" || f.NArg() > 0:
		f.Usage()
		return errUsage
	case !slices.Contains([]string{"error", "warning", "never"}, *failOn):
		return misused("--fail-on: %q is no severity; write error, warning or never", *failOn)
	case *watching && *listen == "":
		return misused("--watch needs --listen HOST:PORT, where /metrics is to be found; admin in the configuration is the proxy's own address")
	case *watching && *asJSON:
		return misused("--watch serves metrics and prints no JSON; leave out one of them")
	case *watching && *every < shortestEvery:
		return misused("--every: %s is too short; %s is the least", *every, shortestEvery)
	case !*watching && *listen != "":
		return misused("--listen goes with --watch")
	case *watching:
		return watch(ctx, s, w, *listen, *every)
	}
	r, err := lookOnce(ctx, w)
	if err != nil {
		return plainly(s, err)
	}
	if *asJSON {
		findings := make([]*doctor.Finding, len(r.Findings))
		for i := range r.Findings {
			findings[i] = &r.Findings[i]
		}
		err = encode(s.out, findings)
	} else {
		err = r.Write(s.out)
	}
	if err != nil {
		return err
	}
	if *failOn != "never" && (r.Worst() == doctor.Error || *failOn == "warning" && r.Worst() == doctor.Warning) {
		return errSilent
	}
	return nil
}

// lookOnce logs in and looks once.
func lookOnce(ctx context.Context, w where) (*doctor.Report, error) {
	conn, c, err := w.open(ctx, upstream)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return doctor.Examine(ctx, conn, c)
}

func listChecks(s stdio) error {
	var b strings.Builder
	for _, c := range doctor.Checks {
		fmt.Fprintf(&b, "%-28s %s\n", c.Name, c.About)
	}
	_, err := fmt.Fprint(s.out, b.String())
	return err
}
