package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// anotherConstraint is not forgiven untested: see genuine.
const anotherConstraint = "of several constraints that a statement breaks, another is told"

// anotherOrder is not either: see anyOrder.
const anotherOrder = "which row of a MERGE or a join comes first is open, and what it refers to or has the key of may be gone by then"

var twoDeletes = regexp.MustCompile(`WITH \w+ AS \(DELETE FROM .*\) DELETE FROM `)

// forgive is the only place that forgives a difference of answers, each with its reason; "" is not forgiven.
func forgive(g *Graph, step *Step, hard, soft *Answer) string {
	h, s := hard.Error, soft.Error
	deletes := strings.Contains(step.SQL(), "DELETE")
	if h != nil && h.Code == "55006" && strings.HasPrefix(step.SQL(), "TRUNCATE") {
		return "TRUNCATE does not mind pending trigger events where it buries"
	}
	if strings.HasPrefix(step.SQL(), "MERGE") && (h != nil && h.Code == "23505" && s == nil || s != nil && s.Code == "23505" && h == nil) {
		return anotherOrder
	}
	if strings.Contains(step.SQL(), "THEN DELETE") && strings.Contains(step.SQL(), "THEN INSERT") && (h == nil) != (s == nil) && (h == nil || h.Code == "23503") && (s == nil || s.Code == "23503") {
		return anotherOrder
	}
	if strings.HasPrefix(step.SQL(), "MERGE") && s != nil && s.Code == "23505" && g.passes(s.ConstraintName) {
		return "a deferrable unique key does not pass from one row to another in a MERGE that inserts before it deletes"
	}
	broken := func(e *pgconn.PgError) bool { return e != nil && (e.Code == "23502" || e.Code == "23503") }
	if strings.Contains(step.SQL(), " USING ") && (h == nil && broken(s) || s == nil && broken(h)) {
		return anotherOrder
	}
	if deletes && s == nil && h != nil && hard.Status == 'E' && strings.HasPrefix(h.Message, "insert or update") && g.cutBeside(h.TableName, h.ConstraintName) {
		return "the server looks again at references that have not changed, in a row that its transaction has inserted, when it cuts another"
	}
	if deletes && broken(s) && (g.oneByOne(s.TableName) || g.beyond(s.TableName)) || deletes && s == nil && broken(h) && (g.oneByOne(h.TableName) || g.beyond(h.TableName)) {
		return "rows of a table that is not protected are taken along with one deleted row at a time"
	}
	if (s == nil && broken(h) || h == nil && broken(s)) && twoDeletes.MatchString(step.SQL()) {
		return "of two deletions in one statement, all that one starts may be done before what the other starts"
	}
	if deletes && h == nil && s != nil && s.Code == "23503" && strings.HasPrefix(s.Message, "insert or update") && g.setBeside(s.ConstraintName) {
		return "what SET DEFAULT refers to is looked at at once, and the row may be taken along because of another one"
	}
	if (deletes || strings.HasPrefix(step.SQL(), "SET CONSTRAINTS")) && s == nil && h != nil && h.Code == "23503" && hard.Status == 'E' && g.toItself(h.ConstraintName) {
		return "SET CONSTRAINTS by the name of a key from a table to itself leaves deletions to the COMMIT"
	}
	if deletes && s == nil && h != nil && h.Code == "23503" && g.heldFirst(h.ConstraintName) {
		return "a deferrable key is looked at when those that are not have acted, younger ones too"
	}
	if h == nil || s == nil || hard.Status != soft.Status {
		return ""
	}
	if h.Code == s.Code && h.Message == s.Message && h.ConstraintName == s.ConstraintName && h.Detail != s.Detail {
		return "of several rows that break one constraint, another is told"
	}
	if h.Code == "23503" && s.Code == "23503" && h.ConstraintName == s.ConstraintName {
		return "of a key that is broken from both its ends, the other end is told"
	}
	if h.Code == "23503" && s.Code == "23503" && h.TableName == s.TableName && h.Detail == s.Detail && cloned.ReplaceAllString(h.ConstraintName, "") != h.ConstraintName {
		return "a key to a partitioned table has another name for each partition"
	}
	if h.Code[:2] == "23" && s.Code[:2] == "23" && (h.ConstraintName != s.ConstraintName || h.Message != s.Message) {
		return anotherConstraint
	}
	return ""
}

