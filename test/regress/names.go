package main

import (
	"regexp"
	"strings"
)

// shape compiles a pattern of SQL: case does not matter, a blank stands for any space, NAME for a name with or without schema, LIST
// for more names after commas.
func shape(pattern string) *regexp.Regexp {
	const name = `((?:"[^"]+"|[\w$]+)(?:\.(?:"[^"]+"|[\w$]+))*)`
	pattern = strings.ReplaceAll(pattern, " ", `\s+`)
	pattern = strings.ReplaceAll(pattern, "NAME", name)
	pattern = strings.ReplaceAll(pattern, "LIST", `((?:\s*,\s*[\w."]+)*)`)
	return regexp.MustCompile(`(?is)` + pattern)
}

var (
	// writes to or defines NAME
	target = shape(`\b(?:insert into|update|delete from|merge into|copy|truncate(?: table)?|alter table|table|view|cluster|` +
		`reindex \w+|index on|vacuum|on) (?:concurrently )?(?:if (?:not )?exists )?(?:only )?NAME`)
	// places where a table, view or function is named; a column of the same name does not count
	places = shape(`\b(?:from|join|into|update|table|only|truncate|copy|using|references|partition of|partition|on|inherit|analyze|vacuum|` +
		`reindex \w+|index|view|regclass) (?:concurrently )?(?:if (?:not )?exists )?(?:only )?NAME((?:\s*\*?(?: (?:as )?\w+)?\s*,\s*[\w."]+)*)`)
	casts = shape(`'NAME'\s*::\s*regclass`)
	trees = shape(`\bpg_partition_(?:tree|root|ancestors)\s*\('NAME'`)
	calls = shape(`NAME\s*\(`)
	words = regexp.MustCompile(`"[^"]+"|[A-Za-z_\x80-\xff][\w$\x80-\xff]*`)
	// what the server keeps as text and runs by itself
	bodies = regexp.MustCompile(`(?s)(\$\w*\$).*?\$\w*\$`)
)

// outside is a statement without the text of a function or DO block.
func outside(sql string) string { return bodies.ReplaceAllString(sql, "''") }

// bare is a name without schema and quotes.
func bare(name string) string {
	if strings.HasSuffix(name, `"`) {
		return strings.Trim(name[strings.LastIndex(name[:len(name)-1], `"`):], `"`)
	}
	return strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
}

func bareWords(text string) []string {
	var all []string
	for _, word := range words.FindAllString(text, -1) {
		all = append(all, bare(word))
	}
	return all
}

// named are the tables, views and functions that a statement, or a command of psql, names.
func named(sql string) []string {
	if strings.HasPrefix(sql, `\`) {
		return bareWords(sql)
	}
	var all []string
	for _, m := range places.FindAllStringSubmatch(sql, -1) {
		all = append(all, bare(m[1]))
		all = append(all, bareWords(m[2])...)
	}
	for _, pattern := range []*regexp.Regexp{casts, trees, calls} {
		for _, m := range pattern.FindAllStringSubmatch(sql, -1) {
			all = append(all, bare(m[1]))
		}
	}
	return all
}

// targets are the tables that a statement writes or defines.
func targets(sql string) []string {
	var all []string
	for _, m := range target.FindAllStringSubmatch(sql, -1) {
		all = append(all, bare(m[1]))
	}
	return all
}
