package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tombstone/test/source"
)

// Bench is everything that a run needs.
type Bench struct {
	hard, soft *Twin
	control    *Twin // a second hard twin, or nil
	proxy      *Proxy
	preparer   *Preparer // nil where the soft twin is not prepared
	stops      Stops     // where it is prepared again
	suite      source.Source
	story      *Story
	limit      time.Duration // of one script
	progress   io.Writer
}

// half is a file that has run in the soft twin.
type half struct {
	name       string
	statements []Statement
	soft       []Answer
	rules      []string // of each statement: why it was refused, "" if it was not
	seconds    float64
	err        error
}

// Run runs files in order and returns their results. The soft twin is ahead, because what the proxy refuses there is to
// fail in the hard twin; one goroutine runs it, and ends with the files or the context.
func (b *Bench) Run(ctx context.Context, files []string) ([]File, error) {
	if err := b.setUp(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	files = slices.DeleteFunc(slices.Clone(files), func(name string) bool { return name == setUpScript })
	halves := make(chan half, len(files))
	go func() {
		defer close(halves)
		for _, name := range files {
			h := b.runSoft(ctx, name)
			halves <- h
			if h.err != nil {
				return
			}
		}
	}()
	defer func() {
		cancel()
		for range halves { // until the goroutine has ended
		}
	}()
	var done []File
	for h := range halves {
		if h.err != nil {
			return done, h.err
		}
		f, err := b.runHard(ctx, h)
		if err != nil {
			return done, err
		}
		fmt.Fprintf(b.progress, "%-24s %5d statements %4d differences %4d refused %6.1f s\n", f.Name, f.Count(), f.Number(Differs), f.Number(Refused), h.seconds)
		done = append(done, f)
	}
	return done, nil
}

// setUpScript makes the tables of all others. It runs directly in every twin: it is not a test, and a refusal in it would take
// its tables away from both sides of many.
const setUpScript = "test_setup"

func (b *Bench) setUp(ctx context.Context) error {
	statements, err := b.read(setUpScript)
	if err != nil {
		return err
	}
	for _, twin := range []*Twin{b.hard, b.soft, b.control} {
		if twin == nil {
			continue
		}
		there := *twin
		there.port = twin.cluster.Port
		out, err := there.Run(ctx, setUpScript, Assemble(statements, nil, Never), b.limit, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", setUpScript, err)
		}
		for i, answer := range Cut(out, len(statements)) {
			b.story.ties.Learn(statements[i].SQL)
			// Without the library of C functions those that use it fail, and nothing else may.
			if strings.Contains(answer.Output, "ERROR:") && !strings.Contains(statements[i].SQL, "LANGUAGE C") || !answer.Given {
				return fmt.Errorf("%s, line %d, on the %s twin: %s", setUpScript, statements[i].Line, twin.Name, answer.Output)
			}
		}
	}
	maps.Copy(b.story.lasting, b.story.ties.tables)
	if b.preparer != nil {
		return b.preparer.Prepare(ctx)
	}
	return nil
}

// read cuts a script into statements.
func (b *Bench) read(name string) ([]Statement, error) {
	text, err := os.ReadFile(filepath.Join(b.suite.Regress(), "sql", strings.TrimSuffix(name, onPrepared)+".sql"))
	if err != nil {
		return nil, fmt.Errorf("read the regression script: %w", err)
	}
	statements := Split(string(text))
	if b.preparer != nil {
		lasting(statements)
	}
	return statements, nil
}

func (b *Bench) runSoft(ctx context.Context, name string) half {
	h := half{name: name}
	var err error
	if h.statements, err = b.read(name); err != nil {
		h.err = err
		return h
	}
	started := time.Now()
	stops, stopped := Never, func(context.Context) error { return nil }
	if b.preparer != nil {
		stops, stopped = b.stops, b.preparer.Prepare
	}
	out, err := b.soft.Run(ctx, name, Assemble(h.statements, nil, stops), b.limit, stopped)
	h.seconds = time.Since(started).Seconds()
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = b.proxy.Alive()
	}
	if err != nil {
		h.err = fmt.Errorf("%s: %w", name, err)
		return h
	}
	refusals, err := b.proxy.Refusals()
	if err != nil {
		h.err = err
		return h
	}
	h.soft = Cut(out, len(h.statements))
	h.rules = make([]string, len(h.statements))
	for i := range h.soft {
		h.rules[i] = refusedBy(&h.statements[i], h.soft[i], refusals)
	}
	return h
}

func (b *Bench) runHard(ctx context.Context, h half) (File, error) {
	refused := map[int]bool{}
	for i, rule := range h.rules {
		if rule != "" {
			refused[i] = true
		}
	}
	script := Assemble(h.statements, refused, Never)
	var answers [2][]Answer
	for i, twin := range []*Twin{b.hard, b.control} {
		if twin == nil {
			continue
		}
		out, err := twin.Run(ctx, h.name, script, b.limit, nil)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return File{}, fmt.Errorf("%s: %w", h.name, err)
		}
		answers[i] = Cut(out, len(h.statements))
	}
	f := File{Name: h.name}
	for i := range h.statements {
		r := Result{Statement: &h.statements[i], Hard: answers[0][i], Soft: h.soft[i], Rule: h.rules[i]}
		switch {
		case r.Rule != "":
			r.Verdict = Refused
		default:
			r.Verdict = judge(r.Statement, r.Hard, r.Soft)
			if r.Verdict == Differs && b.control != nil && judge(r.Statement, r.Hard, answers[1][i]) == Differs {
				r.Verdict = Unsteady
			}
		}
		b.story.Next(f.Name, &r)
		f.Results = append(f.Results, r)
	}
	b.story.End()
	return f, nil
}
