package config

import (
	"fmt"
	"slices"
)

// roles decodes the mapping roles.
func (d *decoder) roles(top mapping, r *Roles) {
	m, _ := d.mapping(top.fields["roles"], "roles", rolesFields)
	r.See = d.roleNames(m, "see")
	r.Restore = d.roleNames(m, "restore")
	r.Purge = d.roleNames(m, "purge")
}

// roleNames reads a list of database roles. A name is as in SQL: without quotes it folds to lower case.
func (d *decoder) roleNames(m mapping, field string) []string {
	var names []string
	for i, item := range d.list(m, field, "role as an item: - support") {
		path := fmt.Sprintf("%s[%d]", join(m.path, field), i)
		v, ok := d.scalar(item, path)
		if !ok {
			continue
		}
		if v.tag != "!!str" && !v.expanded() {
			d.add(item.Line, path, "%s is %s, not a role's name; write e.g. support", v.quoted(), typeOf(v.tag))
			continue
		}
		switch parts, err := splitName(v); {
		case err != nil:
			d.add(item.Line, path, "%v", err)
		case len(parts) > 1:
			d.add(item.Line, path, "%s has a dot in it; put a role's name that has one in double quotes", v.quoted())
		case active(parts[0].name, parts[0].quoted):
			d.add(item.Line, path, "%s has a wildcard; write each role", v.quoted())
		case slices.Contains(names, parts[0].name):
			d.add(item.Line, path, "%s is listed twice; keep one of them", v.quoted())
		default:
			names = append(names, parts[0].name)
		}
	}
	return names
}
