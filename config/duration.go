package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

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

// parseStartupTime reads how long a client may take to log in. Zero would mean for ever, and then clients that say nothing
// could hold every connection.
func parseStartupTime(v value) (time.Duration, error) {
	d, err := parseDuration(v.text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%s is not a time to log in; write a duration such as 60s", v.quoted())
	}
	return d, nil
}

// parseTime reads a duration of which 0 says something too.
func parseTime(zero string) func(value) (time.Duration, error) {
	return func(v value) (time.Duration, error) {
		d, err := parseDuration(v.text)
		if err != nil {
			return 0, fmt.Errorf("%s is not a duration; write e.g. 30s or 5m, or 0 %s", v.quoted(), zero)
		}
		return d, nil
	}
}

// maxKeepalive is the longest idle time before a probe that Linux takes (MAX_TCP_KEEPIDLE in its net/tcp.h, seconds).
const maxKeepalive = 32767 * time.Second

func parseKeepalive(v value) (time.Duration, error) {
	d, err := parseDuration(v.text)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%s is not a duration; write e.g. 60s, or 0 for no probes", v.quoted())
	case d != 0 && (d < time.Second || d > maxKeepalive):
		return 0, fmt.Errorf("%s is out of range; write a duration from 1s to 9h, or 0 for no probes", v.quoted())
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
