package proxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgproto3/v2"

	"tombstone/proxy/wire"
)

// model is a server as PostgreSQL's manual describes one ("Message Flow"): the
// extended protocol with its skipping up to a Sync, transactions, portals that
// are suspended, COPY, prepared statements by name. What SQL means to it is in
// model_sql_test.go. It is what a session is compared with, so it must not know
// how a session works.
//
// A model is either the server behind a session, or, if direct, the server
// that the client believes to talk to: one where rows are really deleted.
type model struct {
	direct bool
	lie    string // the first thing that must not have reached the server

	login   login
	wire    wire.Splitter
	out     []pgproto3.BackendMessage
	flushed int // messages of out that the server has been made to send

	now, before world // what is visible, and what was when the transaction began
	open        bool  // a transaction is open
	block       bool  // it was begun by BEGIN
	failed      bool  // it only waits for its end
	saved       []savepoint
	told        string // search_path as last reported
	reports     bool   // it is, as from PostgreSQL 18 on

	statements map[string]*preparedText
	portals    map[string]*portal
	skipping   bool
	copy       *copyIn
	ended      bool // Terminate has come

	batch  bool // extended messages have come since the last Sync
	beyond bool // a Query that is no SQL has come in a batch: it is refused, see clientQuery
}

// world is what a transaction can change and take back.
type world struct {
	path, session string // search_path now, and as the end of the transaction leaves it
	tables        string // "|" and schema.name and "|" ..
}

type savepoint struct {
	name  string
	world world
}

type preparedText struct {
	text      string
	list      []statement
	protected bool // what it was planned for
}

type portal struct {
	*preparedText
	rows  []string // still to be sent
	begun bool
	total int
	depth int // savepoints when it was made
}

type copyIn struct {
	rows int
	then func(err *pgproto3.ErrorResponse)
}

func newModel(direct bool, v variant) *model {
	w := world{path: "public", session: "public", tables: "|public.users|public.items|other.users|other.items|"}
	m := &model{direct: direct, reports: v.reports, login: login{answers: v.answers}, now: w, told: "public", statements: map[string]*preparedText{}, portals: map[string]*portal{}}
	m.wire.Head = func(_ byte, size int) (int, error) { return size, nil }
	return m
}

// login is how far a model has let its client in.
type login struct {
	packet  []byte // the startup packet, as far as it has come
	answers int    // still to be asked for
	done    bool
}

// take reads what came from the client.
func (m *model) take(p []byte) error {
	if !m.login.done {
		if m.login.packet = append(m.login.packet, p...); len(m.login.packet) < 4 {
			return nil
		}
		size := int(binary.BigEndian.Uint32(m.login.packet))
		if len(m.login.packet) < size {
			return nil
		}
		p, m.login.done = m.login.packet[size:], true
		m.admit()
	}
	for len(p) > 0 {
		part, n, err := m.wire.Next(p)
		if err != nil {
			return err
		}
		if part.Raw != nil {
			m.message(part.Type, bytes.Clone(part.Body()))
		}
		p = p[n:]
	}
	return nil
}

func (m *model) say(messages ...pgproto3.BackendMessage) { m.out = append(m.out, messages...) }

func (m *model) flush() { m.flushed = len(m.out) }

