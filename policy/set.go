package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tombstone/config"
	"tombstone/policy/catalog"
)

// Set is a policy resolved for one database. It never changes: a new catalog
// or a new policy makes a new Set.
type Set struct {
	Version  uint64
	Database string

	policy   *Policy
	catalog  *catalog.Catalog
	tables   map[catalog.Name]*Table
	indirect map[catalog.Name]*Indirect
	assume   bool

	observing *Set      // see Observing
	lacking   []Warning // what tables that are only observed do not have yet

	relations map[string]bool // bare names of everything in tables and indirect
	mentions  []string        // the same as text that a statement about them contains, lower case
}

// Table is a protected table, or a view that shows the marker of one.
type Table struct {
	catalog.Name
	Marker     string
	MarkerType string // as format_type prints it; "timestamp with time zone" when not known
	Live       Live   // what the marker holds in a live row
	Audit      []Audit
	Kind       byte // pg_class.relkind, 0 when not known
	Columns    []catalog.Column
	Ordinal    int    // the marker's place in Columns, -1 when Columns are not known
	Truncate   string // what TRUNCATE does: bury, deny, allow
	Uniques    []catalog.Unique
	Instead    bool // a view that a rule or an INSTEAD OF trigger changes rows of
	Checked    bool // a view whose check option would refuse a row that is marked

	// Mixed is the protected table that a view shows if its column of the
	// marker's name may be another table's, which is not protected; else nil.
	Mixed *Table

	// Problem says why rows of this table cannot be buried: its marker
	// column or an audit column is missing or of a type not supported. Fix
	// says what to do. Without a marker column there are no tombstones, so
	// reads are right as they are, and Unmarked is set. Unreadable says that
	// there may be tombstones and that they cannot be told.
	Problem, Fix string
	Unmarked     bool
	Unreadable   bool

	Observed  bool          // the policy only observes it: what would be done is counted, and nothing is done
	Created   string        // the column that says since when a row exists, "" if there is none
	Retention time.Duration // how long a tombstone is kept, 0 for ever
	Hold      string        // an SQL condition that exempts a row from purge, "" for none
	MaxRows   int           // a statement that changes more rows is refused, 0 for no limit
	Indexed   bool          // prepare makes an index of tombstones

	// ReferencedBy lists the tables whose foreign keys point here.
	ReferencedBy []catalog.Name
}

// Alike reports whether statements about the two are edited alike.
func (t *Table) Alike(o *Table) bool {
	return t != nil && o != nil && t.Marker == o.Marker && t.MarkerType == o.MarkerType && t.Live == o.Live && t.Truncate == o.Truncate &&
		t.Problem == "" && o.Problem == "" && t.Kind == o.Kind && slices.Equal(t.Audit, o.Audit) && slices.Equal(t.Columns, o.Columns) &&
		slices.EqualFunc(t.Uniques, o.Uniques, func(a, b catalog.Unique) bool {
			return a.Where == b.Where && slices.Equal(a.Columns, b.Columns)
		})
}

// Find says what a full name stands for: a protected table, something that
// shows one, or (both nil) neither.
func (s *Set) Find(schema, relation string) (*Table, *Indirect) {
	n := catalog.Name{Schema: schema, Relation: relation}
	if t := s.tables[n]; t != nil {
		return t, nil
	}
	if i := s.indirect[n]; i != nil {
		return nil, i
	}
	if rule := s.assumed(n); rule != nil {
		return newTable(n, rule), nil
	}
	return nil, nil
}

// assumed returns the rule by which a relation is taken to be protected though
// nothing is known of it. What looks like one of pg_catalog's is not.
func (s *Set) assumed(n catalog.Name) *config.Table {
	if !s.assume || strings.HasPrefix(n.Relation, "pg_") {
		return nil
	}
	return s.policy.rule(n)
}

// Exists reports whether the catalog, or the policy by an outright name,
// knows a relation of that name: the server's search stops there.
func (s *Set) Exists(schema, relation string) bool {
	n := catalog.Name{Schema: schema, Relation: relation}
	return s.catalog.Find(n) != nil || s.tables[n] != nil || s.assumed(n) != nil
}

// Columns returns the columns of any relation whose columns were read, and
// whether the relation is known to lack every marker (known, but not read).
func (s *Set) Columns(schema, relation string) (columns []catalog.Column, known bool) {
	r := s.catalog.Find(catalog.Name{Schema: schema, Relation: relation})
	if r == nil {
		return nil, false
	}
	return r.Columns, true
}

