package doctor

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// Severity says how much of the promise is broken.
type Severity uint8

// From the least to the worst.
const (
	Info    Severity = iota // a fact to know; nothing need be done
	Warning                 // somebody may see, change or miss rows that they should not
	Error                   // rows are lost or shown, or a deletion is refused
)

func (s Severity) String() string { return [...]string{"info", "warning", "error"}[s] }

// MarshalText writes it as a word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one thing that was found.
type Finding struct {
	Severity Severity
	Check    string   // one of Checks
	Object   string   // such as "table public.users"
	Why      string   // what goes wrong
	SQL      []string // statements that mend it, without their semicolons; nil if it takes more than SQL
	Advice   string   // what to do where SQL is nil, "" if nothing need be done
}

// Fix is what mends it: SQL that can be run as it stands, or words.
func (f *Finding) Fix() string {
	if len(f.SQL) == 0 {
		return f.Advice
	}
	var b strings.Builder
	for _, sql := range f.SQL {
		b.WriteString(strings.TrimSuffix(strings.TrimSpace(sql), ";") + ";\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// MarshalJSON writes a finding as programs want it. sql says whether fix can be run as it stands.
func (f *Finding) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(struct {
		Severity Severity `json:"severity"`
		Check    string   `json:"check"`
		Object   string   `json:"object"`
		Why      string   `json:"why"`
		Fix      string   `json:"fix"`
		SQL      bool     `json:"sql"`
	}{f.Severity, f.Check, f.Object, f.Why, f.Fix(), len(f.SQL) > 0})
	return []byte(b.String()), err
}

// Check is something that is looked for.
type Check struct {
	Name  string
	About string
}

// Checks lists what is looked for, by the names of findings.
var Checks = []Check{
	{"missing-marker", "a protected table without its marker column"},
	{"missing-audit-column", "a column that the policy has deletions set is not there"},
	{"wrong-marker-type", "a marker that cannot hold a deletion"},
	{"wrong-audit-type", "an audit column that cannot record what the policy says"},
	{"born-deleted", "a marker whose default or NOT NULL leaves new rows deleted, or none at all"},
	{"unprepared", "the database's half is missing, or a part of it"},
	{"stale-trigger", "triggers of the database's half that are of an earlier state of a table, and fail"},
	{"missing-guard", "a real DELETE of protected rows is not refused"},
	{"disabled-trigger", "a trigger of the database's half is switched off"},
	{"no-identity", "a table in which nothing tells which deletion took which of several equal rows"},
	{"key-holds-tombstones", "a unique key in which tombstones block live rows"},
	{"unprotected-child", "rows of an unprotected table refer to protected ones"},
	{"native-cascade", "ON DELETE CASCADE from an unprotected table into a protected one"},
	{"delete-trigger", "a DELETE trigger that fires no more"},
	{"instead-of-delete", "a view whose DELETE is a trigger's business: the proxy refuses it"},
	{"update-trigger", "an UPDATE trigger that now fires when a row is deleted"},
	{"marking-trigger", "a trigger that marks rows by itself, where nothing is noted of it"},
	{"delete-rule", "an ON DELETE rule that acts no more"},
	{"update-rule", "an ON UPDATE rule that now acts when a row is deleted"},
	{"open-view", "a view that shows tombstones"},
	{"function-deletes", "a function that really deletes protected rows"},
	{"function-updates", "a function that changes tombstones"},
	{"function-reads", "a function that sees tombstones"},
	{"function-purges", "a function that deletes tombstones by their marker"},
	{"rule-body", "a rule whose action sees, changes or really deletes protected rows"},
	{"policy-reads", "a row-level-security policy that goes by tombstones"},
	{"dynamic-sql", "a function that puts SQL together, which nobody can judge"},
	{"unread-body", "a function that names protected tables and cannot be read"},
	{"policy-refuses-marking", "row-level security lets a role DELETE, but not mark"},
	{"policy-tests-marker", "row-level security hides tombstones, and so refuses to make them"},
	{"policy-binds-triggers", "row-level security binds the functions that follow foreign keys"},
	{"missing-grant", "a role that may DELETE has not the rights to mark"},
	{"tombstones", "how many rows are tombstones, and since when"},
	{"unindexed", "a table so large that its tombstones want an index"},
	{"bloated-index", "a large index that mostly serves live rows and holds many tombstones"},
	{"retention-behind", "tombstones that should have been purged"},
	{"empty-deletion", "recorded deletions of which no row is left"},
	{"publication-without-updates", "subscribers are not told of deletions"},
	{"publication-without-marker", "subscribers do not get the marker"},
	{"no-replica-identity", "a published table that refuses to be marked"},
	{"published", "subscribers see an update where there was a delete"},
	{"record-published", "subscribers are sent the record of deletions, and stop without tables for it"},
	{"backup", "what backups have of deleted rows"},
	{"unknown-table", "the policy names a table that does not exist"},
	{"not-a-table", "the policy names what is no table"},
	{"idle-pattern", "a wildcard of the policy that covers nothing"},
	{"unmarked-tables", "tables that a wildcard covers but for their want of a marker"},
	{"foreign-table", "a protected table that is on another server"},
	{"observed", "a table that is only observed"},
	{"unknown-role", "the policy names a role that does not exist"},
	{"wrong-hold", "the policy's condition of a legal hold is not one"},
	{"missing-created", "the policy's created column is not there"},
	{"max-rows-unchecked", "max_rows is set, and nothing counts"},
	{"unseen", "what could not be looked at"},
}

// sorted puts the worst first, then by check and object.
func sorted(list []Finding) []Finding {
	place := func(f Finding) int { return slices.IndexFunc(Checks, func(c Check) bool { return c.Name == f.Check }) }
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(place(a), place(b)), strings.Compare(a.Object, b.Object))
	})
	return list
}
