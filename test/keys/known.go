package main

import (
	"regexp"
	"slices"
	"strings"
)

// forgive is the only place that forgives a difference of answers, each with its reason; "" is not forgiven.
func forgive(step *Step, hard, soft *Answer) string {
	h, s := hard.Error, soft.Error
	if h != nil && s == nil && h.Code == "55006" && strings.HasPrefix(step.SQL(), "TRUNCATE") {
		return "TRUNCATE does not mind pending trigger events where it buries"
	}
	if h == nil || s == nil || hard.Status != soft.Status {
		return ""
	}
	if h.Code == s.Code && h.Message == s.Message && h.ConstraintName == s.ConstraintName && h.Detail != s.Detail {
		return "of several rows that break one constraint, another is told"
	}
	if h.Code[:2] == "23" && s.Code[:2] == "23" && (h.ConstraintName != s.ConstraintName || h.Message != s.Message) {
		return "of several constraints that a statement breaks, another is told"
	}
	return ""
}

// forgiveSessions is what is forgiven where sessions meet.
func forgiveSessions(script *Script, step *Step, hard, soft *Event) string {
	if hard == nil || soft == nil {
		return ""
	}
	h, s := hard.Answer.Error, soft.Answer.Error
	if script.Isolation == "serializable" && (h != nil && h.Code == "40001") != (s != nil && s.Code == "40001") {
		if h != nil && h.Code == "40001" {
			return "serializable: only hard is told to try again"
		}
		return "serializable: only soft is told to try again"
	}
	if soft.Waited && !hard.Waited && strings.Contains(step.SQL(), "DO NOTHING") && step.upserts(script.Graph) {
		return "ON CONFLICT DO NOTHING, where a unique index holds deleted rows, locks the row in the way"
	}
	if hard.Waited && !soft.Waited && step.freesUnique(script.Graph) {
		return "a unique index of live rows is no key: an UPDATE of its columns does not wait for those who refer to the row"
	}
	if hard.Waited == soft.Waited {
		return forgive(step, hard.Answer, soft.Answer)
	}
	return ""
}

// upserts reports whether a step may meet a unique index that holds deleted rows.
func (s *Step) upserts(g *Graph) bool {
	return slices.ContainsFunc(g.Tables, func(t *Table) bool { return t.Marker != nil && strings.Contains(s.SQL(), "INSERT INTO "+t.Name+" ") })
}

// freesUnique reports whether a step may change a column of a unique constraint that became an index of live rows.
func (s *Step) freesUnique(g *Graph) bool {
	sql := s.SQL()
	return strings.Contains(sql, "UPDATE") && slices.ContainsFunc(g.Tables, func(t *Table) bool {
		return t.Marker != nil && regexp.MustCompile(`\b`+t.Name).MatchString(sql) && slices.ContainsFunc(t.Unique, func(u *Unique) bool {
			needed := slices.ContainsFunc(g.to(t), func(k *Key) bool { return slices.Equal(k.Refs, u.Columns) })
			return !needed && slices.ContainsFunc(u.Columns, func(c string) bool { return regexp.MustCompile(`\b` + c + ` = `).MatchString(sql) })
		})
	})
}

// namesGone makes one row of messages that differ only in the names they quote.
func namesGone(message string) string {
	parts := strings.Split(message, `"`)
	for i := 1; i < len(parts); i += 2 {
		parts[i] = ".."
	}
	return strings.Join(parts, `"`)
}
