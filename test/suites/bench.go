package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tombstone/cluster"
	"tombstone/test/source"
)

// Bench is everything that a run needs.
type Bench struct {
	ctx      context.Context // of the whole run
	programs cluster.Programs
	source   source.Source
	program  string // the proxy
	scratch  string // folder that goes with the run
	port     int    // where clients connect, in every mode
	keep     string // folder that gets every output, or ""
	limit    time.Duration
	progress io.Writer
}

// Comparison is a suite in one mode beside the suite run directly.
type Comparison struct {
	Suite       *Suite
	Mode        string
	Tests       int // that were compared
	Parts       int
	Expected    int // of them, as their authors expect, directly and through the proxy
	Differences []Difference
	Seconds     [2]float64 // directly, and in this mode
}

// Difference is a test that gave something else in this mode.
type Difference struct {
	Test   string
	Direct string
	Here   string
	Note   string
	Again  bool   // once more, alone, it gave the same as directly
	Cause  string // if it is known
}

// Explained reports whether the proxy need not be the reason.
func (d *Difference) Explained() bool { return d.Again || d.Cause != "" }

// Compare runs a suite's tests directly and in modes.
func (b *Bench) Compare(s *Suite, tests []string, modes []Mode) ([]Comparison, error) {
	base, seconds, err := b.run(s, direct, tests, "")
	if err != nil {
		return nil, err
	}
	var done []Comparison
	for _, m := range modes {
		here, took, err := b.run(s, m, tests, "")
		if err != nil {
			return nil, err
		}
		c := Comparison{Suite: s, Mode: m.Name, Tests: len(base.Outputs), Parts: base.Parts, Seconds: [2]float64{seconds, took}}
		c.Differences = differences(base, here)
		for name := range base.Outputs { // not what these depend on
			if base.Expected[name] && here.Expected[name] {
				c.Expected++
			}
		}
		if err := b.again(s, m, c.Differences); err != nil {
			return nil, err
		}
		done = append(done, c)
	}
	return done, nil
}

// run runs tests in one mode, at a place of their own.
func (b *Bench) run(s *Suite, m Mode, tests []string, label string) (r Results, seconds float64, err error) {
	ctx, cancel := context.WithTimeout(b.ctx, b.limit)
	defer cancel()
	start := time.Now()
	p, err := b.open(ctx, s, m)
	if err != nil {
		return Results{}, 0, err
	}
	r, err = s.Run(ctx, b, p, tests)
	if err = errors.Join(err, p.Close()); err != nil {
		return Results{}, 0, fmt.Errorf("%s, %s: %w", s.Name, m.Name, err)
	}
	seconds = time.Since(start).Seconds()
	fmt.Fprintf(b.progress, "%7.1f s  %s, %s%s: %d tests\n", seconds, s.Name, m.Name, label, len(r.Outputs))
	return r, seconds, b.save(s, m, label, r)
}

// again runs tests that differ once more, without the others, directly and through the proxy. What is the same then was
// chance.
func (b *Bench) again(s *Suite, m Mode, found []Difference) error {
	if len(found) == 0 {
		return nil
	}
	var tests []string
	for i := range found {
		found[i].Cause = s.cause(m.Name, found[i])
		if unit, _, _ := strings.Cut(found[i].Test, " "); !slices.Contains(tests, unit) {
			tests = append(tests, unit)
		}
	}
	base, _, err := b.run(s, direct, tests, " again")
	if err != nil {
		return err
	}
	here, _, err := b.run(s, m, tests, " again")
	if err != nil {
		return err
	}
	still := differences(base, here)
	for i := range found {
		found[i].Again = !slices.ContainsFunc(still, func(d Difference) bool { return d.Test == found[i].Test })
	}
	return nil
}

// differences are the tests that gave other results, or are missing on one side.
func differences(base, here Results) []Difference {
	names := maps.Clone(base.Outputs)
	maps.Copy(names, here.Outputs)
	var found []Difference
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if base.Outputs[name] != here.Outputs[name] {
			found = append(found, Difference{Test: name, Direct: base.Outputs[name], Here: here.Outputs[name], Note: base.Notes[name] + here.Notes[name]})
		}
	}
	return found
}

// save keeps the outputs for somebody to look at.
func (b *Bench) save(s *Suite, m Mode, label string, r Results) error {
	if b.keep == "" {
		return nil
	}
	dir := filepath.Join(b.keep, s.Name+"-"+m.Name+strings.ReplaceAll(label, " ", "-"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("folder for outputs: %w", err)
	}
	for name, out := range r.Outputs {
		file := strings.NewReplacer("/", "_", " ", "_").Replace(name)
		if err := os.WriteFile(filepath.Join(dir, file), []byte(out+r.Notes[name]), 0o644); err != nil {
			return fmt.Errorf("keep an output: %w", err)
		}
	}
	return nil
}
