package main

import (
	"regexp"
	"slices"
	"strings"
)

// Cause is a reason for differences, in one line. It holds where all of its patterns match; an empty one matches everything.
type Cause struct {
	Line     string
	Harmless bool // the twins' rows stay alike: nothing follows from it
	Bare     bool // it holds only where the database's half is not installed
	File     string
	SQL      string
	Hard     string
	Soft     string
	Also     func(sql string, r *Result, s *Story) bool
}

// Causes that Story names too.
var (
	foreignKey = &Cause{
		Bare: true,
		Line: "the database's half is not installed: a foreign key does not act on a deletion, and does not see that a row is a tombstone",
		Also: func(sql string, r *Result, s *Story) bool {
			const violation = `violates foreign key constraint|cannot truncate a table referenced in a foreign key|has pending trigger events`
			return found(violation, r.Hard.Output) != found(violation, r.Soft.Output)
		},
	}
	triggersFire = &Cause{
		Line: "DELETE and TRUNCATE triggers and rules do not fire, those for UPDATE do",
		Also: func(sql string, r *Result, s *Story) bool { return s.deletesUnderTriggers(sql) },
	}
)

const denied = `permission denied for (table|view|materialized view)`

// A plan is shown by EXPLAIN, or by a function of the scripts that runs it.
const explaining = `^explain\b|\bexplain_\w+\s*\(|^\\gexec`