// forgiveSessions is what is forgiven where sessions meet.
func forgiveSessions(script *Script, step *Step, hard, soft *Event) string {
	if hard == nil || soft == nil {
		return ""
	}
	h, s := hard.Answer.Error, soft.Answer.Error
	again := func(e *pgconn.PgError) bool { return e != nil && e.Code == "40001" }
	truncates := slices.ContainsFunc(script.Steps, func(s *Step) bool { return strings.HasPrefix(s.SQL(), "TRUNCATE") })
	switch {
	case script.Isolation != levels[0] && again(s) && !again(h):
		return script.Isolation + ": only soft is told to try again" // its own checks read under the snapshot of the transaction
	case script.Isolation == "serializable" && again(h) && !again(s):
		return "serializable: only hard is told to try again"
	case truncates && (hard.Waited != soft.Waited || again(h) != again(s) || s != nil && s.Code == "40P01"):
		return "TRUNCATE does not lock the whole table where it buries, and its rows are there for who has an older snapshot"
	case soft.Waited && !hard.Waited && h != nil && s != nil && h.Code == s.Code && h.Code == "23502":
		return "a row is locked before its constraints are looked at, where there is a BEFORE trigger"
	case soft.Waited && !hard.Waited && h != nil && s != nil && h.Code == s.Code && h.Code == "23505":
		return "who inserts a key waits for those who lock the row that has it: they may be about to delete it"
	case soft.Waited && !hard.Waited && h == nil == (s == nil):
		if why := script.locksMore(); why != "" {
			return why
		}
	}
	if hard.Waited && !soft.Waited && h != nil && s != nil && h.Code == s.Code {
		return "what is refused in the end is refused before another key's rows are waited for"
	}
	if hard.Waited && !soft.Waited && strings.Contains(step.SQL(), "FOR KEY SHARE") {
		return "a row that nothing refers to is deleted as any UPDATE: FOR KEY SHARE does not wait"
	}
	if hard.Waited && !soft.Waited && step.freesUnique(script.Graph) {
		return "a unique index of live rows is no key: an UPDATE of its columns does not wait for those who refer to the row"
	}
	if hard.Waited == soft.Waited {
		return forgive(script.Graph, step, hard.Answer, soft.Answer)
	}
	return ""
}

// oneByOne reports whether a table is not protected and its rows are taken along by one key and cut, or held, by another: which of them acts first
// matters then.
func (g *Graph) oneByOne(name string) bool {
	return slices.ContainsFunc(g.Tables, func(t *Table) bool {
		cascades := func(k *Key) bool { return k.OnDelete == "CASCADE" }
		return t.Name == name && t.Marker == nil && slices.ContainsFunc(g.from(t), cascades) && slices.ContainsFunc(g.from(t), func(k *Key) bool { return !cascades(k) })
	})
}

// beyond reports whether a key of a table leads to or from a table that rows of one that is not protected take along, which itself is one that rows
// of a protected one take along.
func (g *Graph) beyond(name string) bool {
	reached := map[*Table]bool{}
	for more := true; more; {
		more = false
		for _, k := range g.Keys {
			enters := k.Parent.Marker != nil && k.Child.Marker == nil || reached[k.Parent]
			if k.OnDelete == "CASCADE" && enters && !reached[k.Child] {
				reached[k.Child], more = true, true
			}
		}
	}
	return slices.ContainsFunc(g.Keys, func(k *Key) bool { return reached[k.Child] && (k.Child.named(name) || k.Parent.named(name)) })
}

// named reports whether a name is that of the table or of a partition of it.
func (t *Table) named(name string) bool {
	return name == t.Name || regexp.MustCompile(`^z?`+t.Name+`(x\d+)+$`).MatchString(name)
}

// passes reports whether a constraint is a deferrable unique one.
func (g *Graph) passes(name string) bool {
	return slices.ContainsFunc(g.Tables, func(t *Table) bool {
		return slices.ContainsFunc(t.Unique, func(u *Unique) bool { return u.Name == name && u.Deferrable != "" })
	})
}

