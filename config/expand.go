package config

import (
	"errors"
	"fmt"
	"strings"
)

// expand replaces ${NAME} and ${NAME:-default} in s; $${ is a literal ${. The default is used when the variable is
// unset or empty, as in a shell. Any other $ is itself. What a variable holds is not expanded again.
// A non-nil escape is applied to what is put in.
func expand(s string, lookup func(string) (string, bool), escape func(string) string) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		if !found {
			out.WriteString(s)
			return out.String(), nil
		}
		if literal, ok := strings.CutSuffix(before, "$"); ok {
			out.WriteString(literal + "${")
			s = rest
			continue
		}
		out.WriteString(before)
		reference, after, closed := strings.Cut(rest, "}")
		name, fallback, hasDefault := strings.Cut(reference, ":-")
		if !closed || !isVariable(name) || strings.Contains(fallback, "${") {
			return "", errors.New("has a ${ that starts no variable; write ${NAME} or ${NAME:-default}, or $${ for a literal ${")
		}
		content, isSet := lookup(name)
		switch {
		case hasDefault && content == "":
			content = fallback
		case !isSet:
			return "", fmt.Errorf("the environment variable %s is not set; set it, or write ${%s:-default}", name, name)
		}
		if escape != nil {
			content = escape(content)
		}
		out.WriteString(content)
		s = after
	}
}

// isVariable reports whether s is a portable name of an environment variable.
func isVariable(s string) bool {
	for i, r := range s {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
