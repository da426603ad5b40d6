package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
)

// operator runs commands, one at a time, each as a process of its own.
type operator struct {
	round   *round
	name    string
	count   int
	running atomic.Pointer[os.Process]
	told    []*transaction
}

// result is what a command has said.
type result struct {
	out, err []byte
	status   int // -1 if it was killed
}

// command runs the program with a name by which the database knows it.
func (o *operator) command(ctx context.Context, name string, args ...string) (*result, error) {
	c := exec.CommandContext(ctx, o.round.stage.binary, append([]string{args[0], "--config", o.round.stage.config, "--dsn", o.round.dsn()}, args[1:]...)...)
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	c.Env = append(os.Environ(), "PGAPPNAME="+name)
	if err := c.Start(); err != nil {
		return nil, err
	}
	o.running.Store(c.Process)
	err := c.Wait()
	o.running.Store(nil)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, err
	}
	return &result{out.Bytes(), said.Bytes(), c.ProcessState.ExitCode()}, ctx.Err()
}

// run runs one command after the other until the end of ctx, none of them at a quiet moment.
func (o *operator) run(ctx context.Context) {
	db, err := pgx.Connect(ctx, o.round.dsn())
	if err != nil {
		if ctx.Err() == nil {
			o.round.tally.bad("%v", err)
		}
		return
	}
	defer db.Close(context.WithoutCancel(ctx))
	for ctx.Err() == nil {
		o.round.gate.RLock()
		if err := o.turn(context.WithoutCancel(ctx), db); err != nil {
			o.round.tally.bad("%s: %v", o.name, err)
		}
		o.round.gate.RUnlock()
	}
}

func (o *operator) turn(ctx context.Context, db *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	o.count++
	what := []string{"purge", "restore", "undo"}[rand.IntN(3)]
	name := fmt.Sprintf("%s-%s-%d", what, o.name, o.count)
	switch what {
	case "purge":
		t := &transaction{name: name, verdict: doubtful, restored: -1}
		o.told = append(o.told, t)
		r, err := o.command(ctx, name, "purge", "--json")
		if err == nil && r.status > 0 {
			o.failed(what, r)
		}
		return err
	case "undo":
		var id string
		if err := db.QueryRow(ctx, "SELECT coalesce((SELECT id::text FROM tombstone.deletions ORDER BY random() LIMIT 1), '1')").Scan(&id); err != nil {
			return err
		}
		return o.bringBack(ctx, name, "undo", "--json", id)
	}
	// A row that is there to be restored, as a rule.
	t := tables[rand.IntN(len(tables))]
	for t.loose {
		t = tables[rand.IntN(len(tables))]
	}
	key := strings.Join(t.keyNames(), ", ")
	var at []string
	if err := db.QueryRow(ctx, fmt.Sprintf("SELECT coalesce((SELECT ARRAY[%s]::text[] FROM %s x WHERE NOT (%s) ORDER BY random() LIMIT 1), '{}')", key, t.name, t.live("x"))).Scan(&at); err != nil {
		return err
	}
	switch n := rand.IntN(12); {
	case n == 0:
		return o.bringBack(ctx, name, "restore", "--json", "--where", "true", t.name)
	case n < 4 || len(at) == 0:
		return o.bringBack(ctx, name, "restore", "--json", "--where", t.some(), t.name)
	}
	return o.bringBack(ctx, name, "restore", "--json", "--key", strings.Join(at, ","), t.name)
}

// bringBack runs restore or undo, and notes what it says.
func (o *operator) bringBack(ctx context.Context, name string, args ...string) error {
	t := &transaction{name: name, verdict: doubtful, restored: -1}
	o.told = append(o.told, t)
	r, err := o.command(ctx, name, args...)
	if err != nil {
		return err
	}
	switch r.status {
	case -1:
	case 0:
		t.verdict = committed
		var said struct{ Restored []struct{ Count int64 } }
		if err := json.Unmarshal(r.out, &said); err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, r.out)
		}
		t.restored = 0
		for _, one := range said.Restored {
			t.restored += one.Count
		}
	default:
		t.verdict = refused
		o.failed(args[0], r)
	}
	return nil
}

var numbers = regexp.MustCompile(`[0-9]+|of table "[a-z_0-9]*"|on table "[a-z_0-9]*"|constraint "[a-z_0-9]*"|relation "[a-z_0-9]*"|public\.[a-z_0-9]*`)

// failed counts what a command says, without what differs from one to the next.
func (o *operator) failed(what string, r *result) {
	text := strings.TrimSpace(string(r.err))
	if text == "" {
		var said struct {
			Problems   []string
			Collisions []struct{ Why string }
		}
		_ = json.Unmarshal(r.out, &said)
		text = strings.Join(said.Problems, "; ")
		if len(said.Collisions) > 0 {
			text = "collisions"
		}
	}
	text, _, _ = strings.Cut(text, "\n")
	o.round.tally.with(func() { o.round.tally.says["\n    "+what+": "+numbers.ReplaceAllString(text, "..")]++ })
}
