package proxy

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgproto3/v2"

	"tombstone/rewrite"
)

// statement is one of the few that a model knows: those of writeStatement, and
// what the session makes of them.
type statement struct {
	text   string
	at     int    // where it begins in its message
	verb   string // SELECT, DELETE, BURY, COPYIN, ..
	table  string // as it is written, "" for none
	name   string // of a prepared statement or savepoint
	number int
	hides  bool       // it leaves tombstones out
	inner  *statement // of a PREPARE
}

var (
	tableIn  = regexp.MustCompile(`\b(?:FROM|UPDATE|INTO|TABLE|COPY|TRUNCATE) (\w+)\b`)
	numberIn = regexp.MustCompile(`\bid = (\d+)|generate_series\(1, (\d+)\)`)
	verbs    = []struct {
		verb string
		is   *regexp.Regexp
	}{
		{"PREPARE", regexp.MustCompile(`^PREPARE (\w+) AS`)}, {"EXECUTE", regexp.MustCompile(`^EXECUTE (\w+)`)}, {"DEALLOCATE", regexp.MustCompile(`^DEALLOCATE "?(\w+)`)},
		{"BEGIN", regexp.MustCompile(`^BEGIN`)}, {"COMMIT", regexp.MustCompile(`^COMMIT`)}, {"ROLLBACK TO", regexp.MustCompile(`^ROLLBACK TO (\w+)`)},
		{"ROLLBACK", regexp.MustCompile(`^ROLLBACK`)}, {"SAVEPOINT", regexp.MustCompile(`^SAVEPOINT (\w+)`)}, {"RELEASE", regexp.MustCompile(`^RELEASE (\w+)`)},
		{"SET LOCAL", regexp.MustCompile(`^SET LOCAL search_path = (\w+)`)}, {"SET", regexp.MustCompile(`^SET search_path = (\w+)`)},
		{"CREATE", regexp.MustCompile(`^CREATE TABLE (\w+)`)}, {"DROP", regexp.MustCompile(`^DROP TABLE (\w+)`)},
		{"COPYIN", regexp.MustCompile(`^COPY .* FROM STDIN`)}, {"COPYOUT", regexp.MustCompile(`^COPY .* TO STDOUT`)},
		{"BURY", regexp.MustCompile(`^UPDATE \w+ SET deleted_at = now`)}, {"SELECT", regexp.MustCompile(`^SELECT`)}, {"DELETE", regexp.MustCompile(`^DELETE`)},
		{"INSERT", regexp.MustCompile(`^INSERT`)}, {"UPDATE", regexp.MustCompile(`^UPDATE`)}, {"TRUNCATE", regexp.MustCompile(`^TRUNCATE`)},
	}
)

// read reads the statements of a text. What it does not know, and WHER, is a
// syntax error, which the server finds before it runs anything.
func read(text string) ([]statement, *pgproto3.ErrorResponse) {
	var list []statement
	at := 0
	for _, one := range strings.Split(text, ";") {
		start := at + len(one) - len(strings.TrimLeft(one, " "))
		at += len(one) + 1
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		s, bad := readOne(one, start)
		if bad >= 0 {
			return nil, fault("42601", "syntax error", bad+1)
		}
		list = append(list, s)
	}
	return list, nil
}

func readOne(text string, at int) (s statement, bad int) {
	if i := strings.Index(text, "WHER "); i >= 0 {
		return s, at + i
	}
	for _, v := range verbs {
		found := v.is.FindStringSubmatch(text)
		if found == nil {
			continue
		}
		s = statement{text: text, at: at, verb: v.verb, number: 4, hides: strings.Contains(text, "deleted_at IS NULL")}
		if len(found) > 1 {
			s.name = found[1]
		}
		if t := tableIn.FindStringSubmatch(text); t != nil && t[1] != "generate_series" && t[1] != "STDIN" {
			s.table = t[1]
		}
		if s.verb == "COPYIN" || s.verb == "COPYOUT" {
			if t := regexp.MustCompile(`(?:COPY|FROM) (?:public\.|ONLY )*(\w+)`).FindStringSubmatch(text); t != nil {
				s.table = t[1]
			}
		}
		if n := numberIn.FindStringSubmatch(text); n != nil {
			s.number, _ = strconv.Atoi(n[1] + n[2])
		}
		if s.verb == "PREPARE" {
			skip := len(found[0]) + 1
			inner, bad := readOne(text[skip:], at+skip)
			s.inner, s.table = &inner, ""
			return s, bad
		}
		return s, -1
	}
	return s, at
}

