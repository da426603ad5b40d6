package config

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// decoder walks the YAML tree of one file and collects what is wrong with it.
type decoder struct {
	report
	lookup func(name string) (string, bool) // the environment
}

// mapping is one YAML mapping whose fields are known to exist.
type mapping struct {
	path   string // of the mapping, empty for the top level
	line   int
	fields map[string]*yaml.Node
}

// config builds the Config. When problems were reported its content means nothing.
func (d *decoder) config(root *yaml.Node) *Config {
	c := &Config{
		File: d.file,
		TLS:  TLS{Mode: defaultTLSMode, ClientCertificates: defaultCertificates, MinVersion: defaultTLSVersion},
		Auth: Auth{Mode: defaultAuthMode, Client: defaultClient},
		Purge: Purge{
			Schedule: defaultSchedule, Batch: defaultBatch, Rate: defaultRate,
			StatementTimeout: defaultPurgeStatement, LockTimeout: defaultPurgeLock,
		},
		Bodies:    defaultBodies,
		Log:       Log{Level: defaultLevel, Format: defaultFormat},
		Limits:    Limits{StatementBytes: defaultStatementBytes, MessageBytes: defaultMessageBytes, StartupTime: defaultStartupTime},
		Catalog:   Catalog{MaxAge: defaultMaxAge},
		Keepalive: defaultKeepalive,
		Drain:     defaultDrain,
		IOUring:   defaultIOUring,
	}
	top, ok := d.mapping(root, "", rootFields)
	if !ok {
		return nil
	}
	d.require(top, "listen", "listen: 127.0.0.1:6432")
	d.require(top, "upstream", "upstream: postgres://127.0.0.1:5432")
	set(d, top, "listen", &c.Listen, parseListen)
	set(d, top, "upstream", &c.Upstream, d.parseUpstream)
	adminSet := set(d, top, "admin", &c.Admin, parseAdmin)
	if set(d, top, "pprof", &c.PProf, parseBool) && c.PProf && c.Admin == "" && (adminSet || top.fields["admin"] == nil) {
		d.add(top.fields["pprof"].Line, "pprof", "is served by the admin endpoint, and there is none; write admin: 127.0.0.1:9464")
	}
	d.addressesDiffer(top, c)
	tlsRight := d.tls(top, &c.TLS)
	d.auth(top, c, tlsRight)

	marker := defaultMarker
	set(d, top, "marker", &marker, parseColumn)
	c.Tables = d.tables(top, marker)
	d.roles(top, &c.Roles)
	d.purge(top, c)
	set(d, top, "bodies", &c.Bodies, oneOf("pass", "refuse"))

	log, _ := d.mapping(top.fields["log"], "log", logFields)
	set(d, log, "level", &c.Log.Level, parseLevel)
	set(d, log, "format", &c.Log.Format, oneOf("text", "json"))
	set(d, log, "literals", &c.Log.Literals, parseBool)

	d.limits(top, &c.Limits)
	set(d, top, "keepalive", &c.Keepalive, parseKeepalive)
	set(d, top, "drain", &c.Drain, parseTime("to stop at once"))
	set(d, top, "loops", &c.Loops, parseLoops)
	set(d, top, "io_uring", &c.IOUring, oneOf("auto", "off"))

	catalog, _ := d.mapping(top.fields["catalog"], "catalog", catalogFields)
	set(d, catalog, "max_age", &c.Catalog.MaxAge, parseMaxAge)
	return c
}

// tables decodes the list of tables. An absent or empty list protects nothing, which is allowed.
func (d *decoder) tables(top mapping, marker string) []Table {
	var tables []Table
	firstLine := make(map[tableKey]int)
	for i, item := range d.list(top, "tables", "table as an item: - name: public.users") {
		path := fmt.Sprintf("tables[%d]", i)
		if item.Kind == yaml.ScalarNode {
			d.add(item.Line, path, "is %s, not a table; write - name: public.users", kindOf(item))
			continue
		}
		m, ok := d.mapping(item, path, tableFields)
		if !ok {
			continue
		}
		t := Table{Marker: marker, Mode: defaultTableMode, Live: defaultLive, Truncate: defaultTruncate, Line: m.line}
		d.require(m, "name", "name: public.users")
		named := set(d, m, "name", &t, t.parseName)
		set(d, m, "mode", &t.Mode, oneOf("enforce", "observe", "off"))
		set(d, m, "marker", &t.Marker, parseColumn)
		set(d, m, "live", &t.Live, oneOf("auto", "infinity"))
		set(d, m, "created", &t.Created, parseColumn)
		set(d, m, "deleted_by", &t.DeletedBy, parseColumn)
		set(d, m, "deletion_id", &t.DeletionID, parseColumn)
		d.columnsDiffer(m, &t)
		set(d, m, "retention", &t.Retention, parseRetention)
		set(d, m, "hold", &t.Hold, parseHold)
		set(d, m, "max_rows", &t.MaxRows, parseCount("rows", "200"))
		set(d, m, "index", &t.Indexed, parseBool)
		set(d, m, "truncate", &t.Truncate, oneOf("bury", "deny", "allow"))
		if first, again := firstLine[t.key()]; named && again {
			node := m.fields["name"]
			d.add(node.Line, path+".name", "%s is listed twice, first on line %d; keep one of them", quote(node.Value), first)
		} else if named {
			firstLine[t.key()] = t.Line
		}
		tables = append(tables, t)
	}
	return tables
}

