package config

import (
	"errors"
	"net/url"
	"strings"
)

// connURL is a connection URL taken apart (PostgreSQL's manual, "Connection URIs"). Go's own parser knows no lists of hosts.
type connURL struct {
	user, password, database string

	// One of each for every host between @ and the path, at least one; empty where the URL says nothing.
	hosts, ports []string

	params  map[string]string
	written value // what it was parsed from
}

const writeUpstream = "write e.g. postgres://127.0.0.1:5432 or postgres:///?host=/var/run/postgresql"

var errEscape = errors.New("is not a valid URL (in names and passwords write %40 for @, %2F for /, %3A for :, %25 for %); " + writeUpstream)

// parseURL takes a connection URL apart. Its messages do not show the value: a URL may hold a password.
func (d *decoder) parseURL(v value) (connURL, error) {
	u := connURL{params: make(map[string]string), written: v}
	text, err := d.expandURL(v)
	if err != nil {
		return u, err
	}
	scheme, rest, found := strings.Cut(text, "://")
	if !found || scheme != "postgres" && scheme != "postgresql" {
		return u, errors.New("is not a postgres:// URL; " + writeUpstream)
	}
	if strings.Contains(rest, "#") {
		return u, errors.New("has a # in it; write %23")
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, password, _ := strings.Cut(authority[:i], ":")
		if err := errors.Join(unescape(user, &u.user), unescape(password, &u.password)); err != nil {
			return u, errEscape
		}
		authority = authority[i+1:]
	}
	if unescape(path, &u.database) != nil {
		return u, errEscape
	}
	for entry := range strings.SplitSeq(authority, ",") {
		host, port, err := splitHost(entry)
		if err != nil {
			return u, err
		}
		u.hosts, u.ports = append(u.hosts, host), append(u.ports, port)
	}
	return u, u.parseQuery(query)
}

// splitHost cuts one HOST:PORT in two. Both may be empty; the brackets of an IPv6 address are taken off.
func splitHost(entry string) (host, port string, err error) {
	host, port, _ = strings.Cut(entry, ":")
	if rest, isV6 := strings.CutPrefix(entry, "["); isV6 {
		inside, after, closed := strings.Cut(rest, "]")
		if !closed || after != "" && after[0] != ':' {
			return "", "", errors.New("has a [ that encloses no IPv6 address; write e.g. postgres://[::1]:5432")
		}
		host, port = inside, strings.TrimPrefix(after, ":")
	}
	if unescape(host, &host) != nil {
		return "", "", errEscape
	}
	return host, port, nil
}

// parseQuery reads what is behind the question mark. A + is a + there, as in libpq.
func (u *connURL) parseQuery(query string) error {
	for pair := range strings.SplitSeq(query, "&") {
		if query == "" {
			break
		}
		name, content, found := strings.Cut(pair, "=")
		if !found || unescape(name, &name) != nil || unescape(content, &content) != nil {
			return errors.New("has a query that is not valid; write e.g. ?host=/var/run/postgresql&port=5432")
		}
		if _, again := u.params[name]; again {
			return errors.New("says " + u.printable(name) + " twice; write it once")
		}
		u.params[name] = content
	}
	return nil
}

// unescape replaces %XX. A zero byte would end the text in the middle of a message.
func unescape(s string, into *string) error {
	text, err := url.PathUnescape(s)
	if err == nil && strings.ContainsRune(text, 0) {
		err = errEscape
	}
	*into = text
	return err
}

// printable shows a parameter's name unless it could have come from a variable.
func (u *connURL) printable(name string) string {
	if u.written.expanded() {
		return "a parameter"
	}
	return "the parameter " + quote(name)
}

// param names a known parameter with its content for a message. The content is left out if it could have come from a
// variable.
func (u *connURL) param(name string) string {
	if u.written.expanded() {
		return name
	}
	return name + "=" + shorten(u.params[name])
}

// expandURL replaces variables once more, so that one before the @ (a user or a password) is taken literally. A
// password such as p@ss/word then needs no escapes and cannot change the host. A URL that is one variable as a whole is
// taken as it is.
func (d *decoder) expandURL(v value) (string, error) {
	if !v.expanded() {
		return v.text, nil
	}
	masked := maskVariables(v.written)
	start := strings.Index(masked, "://") + len("://")
	if start < len("://") {
		return v.text, nil
	}
	authority := masked[start:]
	if i := strings.IndexAny(authority, "/?#"); i >= 0 {
		authority = authority[:i]
	}
	end := start + max(0, strings.LastIndex(authority, "@"))
	before, err := expand(v.written[:end], d.lookup, percentEncode)
	if err != nil {
		return "", err
	}
	after, err := expand(v.written[end:], d.lookup, nil)
	return before + after, err
}

// maskVariables blanks out every ${..}, so that what is inside is not taken for a part of the URL.
func maskVariables(s string) string {
	masked := []byte(s)
	inside := false
	for i := range masked {
		inside = inside || strings.HasPrefix(s[i:], "${")
		end := s[i] == '}'
		if inside {
			masked[i] = ' '
		}
		inside = inside && !end
	}
	return string(masked)
}

func percentEncode(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
