package proxy

// named is a map by name in which what has no name, as the statements and
// portals of most clients, is kept aside. Of those the extended protocol asks
// ten times for each statement that it runs.
type named[T any] struct {
	unnamed T
	there   bool // unnamed is
	others  map[string]T
}

func (m *named[T]) get(name string) (v T, ok bool) {
	if name == "" {
		return m.unnamed, m.there
	}
	v, ok = m.others[name]
	return v, ok
}

func (m *named[T]) set(name string, v T) {
	if name == "" {
		m.unnamed, m.there = v, true
		return
	}
	if m.others == nil {
		m.others = map[string]T{}
	}
	m.others[name] = v
}

func (m *named[T]) remove(name string) {
	if name == "" {
		m.forget()
		return
	}
	delete(m.others, name)
}

// forget removes what has no name.
func (m *named[T]) forget() {
	var none T
	m.unnamed, m.there = none, false
}

func (m *named[T]) clear() {
	m.forget()
	if len(m.others) > 0 {
		clear(m.others)
	}
}

func (m *named[T]) empty() bool { return !m.there && len(m.others) == 0 }
