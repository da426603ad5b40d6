package doctor

import (
	"fmt"
	"regexp"
	"slices"

	"tombstone/lifecycle"
)

// sets reports whether the trigger's function gives the row's marker a value before the row is written.
func (t *trigger) sets() bool {
	if t.on == nil || !t.enabled || !t.is(before|forRow|onUpdate) || slices.Equal(t.columns, []string{t.on.Marker}) {
		return false
	}
	assignment := regexp.MustCompile(`(?im)(^|;|\bthen|\bbegin|\belse)\s*new\s*\.\s*"?` + regexp.QuoteMeta(t.on.Marker) + `"?\s*:?=`)
	return assignment.MatchString(t.source)
}

// markingTrigger is about a trigger that deletes rows in its own way.
//
// Without it, a user whose status an UPDATE sets to 'gone', and whom a trigger marks for that, is a tombstone that no deletion has taken, and orders
// refer to it.
func (p *patient) markingTrigger(t *trigger) {
	p.find(Finding{
		Severity: Warning, Check: "marking-trigger", Object: t.object,
		Why: fmt.Sprintf("Its function sets %s. What goes with a deletion is done where a statement itself sets that: for a row that this marks while others are set, no deletion is noted, and foreign keys are not followed.",
			t.on.Marker),
		Advice: fmt.Sprintf("Let the statement set %s, too, or have it DELETE through the proxy.", lifecycle.Ident(t.on.Marker)),
	})
}
