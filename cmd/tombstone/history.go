package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"

	"tombstone/lifecycle"
	"tombstone/policy"
)

func history(ctx context.Context, s stdio, args []string) error {
	f := flags(s, "history", "--config FILE [--dsn URL] [--table NAME] [--since TIME] [--role NAME] [--json]",
		"Lists the transactions that deleted rows, the newest first.")
	w := whereFlags(f)
	var filter lifecycle.Filter
	f.StringVar(&filter.Table, "table", "", "only those that deleted rows of the table `NAME`")
	f.StringVar(&filter.Role, "role", "", "only those of the database role `NAME`, or of that login")
	f.IntVar(&filter.Limit, "limit", 100, "the newest `N` only; 0 for all")
	since := f.String("since", "", "only those since `TIME`: 2006-01-02, 2006-01-02T15:04:05Z, or so long ago, such as 24h; without a zone it is this machine's")
	asJSON := f.Bool("json", false, "print an array of JSON objects instead")
	if err := w.parse(s, f, args, 0); err != nil {
		return err
	}
	var err error
	if filter.Since, err = parseSince(*since, time.Now()); err != nil {
		fmt.Fprintf(s.err, "tombstone history: --since: %v\n", err)
		return errUsage
	}
	return w.on(ctx, s, func(conn *pgx.Conn, _ *policy.Policy) error {
		list, err := lifecycle.History(ctx, conn, filter)
		if err != nil {
			return err
		}
		if *asJSON {
			return encode(s.out, list)
		}
		t := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "ID\tAT\tROLE\tACTOR\tROWS\tREASON")
		for _, d := range list {
			fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", d.ID, d.At.Format(time.RFC3339), oneLine(deleter(d)), oneLine(d.Actor), oneLine(counted(d.Tables)), oneLine(d.Reason))
		}
		return t.Flush()
	})
}

// deleter is the role that deleted, and who had logged in and said SET ROLE.
func deleter(d lifecycle.Deletion) string {
	if d.Login != "" && d.Login != d.Role {
		return d.Role + " (" + d.Login + ")"
	}
	return d.Role
}

// oneLine takes out what would end a line or act on a terminal: anybody may set a reason.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}

// counted writes how many rows of which tables.
func counted(tables []lifecycle.Count) string {
	text := ""
	for _, c := range tables {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%d %s", c.Count, c.Name)
	}
	if text == "" {
		return "nothing"
	}
	return text
}

// parseSince reads a moment, or how long ago it was.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; write e.g. 2026-01-31, 2026-01-31T12:00:00Z or 24h", text)
}

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
