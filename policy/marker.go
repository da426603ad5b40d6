package policy

import (
	"fmt"
	"slices"
	"strings"

	"tombstone/config"
)

// Live says what the marker holds in a live row.
type Live struct {
	Value    LiveValue
	Nullable bool // NULL means live, whatever Value says
}

// LiveValue is a marker's value in a live row.
type LiveValue uint8

// The values that a live row's marker may have. Any other makes a tombstone.
const (
	Null     LiveValue = iota // timestamptz, timestamp, date
	Infinity                  // the same, where it is the column's default or the policy says so
	False                     // boolean
	Zero                      // integer, bigint: seconds since 1970
)

// Audit is a column that a deletion sets besides the marker.
type Audit struct {
	Column string
	Type   string // as format_type prints it, "" when not known
	What   AuditWhat
}

// AuditWhat is what an audit column records.
type AuditWhat uint8

// What audit columns record.
const (
	Role     AuditWhat = iota // the database role that deleted
	Deletion                  // the id of the deletion: pg_current_xact_id()
)

// audit takes in the audit columns that the policy names.
func (t *Table) audit(rule *config.Table) {
	if rule.DeletedBy != "" {
		t.Audit = append(t.Audit, Audit{Column: rule.DeletedBy, What: Role})
	}
	if rule.DeletionID != "" {
		t.Audit = append(t.Audit, Audit{Column: rule.DeletionID, What: Deletion})
	}
}

// mark works out from the columns how rows of the table are marked. Ordinal
// must be known.
func (t *Table) mark(rule *config.Table) {
	c := &t.Columns[t.Ordinal]
	t.MarkerType = c.Type
	t.Live.Nullable = !c.NotNull
	switch name := base(c.Type); {
	case strings.HasPrefix(name, "timestamp"), name == "date":
		// A table whose new rows have infinity would have no live rows at all
		// if NULL were what tells them.
		if rule.Live == "infinity" || strings.HasPrefix(c.Default, "'infinity'") {
			t.Live.Value = Infinity
		}
	case name == "boolean":
		t.Live.Value = False
	case name == "integer", name == "bigint":
		t.Live.Value = Zero
	default:
		t.Problem = fmt.Sprintf("the marker %q of protected table %q is of type %s, which is not supported", rule.Marker, t.String(), t.MarkerType)
		t.Fix = "Use a marker of type timestamptz, timestamp, date, boolean, integer or bigint."
		t.Unreadable = true
		return
	}
	for i := range t.Audit {
		t.findAudit(&t.Audit[i])
	}
}

// auditTypes lists the types of column that can record something, the one to
// create first.
var auditTypes = map[AuditWhat][]string{
	Role:     {"text", "name", "character varying"},
	Deletion: {"xid8", "bigint", "numeric", "text", "character varying"},
}

// findAudit finds an audit column, or says what is wrong with it.
func (t *Table) findAudit(a *Audit) {
	types := auditTypes[a.What]
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Name != a.Column {
			continue
		}
		if !slices.Contains(types, base(c.Type)) {
			t.Problem = fmt.Sprintf("the column %q of protected table %q is of type %s, which cannot record what the policy says", a.Column, t.String(), c.Type)
			t.Fix = "Use one of these types: " + strings.Join(types, ", ") + "."
		}
		a.Type = c.Type
		return
	}
	t.Problem = fmt.Sprintf("protected table %q has no column %q, which the policy says to set in deleted rows", t.String(), a.Column)
	t.Fix = fmt.Sprintf("Add it: ALTER TABLE %s ADD COLUMN %s %s;", t.Name, a.Column, types[0])
	if t.View() {
		t.Fix = "Show the column in the view."
	}
}
