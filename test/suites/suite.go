package main

import (
	"context"
	"slices"
	"strings"
)

// Suite is a set of tests that somebody else wrote.
type Suite struct {
	Name     string
	About    string
	Database string // the tests' own, made by us
	SetUp    string // SQL that is run in it, before the proxy is there
	HBA      string // the server's pg_hba.conf; "" trusts everybody

	// Tests returns the names of all tests, in the order in which they run. Those of a sample have a fair part of all.
	Tests  func(b *Bench) ([]string, error)
	Sample []string

	// Run runs tests at a place.
	Run func(ctx context.Context, b *Bench, p *Place, tests []string) (Results, error)

	// Known are differences whose cause is known.
	Known []Known
}

// Known is a cause of differences, as narrow as it can be: in these tests, with this policy, where the output has these words that it
// has not directly.
type Known struct {
	Mode  string
	Tests []string
	Says  string
	Line  string // the cause in one line
}

// cause is the line of the cause of a difference, "" if none is known.
func (s *Suite) cause(mode string, d Difference) string {
	for _, k := range s.Known {
		if k.Mode == mode && slices.Contains(k.Tests, d.Test) && strings.Contains(d.Here, k.Says) && !strings.Contains(d.Direct, k.Says) {
			return k.Line
		}
	}
	return ""
}

// Results are what tests gave.
type Results struct {
	Outputs  map[string]string // of each test, everything that is compared
	Expected map[string]bool   // the test's own verdict about it
	Notes    map[string]string // what a test says that failed; not compared
	Parts    int               // what the tests say they consist of: permutations, messages
}

var suites = []*Suite{regress, isolation, pipeline, pgx, pq}
