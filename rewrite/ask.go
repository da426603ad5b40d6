package rewrite

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"tombstone/policy/catalog"
)

// Asks is what a session asks for by the settings tombstone.* and gets. The server keeps the settings, with its own rules about
// transactions and savepoints; the session reads them back. It does not change.
type Asks struct {
	Visibility Visibility
	AsOf       string // the moment, in words that the server takes for a timestamptz; "" for now
	Purge      bool   // a DELETE really deletes
	Restore    bool   // deleted rows may be changed

	seeing   *Refusal // why nothing can be said about a protected table, nil if it can
	deleting *Refusal // why nothing can be deleted from one
	key      string
}

// Visibility says which rows of protected tables a session sees.
type Visibility uint8

// The values of tombstone.visibility.
const (
	Live    Visibility = iota // the default
	All                       // deleted ones too
	Deleted                   // deleted ones only
)

// The settings, and what they may hold, the default first.
const (
	settingPrefix     = "tombstone."
	settingVisibility = "tombstone.visibility"
	settingDelete     = "tombstone.delete"
	settingAsOf       = "tombstone.as_of"
	settingActor      = "tombstone.actor"  // who deletes, in the application's words; recorded with each deletion
	settingReason     = "tombstone.reason" // why
	settingClient     = "tombstone.client" // the client's address, which the proxy tells the server
)

var (
	visibilities = []string{Live: "live", All: "all", Deleted: "deleted"}
	deletes      = []string{"bury", "purge"}
)

// asked are the names of what [catalog.Asked] holds.
var asked = [...]string{catalog.Visibility: settingVisibility, catalog.Delete: settingDelete, catalog.AsOf: settingAsOf}

// Rights says what the current role may ask for.
type Rights struct {
	Known               bool // the rest says it; else the server has to be asked
	See, Restore, Purge bool
}

// everybody is what sessions get that ask for nothing.
var everybody Asks

// Ask works out what a session gets that asks for something. It returns nil for what everybody gets. rights must be known.
func Ask(said catalog.Asked, rights Rights) *Asks {
	visible, ok := choice(visibilities, said[catalog.Visibility])
	purge, sure := choice(deletes, said[catalog.Delete])
	asOf, right := moment(said[catalog.AsOf])
	if ok && sure && right && visible == 0 && purge == 0 && asOf == "" {
		return nil
	}
	a := &Asks{Visibility: Visibility(max(visible, 0)), Purge: purge > 0, AsOf: asOf, Restore: rights.Restore}
	a.key = strings.Join(said[:], "\x01") + "\x01"
	for i, name := range asked {
		why := forbids(name, said[i], rights)
		switch {
		case why == nil:
			continue
		case name == settingDelete:
			a.deleting = why
		case a.seeing == nil:
			a.seeing = why
		}
		a.key += why.Rule
	}
	a.key += strconv.FormatBool(a.Restore)
	return a
}

// Invalid returns what is wrong with the value of a setting, nil if nothing is.
func Invalid(said catalog.Asked) *Refusal {
	for i, name := range asked {
		if why := forbids(name, said[i], Rights{Known: true, See: true, Restore: true, Purge: true}); why != nil {
			return why
		}
	}
	return nil
}

// Key tells what differs in what sessions get; "" for nil.
func (a *Asks) Key() string {
	if a == nil {
		return ""
	}
	return a.key
}

// Denied is the reason why nothing is said to the session about protected tables, nil if it gets what it asks for.
func (a *Asks) Denied() *Refusal {
	if a == nil {
		return nil
	}
	return a.seeing
}

// Whole reports whether the session sees every row, as a backup has to.
func (a *Asks) Whole() bool {
	return a != nil && a.Visibility == All && a.AsOf == "" && a.seeing == nil
}

// Setting is one of the settings that say what a session asks for.
type Setting struct {
	Name, Value string // the value as it stands there, the default's where nothing does
	Allowed     bool
}

// Settings lists what differs between what a session asked for and what it asks for now, in the order of [catalog.Asked].
func Settings(before, now catalog.Asked, rights Rights) []Setting {
	var list []Setting
	for i, name := range asked {
		if was, is := standard(name, before[i]), standard(name, now[i]); was != is {
			list = append(list, Setting{name, is, forbids(name, now[i], rights) == nil})
		}
	}
	return list
}

// standard is what SHOW says of a setting.
func standard(name, value string) string {
	if value != "" {
		return value
	}
	switch name {
	case settingVisibility:
		return visibilities[0]
	case settingDelete:
		return deletes[0]
	}
	return ""
}

// off is the value that is as none, as SQL. RESET would bring back what ALTER ROLE .. SET says.
func off(name string) string {
	if value := standard(name, ""); value != "" {
		return value
	}
	return "''"
}

// forbids returns why a setting may not have a value, nil if it may. As the server does, it looks at the right to set it first.
func forbids(name, value string, rights Rights) *Refusal {
	known, standard := valid(name, value)
	if standard {
		return nil
	}
	may, role := rights.See, "see"
	if name == settingDelete {
		may, role = rights.Purge, "purge"
	}
	if !may {
		f := newRefusal("settings-denied", -1, name)
		f.Hint = "The proxy's policy says in roles." + role + " who may, and by default that is nobody. SET " + name + " = " + off(name) + " to go on without."
		return f
	}
	if !known {
		f := newRefusal("settings-value", -1, name, value)
		switch name {
		case settingVisibility:
			f.Hint = "Available values: " + strings.Join(visibilities, ", ") + "."
		case settingDelete:
			f.Hint = "Available values: " + strings.Join(deletes, ", ") + "."
		default:
			f.Hint = "Write a date, or a date and a time, as in 2026-01-31 12:00:00+00."
		}
		return f
	}
	return nil
}

// valid reports whether a setting may have a value at all, and whether it is the default.
func valid(name, value string) (known, standard bool) {
	switch name {
	case settingVisibility:
		i, ok := choice(visibilities, value)
		return ok, i == 0
	case settingDelete:
		i, ok := choice(deletes, value)
		return ok, i == 0
	}
	at, ok := moment(value)
	return ok, ok && at == ""
}

// choice finds a value among those that there are, in any case, as the server does. None is the default.
func choice(among []string, value string) (int, bool) {
	if value == "" {
		return 0, true
	}
	for i, v := range among {
		if strings.EqualFold(v, value) {
			return i, true
		}
	}
	return -1, false
}

// moments are the ways to write a moment: year first, so that DateStyle does not matter, and nothing that means another moment each
// time it is read, as now and yesterday do. Without a zone it is one in the session's time zone, as the server has it.
var moments = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(?: ?([+-](?:0\d|1[0-5])(?::?[0-5]\d(?::[0-5]\d)?)?|[A-Za-z][A-Za-z0-9_]*(?:[/+-][A-Za-z0-9_]+)*))?)?$`)

// moment reads the value of tombstone.as_of. It returns the words to give to the server, "" if there is no value.
func moment(value string) (words string, ok bool) {
	value = strings.TrimSpace(value)
	if value == "" {
		return "", true
	}
	m := moments.FindStringSubmatch(value)
	if m == nil {
		return "", false
	}
	clock := m[2]
	if clock == "" {
		clock = "00:00"
	}
	if len(clock) == len("00:00") {
		clock += ":00"
	}
	if _, err := time.Parse(time.DateTime, m[1]+" "+clock); err != nil || m[1] < "0001" {
		return "", false // there is no such day
	}
	return value, true
}