// exits reports whether it may run in a transaction that has failed.
func (s *statement) exits() bool {
	return s.verb == "COMMIT" || s.verb == "ROLLBACK" || s.verb == "ROLLBACK TO"
}

func (s *statement) transaction() bool {
	switch s.verb {
	case "BEGIN", "COMMIT", "ROLLBACK", "ROLLBACK TO", "SAVEPOINT", "RELEASE":
		return true
	}
	return false
}

// utility reports whether it is analysed only when it runs.
func (s *statement) utility() bool {
	switch s.verb {
	case "SELECT", "DELETE", "BURY", "INSERT", "UPDATE":
		return false
	}
	return true
}

func (s *statement) returns() bool {
	return s.verb == "SELECT" || strings.Contains(s.text, "RETURNING")
}

func (s *statement) token() string {
	_, rest, _ := strings.Cut(s.text, "'token-")
	token, _, _ := strings.Cut(rest, "'")
	return "token-" + token
}

// find returns a table's full name under the search_path, "" if there is none.
func (m *model) find(table string) string {
	full := m.now.path + "." + table
	if strings.Contains(m.now.tables, "|"+full+"|") {
		return full
	}
	return ""
}

// protected is what modelPolicy says.
func protected(full string) bool {
	return full == "public.users" || strings.HasPrefix(full, "public.t")
}

// depends reports whether what a text becomes has to do with a protected table.
func (m *model) depends(p *preparedText) bool {
	if len(p.list) != 1 {
		return false
	}
	s := &p.list[0]
	if s.inner != nil {
		s = s.inner
	}
	switch s.verb {
	case "INSERT", "COPYIN", "CREATE", "DROP":
		return false
	}
	return protected(m.find(s.table))
}

// outdated reports whether a prepared statement would become something else
// now. The session refuses to run it then; so the client believes of the
// server, too.
func (m *model) outdated(p *preparedText) bool {
	return m.direct && !m.failed && m.depends(p) != p.protected
}

// analyse finds the errors that need no row, and anything that should not
// have been sent to a server whose rows must stay.
func (m *model) analyse(s statement) *pgproto3.ErrorResponse {
	if s.inner != nil {
		s = *s.inner
		if s.utility() {
			return nil
		}
	}
	if strings.Contains(s.text, rewrite.Sentinel) {
		return fault("42703", "column \""+rewrite.Sentinel+"\" does not exist", s.at+8)
	}
	if s.verb == "CREATE" || s.verb == "DROP" || s.verb == "EXECUTE" || s.table == "" || strings.Contains(s.text, "json_build_object") {
		return nil
	}
	full := m.find(s.table)
	if full == "" {
		return fault("42P01", "relation does not exist", s.at+strings.Index(s.text, s.table)+1)
	}
	kept := protected(full)
	if m.direct && kept && strings.Contains(s.text, "NATURAL JOIN") {
		return fault("0A000", "refused", 0)
	}
	if i := strings.Index(s.text, "nocolumn"); i >= 0 {
		return fault("42703", "column does not exist", s.at+i+1)
	}
	if m.direct || m.failed {
		return nil
	}
	hides := s.hides || s.verb == "INSERT" || s.verb == "COPYIN"
	switch {
	case kept && (s.verb == "DELETE" || s.verb == "TRUNCATE"):
		m.lied("%s would really delete", s.text)
	case kept && !hides:
		m.lied("%s would show what was deleted", s.text)
	case !kept && s.hides:
		m.lied("%s: %s has no marker", s.text, full)
	}
	return nil
}

