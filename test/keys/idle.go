package main

import (
	"regexp"
	"slices"
)

// idle reports whether a column is in no key and in no statement that is left.
func (g *Graph) idle(s *Script, t *Table, c *Column) bool {
	if slices.Contains(t.Primary, c.Name) {
		return false
	}
	for _, u := range t.Unique {
		if slices.Contains(u.Columns, c.Name) {
			return false
		}
	}
	for _, k := range g.Keys {
		if k.Child == t && slices.Contains(k.Columns, c.Name) || k.Parent == t && slices.Contains(k.Refs, c.Name) {
			return false
		}
	}
	word := regexp.MustCompile(`\b` + c.Name + `\b`)
	table := regexp.MustCompile(`\b` + t.Name)
	for _, step := range slices.Concat(s.Steps, s.Deletions) {
		if sql := step.SQL(); table.MatchString(sql) && word.MatchString(sql) {
			return false
		}
	}
	return true
}
