package main

import (
	"strings"
	"testing"
)

func TestDifferences(t *testing.T) {
	base := Results{Outputs: map[string]string{"same": "a\n", "other": "a\nb\nc\n", "missing": "a\n"}}
	here := Results{Outputs: map[string]string{"same": "a\n", "other": "a\nx\nc\n", "more": "a\n"}}
	var names []string
	for _, d := range differences(base, here) {
		names = append(names, d.Test)
	}
	if got := strings.Join(names, " "); got != "missing more other" {
		t.Errorf("%q, want what is not the same, and what is on one side only", got)
	}
	if got := firstDifference("a\nb\nc\n", "a\nx\nc\n"); got != "  a\n- b\n- c\n- \n+ x\n+ c\n+ \n" {
		t.Errorf("where outputs part:\n%s", got)
	}
}

// A cause explains what it was found for, and nothing else.
func TestCause(t *testing.T) {
	s := &Suite{Known: []Known{{Mode: "guarded", Tests: []string{"one"}, Says: "ERROR:  on purpose", Line: "because"}}}
	for _, c := range []struct {
		mode, test, direct, here, want string
	}{
		{"guarded", "one", "1\n", "ERROR:  on purpose\n", "because"},
		{"empty", "one", "1\n", "ERROR:  on purpose\n", ""},
		{"guarded", "two", "1\n", "ERROR:  on purpose\n", ""},
		{"guarded", "one", "1\n", "ERROR:  something else\n", ""},
		{"guarded", "one", "ERROR:  on purpose\n", "ERROR:  on purpose\n\n", ""},
	} {
		if got := s.cause(c.mode, Difference{Test: c.test, Direct: c.direct, Here: c.here}); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// Tests that are named after their temporary folder have the same name each time.
func TestChance(t *testing.T) {
	const name, want = "TestX/servicefile='/tmp/TestX3925762001/001/f'", "TestX/servicefile='/tmp/TestX/001/f'"
	if got := chance.ReplaceAllString(name, "$1"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestChoose(t *testing.T) {
	chosen, where, err := choose(options{suites: []string{"all"}, modes: []string{"all"}})
	if err != nil || len(chosen) != len(suites) || len(where) != 2 {
		t.Errorf("all: %d suites, %d modes, %v", len(chosen), len(where), err)
	}
	if chosen, where, err := choose(options{suites: []string{"pgx"}, modes: []string{"direct"}}); err != nil || len(chosen) != 1 || len(where) != 1 || where[0] != direct {
		t.Errorf("pgx, direct: %v %v %v", chosen, where, err)
	}
	if _, _, err := choose(options{suites: []string{"nothing"}, modes: []string{"all"}}); err == nil {
		t.Error("an unknown suite is no error")
	}
}