// rows are what a statement returns, up to an error.
func (m *model) rows(s statement) ([]string, *pgproto3.ErrorResponse) {
	switch {
	case strings.Contains(s.text, "json_build_object"):
		return []string{m.answer(s.text)}, nil
	case !s.returns():
		return nil, nil
	}
	n := s.number
	if s.verb == "SELECT" && !strings.Contains(s.text, "series") {
		n = 1
	}
	rows := make([]string, n)
	for i := range rows {
		rows[i] = s.token() + " " + strconv.Itoa(i)
	}
	if strings.Contains(s.text, "1/0") {
		return rows, fault("22012", "division by zero", 0)
	}
	if strings.Contains(s.text, "notice(") {
		m.say(&pgproto3.NoticeResponse{Severity: "NOTICE", SeverityUnlocalized: "NOTICE", Code: "00000", Message: s.token()})
	}
	return rows, nil
}

// answer is what the session asks: names in scope, and relations.
func (m *model) answer(sql string) string {
	said := map[string]any{"database": "shop", "path": []string{"pg_catalog", m.now.path}, "temp": []string{}, "isolation": "read committed"}
	if !strings.Contains(sql, "current_schemas(") {
		relations := []map[string]any{}
		for i, full := range strings.Split(strings.Trim(m.now.tables, "|"), "|") {
			schema, name, _ := strings.Cut(full, ".")
			r := map[string]any{"oid": i + 1, "schema": schema, "name": name, "kind": "r"}
			if protected(full) {
				r["columns"] = [][]any{{"id", "integer", false}, {"deleted_at", "timestamp with time zone", false}}
			}
			relations = append(relations, r)
		}
		said = map[string]any{"database": "shop", "relations": relations}
	}
	text, err := json.Marshal(said)
	if err != nil {
		m.lied("%v", err)
	}
	return base64.StdEncoding.EncodeToString(text)
}

// effect is what a statement changes.
func (m *model) effect(s statement, several bool) *pgproto3.ErrorResponse {
	switch s.verb {
	case "SET":
		m.now.path, m.now.session = s.name, s.name
	case "SET LOCAL":
		if !m.block && !several {
			m.say(warning("SET LOCAL can only be used in transaction blocks"))
		}
		m.now.path = s.name
	case "CREATE":
		if m.find(s.name) != "" {
			return fault("42P07", "relation already exists", 0)
		}
		m.now.tables += m.now.path + "." + s.name + "|"
	case "DROP":
		full := m.find(s.name)
		if full == "" {
			return fault("42P01", "table does not exist", 0)
		}
		m.now.tables = strings.Replace(m.now.tables, "|"+full+"|", "|", 1)
	case "PREPARE":
		if m.statements[s.name] != nil {
			return fault("42P05", "prepared statement exists", 0)
		}
		p := &preparedText{text: s.inner.text, list: []statement{*s.inner}}
		p.protected = m.depends(p)
		m.statements[s.name] = p
	case "DEALLOCATE":
		if m.statements[s.name] == nil {
			return fault("26000", "prepared statement \""+strings.Trim(s.text[len("DEALLOCATE "):], `"`)+"\" does not exist", 0)
		}
		delete(m.statements, s.name)
	}
	return nil
}

func (m *model) tag(s statement, rows int) *pgproto3.CommandComplete {
	n := s.number
	if s.returns() {
		n = rows
	}
	tag := fmt.Sprintf("%s %d", s.verb, n)
	switch s.verb {
	case "BURY":
		tag = fmt.Sprintf("UPDATE %d", n)
	case "INSERT":
		tag = "INSERT 0 1"
	case "COPYOUT":
		tag = fmt.Sprintf("COPY %d", s.number%5)
	case "SET", "SET LOCAL":
		tag = "SET"
	case "CREATE", "DROP":
		tag = s.verb + " TABLE"
	case "TRUNCATE":
		tag = "TRUNCATE TABLE"
	case "PREPARE", "DEALLOCATE":
		tag = s.verb
	}
	return &pgproto3.CommandComplete{CommandTag: []byte(tag)}
}

// Messages that are always the same.
var (
	described     = &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("c"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1}}}
	aborted       = fault("25P02", "current transaction is aborted", 0)
	outdatedError = fault("0A000", "cached plan must not change result type", 0)
)

func fault(code, message string, position int) *pgproto3.ErrorResponse {
	return &pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: message, Position: int32(position)}
}

func warning(message string) *pgproto3.NoticeResponse {
	return &pgproto3.NoticeResponse{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: "25P01", Message: message}
}

func row(value string) *pgproto3.DataRow { return &pgproto3.DataRow{Values: [][]byte{[]byte(value)}} }
