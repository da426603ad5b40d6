package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/adhocore/gronx"
)

// purge decodes the mapping purge. It comes after upstream.
func (d *decoder) purge(top mapping, c *Config) {
	m, _ := d.mapping(top.fields["purge"], "purge", purgeFields)
	p := &c.Purge
	set(d, m, "schedule", &p.Schedule, parseSchedule)
	set(d, m, "login", &p.Login, d.parseLogin(c.Upstream))
	set(d, m, "batch", &p.Batch, parseBatch)
	set(d, m, "rate", &p.Rate, parseCount("rows a second", "2000"))
	set(d, m, "statement_timeout", &p.StatementTimeout, parseTime("for no limit"))
	set(d, m, "lock_timeout", &p.LockTimeout, parseTime("for no limit"))
}

// parseSchedule reads the five fields of cron, or off.
func parseSchedule(v value) (string, error) {
	switch {
	case v.text == "off":
	case len(strings.Fields(v.text)) != 5 || !gronx.IsValid(v.text):
		return "", fmt.Errorf(`%s is not a schedule; write the five fields of cron (minute, hour, day, month, weekday), e.g. "17 3 * * *", or off`, v.quoted())
	}
	return v.text, nil
}

func parseBatch(v value) (int, error) {
	n, err := parseCount("rows", "1000")(v)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%s is not a number of rows; write a whole number such as 1000", v.quoted())
	}
	return n, nil
}

// parseHold reads a condition on a row. It is SQL, which only the database can judge.
func parseHold(v value) (string, error) {
	if strings.ContainsRune(v.text, ';') || strings.Contains(v.text, "--") || strings.Contains(v.text, "/*") {
		return "", errors.New("is more than a condition; write e.g. legal_hold, or id IN (SELECT user_id FROM holds), without semicolon or comment")
	}
	return v.text, nil
}