// admit asks for the next step of authentication, or lets the client in.
func (m *model) admit() {
	if m.login.answers--; m.login.answers >= 0 {
		m.say(&pgproto3.AuthenticationSASLContinue{Data: []byte("prove it")})
	} else {
		m.say(&pgproto3.AuthenticationSASLFinal{Data: []byte("proved")}, &pgproto3.AuthenticationOk{}, &pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"},
			&pgproto3.BackendKeyData{ProcessID: 7, SecretKey: 7}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
	}
	m.flush()
}

// message is the server's main loop.
func (m *model) message(typ byte, body []byte) {
	f := wire.Read(body)
	if m.login.answers >= 0 {
		if typ != 'p' {
			m.lied("message %q during authentication", typ)
		}
		m.admit()
		return
	}
	if m.ended {
		m.lied("message %q after Terminate", typ)
		return
	}
	if m.copy != nil {
		m.copyData(typ, body)
		return
	}
	if m.skipping && typ != 'S' && typ != 'X' {
		return
	}
	switch typ {
	case 'P', 'B', 'D', 'E', 'C':
		m.batch = true
	case 'S':
		m.batch = false
	}
	switch typ {
	case 'Q':
		m.query(string(f.String()))
	case 'P':
		name, text := string(f.String()), string(f.String())
		m.extended(m.parse(name, text))
	case 'B':
		port, name := string(f.String()), string(f.String())
		m.extended(m.bind(port, name))
	case 'D':
		what, name := f.Byte(), string(f.String())
		m.extended(m.describe(what, name))
	case 'E':
		port := string(f.String())
		m.execute(port, f.Int32())
	case 'C':
		what, name := f.Byte(), string(f.String())
		if what == 'S' {
			delete(m.statements, name)
		} else {
			delete(m.portals, name)
		}
		m.begin()
		m.say(&pgproto3.CloseComplete{})
	case 'F':
		m.begin()
		if m.failed {
			m.fail(aborted)
		} else {
			m.say(&pgproto3.FunctionCallResponse{Result: []byte("called")})
		}
		m.ready()
	case 'H':
		m.flush()
	case 'S':
		m.skipping = false
		m.ready()
	case 'X':
		m.ended = true
	case 'd', 'c', 'f': // left over from a COPY that failed
	default:
		m.lied("message of type %q", typ)
	}
}

// extended says what an extended message that failed makes of the batch.
func (m *model) extended(err *pgproto3.ErrorResponse) {
	if err != nil {
		m.fail(err)
		m.skipping = true
		m.flush()
	}
}

func (m *model) begin() {
	if !m.open {
		m.open, m.before = true, m.now
	}
}

// commit ends the transaction well.
func (m *model) commit() {
	m.now.path = m.now.session
	m.end()
}

func (m *model) rollback() {
	m.now = m.before
	m.end()
}

func (m *model) end() {
	m.open, m.block, m.failed, m.saved = false, false, false, nil
	clear(m.portals)
}

// fail tells of an error, and what it does to the transaction.
func (m *model) fail(err *pgproto3.ErrorResponse) {
	m.say(err)
	if m.block {
		m.failed = true
	} else if m.open {
		m.rollback()
	}
}

// ready ends an implicit transaction and says that the server waits.
func (m *model) ready() {
	if m.open && !m.block {
		m.commit()
	}
	if m.reports && m.told != m.now.path {
		m.told = m.now.path
		m.say(&pgproto3.ParameterStatus{Name: "search_path", Value: m.told})
	}
	status := byte('I')
	switch {
	case m.failed:
		status = 'E'
	case m.block:
		status = 'T'
	}
	m.say(&pgproto3.ReadyForQuery{TxStatus: status})
	m.flush()
}

// query runs the statements of a simple Query.
func (m *model) query(text string) {
	delete(m.statements, "") // exec_simple_query does
	delete(m.portals, "")
	list, err := read(text)
	m.begin()
	if err != nil {
		m.beyond = m.beyond || m.batch
		m.fail(err)
		m.ready()
		return
	}
	if len(list) == 0 {
		m.say(&pgproto3.EmptyQueryResponse{})
	}
	m.each(list, len(list) > 1)
}

// each runs statements one after the other. A COPY FROM interrupts it.
func (m *model) each(list []statement, several bool) {
	for i, s := range list {
		m.begin()
		if m.failed && !s.exits() {
			m.fail(aborted)
			break
		}
		if s.verb == "COPYIN" {
			if err := m.analyse(s); err != nil {
				m.fail(err)
				break
			}
			m.copyFrom(func(err *pgproto3.ErrorResponse) {
				if err != nil {
					m.fail(err)
					m.ready()
					return
				}
				m.each(list[i+1:], several)
			})
			return
		}
		if err := m.run(s, several, true); err != nil {
			m.fail(err)
			break
		}
	}
	m.ready()
}

// run runs a statement of a simple Query, or a utility statement, or what
// EXECUTE names.
func (m *model) run(s statement, several, simple bool) *pgproto3.ErrorResponse {
	if err := m.analyse(s); err != nil {
		return err
	}
	if s.transaction() {
		return m.control(s, several)
	}
	if s.verb == "EXECUTE" {
		p := m.statements[s.name]
		switch {
		case p == nil:
			return fault("26000", "prepared statement does not exist", 0)
		case m.outdated(p):
			return outdatedError
		case len(p.list) == 0 || p.list[0].utility() && p.list[0].verb != "TRUNCATE":
			return fault("XX000", "a model executes no utility statement", 0)
		}
		return m.run(p.list[0], several, simple)
	}
	rows, err := m.rows(s)
	if s.returns() && simple {
		m.say(described)
	}
	for _, r := range rows {
		m.say(row(r))
	}
	if err != nil {
		return err
	}
	if s.verb == "COPYOUT" {
		m.copyTo(s)
	}
	if err := m.effect(s, several); err != nil {
		return err
	}
	m.say(m.tag(s, len(rows)))
	return nil
}

func (m *model) parse(name, text string) *pgproto3.ErrorResponse {
	m.begin()
	if name == "" {
		delete(m.statements, "")
	}
	list, err := read(text)
	switch {
	case err != nil:
		return err
	case len(list) > 1:
		return &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "42601", Routine: "exec_parse_message",
			Message: "cannot insert multiple commands into a prepared statement"}
	case m.failed && len(list) == 1 && !list[0].exits():
		return aborted
	}
	p := &preparedText{text: text, list: list}
	if len(list) == 1 && !list[0].utility() {
		if err := m.analyse(list[0]); err != nil {
			return err
		}
	}
	if m.statements[name] != nil {
		return fault("42P05", "prepared statement exists", 0)
	}
	p.protected = m.depends(p)
	m.statements[name] = p
	m.say(&pgproto3.ParseComplete{})
	return nil
}

