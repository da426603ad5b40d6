package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
)

// Options are the flags.
type Options struct {
	Seconds   int // of one pgbench run, and of one connect run
	Rounds    int
	BulkMB    int // read by copy-out and wide-select
	CopyInMB  int
	Idle      int // connections
	Major     int // PostgreSQL's
	Scale     int // pgbench's
	Quick     bool
	Cells     *regexp.Regexp
	Targets   *regexp.Regexp
	Tombstone string   // program; "" to build it
	Also      []string // name=program
	Markdown  string   // file, or ""
	JSON      string   // file, or ""
}

// quick is what -quick sets, unless a flag says otherwise.
var quick = map[string]string{
	"seconds": "2", "rounds": "1", "bulk": "100", "copy-in": "50", "idle": "500",
	"cells": `^select-only/(simple/8|prepared/1)$|^tpcb-like/extended/32$|^[^/]+$`,
}

func parseOptions(args []string) (Options, error) {
	var o Options
	var cells, targets string
	f := flag.NewFlagSet("bench", flag.ExitOnError)
	f.IntVar(&o.Seconds, "seconds", 3, "how long one figure of pgbench takes, in seconds, after 2 to 4 to warm up; one of connect too")
	f.IntVar(&o.Rounds, "rounds", 5, "how often everything is measured; figures are medians")
	f.IntVar(&o.BulkMB, "bulk", 1000, "how much copy-out and wide-select read, in MB")
	f.IntVar(&o.CopyInMB, "copy-in", 256, "how much copy-in writes, in MB")
	f.IntVar(&o.Idle, "idle", 5000, "how many connections are idle")
	f.IntVar(&o.Major, "pg-major", 15, "PostgreSQL's major version")
	f.IntVar(&o.Scale, "scale", 10, "pgbench's scale: a million accounts in 10")
	f.BoolVar(&o.Quick, "quick", false, "a fair sample in about a minute; other flags still count")
	f.StringVar(&cells, "cells", "", "measure only cells whose name matches this `REGEXP`, such as select-only/prepared/8, copy-out, idle")
	f.StringVar(&targets, "targets", "", "measure only targets whose name matches this `REGEXP`, and direct")
	f.StringVar(&o.Tombstone, "tombstone", "", "measure this `PROGRAM`, not one built from this checkout")
	f.Func("also", "measure one more build of tombstone, as `NAME=PROGRAM`; may be repeated", func(v string) error {
		if name, program, ok := strings.Cut(v, "="); !ok || name == "" || program == "" {
			return fmt.Errorf("write NAME=PROGRAM")
		}
		o.Also = append(o.Also, v)
		return nil
	})
	f.StringVar(&o.Markdown, "markdown", "", "also write the tables to this `FILE`, as Markdown")
	f.StringVar(&o.JSON, "json", "", "also write every round's figures to this `FILE`, as JSON")
	_ = f.Parse(args) // exits
	if f.NArg() > 0 {
		return o, fmt.Errorf("%s is not a flag; see -help", f.Arg(0))
	}
	if o.Quick {
		given := map[string]bool{}
		f.Visit(func(one *flag.Flag) { given[one.Name] = true })
		for name, value := range quick {
			if given[name] {
				continue
			}
			if err := f.Set(name, value); err != nil {
				return o, err
			}
		}
	}
	for _, n := range []int{o.Seconds, o.Rounds, o.BulkMB, o.CopyInMB, o.Idle, o.Scale} {
		if n < 1 {
			return o, fmt.Errorf("%d is too small; every number must be 1 or more", n)
		}
	}
	if o.Tombstone != "" {
		if _, err := os.Stat(o.Tombstone); err != nil {
			return o, fmt.Errorf("-tombstone: %w", err)
		}
	}
	var err error
	if o.Cells, err = regexp.Compile(cells); err != nil {
		return o, fmt.Errorf("-cells: %w", err)
	}
	if o.Targets, err = regexp.Compile(targets); err != nil {
		return o, fmt.Errorf("-targets: %w", err)
	}
	return o, nil
}
