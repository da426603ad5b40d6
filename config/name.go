package config

import (
	"errors"
	"fmt"
	"strings"
)

// parseName returns the receiver with its name set.
func (t Table) parseName(v value) (Table, error) {
	if v.tag != "!!str" {
		return t, fmt.Errorf("%s is %s, not a table's name; write e.g. public.users", v.quoted(), typeOf(v.tag))
	}
	parts, err := splitName(v)
	if err != nil {
		return t, err
	}
	switch {
	case len(parts) == 1 && v.expanded():
		return t, fmt.Errorf(`%s has no schema; write "public.users", or "*.users" for every schema`, v.quoted())
	case len(parts) == 1:
		return t, fmt.Errorf(`%s has no schema; write "public.%[2]s", or "*.%[2]s" for every schema`, v.quoted(), shorten(v.text))
	case len(parts) > 2:
		return t, fmt.Errorf(`%s has more than a schema and a table; write e.g. public.users (a name with a dot in it goes in quotes: 'public."a.b"')`, v.quoted())
	}
	t.Name = v.text
	t.Schema, t.schemaQuoted = parts[0].name, parts[0].quoted
	t.Relation, t.relationQuoted = parts[1].name, parts[1].quoted
	if reserved(t.Schema) {
		return t, fmt.Errorf("%s is in a schema of PostgreSQL's own, which cannot be protected; remove it", v.quoted())
	}
	return t, nil
}

// parseColumn reads the name of a column.
func parseColumn(v value) (string, error) {
	if v.tag != "!!str" {
		return "", fmt.Errorf("%s is %s, not a column's name; write e.g. deleted_at", v.quoted(), typeOf(v.tag))
	}
	parts, err := splitName(v)
	switch {
	case err != nil:
		return "", err
	case len(parts) > 1:
		return "", fmt.Errorf("%s has a dot in it; write the column alone, e.g. deleted_at", v.quoted())
	case active(parts[0].name, parts[0].quoted):
		return "", fmt.Errorf("%s has a wildcard; write one column, e.g. deleted_at", v.quoted())
	}
	return parts[0].name, nil
}

// namePart is one identifier, folded.
type namePart struct {
	name   string
	quoted bool
}

// splitName splits a name at its dots and folds each part as PostgreSQL does (its manual, "Identifiers and Key Words").
func splitName(v value) ([]namePart, error) {
	var parts []namePart
	rest := v.text
	for {
		part, after, err := cutPart(rest)
		if err == nil {
			err = checkPart(part)
		}
		if err != nil {
			return nil, fmt.Errorf("%s %w", v.quoted(), err)
		}
		parts = append(parts, part)
		if after == "" {
			return parts, nil
		}
		rest = after[1:]
	}
}

// cutPart takes one identifier off the front of s. What remains is empty or starts with a dot.
func cutPart(s string) (part namePart, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s, '.')
		if end < 0 {
			end = len(s)
		}
		return namePart{name: foldASCII(s[:end])}, s[end:], nil
	}
	var name strings.Builder
	for s = s[1:]; ; {
		before, after, closed := strings.Cut(s, `"`)
		if !closed {
			return part, "", errors.New(`has a quote that does not end; write e.g. 'public."Users"'`)
		}
		name.WriteString(before)
		if !strings.HasPrefix(after, `"`) {
			rest = after
			break
		}
		name.WriteByte('"') // "" inside quotes is one quote
		s = after[1:]
	}
	if rest != "" && rest[0] != '.' {
		return part, "", errors.New(`has something after a closing quote; quote a whole part, e.g. 'public."Users"'`)
	}
	return namePart{name: name.String(), quoted: true}, rest, nil
}

// maxName is the longest name in bytes; PostgreSQL cuts off the rest (NAMEDATALEN-1), and the entry would match nothing.
const maxName = 63

func checkPart(p namePart) error {
	switch {
	case p.name == "":
		return errors.New("has an empty part; write e.g. public.users")
	case len(p.name) > maxName:
		return fmt.Errorf("has a part of more than %d bytes, and PostgreSQL has no longer names; write the name as the database has it", maxName)
	case strings.ContainsRune(p.name, 0):
		return errors.New("has a zero byte; write e.g. public.users")
	case p.quoted:
		return nil
	case strings.Contains(p.name, "**"):
		return errors.New(`has ** in it; write one *, it already stands for any characters`)
	}
	for i, r := range p.name {
		switch {
		case 'a' <= r && r <= 'z', r == '_', r >= 0x80, r == '*', r == '?':
		case i > 0 && ('0' <= r && r <= '9' || r == '$'):
		case strings.ContainsRune(`[]{}!%\`, r):
			return errors.New(`is a bad pattern; the wildcards are * and ?, anything else goes in quotes: 'public."Users"'`)
		default:
			return errors.New(`is not a name without quotes; quote the part, e.g. 'public."Users"'`)
		}
	}
	return nil
}

// foldASCII folds as the server does in a multi-byte encoding such as UTF-8: only A to Z (downcase_identifier in its
// parser/scansup.c).
func foldASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}
