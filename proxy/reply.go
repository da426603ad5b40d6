package proxy

import (
	"bytes"
	"strconv"
	"strings"

	"tombstone/proxy/wire"
	"tombstone/rewrite"
)

// completed handles the end of one statement: of several in a query, or of
// the one that an Execute ran.
func (s *Session) completed(r *request, part *wire.Part) error {
	var st *rewrite.Stmt
	var p *prepared
	done := *r // its place in the queue may be given up below
	switch r.kind {
	case query:
		if r.plan != nil && r.stmt < len(r.plan.Stmts) {
			st = &r.plan.Stmts[r.stmt]
		}
		r.stmt++
		if st != nil {
			p = &prepared{tag: st.Tag, buries: st.Buries}
		}
	case execute:
		if !s.copying {
			s.eaten = 0 // a COPY that is over has read them
		}
		p = s.portal(r.port)
		st = p.stmt()
		s.countExecute(p)
		s.queue.pop()
	default:
		return s.unexpected(part, "no statement")
	}
	if st != nil && st.Cursors != rewrite.NoCursor && part.Type == 'C' {
		s.opened = s.wishes.cursor(st) || s.opened
	}
	if part.Type != 'C' || p == nil {
		return s.pass(part)
	}
	return s.tag(&done, part, st, p)
}

// tag puts back the command tag that the client expects.
func (s *Session) tag(r *request, part *wire.Part, st *rewrite.Stmt, p *prepared) error {
	body := part.Body()
	if st != nil {
		switch {
		case st.Prepare != "":
			if r.kind == query {
				s.statements.set(keyOf(st.Prepare), &prepared{whole: r.plan, sql: r.sql, names: r.names, tag: st.PrepareTag, buries: st.Buries})
			} else { // a PREPARE that was itself prepared
				s.statements.set(keyOf(st.Prepare), &prepared{whole: p.whole, sql: p.sql, names: p.names, tag: st.PrepareTag, buries: st.Buries})
			}
			return s.pass(part)
		case st.Execute != "":
			p = s.statement(keyOf(st.Execute))
		case st.Deallocate != "":
			s.statements.remove(keyOf(st.Deallocate))
		case st.ForgetAll:
			s.statements.clear()
			s.blind, s.wary = false, false
		}
	}
	if p == nil || p.tag == rewrite.TagAsSent {
		return s.pass(part)
	}
	if p.tag == rewrite.TagShow {
		s.ToClient.own = appendTag(s.ToClient.copied(), "SHOW", nil)
		return nil
	}
	number, ok := bytes.CutPrefix(bytes.TrimSuffix(body, []byte{0}), []byte("UPDATE "))
	if !ok && p.tag == rewrite.TagTruncate {
		number, ok = bytes.CutPrefix(bytes.TrimSuffix(body, []byte{0}), []byte("DELETE "))
	}
	if !ok {
		return s.pass(part)
	}
	if n, err := strconv.ParseInt(string(number), 10, 64); err == nil && p.buries != "" {
		s.Observer.RowsBuried(p.buries, n)
	}
	if p.tag == rewrite.TagTruncate {
		s.ToClient.own = appendTag(s.ToClient.copied(), "TRUNCATE TABLE", nil)
	} else {
		s.ToClient.own = appendTag(s.ToClient.copied(), "DELETE ", number)
	}
	return nil
}

func appendTag(dst []byte, verb string, number []byte) []byte {
	size := 4 + len(verb) + len(number) + 1
	dst = append(dst, 'C', 0, 0, 0, byte(size))
	dst = append(dst, verb...)
	dst = append(dst, number...)
	return append(dst, 0)
}

func (s *Session) countExecute(p *prepared) {
	if p != nil && s.Policy.Observes() {
		s.countObservedExecute(p)
	}
	switch st := p.stmt(); {
	case st != nil:
		s.countOne(st)
	case p != nil && p.plan == nil:
		s.Observer.Statement("execute", rewrite.Passed.String())
	default:
		s.Observer.Statement("unknown", rewrite.Passed.String())
	}
}

// failed handles an ErrorResponse to a request.
func (s *Session) failed(r *request, part *wire.Part) error {
	notice, ok := wire.Notice(nil), false
	if part.Whole() {
		notice, ok = wire.ReadNotice(part.Body())
	}
	severity := notice.Get('V')
	if severity == "FATAL" || severity == "PANIC" {
		s.doomed = true
		return s.pass(part)
	}
	if refusal, plan, sql := s.refusal(r, notice); refusal != nil {
		s.ToClient.own = s.appendRefusal(s.ToClient.copied(), refusal, plan.Place(sql, refusal), sql)
	} else {
		s.reveals(r, notice.Get('C'))
		reworded := s.reword(r, notice)
		if unprepared(notice) { // a hint of the server's is about the function's own text
			notice.Delete('H')
			notice, reworded = append(notice, wire.NoticeField{Code: 'H', Value: stale}), true
		}
		if moved := s.position(r, &notice); ok && (moved || reworded) {
			s.ToClient.own = notice.Append(s.ToClient.copied(), 'E')
		} else if err := s.pass(part); err != nil {
			return err
		}
	}
	s.copying = false
	switch r.kind {
	case query, sync, functionCall:
		return nil // a ReadyForQuery follows by itself
	case execute:
		s.countExecute(s.portal(r.port))
	case parse:
		if r.name == "" && !r.own {
			s.statements.forget() // a Parse without a name ends the one before, even if it fails
		}
	}
	s.skipping = !s.queue.skipToSync()
	return nil
}

// severalCommands is the function of the server's that refuses a Parse of
// several statements, whatever the language of its messages.
const severalCommands = "exec_parse_message"