func (m *model) bind(port, name string) *pgproto3.ErrorResponse {
	m.begin()
	p := m.statements[name]
	switch {
	case p == nil:
		return fault("26000", "prepared statement does not exist", 0)
	case m.failed && len(p.list) == 1 && !p.list[0].exits():
		return aborted
	case m.outdated(p):
		return outdatedError
	case port != "" && m.portals[port] != nil:
		return fault("42P03", "cursor already exists", 0)
	}
	if len(p.list) == 1 && !p.list[0].utility() {
		if err := m.analyse(p.list[0]); err != nil {
			return err
		}
	}
	m.portals[port] = &portal{preparedText: p, depth: len(m.saved)}
	m.say(&pgproto3.BindComplete{})
	return nil
}

func (m *model) describe(what byte, name string) *pgproto3.ErrorResponse {
	m.begin()
	var p *preparedText
	if what == 'S' {
		p = m.statements[name]
	} else if o := m.portals[name]; o != nil {
		p = o.preparedText
	}
	if p == nil {
		return fault("34000", "no such statement or portal", 0)
	}
	returns := len(p.list) == 1 && p.list[0].returns()
	if m.failed && returns {
		return aborted
	}
	if what == 'S' {
		m.say(&pgproto3.ParameterDescription{})
	}
	if returns {
		m.say(described)
	} else {
		m.say(&pgproto3.NoData{})
	}
	return nil
}

