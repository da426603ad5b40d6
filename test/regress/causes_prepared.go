package main

import (
	"regexp"
	"slices"
	"strings"
)

// rowsOfDDL is a line of causes of both kinds.
const rowsOfDDL = "DDL that looks at a table's rows sees tombstones"

// preparedCauses hold where the soft twin has the database's half, and are looked at before the others.
var preparedCauses = []*Cause{
	{
		Line:     "with the database's half: an error of a foreign key is the server's own, and has a CONTEXT besides, since a trigger raises it",
		Harmless: true,
		Soft:     `CONTEXT:  PL/pgSQL function tombstone\.`,
		Also: func(sql string, r *Result, s *Story) bool {
			return r.Hard.SQLSTATE == r.Soft.SQLSTATE && r.Hard.Output == withoutContext(r.Soft.Output)
		},
	},
	{
		Line:     "with the database's half: psql shows its triggers and indexes",
		Harmless: true,
		SQL:      `^\\d`,
		Soft:     `tombstone`,
		Also: func(sql string, r *Result, s *Story) bool {
			return withoutHalf(r.Hard.Output, "") == withoutHalf(r.Soft.Output, r.Hard.Output)
		},
	},
	{
		Line: "with the database's half: the type of a column that its triggers name cannot be changed while they are there",
		SQL:  `^alter table\b.*\btype\b`,
		Soft: `cannot alter type of a column used in a trigger definition\nDETAIL:  trigger "?(First_)?tombstone`,
	},
	{
		Line: "with the database's half: a foreign key cannot refer to a unique key that holds live rows only by now",
		SQL:  `(?s)^(create|alter) table\b.*\breferences\b`,
		Soft: `ERROR:  there is no unique constraint matching given keys for referenced table`,
	},
	{
		Line: "with the database's half: a table that has it cannot be attached as a partition, since the partitioned table's triggers have the same names",
		SQL:  `^alter table\b.*\battach partition\b`,
		Soft: `ERROR:  trigger "(First_)?tombstone[^"]*" for relation "[^"]*" already exists`,
	},
	{
		Line: rowsOfDDL,
		SQL:  `^alter table\b.*\b(add|attach|detach)\b`,
		Soft: `ERROR:.*violates foreign key constraint`,
		Also: func(sql string, r *Result, s *Story) bool { return !failed(r.Hard) },
	},
}

var raisedIn = regexp.MustCompile(`(?m)^CONTEXT:  PL/pgSQL function tombstone\..*\n(?:(?:SQL statement|PL/pgSQL function tombstone\.).*\n)*`)

// withoutContext is an answer without where in our triggers an error was raised.
func withoutContext(output string) string { return raisedIn.ReplaceAllString(output, "") }

var shownHalf = regexp.MustCompile(`^ +"?(First_)?tombstone|^ +"\w+_tombstones"|deleted_at IS NOT NULL$|^(Indexes|Triggers):$|^Number of `)

// withoutHalf is what psql shows of a table without triggers and indexes of ours, among them the plain indexes that others has not.
func withoutHalf(output, others string) string {
	plain := strings.Split(others, "\n")
	return strings.Join(slices.DeleteFunc(strings.Split(output, "\n"), func(line string) bool {
		return shownHalf.MatchString(line) || others != "" && strings.Contains(line, " btree (") && !slices.Contains(plain, line)
	}), "\n")
}
