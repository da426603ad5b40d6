package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	pp "github.com/jackc/pgx/v5/pgproto3"
)

// lines writes an answer for comparison and for people, one line a reply. Runs
// of rows are sorted unless their order was asked for.
func (a Answer) lines(names *Names, order func(completed int) Order) []string {
	out := make([]string, 0, len(a))
	completed := 0
	var fields []pp.FieldDescription
	for i := 0; i < len(a); {
		t := a[i].Type
		if t == 'T' {
			fields = a[i].Fields
		}
		if t != 'D' && t != 'd' {
			out = append(out, anySession(a[i].line(names)))
			if t == 'C' || t == 'I' {
				completed++
			}
			i++
			continue
		}
		from := len(out)
		for ; i < len(a) && a[i].Type == t; i++ {
			names.name(a[i].Values, fields)
			line := a[i].line(names)
			// The header of a binary COPY travels with the first row.
			if rest, ok := strings.CutPrefix(line, copyHeader); ok {
				out = append(out, copyHeader)
				from++
				line = "copied " + `"` + rest
			}
			out = append(out, line)
		}
		switch order(completed) {
		case AnyOrder:
			slices.Sort(out[from:])
			if i < len(a) && a[i].Type == 'E' {
				out = out[:from] // which rows come before the one that fails is as open
			}
		case NotCompared:
			out = out[:from]
		}
	}
	return out
}

// anySession: each session has a schema of its own for temporary tables.
func anySession(line string) string {
	if !strings.Contains(line, "pg_temp_") {
		return line
	}
	return temporarySchema.ReplaceAllString(line, "pg_temp")
}

var temporarySchema = regexp.MustCompile(`pg_temp_[0-9]+`)

// copyHeader is how the line of a binary COPY's first message begins.
var copyHeader = strings.TrimSuffix(fmt.Sprintf("copied %q", "PGCOPY\n\377\r\n\000\000\000\000\000\000\000\000\000"), `"`)

var words = map[byte]string{
	'1': "parsed", '2': "bound", '3': "closed", 'n': "no data", 's': "suspended", 'I': "empty query", 'c': "copy done",
	'C': "tag", 'Z': "ready", 'S': "setting", 'G': "copy in", 'H': "copy out", 'A': "notification", '!': "BROKEN:", '?': "unknown",
}

func (r *Reply) line(names *Names) string {
	switch r.Type {
	case 'T':
		fields := make([]string, len(r.Fields))
		for i := range r.Fields {
			fields[i] = names.field(&r.Fields[i])
		}
		return "columns " + strings.Join(fields, ", ")
	case 't':
		types := make([]string, len(r.Types))
		for i, oid := range r.Types {
			types[i] = names.typ(oid)
		}
		return "parameters " + strings.Join(types, ", ")
	case 'D':
		values := make([]string, len(r.Values))
		for i, v := range r.Values {
			values[i] = "NULL"
			if v != nothing {
				values[i] = fmt.Sprintf("%q", v)
			}
		}
		return "row " + strings.Join(values, ", ")
	case 'd':
		return fmt.Sprintf("copied %q", r.Text)
	case 'E':
		return "error " + problem(r.Error)
	case 'N':
		return "notice " + problem(r.Error)
	}
	if r.Text == "" {
		return words[r.Type]
	}
	return words[r.Type] + " " + r.Text
}

// problem is an error or notice with all that a client may act upon. What is
// left out is where in the server's own source it arose.
func problem(e *pgconn.PgError) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s %s", e.Severity, e.Code, e.Message)
	if e.SeverityUnlocalized != e.Severity {
		fmt.Fprintf(&out, " (%s)", e.SeverityUnlocalized)
	}
	for _, f := range []struct{ name, value string }{
		{"detail", e.Detail}, {"hint", e.Hint}, {"context", e.Where}, {"internal query", e.InternalQuery},
		{"schema", e.SchemaName}, {"table", e.TableName}, {"column", e.ColumnName}, {"type", e.DataTypeName}, {"constraint", e.ConstraintName},
	} {
		if f.value != "" {
			fmt.Fprintf(&out, "; %s %q", f.name, f.value)
		}
	}
	if e.Position != 0 {
		fmt.Fprintf(&out, "; at %d", e.Position)
	}
	if e.InternalPosition != 0 {
		fmt.Fprintf(&out, "; internally at %d", e.InternalPosition)
	}
	return out.String()
}

func (n *Names) field(f *pp.FieldDescription) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s(%d,%d)", quoteName(string(f.Name)), n.typ(f.DataTypeOID), f.DataTypeSize, f.TypeModifier)
	if f.TableOID != 0 || f.TableAttributeNumber != 0 {
		fmt.Fprintf(&out, " of %s.%d", n.relation(f.TableOID), int16(f.TableAttributeNumber))
	}
	if f.Format != 0 {
		fmt.Fprintf(&out, " format %d", f.Format)
	}
	return out.String()
}

// Difference is where the twins parted.
type Difference struct {
	Stage string // reply, contents, lost, end
	Kind  string // of statement, as the generator calls it
	Class string // what differs, in a few words: the same class is the same bug, most likely

	Step       int      // of the case
	SQL        []string // what was sent, a statement each, with its literals
	How        string   // by which messages
	Edited     []string // what the proxy makes of it
	Hard, Soft []string // both answers
	Lines      []string // those lines that differ, as a diff
}

// key groups differences that are shrunk and shown once. An error that only soft
// has is one bug, whatever hard says and whatever the statement.
func (d *Difference) key() string {
	if hard, soft, ok := strings.Cut(d.Class, ", soft "); ok && strings.Contains(soft, "error") && !strings.Contains(hard, "error") {
		return d.Stage + "; hard no error, soft " + soft
	}
	if strings.Contains(d.Class, "error") || strings.Contains(d.Class, "notice") {
		return d.Stage + "; " + d.Class
	}
	return d.Stage + "; " + d.Kind + "; " + d.Class
}

// differ compares two answers, line by line. nil: a client cannot tell them
// apart.
func differ(hard, soft []string) *Difference {
	if slices.Equal(hard, soft) {
		return nil
	}
	d := &Difference{Stage: "reply", Hard: hard, Soft: soft, Lines: diff(hard, soft)}
	d.Class = classOf(hard, soft)
	return d
}

// classOf names the first line that differs by its first words.
func classOf(hard, soft []string) string {
	gist := func(lines []string, i int) string {
		if i >= len(lines) {
			return "nothing"
		}
		f := strings.Fields(lines[i])
		if len(f) == 0 {
			return "nothing"
		}
		if (f[0] == "error" || f[0] == "notice") && len(f) > 2 {
			message, _, _ := strings.Cut(strings.Join(f[2:], " "), ";")
			before, _, _ := strings.Cut(message, `"`) // the names behind it vary
			return f[0] + " " + strings.TrimSpace(before)
		}
		return f[0]
	}
	i := 0
	for i < len(hard) && i < len(soft) && hard[i] == soft[i] {
		i++
	}
	return fmt.Sprintf("hard %s, soft %s", gist(hard, i), gist(soft, i))
}

// diff shows the lines that only one side has, in order.
func diff(hard, soft []string) []string {
	var out []string
	i, j := 0, 0
	for i < len(hard) || j < len(soft) {
		switch {
		case i < len(hard) && j < len(soft) && hard[i] == soft[j]:
			i, j = i+1, j+1
		case j < len(soft) && (i == len(hard) || !slices.Contains(hard[i:], soft[j])):
			out = append(out, "soft: "+soft[j])
			j++
		default:
			out = append(out, "hard: "+hard[i])
			i++
		}
	}
	return out
}
