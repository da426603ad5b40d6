package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Answer is what a client is told.
type Answer struct {
	Lines  []string // rows, in any order, and tags, of each statement
	Error  *pgconn.PgError
	Status byte // of the transaction
	Broken error
}

// Send sends SQL and waits for the answer.
func (c *Client) Send(ctx context.Context, sql string) *Answer {
	c.notices = nil
	results, err := c.Exec(ctx, sql).ReadAll()
	a := &Answer{Status: c.TxStatus()}
	for _, r := range results {
		a.Lines = append(a.Lines, rowsOf(r)...)
		if r.Err == nil {
			a.Lines = append(a.Lines, "tag "+r.CommandTag.String())
		}
	}
	a.Lines = append(a.Lines, c.notices...)
	if err != nil && !errors.As(err, &a.Error) {
		a.Broken = err
	}
	return a
}

func rowsOf(r *pgconn.Result) []string {
	rows := make([]string, len(r.Rows))
	for i, row := range r.Rows {
		fields := make([]string, len(row))
		for k, f := range row {
			fields[k] = "NULL"
			if f != nil {
				fields[k] = string(f)
			}
		}
		rows[i] = strings.Join(fields, "|")
	}
	slices.Sort(rows)
	return rows
}

// Refused is the proxy's refusal, or nil. Its own errors lack the name of a routine in the server's source. What it says in the server's
// stead has to agree with the server.
func (a *Answer) Refused() *pgconn.PgError {
	if e := a.Error; e != nil && e.Routine == "" && (e.Code == "0A000" || e.Code == "55000") && e.Message != "cannot truncate a table referenced in a foreign key constraint" {
		return e
	}
	return nil
}

func (a *Answer) text() []string {
	list := slices.Clone(a.Lines)
	if a.Broken != nil {
		list = append(list, "BROKEN "+a.Broken.Error())
	}
	if a.Error != nil {
		list = []string{problem(a.Error)} // which rows come before an error is open
	}
	return append(list, "status "+string(a.Status))
}

// problem is an error with all that a client may act upon. The context is left out: it speaks of how a foreign key is kept.
func problem(e *pgconn.PgError) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", e.Severity, e.Code, e.Message)
	for _, f := range []struct{ name, value string }{
		{"detail", e.Detail}, {"hint", e.Hint}, {"schema", e.SchemaName}, {"table", e.TableName}, {"column", e.ColumnName}, {"constraint", e.ConstraintName},
	} {
		if f.value != "" {
			fmt.Fprintf(&b, "; %s %q", f.name, f.value)
		}
	}
	return b.String()
}

// Difference is where the twins parted.
type Difference struct {
	Stage string // answer, contents, kept, undo
	Kind  string // of statement
	Class string // what differs, in a few words: the same class is the same bug, most likely

	Step       int // of the script
	SQL        string
	Hard, Soft []string
}

func (d *Difference) key() string {
	return d.Stage + "; " + d.Kind + "; " + d.Class
}

// broken reports whether a session was lost with it.
func (d *Difference) broken() bool {
	return slices.ContainsFunc(slices.Concat(d.Hard, d.Soft), func(l string) bool { return strings.HasPrefix(l, "BROKEN") })
}

// differ compares two answers; nil: a client cannot tell them apart.
func differ(hard, soft *Answer) *Difference {
	h, s := hard.text(), soft.text()
	if slices.Equal(h, s) {
		return nil
	}
	return &Difference{Stage: "answer", Class: fmt.Sprintf("hard %s, soft %s", gist(hard, soft), gist(soft, hard)), Hard: h, Soft: s}
}

func gist(a, other *Answer) string {
	switch {
	case a.Broken != nil:
		return "broken"
	case a.Error != nil:
		e := a.Error
		message, _, _ := strings.Cut(e.Message, `"`)
		text := e.Code + " " + strings.TrimSpace(message)
		if o := other.Error; o != nil && o.Code == e.Code && o.Message == e.Message {
			switch {
			case o.Detail != e.Detail:
				text += " (another detail)"
			default:
				text += " (another field)"
			}
		}
		return text
	}
	return "no error"
}