// Covers reports whether some relation of this bare name, in any schema, is
// or could become protected under the policy.
func (s *Set) Covers(relation string) bool {
	if s.relations[relation] {
		return true
	}
	for i := range s.policy.tables {
		t := &s.policy.tables[i]
		if t.Glob() && t.MatchesRelation(relation) {
			return true
		}
	}
	return false
}

// Marks reports whether some table's policy, or that of a table that could come
// to be, has a column of this name for its marker or for an audit column.
func (s *Set) Marks(column string) bool {
	for i := range s.policy.tables {
		t := &s.policy.tables[i]
		if column == t.Marker || column == t.DeletedBy || column == t.DeletionID {
			return true
		}
	}
	return false
}

// Named reports whether some relation of this bare name, in any schema, is
// protected or shows a protected table now.
func (s *Set) Named(relation string) bool {
	return s.relations[relation] || s.assume && s.Covers(relation)
}

// Mentions reports whether text could name something protected, other than by
// an identifier with Unicode escapes. It errs towards yes: it looks for the
// bare names as substrings, in literals and comments too.
func (s *Set) Mentions(text string) bool {
	if s.assume {
		return true
	}
	if len(s.mentions) == 0 {
		return false
	}
	lower := strings.ToLower(text)
	for _, m := range s.mentions {
		if strings.Contains(lower, m) {
			return true
		}
	}
	return false
}

// Reaches reports whether the policy would protect a relation of this name as
// it protects t now: by the same marker.
func (s *Set) Reaches(t *Table, schema, relation string) bool {
	rule := s.policy.rule(catalog.Name{Schema: schema, Relation: relation})
	return rule != nil && rule.Marker == t.Marker
}

// ByItself reports whether the policy's own words cover a table, rather than
// its parent's protection.
func (s *Set) ByItself(t *Table) bool { return s.Reaches(t, t.Schema, t.Relation) }

// Protects reports whether the database has a table that is protected, as far as it was read.
func (s *Set) Protects() bool {
	for _, t := range s.tables {
		if t.Kind != 0 {
			return true
		}
	}
	return false
}

// In lists the protected tables of a schema.
func (s *Set) In(schema string) []*Table {
	var list []*Table
	for _, t := range s.Tables() {
		if t.Schema == schema {
			list = append(list, t)
		}
	}
	return list
}

// Holds reports whether a schema has, or could come to have, something that is
// protected or that shows something protected.
func (s *Set) Holds(schema string) bool {
	if s.assume {
		return true
	}
	for n := range s.tables {
		if n.Schema == schema {
			return true
		}
	}
	for n := range s.indirect {
		if n.Schema == schema {
			return true
		}
	}
	for i := range s.policy.tables {
		if s.policy.tables[i].MatchesSchema(schema) {
			return true
		}
	}
	return false
}

// RefusesBodies reports whether text that the server would run unseen may not
// name a protected table.
func (s *Set) RefusesBodies() bool { return s.policy.bodies == "refuse" }

// Tables lists the protected tables by name.
func (s *Set) Tables() []*Table {
	list := make([]*Table, 0, len(s.tables))
	for _, t := range s.tables {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b *Table) int { return strings.Compare(a.String(), b.String()) })
	return list
}

func newTable(n catalog.Name, rule *config.Table) *Table {
	t := &Table{
		Name: n, Marker: rule.Marker, MarkerType: "timestamp with time zone",
		Ordinal: -1, Truncate: rule.Truncate,
		Observed: rule.Mode == "observe", Created: rule.Created, Retention: rule.Retention, Hold: rule.Hold, MaxRows: rule.MaxRows, Indexed: rule.Indexed,
	}
	if rule.Live == "infinity" {
		t.Live.Value = Infinity
	}
	t.audit(rule)
	return t
}

// protect takes in the tables that the policy's own words cover.
func (s *Set) protect() {
	for i := range s.catalog.Relations {
		r := &s.catalog.Relations[i]
		if !isTable(r.Kind) {
			continue
		}
		rule := s.policy.rule(r.Name)
		// A glob means every matching table that has the marker.
		// Of a partition or an inheritance child, what is said outright of a parent comes first.
		if rule == nil || rule.Glob() && (r.Column(rule.Marker) < 0 || s.within(r, s.outright)) {
			continue
		}
		s.tables[r.Name] = s.table(r, rule)
	}
	// A name written outright is protected before the catalog has heard of
	// it: otherwise a table created elsewhere a moment ago is deleted from.
	for i := range s.policy.tables {
		rule := &s.policy.tables[i]
		n := catalog.Name{Schema: rule.Schema, Relation: rule.Relation}
		if !rule.Glob() && s.catalog.Find(n) == nil {
			s.tables[n] = newTable(n, rule)
		}
	}
}

