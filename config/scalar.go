package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is one scalar of the file.
type value struct {
	text    string // with its variables replaced; may be a secret
	written string // as the file has it; the only form that messages show
	tag     string // YAML's type of the written form: !!str, !!int, ..
}

// quoted is the value for a message.
func (v value) quoted() string { return quote(v.written) }

// part is a piece of the value for a message. When the value came from a variable the piece could be a secret, so the
// whole is shown as written.
func (v value) part(piece string) string {
	if v.expanded() {
		return v.quoted()
	}
	return quote(piece)
}

func (v value) expanded() bool { return v.text != v.written }

func quote(s string) string { return `"` + shorten(s) + `"` }

// shorten keeps a message on one line.
func shorten(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + ".."
	}
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// typeOf names YAML's type of a scalar, for messages.
func typeOf(tag string) string {
	switch tag {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a boolean"
	case "!!timestamp":
		return "a date"
	}
	return "text"
}

// oneOf accepts exactly the given words.
func oneOf(words ...string) func(value) (string, error) {
	return func(v value) (string, error) {
		if slices.Contains(words, v.text) {
			return v.text, nil
		}
		last := len(words) - 1
		return "", fmt.Errorf("%s is not known here; write %s or %s", v.quoted(), strings.Join(words[:last], ", "), words[last])
	}
}

func parseLevel(v value) (slog.Level, error) {
	switch strings.ToLower(v.text) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%s is not a level; write debug, info, warn or error", v.quoted())
}

// parseBool accepts YAML's true and false, and the same words from a variable.
func parseBool(v value) (bool, error) {
	if v.tag == "!!bool" || v.expanded() {
		switch strings.ToLower(v.text) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
	}
	return false, fmt.Errorf("%s is not a switch; write true or false, without quotes", v.quoted())
}

func parseConnections(v value) (int, error) {
	if v.tag == "!!int" || v.expanded() {
		if n, err := strconv.ParseUint(v.text, 10, 31); err == nil {
			return int(n), nil
		}
	}
	return 0, fmt.Errorf("%s is not a number of connections; write a whole number such as 200, or 0 for no limit", v.quoted())
}

// The text of a statement that is less would refuse ordinary work; PostgreSQL takes no message of 1 GiB or more
// (PQ_LARGE_MESSAGE_LIMIT in its libpq/libpq.h).
const (
	minStatementBytes = 1 << 10
	maxStatementBytes = 1 << 30
)

func parseStatementBytes(v value) (int, error) {
	n, err := parseSize(v)
	if err != nil {
		return 0, err
	}
	if n < minStatementBytes || n > maxStatementBytes {
		return 0, fmt.Errorf("%s is out of range; write a size from 1KiB to 1GiB, e.g. 16MiB", v.quoted())
	}
	return n, nil
}

// parseSize reads a plain number of bytes, or a number with KiB, MiB or GiB.
func parseSize(v value) (int, error) {
	number, shift := v.text, 0
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if n, ok := strings.CutSuffix(v.text, unit); ok {
			number, shift = strings.TrimSuffix(n, " "), 10*(i+1)
		}
	}
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil || n > math.MaxInt32>>shift {
		return 0, fmt.Errorf("%s is not a size; write e.g. 16MiB, 512KiB or a number of bytes", v.quoted())
	}
	return int(n) << shift, nil
}

func parseMaxAge(v value) (time.Duration, error) {
	d, err := parseDuration(v.text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%s is not an age; write a duration such as 30s or 5m", v.quoted())
	}
	return d, nil
}

// parseRetention reads how long tombstones are kept; forever is 0.
func parseRetention(v value) (time.Duration, error) {
	if v.text == "forever" {
		return 0, nil
	}
	d, err := parseDuration(v.text)
	switch {
	case errors.Is(err, errTooLong):
		return 0, fmt.Errorf("%s is longer than 292 years; write forever", v.quoted())
	case err != nil:
		return 0, fmt.Errorf("%s is not a duration; write e.g. 30d, 12h or forever", v.quoted())
	case d <= 0:
		// Zero could be read as "purge at once" and as "no limit". Neither guess is ours to make.
		return 0, fmt.Errorf("%s keeps nothing; write e.g. 30d, or forever to keep tombstones without end", v.quoted())
	}
	return d, nil
}

var (
	errDuration = errors.New("not a duration")
	errTooLong  = errors.New("longer than a duration can be")
)

// parseDuration reads what time.ParseDuration does, without a sign, and also whole days, weeks and years of 365 days: 30d,
// 1w2d, 1d12h.
func parseDuration(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	units := map[string]time.Duration{"d": day, "w": 7 * day, "y": 365 * day}
	var total time.Duration
	for first := true; first || s != ""; first = false {
		number := s[:len(s)-len(strings.TrimLeft(s, "0123456789."))]
		rest := s[len(number):]
		unit := rest
		if i := strings.IndexAny(rest, "0123456789."); i >= 0 {
			unit = rest[:i]
		}
		var d time.Duration
		if size, ok := units[unit]; ok {
			n, err := strconv.ParseUint(number, 10, 63)
			if errors.Is(err, strconv.ErrRange) || n > uint64(math.MaxInt64/size) {
				return 0, errTooLong
			} else if err != nil {
				return 0, errDuration
			}
			d = time.Duration(n) * size
		} else {
			if number == "" {
				return 0, errDuration
			}
			var err error
			if d, err = time.ParseDuration(number + unit); err != nil {
				return 0, errDuration
			}
		}
		if d > math.MaxInt64-total {
			return 0, errTooLong
		}
		total += d
		s = rest[len(unit):]
	}
	return total, nil
}
