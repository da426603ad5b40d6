package config

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
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

// parseCount reads how many of something there may be.
func parseCount(what, example string) func(value) (int, error) {
	return func(v value) (int, error) {
		if v.tag == "!!int" || v.expanded() {
			if n, err := strconv.ParseUint(v.text, 10, 31); err == nil {
				return int(n), nil
			}
		}
		return 0, fmt.Errorf("%s is not a number of %s; write a whole number such as %s, or 0 for no limit", v.quoted(), what, example)
	}
}

// maxLoops is more event loops than any machine has CPUs for, so that a slip of the hand starts no million of them.
const maxLoops = 1024

func parseLoops(v value) (int, error) {
	if v.tag == "!!int" || v.expanded() {
		if n, err := strconv.ParseUint(v.text, 10, 31); err == nil && n <= maxLoops {
			return int(n), nil
		}
	}
	return 0, fmt.Errorf("%s is not a number of event loops; write a whole number up to %d, or 0 to go by the CPUs", v.quoted(), maxLoops)
}

// Smaller messages and statements would refuse ordinary work; PostgreSQL takes no message of 1 GiB or more
// (PQ_LARGE_MESSAGE_LIMIT in its libpq/libpq.h).
const (
	minMessageBytes = 1 << 10
	maxMessageBytes = 1 << 30
)

func parseMessageBytes(v value) (int, error) {
	n, err := parseSize(v)
	if err != nil {
		return 0, err
	}
	if n < minMessageBytes || n > maxMessageBytes {
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