// refusal returns the refusal that an error stands for, and the plan and text
// that were refused, or nil if the error is the server's own.
func (s *Session) refusal(r *request, notice wire.Notice) (*rewrite.Refusal, *rewrite.Plan, string) {
	plan, sql := r.plan, r.sql
	if p := s.portal(r.port); r.kind == execute && p != nil {
		plan, sql = p.plan, p.sql
	}
	if plan == nil {
		return nil, nil, ""
	}
	code := notice.Get('C')
	if code == "22P02" && strings.Contains(notice.Get('M'), rewrite.KeyTaken) {
		return s.refusedLate(rewrite.TakenKey()), plan, sql
	}
	if code == "21000" && r.stmt < len(plan.Stmts) && s.standsIn(&plan.Stmts[r.stmt]) {
		return s.refusedLate(rewrite.TwiceTheKey()), plan, sql
	}
	mine := (code == "42703" || code == "26000" || code == "42P01") && strings.Contains(notice.Get('M'), rewrite.Sentinel)
	switch {
	case plan.Probe:
		// The text of several statements that the server can read but we
		// cannot: it says that a prepared statement takes only one.
		if mine || code == "42601" && notice.Get('P') == "" && notice.Get('R') == severalCommands {
			return plan.Refusal, plan, sql
		}
	case mine && r.stmt < len(plan.Stmts):
		return plan.Stmts[r.stmt].Refusal, plan, sql
	}
	return nil, nil, ""
}

// refusedLate logs a refusal of a statement that had begun to run.
func (s *Session) refusedLate(f *rewrite.Refusal) *rewrite.Refusal {
	s.Log.Warn("statement refused", "rule", f.Rule, "sqlstate", f.Code, "reason", f.Message)
	return f
}

// standsIn reports whether a statement, or the one that it executes, has a DO
// UPDATE in place of the client's DO NOTHING.
func (s *Session) standsIn(st *rewrite.Stmt) bool {
	if p := s.statement(keyOf(st.Execute)); st.Execute != "" && p != nil && p.whole != nil {
		for i := range p.whole.Stmts {
			if p.whole.Stmts[i].StandIn {
				return true
			}
		}
	}
	return st.StandIn
}

// appendRefusal appends the error that tells a client of a refusal.
func (s *Session) appendRefusal(dst []byte, f *rewrite.Refusal, offset int, sql string) []byte {
	n := wire.Notice{{Code: 'S', Value: "ERROR"}, {Code: 'V', Value: "ERROR"}, {Code: 'C', Value: f.Code}, {Code: 'M', Value: f.Message}}
	if f.Detail != "" {
		n = append(n, wire.NoticeField{Code: 'D', Value: f.Detail})
	}
	if f.Hint != "" {
		n = append(n, wire.NoticeField{Code: 'H', Value: f.Hint})
	}
	if offset >= 0 {
		at := rewrite.Position(sql, offset, s.multibyte())
		n = append(n, wire.NoticeField{Code: 'P', Value: strconv.Itoa(at)})
	}
	return n.Append(dst, 'E')
}

// position maps the place that an error or notice points at to the client's
// text, and reports whether it changed anything.
func (s *Session) position(r *request, notice *wire.Notice) bool {
	plan, sql := s.planned(r)
	if p := s.executed(r, plan, sql); p != nil {
		plan, sql = p.whole, p.sql
	}
	if plan == nil || !plan.Edited() {
		return false
	}
	at, err := strconv.Atoi(notice.Get('P'))
	if err != nil {
		return false
	}
	if at = plan.Original(sql, at, s.multibyte()); at > 0 {
		notice.Set('P', strconv.Itoa(at))
	} else {
		notice.Delete('P')
	}
	return true
}

// executed returns the prepared statement that an EXECUTE runs if an error's
// position must be one in its text: when its names have to be resolved anew, the
// server points there. Arguments of the EXECUTE have positions of their own.
func (s *Session) executed(r *request, plan *rewrite.Plan, sql string) *prepared {
	if plan == nil || r.stmt >= len(plan.Stmts) || plan.Stmts[r.stmt].Execute == "" || strings.Contains(sql, "(") {
		return nil
	}
	if p := s.statement(keyOf(plan.Stmts[r.stmt].Execute)); p != nil && p.whole != nil && p.sql != "" {
		return p
	}
	return nil
}

// planned returns the plan and the client's text that a request is about.
func (s *Session) planned(r *request) (*rewrite.Plan, string) {
	switch r.kind {
	case bind, describeStatement:
		if p := s.statement(r.name); p != nil {
			return p.plan, p.sql
		}
	case execute, describePortal:
		if p := s.portal(r.port); p != nil {
			return p.plan, p.sql
		}
	}
	return r.plan, r.sql
}

// reveals notes that a statement failed since something that it needs is not
// there: another session may have dropped a table or its marker. The relations
// are read again before the next statement rather than when they are due.
func (s *Session) reveals(r *request, code string) {
	plan, _ := s.planned(r)
	if plan == nil {
		return
	}
	switch code {
	case "42P01", "42703", "42704", "42809": // no such table, column, object; another kind of relation
		s.reread = s.reread || plan.Edited()
	case "42P10": // no such index for ON CONFLICT: there may be one of live rows only
		s.reread = true
	}
}

// notice passes a NoticeResponse on. It may come at any moment, and may point
// into the text of the request being answered.
func (s *Session) notice(part *wire.Part) error {
	r := s.queue.first()
	if r == nil || !part.Whole() {
		return s.pass(part)
	}
	if notice, ok := wire.ReadNotice(part.Body()); ok && s.position(r, &notice) {
		s.ToClient.own = notice.Append(s.ToClient.copied(), 'N')
		return nil
	}
	return s.pass(part)
}
