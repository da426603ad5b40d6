package policy

import (
	"reflect"
	"slices"
	"sync/atomic"

	"tombstone/config"
	"tombstone/policy/catalog"
)

// Policy is the operator's list of protected tables, in the order written.
type Policy struct {
	written   []config.Table // all, those that are off or only observed too: they speak for their tables before a glob
	tables    []config.Table // those in force
	bodies    string
	observing bool
	observed  *Policy // what Observing returns, nil if nothing is only observed
}

// New makes a policy of the configuration's tables and of what it says of
// bodies, "pass" or "refuse". They are validated already: see config.Load.
func New(tables []config.Table, bodies string) *Policy {
	p := newPolicy(tables, bodies, false)
	if slices.ContainsFunc(tables, func(t config.Table) bool { return t.Mode == "observe" }) {
		p.observed = newPolicy(tables, bodies, true)
	}
	return p
}

func newPolicy(written []config.Table, bodies string, observing bool) *Policy {
	p := &Policy{written: written, bodies: bodies, observing: observing}
	for _, t := range written {
		if p.inForce(&t) {
			p.tables = append(p.tables, t)
		}
	}
	return p
}

func (p *Policy) inForce(t *config.Table) bool {
	return t.Mode != "off" && (t.Mode != "observe" || p.observing)
}

// Observing is the policy as it would be if the tables that are only observed were protected, and those are marked so.
func (p *Policy) Observing() *Policy {
	if p.observed != nil {
		return p.observed
	}
	return newPolicy(p.written, p.bodies, true)
}

// Observes reports whether a table is only observed.
func (p *Policy) Observes() bool { return p.observed != nil }

// Markers lists the distinct marker columns, those of tables that are only
// observed too: the catalog is asked for the columns of relations that have one of
// them.
func (p *Policy) Markers() []string {
	var names []string
	seen := map[string]bool{}
	for i := range p.written {
		if m := p.written[i].Marker; p.written[i].Mode != "off" && !seen[m] {
			seen[m] = true
			names = append(names, m)
		}
	}
	return names
}

// Empty reports whether nothing at all is protected. Something may be observed.
func (p *Policy) Empty() bool { return len(p.tables) == 0 }

// rule returns the configured table that speaks for a relation: one that
// names it outright before any glob, else the first glob that matches.
func (p *Policy) rule(n catalog.Name) *config.Table {
	var glob *config.Table
	for i := range p.written {
		t := &p.written[i]
		if !t.Matches(n.Schema, n.Relation) {
			continue
		}
		if !t.Glob() {
			glob = t
			break
		}
		if glob == nil {
			glob = t
		}
	}
	if glob == nil || !p.inForce(glob) {
		return nil
	}
	return glob
}

// childRule is the rule for a partition or an inheritance child: its
// parent's.
func (p *Policy) childRule(parent *Table) *config.Table {
	rule := &config.Table{
		Marker: parent.Marker, Truncate: parent.Truncate, Created: parent.Created, Retention: parent.Retention, Hold: parent.Hold, MaxRows: parent.MaxRows, Indexed: parent.Indexed,
	}
	if parent.Observed {
		rule.Mode = "observe"
	}
	if parent.Live.Value == Infinity {
		rule.Live = "infinity"
	}
	for _, a := range parent.Audit {
		if a.What == Role {
			rule.DeletedBy = a.Column
		} else {
			rule.DeletionID = a.Column
		}
	}
	return rule
}

var versions atomic.Uint64

// Resolve says what the policy means for one database. Every Set gets a
// version of its own, so that whatever was worked out under one can be told
// from what was worked out under another.
func (p *Policy) Resolve(c *catalog.Catalog) *Set {
	s := &Set{
		Version:  versions.Add(1),
		Database: c.Database,
		policy:   p,
		catalog:  c,
		tables:   map[catalog.Name]*Table{},
		indirect: map[catalog.Name]*Indirect{},
	}
	s.protect()
	s.protectChildren()
	s.findIndirect()
	s.findOpen()
	s.collectMentions()
	s.observe()
	return s
}

// Unknown resolves the policy for a database of which nothing has been read
// yet: nothing is protected, as far as is known.
func (p *Policy) Unknown(database string) *Set {
	empty, _ := catalog.New(database, nil)
	return p.Resolve(empty)
}

// Equal reports whether two policies say the same.
func (p *Policy) Equal(q *Policy) bool {
	return p.bodies == q.bodies && p.observing == q.observing && reflect.DeepEqual(p.written, q.written)
}

// Under resolves another policy for the same database, as far as what was read
// for this one tells: its markers' columns may not have been asked for.
func (s *Set) Under(p *Policy) *Set { return p.Resolve(s.catalog) }

// Assume resolves the policy without a database: any name that it covers is
// taken to be a table that has its marker, a timestamptz. It serves
// `tombstone rewrite` where no schema is given.
func (p *Policy) Assume() *Set {
	empty, _ := catalog.New("", nil)
	s := p.Resolve(empty)
	s.assume = true
	if s.observing != nil {
		s.observing.assume = true
	}
	return s
}
