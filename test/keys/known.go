package main

import "strings"

// forgive is the only place that forgives a difference of answers, each with its reason; "" is not forgiven.
func forgive(step *Step, hard, soft *Answer) string {
	h, s := hard.Error, soft.Error
	if h == nil || s == nil || hard.Status != soft.Status {
		return ""
	}
	if h.Code == s.Code && h.Message == s.Message && h.ConstraintName == s.ConstraintName && h.Detail != s.Detail {
		return "of several rows that break one constraint, another is told"
	}
	if h.Code[:2] == "23" && s.Code[:2] == "23" && h.ConstraintName != s.ConstraintName {
		return "of several constraints that a statement breaks, another is told"
	}
	return ""
}

// namesGone makes one row of messages that differ only in the names they quote.
func namesGone(message string) string {
	parts := strings.Split(message, `"`)
	for i := 1; i < len(parts); i += 2 {
		parts[i] = ".."
	}
	return strings.Join(parts, `"`)
}
