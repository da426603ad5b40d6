package auth

import (
	"errors"
	"fmt"
	"strings"
)

// Users is what a users file says. It does not change; read the file anew and swap.
type Users struct{ secrets map[string]Secret }

// ParseUsers reads the format of PgBouncer's auth_file: a line for each user, "name" "secret", with a double quote inside a
// field doubled; what follows them on the line is not looked at. Empty lines, and lines that begin with ; are not either. A secret is
// what [ParseSecret] reads. Unlike PgBouncer it refuses a name that comes twice and a field that goes on in the next line.
//
// File is the name for errors. They name each wrong line, and never its secret.
func ParseUsers(file string, content []byte) (*Users, error) {
	users := &Users{make(map[string]Secret)}
	lines := make(map[string]int)
	var problems []error
	number := 0
	for line := range strings.Lines(string(content)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == ';' {
			continue
		}
		name, secret, err := parseUser(line)
		if err == nil && lines[name] != 0 {
			err = fmt.Errorf("user %q is already on line %d; remove one of them", name, lines[name])
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s:%d: %w", file, number, err))
			continue
		}
		lines[name] = number
		users.secrets[name] = secret
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return users, nil
}

// Secret is what the file has for a user. ok is false for one that is not in it, with the zero Secret.
func (u *Users) Secret(user string) (secret Secret, ok bool) {
	secret, ok = u.secrets[user]
	return secret, ok
}

// Len is how many users the file has.
func (u *Users) Len() int { return len(u.secrets) }

func parseUser(line string) (name string, secret Secret, err error) {
	name, rest, err := field(line)
	if err != nil {
		return "", Secret{}, fmt.Errorf("the user's name %w", err)
	}
	if name == "" || strings.IndexByte(name, 0) >= 0 {
		return "", Secret{}, errors.New("the user's name is empty or holds a NUL byte")
	}
	text, _, err := field(strings.TrimLeft(rest, " \t"))
	if err != nil {
		return "", Secret{}, fmt.Errorf("the secret of user %q %w", name, err)
	}
	if secret, err = ParseSecret(text); err != nil {
		return "", Secret{}, fmt.Errorf("the secret of user %q: %w", name, err)
	}
	return name, secret, nil
}

// field reads a quoted field and returns it without its quotes.
func field(line string) (value, rest string, err error) {
	if line == "" || line[0] != '"' {
		return "", "", errors.New("is not in double quotes")
	}
	for i := 1; i < len(line); i++ {
		if line[i] != '"' {
			continue
		}
		if i+1 < len(line) && line[i+1] == '"' {
			i++
			continue
		}
		value, rest = strings.ReplaceAll(line[1:i], `""`, `"`), line[i+1:]
		if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
			return "", "", errors.New("goes on after its closing double quote; double the quotes that belong to it")
		}
		return value, rest, nil
	}
	return "", "", errors.New("has no closing double quote on its line")
}