// columnsDiffer reports one column that is to hold two things.
func (d *decoder) columnsDiffer(m mapping, t *Table) {
	for _, field := range []string{"deleted_by", "deletion_id"} {
		column := t.DeletedBy
		if field == "deletion_id" {
			column = t.DeletionID
		}
		if node := m.fields[field]; node != nil && column != "" && (column == t.Marker || field == "deletion_id" && column == t.DeletedBy) {
			d.add(node.Line, join(m.path, field), "is the same column as another field of this table; write a column of its own")
		}
	}
}

// reaches reports whether whoever connects to an address of this machine meets who listens on the other: that may be all of its addresses, and each
// of those of the machine to itself is written in several ways.
func reaches(address, listen string) bool {
	host, port, err := net.SplitHostPort(address)
	at, same, errAt := net.SplitHostPort(listen)
	if err != nil || errAt != nil || port != same {
		return address == listen
	}
	local := func(host string) bool {
		ip := net.ParseIP(host)
		return host == "localhost" || ip != nil && ip.IsLoopback()
	}
	all := func(host string) bool {
		ip := net.ParseIP(host)
		return host == "" || ip != nil && ip.IsUnspecified()
	}
	return host == at || local(host) && (local(at) || all(at)) || all(host) && all(at)
}

// addressesDiffer reports a proxy that would be its own server, and two listeners on one address.
func (d *decoder) addressesDiffer(top mapping, c *Config) {
	if c.Listen.Address == "" || strings.HasSuffix(c.Listen.Address, ":0") {
		return
	}
	if slices.ContainsFunc(c.Upstream.Hosts, func(h Host) bool { return h.Network == c.Listen.Network && reaches(h.Address, c.Listen.Address) }) {
		d.add(top.fields["upstream"].Line, "upstream",
			"is the same address as listen, so the proxy would connect to itself; write the address of PostgreSQL")
	}
	if c.Admin == c.Listen.Address {
		d.add(top.fields["admin"].Line, "admin", "is the same address as listen; write another port")
	}
}

// set decodes one optional scalar field into dst, and leaves dst as it is when the field is absent or wrong.
// It reports whether dst was set.
func set[T any](d *decoder, m mapping, name string, dst *T, parse func(value) (T, error)) bool {
	node := m.fields[name]
	if node == nil {
		return false
	}
	path := join(m.path, name)
	v, ok := d.scalar(node, path)
	if !ok {
		return false
	}
	parsed, err := parse(v)
	if err != nil {
		d.add(node.Line, path, "%v", err)
		return false
	}
	*dst = parsed
	return true
}

func (d *decoder) require(m mapping, name, example string) {
	if m.fields[name] == nil {
		d.add(m.line, join(m.path, name), "is missing; write e.g. %s", example)
	}
}

// mapping checks the field names of a mapping. An absent or empty mapping has no fields; ok is false for anything else
// that is not a mapping.
func (d *decoder) mapping(n *yaml.Node, path string, known []string) (m mapping, ok bool) {
	m = mapping{path: path, fields: make(map[string]*yaml.Node)}
	if n == nil || isNull(n) {
		return m, true
	}
	m.line = n.Line
	if !d.plain(n, path) {
		return m, false
	}
	if n.Kind != yaml.MappingNode {
		d.add(n.Line, path, "is %s, not a mapping; write fields such as %s: ..", kindOf(n), known[0])
		return m, false
	}
	lines := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			d.add(key.Line, path, "has %s as a field name; write one of %s", kindOf(key), strings.Join(known, ", "))
			continue
		}
		field := join(path, shorten(key.Value))
		first, again := lines[key.Value]
		switch {
		case key.Tag == "!!merge":
			d.add(key.Line, field, "merge keys are not supported; write the fields out")
		case !slices.Contains(known, key.Value):
			d.add(key.Line, field, "unknown field; %s", suggest(key.Value, known))
		case again:
			d.add(key.Line, field, "is written twice, first on line %d; keep one of them", first)
		default:
			lines[key.Value] = key.Line
			m.fields[key.Value] = val
		}
	}
	return m, true
}

// list returns the items of a list. An absent or empty list has none; anything else that is not a list is reported, with
// what to write each item as.
func (d *decoder) list(m mapping, name, item string) []*yaml.Node {
	n, path := m.fields[name], join(m.path, name)
	if n == nil || isNull(n) || !d.plain(n, path) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		d.add(n.Line, path, "is %s, not a list; write each %s", kindOf(n), item)
		return nil
	}
	return n.Content
}

// scalar returns the value of a scalar field, with its variables replaced.
func (d *decoder) scalar(n *yaml.Node, path string) (value, bool) {
	switch {
	case !d.plain(n, path):
		return value{}, false
	case n.Kind != yaml.ScalarNode:
		d.add(n.Line, path, "is %s; write a single value", kindOf(n))
		return value{}, false
	case isNull(n):
		d.add(n.Line, path, "has no value; write one, or remove the field")
		return value{}, false
	}
	text, err := expand(n.Value, d.lookup, nil)
	if err != nil {
		d.add(n.Line, path, "%v", err)
		return value{}, false
	}
	return value{text: text, written: n.Value, tag: n.Tag}, true
}

// plain refuses the parts of YAML that this format does without: aliases, which can make a small file huge, and tags.
func (d *decoder) plain(n *yaml.Node, path string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.add(n.Line, path, "aliases (%s) are not supported; write the value out", shorten("*"+n.Value))
		return false
	case n.Style&yaml.TaggedStyle != 0:
		d.add(n.Line, path, "tags (%s) are not supported; remove the tag", shorten(n.Tag))
		return false
	}
	return true
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// kindOf names what a node is, for messages.
func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case isNull(n):
		return "empty"
	}
	return typeOf(n.Tag)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