func (m *model) execute(port string, limit int) {
	m.begin()
	p := m.portals[port]
	switch {
	case p == nil:
		m.extended(fault("34000", "portal does not exist", 0))
		return
	case len(p.list) == 0:
		m.say(&pgproto3.EmptyQueryResponse{})
		return
	case m.failed && !p.list[0].exits():
		m.extended(aborted)
		return
	}
	s := p.list[0]
	if s.verb == "COPYIN" {
		if err := m.analyse(s); err != nil {
			m.extended(err)
			return
		}
		m.copyFrom(m.extended)
		return
	}
	if s.utility() {
		m.extended(m.run(s, false, false))
		if s.transaction() && m.open && !m.block {
			m.commit()
		}
		return
	}
	var err *pgproto3.ErrorResponse
	if !p.begun {
		p.begun = true
		p.rows, err = m.rows(s)
		p.total = len(p.rows)
		if err == nil {
			err = m.effect(s, false)
		}
	}
	n := len(p.rows)
	if limit > 0 {
		n = min(n, limit)
	}
	for _, r := range p.rows[:n] {
		m.say(row(r))
	}
	p.rows = p.rows[n:]
	switch {
	case err != nil:
		m.extended(err)
	case limit > 0 && n == limit:
		m.say(&pgproto3.PortalSuspended{})
	case s.verb == "SELECT":
		m.say(m.tag(s, n))
	default:
		m.say(m.tag(s, p.total))
	}
}

// copyFrom asks for COPY data, and goes on when it has ended.
func (m *model) copyFrom(then func(*pgproto3.ErrorResponse)) {
	m.copy = &copyIn{then: then}
	m.say(&pgproto3.CopyInResponse{})
	m.flush()
}

func (m *model) copyData(typ byte, body []byte) {
	c := m.copy
	var err *pgproto3.ErrorResponse
	switch typ {
	case 'H', 'S': // ignored, so that a client may send its Sync early
		return
	case 'd':
		if c.rows++; !bytes.Contains(body, []byte("bad")) {
			return
		}
		err = fault("22P02", "invalid input", 0)
	case 'f':
		err = fault("57014", "COPY from stdin failed", 0)
	case 'c':
		m.say(&pgproto3.CommandComplete{CommandTag: fmt.Appendf(nil, "COPY %d", c.rows)})
	default:
		m.lied("message %q during COPY", typ)
		return
	}
	m.copy = nil
	c.then(err)
}

func (m *model) copyTo(s statement) {
	m.say(&pgproto3.CopyOutResponse{})
	for i := range s.number % 5 {
		m.say(&pgproto3.CopyData{Data: fmt.Appendf(nil, "%d\n", i)})
	}
	m.say(&pgproto3.CopyDone{})
}

// lied notes that the session sent something that it must not send.
func (m *model) lied(format string, args ...any) {
	if m.lie == "" {
		m.lie = fmt.Sprintf(format, args...)
	}
}

// control runs BEGIN, COMMIT, ROLLBACK and the statements about savepoints.
func (m *model) control(s statement, several bool) *pgproto3.ErrorResponse {
	tag := strings.ToUpper(s.verb)
	at := -1
	for i := range m.saved {
		if m.saved[i].name == s.name {
			at = i
		}
	}
	switch s.verb {
	case "BEGIN":
		if m.block {
			m.say(warning("there is already a transaction in progress"))
		}
		m.block = true
	case "COMMIT", "ROLLBACK":
		if !m.block {
			m.say(warning("there is no transaction in progress"))
		}
		if m.failed || s.verb == "ROLLBACK" {
			tag = "ROLLBACK"
			m.rollback()
		} else {
			m.commit()
		}
	case "SAVEPOINT":
		if !m.block {
			return fault("25P01", "SAVEPOINT can only be used in transaction blocks", 0)
		}
		m.saved = append(m.saved, savepoint{s.name, m.now})
	case "RELEASE":
		if !m.block || at < 0 {
			return fault("3B001", "savepoint does not exist", 0)
		}
		m.saved = m.saved[:at]
		for _, p := range m.portals {
			p.depth = min(p.depth, at)
		}
	case "ROLLBACK TO":
		if !m.block || at < 0 {
			return fault("3B001", "savepoint does not exist", 0)
		}
		tag = "ROLLBACK"
		m.now, m.failed = m.saved[at].world, false
		m.saved = slices.Clone(m.saved[:at+1])
		for name, p := range m.portals {
			if p.depth > at {
				delete(m.portals, name)
			}
		}
	}
	m.say(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
	return nil
}
