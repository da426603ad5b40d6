package doctor

import (
	"context"
	"fmt"

	"tombstone/lifecycle"
)

// keys looks at foreign keys with a protected table on one side only. Once the database is prepared both are facts.
func (p *patient) keys(context.Context) error {
	for _, k := range p.Keys {
		switch {
		case k.Parent.Protected != nil && k.Child.Protected == nil:
			p.unprotectedChild(k)
		case k.Parent.Protected == nil && k.OnDelete == 'c':
			p.nativeCascade(k)
		}
	}
	return nil
}

// unprotectedChild is about rows that refer to protected ones and are not protected themselves.
//
// Without the database's half they refer to a row that nobody sees; with it those that go by CASCADE really go, and are kept in the archive.
func (p *patient) unprotectedChild(k *lifecycle.ForeignKey) {
	f := Finding{
		Check: "unprotected-child", Object: "table " + k.Child.Name.String(),
		Why: fmt.Sprintf("Its foreign key %s refers to %s, which is protected, and it is not.", k.Name, k.Parent.Name),
	}
	switch {
	case !p.ready(k.Parent) || !p.ready(k.Child):
		f.Severity, f.Advice = Warning, p.prepareAdvice()
		f.Why += " Nothing does what ON DELETE says when a row of " + k.Parent.Name.String() + " is deleted: its rows go on referring to one that nobody sees."
	case k.OnDelete == 'c':
		f.Why += " Rows that go by ON DELETE CASCADE really go; they are kept in tombstone.archive, and tombstone undo puts them back. To keep them in place, protect it as well."
	default:
		f.Why += " ON DELETE is followed; its own deletes are real."
	}
	p.find(f)
}

// nativeCascade is about the server's own ON DELETE CASCADE, which deletes for good.
//
// Without the database's half, DELETE FROM countries takes the cities along, tombstones included, and nothing is left of them.
func (p *patient) nativeCascade(k *lifecycle.ForeignKey) {
	f := Finding{
		Check: "native-cascade", Object: "table " + k.Child.Name.String(),
		Why: fmt.Sprintf("%s is not protected, and ON DELETE CASCADE (%s) takes rows of this table along.", k.Parent.Name, k.Name),
	}
	if p.ready(k.Parent) && p.ready(k.Child) {
		f.Why += " They move to tombstone.archive. To keep them in place, protect " + k.Parent.Name.String() + " as well."
	} else {
		f.Severity, f.Advice = Error, p.prepareAdvice()+", or protect "+k.Parent.Name.String()+" as well"
		f.Why += " The server really deletes them, and tombstones with them."
	}
	p.find(f)
}
