package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

//go:embed scripts/*.sql scripts/setup/*.sql
var ownScripts embed.FS

// Script is a file of statements.
type Script struct {
	Name   string
	Pieces []Piece
}

type way struct {
	name string
	step Step
}

// ways are the forms in which each script is played, each time from the start.
var ways = []way{
	{"simple", Step{Mode: Simple}},
	{"unnamed", Step{Mode: Unnamed}},
	{"binary", Step{Mode: Unnamed, Binary: true}},
	{"named", Step{Mode: Named}},
}

// chosen picks ways by their names, with commas between; "" is all.
func chosen(names string) ([]way, error) {
	if names == "" {
		return ways, nil
	}
	var out []way
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(ways, func(w way) bool { return w.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-ways: no way is called %q; there are simple, unnamed, binary, named", name)
		}
		out = append(out, ways[i])
	}
	return out, nil
}

// loadScripts reads scripts: the own ones when dir is empty, else all *.sql
// files of a folder, or one file.
func loadScripts(dir string) ([]Script, error) {
	files := fs.FS(ownScripts)
	pattern := "scripts/*.sql"
	if dir != "" {
		info, err := os.Stat(dir)
		if err != nil {
			return nil, err
		}
		pattern = "*.sql"
		if !info.IsDir() {
			dir, pattern = filepath.Dir(dir), filepath.Base(dir)
		}
		files = os.DirFS(dir)
	}
	names, err := fs.Glob(files, pattern)
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no scripts (%s): %w", pattern, err)
	}
	sort.Strings(names)
	var out []Script
	for _, name := range names {
		s, err := loadScript(files, name)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func loadScript(files fs.FS, name string) (Script, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return Script{}, err
	}
	pieces, skipped := split(string(text))
	if len(skipped) > 0 {
		fmt.Fprintf(os.Stderr, "%s: %d lines are for psql and were left out, the first: %s\n", name, len(skipped), skipped[0])
	}
	return Script{strings.TrimSuffix(path.Base(name), ".sql"), pieces}, nil
}

// loadSetup reads what every script starts from: the shop, unless file names
// another.
func loadSetup(file string) (Script, error) {
	if file != "" {
		return loadScript(os.DirFS(filepath.Dir(file)), filepath.Base(file))
	}
	return loadScript(ownScripts, "scripts/setup/shop.sql")
}

// PlayScripts plays each script in each way, each time from what setup makes.
func PlayScripts(ctx context.Context, stage *Stage, setup Script, scripts []Script, in []way, r *Report) error {
	t, err := stage.NewTwin(ctx)
	if err != nil {
		return err
	}
	defer t.Close(ctx)
	for _, s := range scripts {
		for _, way := range in {
			if err := t.begin(ctx, setup); err != nil {
				return fmt.Errorf("before %s: %w", s.Name, err)
			}
			if err := playScript(ctx, t, s, way.name, way.step, r); err != nil {
				return fmt.Errorf("%s, %s: %w", s.Name, way.name, err)
			}
		}
	}
	return nil
}

// clearSQL drops what earlier scripts left.
const clearSQL = `DO $$ DECLARE s text; BEGIN
	FOR s IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$|^lib$|^guard$' LOOP
		EXECUTE format('DROP SCHEMA %I CASCADE', s);
	END LOOP;
END $$; TRUNCATE guard.lost; CREATE SCHEMA public;`

// begin makes both sides as setup has them, with fresh clients.
func (t *Twin) begin(ctx context.Context, setup Script) error {
	t.disconnect()
	for _, side := range t.sides() {
		sql := clearSQL
		for _, p := range setup.Pieces {
			if p.Only == "" || p.Only == side.name {
				sql += p.SQL + ";"
			}
		}
		if err := side.Do(ctx, "SET client_min_messages = warning; "+sql); err != nil {
			return fmt.Errorf("%s: %w", setup.Name, err)
		}
	}
	if err := t.Connect(ctx); err != nil {
		return err
	}
	return t.seen()
}

func playScript(ctx context.Context, t *Twin, s Script, way string, form Step, r *Report) error {
	for _, p := range s.Pieces {
		step := form
		st := &Statement{Node: seq(p.SQL), Kind: firstWord(p.SQL), CopyIn: p.Data}
		switch {
		case st.Kind == "explain":
			st.Order = NotCompared
			if strings.Contains(strings.ToLower(p.SQL), "audit_log") {
				st.Order = AsTheyCome // nothing is hidden there, so the plans agree
			}
		case asksForOrder(p.SQL):
			st.Order = AsTheyCome
		}
		step.Statements = []*Statement{st}
		if p.Only != "" {
			side := t.soft
			if p.Only == "hard" {
				side = t.hard
			}
			if err := side.Do(ctx, p.SQL); err != nil {
				return fmt.Errorf("line %d: %w", p.Line, err)
			}
			continue
		}
		o := t.Play(&step)
		if o.Difference != nil {
			o.Difference.Kind = s.Name
		}
		r.Played(&step, o)
		if d := o.Difference; d != nil {
			r.ScriptFailed(s.Name, way, p.Line, d)
			if t.hard.client.broken != nil || t.soft.client.broken != nil || t.hard.client.status != t.soft.client.status {
				return nil // what follows would only say so again
			}
		}
	}
	for _, side := range t.sides() {
		if side.client.status != 'I' {
			if err := side.run("ROLLBACK"); err != nil {
				return err
			}
		}
	}
	d, err := t.compareContents(ctx)
	if err != nil {
		return err
	}
	if d != nil {
		d.Kind = s.Name
		r.ScriptFailed(s.Name, way, 0, d)
	}
	return nil
}

func firstWord(sql string) string {
	f := strings.FieldsFunc(sql, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') })
	if len(f) == 0 {
		return "nothing"
	}
	return strings.ToLower(f[0])
}