// causes is the table, the first that holds counts. Keep each as narrow as its examples.
var causes = []*Cause{
	{
		Line:     "EXPLAIN shows the condition on the marker, and otherwise the same plan",
		Harmless: true,
		SQL:      explaining,
		Soft:     `deleted_at IS NULL`,
		Also: func(sql string, r *Result, s *Story) bool {
			return !failed(r.Soft) && plainPlan(r.Hard.Output) == plainPlan(r.Soft.Output)
		},
	},
	{
		Line:     "EXPLAIN shows the UPDATE that a DELETE becomes",
		Harmless: true,
		SQL:      `(?s)^explain\b.*\bdelete\b`,
		Soft:     `\bUpdate on\b`,
	},
	{
		Line:     "EXPLAIN shows the ON CONFLICT that really runs, which looks whether a tombstone holds the key",
		Harmless: true,
		SQL:      `(?s)^explain\b.*on conflict`,
		Hard:     `Conflict Resolution`,
		Soft:     `Conflict Filter:.*deleted_at IS NULL`,
	},
	{
		Line:     "EXPLAIN shows another plan: the condition on the marker changes estimates, needs the table's row where an index would do, or stops a proof by constraints",
		Harmless: true,
		SQL:      explaining,
		Soft:     `deleted_at IS NULL`,
	},
	{
		Line: "the server plans otherwise, and an error or a function's notice depends on the plan",
		Also: func(sql string, r *Result, s *Story) bool {
			return found(`ERROR:.*not supported in index-only scans`, r.Hard.Output) ||
				found(`^explain\b`, sql) && found(`ERROR:.*could not find commutator`, r.Soft.Output) || // of a type that is made so
				found(`NOTICE:  (f_leak|notice)`, r.Hard.Output) && withoutNotices(r.Hard.Output) == withoutNotices(r.Soft.Output)
		},
		Harmless: true,
	},
	{
		Line:     "a definition that was made through the proxy shows the condition on the marker",
		Harmless: true,
		SQL:      `^\\(d|sv|sf)|pg_get_(view|rule|function)def|_definition|pg_(views|rules|matviews|policies)|information_schema\.views`,
		Soft:     `deleted_at IS NULL`,
		Also: func(sql string, r *Result, s *Story) bool {
			return plainDefinition(r.Hard.Output) == plainDefinition(r.Soft.Output) || found(`tombstone holds this key`, r.Soft.Output)
		},
	},
	{
		Line:     "a definition that was made through the proxy depends on the marker",
		Harmless: true,
		SQL:      `pg_depend|_column_usage`,
	},
	{
		Line:     "the server shows the statement as it was sent to it",
		Harmless: true,
		SQL:      `pg_cursors|pg_prepared_statements|pg_stat_activity`,
		Soft:     `deleted_at IS NULL`,
	},
	{
		Line: "functions, triggers and DO blocks run on the server, unseen: they see tombstones, and really delete",
		Also: func(sql string, r *Result, s *Story) bool { return found(`^do\b`, sql) || s.runsBody(sql) },
	},
	{
		Line: "functions, triggers and DO blocks run on the server, unseen: they see tombstones, and really delete",
		File: "truncate", // a function in PL/pgSQL that was there before the tables that it reads
		SQL:  `from tp_chk_data\(\)`,
	},
	foreignKey,
	{
		Bare: true,
		Line: "the database's half is not installed: a unique key or exclusion constraint is not partial, so a tombstone still holds its value",
		Soft: `ERROR:.*(duplicate key value violates unique constraint|a deleted row holds the key|conflicting key value violates exclusion constraint)`,
	},
	{
		Line: rowsOfDDL,
		SQL:  `^(alter|create|reindex|cluster|refresh|vacuum)\b`,
		Soft: `ERROR:.*(could not create unique index|could not create exclusion constraint|(is|would be) violated by some row|contains null values|division by zero)`,
	},
	{
		Line: rowsOfDDL,
		File: "indexing",
		SQL:  `(?s)indisvalid.*idxpart`,
	},
	triggersFire,
	{
		Line: "DELETE and TRUNCATE triggers and rules do not fire, those for UPDATE do",
		File: "event_trigger", // dropped objects are looked up in a table, by a function
		SQL:  `^drop (schema|owned|role)|from dropped_objects`,
	},
	{
		Line: "burying checks the row against the table's constraints, also those that are NOT VALID",
		SQL:  `^delete\b`,
		Soft: `violates check constraint`,
	},
	{
		Line: "a role needs UPDATE rather than DELETE or TRUNCATE",
		Also: func(sql string, r *Result, s *Story) bool {
			return found(`^(delete|truncate)\b`, sql) && found(denied, r.Hard.Output) != found(denied, r.Soft.Output)
		},
	},
	{
		Line: "a role needs to read the marker: SELECT on that column, and rows that its policies let it see",
		SQL:  `^(select|copy|update|merge|explain)\b`,
		Soft: denied + `|new row violates row-level security policy`,
		Also: func(sql string, r *Result, s *Story) bool {
			return !found(denied, r.Hard.Output) || found(`^merge\b`, sql)
		},
	},
	{
		Line: "what COPY copies is a query, so row-level security speaks before the lack of a right",
		SQL:  `(?s)^copy\b.*\bto\b`,
		Hard: denied,
		Soft: `query would be affected by row-level security policy`,
	},
	{
		Line: "a table that publishes updates and has no replica identity takes no ON CONFLICT DO NOTHING, which looks whether a tombstone holds the key",
		SQL:  `(?s)^insert\b.*on conflict do nothing`,
		Soft: `cannot update table .* because it does not have a replica identity`,
	},
	{
		Line: "a rule that acts instead of an UPDATE without WHERE acts once for each live row, since the condition on the marker speaks of them",
		File: "rules",
		SQL:  `^update rules_base`,
	},
	{
		Line: "a TRUNCATE that buries leaves the table's file and its rows",
		SQL:  `freeze|pg_relation_size|pg_relation_filenode|relpages|currtid2`,
	},
	{
		Line:     "ctid and xmax of a returned row are the marked row's",
		Harmless: true,
		SQL:      `(?s)\breturning\b.*\b(xmax|ctid)\b`,
	},
	{
		Line:     "statistics count tombstones and the updates that made them",
		Harmless: true,
		SQL:      `check_estimated_rows|pg_stat_|pg_stats|pg_statistic_ext`,
	},
	{
		Line:     "object ids and transaction ids are numbered otherwise",
		Harmless: true,
		SQL:      `\\lo_|relfrozenxid|reltoastrelid`,
	},
	{
		Line:     "rows that are equal by ORDER BY come in another order",
		Harmless: true,
		File:     "collate.icu.utf8",
		SQL:      `(?s)case_insensitive.*order by`,
		Also:     func(sql string, r *Result, s *Story) bool { return sameLines(r.Hard.Output, r.Soft.Output) },
	},
}