// protectChildren gives partitions and inheritance children their parent's
// protection: a DELETE sent straight to a partition is one from the table.
func (s *Set) protectChildren() {
	for changed := true; changed; {
		changed = false
		for i := range s.catalog.Relations {
			r := &s.catalog.Relations[i]
			if s.tables[r.Name] != nil || !isTable(r.Kind) {
				continue
			}
			for _, oid := range r.Parents {
				parent := s.catalog.ByOID(oid)
				if parent == nil || s.tables[parent.Name] == nil {
					continue
				}
				p := s.tables[parent.Name]
				s.tables[r.Name] = s.table(r, s.policy.childRule(p))
				changed = true
				break
			}
		}
	}
}

func (s *Set) collectMentions() {
	s.relations = map[string]bool{}
	for n := range s.tables {
		s.relations[n.Relation] = true
	}
	for n := range s.indirect {
		s.relations[n.Relation] = true
	}
	for name := range s.relations {
		s.mentions = append(s.mentions, mention(name))
	}
	slices.Sort(s.mentions)
}

func (s *Set) table(r *catalog.Relation, rule *config.Table) *Table {
	t := newTable(r.Name, rule)
	t.Kind = r.Kind
	t.Columns, t.Uniques, t.Instead = r.Columns, r.Uniques, r.Instead
	t.Ordinal = r.Column(rule.Marker)
	for _, oid := range r.ReferencedBy {
		// A partition has the key of its table, which may be this one.
		if from := s.catalog.ByOID(oid); from != nil && !s.within(from, func(p uint32) bool { return p == r.OID || slices.Contains(r.ReferencedBy, p) }) {
			t.ReferencedBy = append(t.ReferencedBy, from.Name)
		}
	}
	if t.Ordinal < 0 {
		t.Unmarked = !t.Observed
		t.Problem = fmt.Sprintf("protected table %q has no column %q to mark its deleted rows with", r.Name.String(), rule.Marker)
		t.Fix = fmt.Sprintf("Add it: ALTER TABLE %s ADD COLUMN %s timestamptz;", r.Name, rule.Marker)
		s.lacks(t)
		return t
	}
	t.mark(rule)
	if slices.ContainsFunc(t.Audit, func(a Audit) bool { return a.Type == "" }) {
		s.lacks(t)
	}
	return t
}

// outright reports whether an entry of the policy names a relation outright, in force or not.
func (s *Set) outright(oid uint32) bool {
	r := s.catalog.ByOID(oid)
	return r != nil && slices.ContainsFunc(s.policy.written, func(t config.Table) bool { return !t.Glob() && t.Matches(r.Schema, r.Relation) })
}

// within reports whether an ancestor of a relation is one of those.
func (s *Set) within(r *catalog.Relation, those func(oid uint32) bool) bool {
	for _, oid := range r.Parents {
		if those(oid) {
			return true
		}
		if parent := s.catalog.ByOID(oid); parent != nil && s.within(parent, those) {
			return true
		}
	}
	return false
}

func isTable(kind byte) bool { return kind == 'r' || kind == 'p' || kind == 'f' }

// Referencing lists the protected tables that TRUNCATE .. CASCADE of a
// relation would reach through foreign keys.
func (s *Set) Referencing(schema, relation string) []*Table {
	start := s.catalog.Find(catalog.Name{Schema: schema, Relation: relation})
	if start == nil {
		return nil
	}
	children := map[uint32][]uint32{}
	for i := range s.catalog.Relations {
		for _, parent := range s.catalog.Relations[i].Parents {
			children[parent] = append(children[parent], s.catalog.Relations[i].OID)
		}
	}
	var found []*Table
	seen := map[uint32]bool{start.OID: true}
	for queue := []*catalog.Relation{start}; len(queue) > 0; queue = queue[1:] {
		for _, oid := range append(children[queue[0].OID], queue[0].ReferencedBy...) {
			r := s.catalog.ByOID(oid)
			if r == nil || seen[oid] {
				continue
			}
			seen[oid] = true
			if t := s.tables[r.Name]; t != nil {
				found = append(found, t)
			}
			queue = append(queue, r)
		}
	}
	return found
}
