package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tombstone/lifecycle"
)

// limit is how long a test may take in all. It is there so that a hang fails.
const limit = 5 * time.Minute

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func stage(t *testing.T) *Stage {
	t.Helper()
	s, err := NewStage(within(t), os.Stderr, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// A small sample of what make keys plays.
func TestKeys(t *testing.T) {
	for _, args := range [][]string{
		{"-scripts", "100", "-seed", "1"},
		{"-scripts", "30", "-seed", "1", "-sessions", "2"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			var out bytes.Buffer
			agreed, err := run(within(t), args, &out, os.Stderr)
			if err != nil {
				t.Fatal(err)
			}
			if !agreed {
				t.Errorf("%s", out.String())
			}
		})
	}
}

// family is a parent and a child, both protected.
func family(onDelete string) *Graph {
	column := func(name string) *Column { return &Column{Name: name, Type: "int", NotNull: name == "id"} }
	p := &Table{Name: "p1", Marker: markers[0], Primary: []string{"id"}, Columns: []*Column{column("id"), column("note")}}
	c := &Table{Name: "p2", Marker: markers[0], Primary: []string{"id"}, Columns: []*Column{column("id"), column("note"), column("r")}}
	return &Graph{Tables: []*Table{p, c}, Keys: []*Key{{Name: "p2_r_fkey", Child: c, Parent: p, Columns: []string{"r"}, Refs: []string{"id"}, OnDelete: onDelete}}}
}

func steps(list ...string) []*Step {
	var out []*Step
	for _, sql := range list {
		kind, _, _ := strings.Cut(strings.ToLower(sql), " ")
		out = append(out, step(kind, must(sql)))
	}
	return out
}

// The oracle sees what goes wrong where the database's half is missing, and shrinks it to what is needed.
func TestOracle(t *testing.T) {
	s := stage(t)
	for _, x := range []struct {
		onDelete, key string
		steps         []*Step
		left          int
	}{
		{"CASCADE", "contents; ; live rows", steps("INSERT INTO p1 VALUES (1, 1), (2, 2)", "INSERT INTO p2 VALUES (1, 1, 1)", "SELECT note FROM p1", "DELETE FROM p1 WHERE id = 1"), 3},
		{"", "answer; delete; hard 23503 update or delete on table, soft no error", steps("INSERT INTO p1 VALUES (1, 1)", "INSERT INTO p2 VALUES (1, 1, 1)", "BEGIN", "DELETE FROM p1", "COMMIT"), 3},
		{"", "answer; insert; hard 23503 insert or update on table, soft no error", steps("INSERT INTO p1 VALUES (1, 1), (2, 2)", "DELETE FROM p1", "INSERT INTO p2 VALUES (1, 1, 1)"), 3},
		{"", "answer; insert; hard no error, soft 23505 duplicate key value violates unique constraint", steps("INSERT INTO p1 VALUES (1, 1)", "DELETE FROM p1", "SELECT 1", "INSERT INTO p1 VALUES (1, 2)"), 3},
	} {
		t.Run(x.key, func(t *testing.T) {
			g := family(x.onDelete)
			twin, err := s.NewTwin(within(t), g, 1)
			if err != nil {
				t.Fatal(err)
			}
			if err := lifecycle.Remove(twin.prepared).Apply(within(t), twin.admin, io.Discard); err != nil {
				t.Fatal(err)
			}
			script := &Script{Graph: g, Sessions: 1, Steps: x.steps}
			k := &Shrinker{stage: s, twin: twin, script: script, until: time.Now().Add(limit)}
			defer k.close()
			d, err := k.play(within(t))
			if err != nil || d == nil {
				t.Fatalf("no difference: %v", err)
			}
			if d.key() != x.key {
				t.Fatalf("%s: %v %v", d.key(), d.Hard, d.Soft)
			}
			k.found = d
			k.steps(within(t))
			if len(script.Steps) != x.left {
				var out strings.Builder
				script.write(&out)
				t.Errorf("%s", out.String())
			}
		})
	}
}

// The same steps are sent in the same order, and who waits is seen.
func TestInterleave(t *testing.T) {
	s := stage(t)
	twin, err := s.NewTwin(within(t), family(""), 3)
	if err != nil {
		t.Fatal(err)
	}
	defer twin.Close()
	var list []*Step
	for _, line := range []string{
		"0 INSERT INTO p1 VALUES (1, 1), (2, 1)",
		"0 BEGIN", "0 UPDATE p1 SET note = 2 WHERE id = 1",
		"1 BEGIN", "1 UPDATE p1 SET note = 3 WHERE id = 2", "1 UPDATE p1 SET note = note + 10 WHERE id = 1", // waits for 0
		"1 SELECT note FROM p1 WHERE id = 1",    // delayed with it
		"2 SELECT note FROM p1 WHERE id = 1",    // goes on
		"0 UPDATE p1 SET note = 4 WHERE id = 2", // closes the circle, and is told
		"0 ROLLBACK", "1 COMMIT", "2 TABLE p1",
	} {
		var session int
		fmt.Sscan(line[:1], &session)
		kind, _, _ := strings.Cut(strings.ToLower(line[2:]), " ")
		list = append(list, &Step{Session: session, Kind: kind, Parts: []*Part{must(line[2:])}})
	}
	for _, side := range twin.sides() {
		events, err := side.interleave(within(t), list)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, e := range events {
			text := strings.Join(eventText(e), ", ")
			if strings.Contains(text, "waited") || strings.Contains(text, "ERROR") || strings.Contains(list[i].SQL(), "SELECT") {
				got = append(got, fmt.Sprintf("%d: %s", i, text))
			}
		}
		want := []string{"5: tag UPDATE 1, status T, waited", "6: 11, tag SELECT 1, status T", "7: 1, tag SELECT 1, status I", "8: ERROR 40P01, status E"}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", side.name, got, want)
		}
	}
}

// A constraint that another one hides is broken, or is not.
func TestGenuine(t *testing.T) {
	s := stage(t)
	g := family("")
	other := *g.Keys[0]
	other.Name, other.Columns = "p2_note_fkey", []string{"note"}
	g.Keys = append(g.Keys, &other)
	twin, err := s.NewTwin(within(t), g, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer twin.Close()
	for sql, want := range map[string]verdict{"INSERT INTO p2 VALUES (1, 7, 7)": broken, "INSERT INTO p2 VALUES (1, NULL, 7)": whole} {
		hard := twin.hard.clients[0].Send(within(t), sql)
		if hard.Error == nil || hard.Error.ConstraintName != "p2_r_fkey" {
			t.Fatalf("%s: %v", sql, hard.text())
		}
		told := *hard.Error
		told.ConstraintName = "p2_note_fkey"
		if got, err := twin.genuine(within(t), sql, hard, &Answer{Error: &told}); err != nil || got != want {
			t.Errorf("%s: %d, want %d: %v", sql, got, want, err)
		}
	}
}

// A script is a pure function of the seed and its number.
func TestScriptIsDeterministic(t *testing.T) {
	text := func(p *Plan, n int) string {
		var out strings.Builder
		p.script(n, p.graph(n)).write(&out)
		return out.String()
	}
	seen := map[string]bool{}
	for n := range 200 {
		p := &Plan{Seed: 3, Parted: parted, Sessions: 1 + n%3}
		one := text(p, n)
		if two := text(p, n); one != two {
			t.Fatalf("script %d is\n%s\nand\n%s", n, one, two)
		}
		if seen[one] {
			t.Errorf("script %d has been there before", n)
		}
		seen[one] = true
	}
}
