package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxUsersFile bounds the file of users. A user takes about 160 bytes.
const maxUsersFile = 64 << 20

// ReadUsers returns the secrets of Auth.UsersFile by the user's name: verifiers (SCRAM-SHA-256$..), MD5 hashes, or passwords.
// The file is in the format of PgBouncer's auth_file: on each line a name and a secret in double quotes, "" for a quote inside;
// more on the line is ignored, and so are empty lines and those that start with a semicolon.
// Errors tell the file and the line, never what is in it.
func ReadUsers(file string) (map[string]string, error) {
	text, err := readNamed(file, maxUsersFile)
	if err != nil {
		return nil, fmt.Errorf("%s %w", file, err)
	}
	users, err := parseUsers(text, func(string) error { return nil })
	if err != nil {
		return nil, fmt.Errorf("%s %w", file, err)
	}
	return users, nil
}

// checkUsers reports the first line of a users file that is wrong, or of no use when clients prove who they are in that way.
func checkUsers(text []byte, client string) error {
	_, err := parseUsers(text, func(secret string) error {
		switch isVerifier := strings.HasPrefix(secret, verifierPrefix); {
		case client == "scram" && !isVerifier:
			return errors.New("has a second field that is no SCRAM verifier; write rolpassword from pg_authid, which starts with SCRAM-SHA-256$")
		case client != "scram" && isVerifier:
			return fmt.Errorf("has a SCRAM verifier, with which the proxy cannot log in while auth.client is %s; "+
				"write the password, or its MD5 hash", client)
		}
		return nil
	})
	return err
}

// parseUsers parses a users file; check is asked about each secret. Errors go on after the file's name.
func parseUsers(text []byte, check func(secret string) error) (map[string]string, error) {
	users := make(map[string]string)
	lines := make(map[string]int)
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == ';' {
			continue
		}
		name, secret, err := userLine(line)
		if err == nil && strings.HasPrefix(secret, verifierPrefix) && !isVerifier(secret) {
			err = errors.New("has a broken SCRAM verifier; copy rolpassword from pg_authid again")
		}
		if err == nil && lines[name] > 0 {
			err = fmt.Errorf("has a user that is also on line %d; keep one of them", lines[name])
		}
		if err == nil {
			err = check(secret)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d %w", number, err)
		}
		users[name], lines[name] = secret, number
	}
	return users, nil
}

func userLine(line string) (name, secret string, err error) {
	const write = `; write "name" "SCRAM-SHA-256$.."`
	name, rest, ok := quotedField(line)
	switch {
	case !ok:
		return "", "", errors.New("does not start with a name in double quotes" + write)
	case name == "":
		return "", "", errors.New("has an empty name" + write)
	}
	secret, _, ok = quotedField(strings.TrimLeft(rest, " \t"))
	switch {
	case !ok:
		return "", "", errors.New("has no second field in double quotes" + write)
	case secret == "":
		return "", "", errors.New("has an empty second field, with which nobody can log in" + write)
	}
	return name, secret, nil
}

// quotedField takes one field in double quotes off the front of s.
func quotedField(s string) (field, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, `"`)
	var text strings.Builder
	for ok {
		var before string
		before, s, ok = strings.Cut(s, `"`)
		text.WriteString(before)
		if !ok || !strings.HasPrefix(s, `"`) {
			break
		}
		text.WriteByte('"')
		s = s[1:]
	}
	return text.String(), s, ok
}

const verifierPrefix = "SCRAM-SHA-256$"

// isVerifier checks SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY (PostgreSQL's parse_scram_secret, and its manual on
// pg_authid).
func isVerifier(s string) bool {
	iterations, rest, _ := strings.Cut(strings.TrimPrefix(s, verifierPrefix), ":")
	salt, keys, _ := strings.Cut(rest, "$")
	stored, server, _ := strings.Cut(keys, ":")
	n, err := strconv.ParseUint(iterations, 10, 31)
	return err == nil && n > 0 && salt != "" && decodedLen(salt) > 0 && decodedLen(stored) == 32 && decodedLen(server) == 32
}

// decodedLen is the number of bytes that the Base64 text stands for, -1 if it is none.
func decodedLen(s string) int {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return -1
	}
	return len(b)
}