// withoutNotices is what a client got besides messages.
func withoutNotices(output string) string {
	return noticeLine.ReplaceAllString(output, "")
}

var noticeLine = regexp.MustCompile(`(?m)^NOTICE:.*\n`)

// runsBody reports whether a statement calls a function that was made of a text which reads tables or runs statements.
func (s *Story) runsBody(sql string) bool {
	for _, m := range calls.FindAllStringSubmatch(outside(sql), -1) {
		if slices.ContainsFunc(s.ties.near(bare(m[1])), func(f string) bool { return s.ties.bodies[f] }) {
			return true
		}
	}
	return false
}

func (c *Cause) holds(file, sql string, r *Result, s *Story) bool {
	return !(c.Bare && s.prepared) && (c.File == "" || c.File == strings.TrimSuffix(file, onPrepared)) && found(c.SQL, sql) && found(c.Hard, r.Hard.Output) && found(c.Soft, r.Soft.Output) &&
		(c.Also == nil || c.Also(sql, r, s))
}

// explain finds the first cause of a difference, nil if none is known.
func explain(file, sql string, r *Result, s *Story) *Cause {
	known := causes
	if s.prepared {
		known = slices.Concat(preparedCauses, causes)
	}
	for _, c := range known {
		if c.holds(file, sql, r, s) {
			return c
		}
	}
	return nil
}

// lines are the causes' lines, each once, in their order.
func lines() []string {
	var all []string
	for _, c := range slices.Concat(causes, preparedCauses) {
		if !slices.Contains(all, c.Line) {
			all = append(all, c.Line)
		}
	}
	return all
}

var compiled = map[string]*regexp.Regexp{}

func found(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	if compiled[pattern] == nil {
		compiled[pattern] = regexp.MustCompile(`(?i)` + pattern)
	}
	return compiled[pattern].MatchString(text)
}

// deletesUnderTriggers reports whether a statement deletes from a table that has triggers or rules for what happens there instead.
func (s *Story) deletesUnderTriggers(sql string) bool {
	for _, m := range deletes.FindAllStringSubmatch(outside(sql), -1) {
		for _, near := range s.ties.near(bare(m[1])) {
			if len(s.ties.triggers[near]) > 0 {
				return true
			}
		}
	}
	return false
}

var (
	markerAlone = regexp.MustCompile(`^\s*"?[\w ]*Filter"?: "?\(+(?:[\w.]+\.)?deleted_at IS NULL\)+"?,?\s*\+?$`)
	markerAnd   = regexp.MustCompile(` AND \((?:\w+\.)?deleted_at IS NULL\)|\((?:\w+\.)?deleted_at IS NULL\) AND `)
	blanks      = regexp.MustCompile(`[\s|+-]+`)
	oneParen    = regexp.MustCompile(`\(\(([^()]*)\)\)`)
)

// plainPlan is a plan without the condition on the marker, and without the layout that its length gives it.
func plainPlan(plan string) string {
	var b strings.Builder
	for line := range strings.Lines(plan) {
		line = strings.TrimRight(line, "\n")
		if markerAlone.MatchString(line) || strings.HasSuffix(line, " rows)") {
			continue
		}
		line = markerAnd.ReplaceAllString(line, "")
		line = oneParen.ReplaceAllString(line, "($1)")
		b.WriteString(strings.TrimSpace(blanks.ReplaceAllString(line, " ")) + "\n")
	}
	return b.String()
}

var (
	emptyJoin = regexp.MustCompile(`JOINSELECT_t\d+ON[\w.]+?\.deleted_atISNULL`)
	condition = regexp.MustCompile(`(?:AND|WHERE)\w+(?:\.\w+)*\.deleted_atISNULL`)
	layout    = regexp.MustCompile(`[\s|+()-]+`)
)

// plainDefinition is a view, rule or function as psql shows it, without the condition on the marker and without layout.
func plainDefinition(text string) string {
	text = emptyJoin.ReplaceAllString(layout.ReplaceAllString(text, ""), "")
	return condition.ReplaceAllString(text, "")
}