// toItself reports whether a deferrable key refers to its own table.
func (g *Graph) toItself(name string) bool {
	return slices.ContainsFunc(g.Keys, func(k *Key) bool { return k.Name == name && k.Child == k.Parent && k.Deferrable != "" })
}

// heldFirst reports whether a key is a deferrable one that only holds rows, and is older than another of the same parent that acts.
func (g *Graph) heldFirst(name string) bool {
	i := slices.IndexFunc(g.Keys, func(k *Key) bool { return k.Name == name })
	return i >= 0 && g.Keys[i].Deferrable != "" && (g.Keys[i].OnDelete == "" || g.Keys[i].OnDelete == "NO ACTION") && slices.ContainsFunc(g.Keys[i+1:], func(k *Key) bool {
		return k.Parent == g.Keys[i].Parent && (k.OnDelete == "CASCADE" || strings.HasPrefix(k.OnDelete, "SET"))
	})
}

// setBeside reports whether a key sets a default where another takes rows along.
func (g *Graph) setBeside(name string) bool {
	return slices.ContainsFunc(g.Keys, func(k *Key) bool {
		return k.Name == name && strings.HasPrefix(k.OnDelete, "SET DEFAULT") && slices.ContainsFunc(g.from(k.Child), func(other *Key) bool { return other.OnDelete == "CASCADE" })
	})
}

// cutBeside reports whether ON DELETE cuts references of a table by another key.
func (g *Graph) cutBeside(name, key string) bool {
	return slices.ContainsFunc(g.Keys, func(k *Key) bool {
		return k.Child.Name == name && k.Name != key && strings.HasPrefix(k.OnDelete, "SET")
	})
}

// locksMore says why a session may have to wait in soft where it need not in hard; "" if nothing in the script is a reason.
func (s *Script) locksMore() string {
	for _, step := range s.Steps {
		sql := step.SQL()
		for _, t := range s.Graph.Tables {
			if t.Marker == nil {
				continue
			}
			insert := regexp.MustCompile(`INSERT INTO ` + t.Name + `\b`).MatchString(sql)
			if insert && strings.Contains(sql, "DO NOTHING") {
				return "ON CONFLICT DO NOTHING, where a unique index holds deleted rows, locks the row in the way"
			}
			for _, key := range t.targets() {
				for _, c := range key {
					if regexp.MustCompile(`\b`+t.Name+`\b`).MatchString(sql) && regexp.MustCompile(`UPDATE .*(SET|,) `+c+` = `).MatchString(sql) {
						return "an UPDATE that names a key column locks the row as if the key changed, where there is a BEFORE trigger"
					}
				}
			}
		}
	}
	for i, step := range s.Steps { // a row that was deleted, and its key used again by a transaction that has not ended
		for _, t := range s.Graph.Tables {
			again := regexp.MustCompile(`(INSERT|MERGE) INTO ` + t.Name + `\b`)
			if t.Marker != nil && step.Kind != "fill" && again.MatchString(step.SQL()) && slices.ContainsFunc(s.Steps[:i], func(s *Step) bool { return strings.Contains(s.SQL(), "DELETE") }) {
				return "a key that is used again is not yet committed: the deleted row that has it is locked"
			}
		}
	}
	return ""
}

// locksTwice reports whether a step deletes a row of a protected table that has keys, or changes a key of it.
func (s *Script) locksTwice() bool {
	return slices.ContainsFunc(s.Steps, func(step *Step) bool {
		return slices.ContainsFunc(s.Graph.Tables, func(t *Table) bool {
			joined := t.Marker != nil && len(s.Graph.to(t))+len(s.Graph.from(t)) > 0
			return joined && regexp.MustCompile(`(DELETE FROM|UPDATE|MERGE INTO|TRUNCATE)\b.*\b`+t.Name+`\b`).MatchString(step.SQL())
		})
	})
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

// cloned is how the server names a key for one partition of the table that it refers to. Our own end in a number before _fkey.
var cloned = regexp.MustCompile(`^[a-z]+[0-9]+_[a-z][a-z0-9_]*_fkey[0-9]*$`)

// namesGone makes one row of messages that differ only in the names they quote.
func namesGone(message string) string {
	parts := strings.Split(message, `"`)
	for i := 1; i < len(parts); i += 2 {
		parts[i] = ".."
	}
	return strings.Join(parts, `"`)
}
