package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// mark begins the line that psql prints behind each statement's answer.
const mark = "@@tombstone@@"

// marker is the column that the event trigger adds.
const marker = "deleted_at"

// instead stands for a statement that the proxy refused, in the hard twin: an error of the same kind.
const instead = `DO $tombstone$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '0A000'; END $tombstone$`

// Assemble makes the script that psql runs of a file's statements. refused holds the numbers of those that are to fail; stops says
// where psql is to wait because the schema may have changed.
func Assemble(statements []Statement, refused map[int]bool, stops Stops) string {
	var b strings.Builder
	due := false
	for i := range statements {
		s := &statements[i]
		if due && s.SQL != "" && (stops == AfterEach || stops == AfterMigrations && !migrates.MatchString(s.SQL)) {
			writeStop(&b)
			due = false
		}
		due = due || migrates.MatchString(s.SQL) || ends.MatchString(s.SQL)
		sql := s.SQL
		if refused[i] {
			sql = instead
		} else {
			sql = copyWithoutMarker(&b, sql)
		}
		b.WriteString(s.Lead + sql + s.Tail)
		if !strings.HasSuffix(s.Tail, "\n") {
			b.WriteString("\n")
		}
		b.WriteString(s.Data)
		if s.SQL != "" || s.Tail != "" {
			fmt.Fprintf(&b, "\\echo %s %d :SQLSTATE\n", mark, i)
		}
	}
	return b.String()
}

var copyAll = regexp.MustCompile(`(?is)^(copy\s+)((?:"[^"]*"|[\w.])+)(\s+from\b)`)

// copyWithoutMarker writes the column list into a COPY FROM that has none, so that files without a marker can be read. psql
// learns the list by a query; where that fails, or the table has no marker, the COPY stays as it is.
func copyWithoutMarker(b *strings.Builder, sql string) string {
	m := copyAll.FindStringSubmatch(sql)
	if m == nil {
		return sql
	}
	table := strings.ReplaceAll(m[2], "'", "''")
	b.WriteString("\\set tombstone_columns ''\n")
	fmt.Fprintf(b, `SELECT '(' || string_agg(quote_ident(attname), ', ' ORDER BY attnum) || ')' AS tombstone_columns `+
		`FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass('%s') AND attnum > 0 AND NOT attisdropped `+
		`AND attgenerated = '' AND attname <> '%[2]s' HAVING EXISTS (SELECT FROM pg_catalog.pg_attribute `+
		`WHERE attrelid = to_regclass('%[1]s') AND attname = '%[2]s') \gset`+"\n", table, marker)
	return m[1] + m[2] + " :tombstone_columns" + m[3] + strings.TrimPrefix(sql, m[0])
}

// Answer is what a client saw of one statement.
type Answer struct {
	Output   string
	SQLSTATE string
	Given    bool // false: the session had ended, or \if skipped the statement
}

var markLine = regexp.MustCompile(mark + ` (\d+) (\S*)\n`)

// Cut makes answers of what psql printed. The rest belongs to the statement at which the session ended.
func Cut(printed string, count int) []Answer {
	answers := make([]Answer, count)
	from, after := 0, 0
	for _, m := range markLine.FindAllStringSubmatchIndex(printed, -1) {
		number, err := strconv.Atoi(printed[m[2]:m[3]])
		if err != nil || number >= count {
			continue
		}
		answers[number] = Answer{Output: printed[from:m[0]], SQLSTATE: printed[m[4]:m[5]], Given: true}
		from, after = m[1], number+1
	}
	if after < count {
		answers[after].Output = printed[from:]
	}
	return answers
}
