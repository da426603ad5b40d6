package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"tombstone/test/source"
)

func TestStopsWhereTheSchemaHasChanged(t *testing.T) {
	statements := Split("create table t (a int);\n\\d t\ncreate index on t (a);\ninsert into t values (1);\ninsert into t values (2);\nbegin;\ndrop table t;\nselect 1;\ncommit;\nselect 2;\n")
	for stops, want := range map[Stops][]string{
		Never: nil,
		// Before the second the transaction is still open: Prepare leaves that one out.
		AfterMigrations: {"insert into t values (1);", "select 1;", "select 2;"},
		AfterEach:       {"create index on t (a);", "insert into t values (1);", "select 1;", "select 2;"},
	} {
		var before []string
		for _, part := range strings.Split(Assemble(statements, nil, stops), "\\warn "+stop+"\n")[1:] {
			sql, _, _ := strings.Cut(part, "\n")
			before = append(before, sql)
		}
		if !slices.Equal(before, want) {
			t.Errorf("%d: stops before %q, want %q", stops, before, want)
		}
	}
}

// talk is psql, as far as stops go: it says what it is given, and says a stop in the middle of what it has not yet printed.
type talk struct {
	t   *testing.T
	out *printed
}

func (p *talk) Write(script []byte) (int, error) {
	for line := range strings.Lines(string(script)) {
		text := line
		if said, ok := strings.CutPrefix(line, "\\warn "); ok {
			text = said
		}
		for _, piece := range []string{text[:1], text[1:]} { // a pipe gives it in pieces
			if _, err := io.WriteString(p.out, piece); err != nil {
				p.t.Error(err)
			}
		}
	}
	return len(script), nil
}

func (p *talk) Close() error { return nil }

func TestFeed(t *testing.T) {
	var b strings.Builder
	b.WriteString("one\n")
	writeStop(&b)
	b.WriteString("two\nthree\n")
	writeStop(&b)
	b.WriteString("four\n")
	psql := &talk{t: t, out: &printed{stops: make(chan struct{}, 1)}}
	var when []string
	err := feed(t.Context(), psql, b.String(), psql.out.stops, nil, func(context.Context) error {
		when = append(when, psql.out.text())
		return nil
	})
	if want := []string{"one\n", "one\ntwo\nthree\n"}; err != nil || !slices.Equal(when, want) || psql.out.text() != "one\ntwo\nthree\nfour\n" {
		t.Errorf("%v: stopped after %q, want %q; printed %q", err, when, want, psql.out.text())
	}

	failed := errors.New("prepare has failed")
	psql.out = &printed{stops: make(chan struct{}, 1)}
	if err := feed(t.Context(), psql, b.String(), psql.out.stops, nil, func(context.Context) error { return failed }); err != failed || strings.Contains(psql.out.text(), "two") {
		t.Errorf("%v, and psql went on to %q", err, psql.out.text())
	}

	gone := make(chan struct{})
	close(gone)
	if err := feed(t.Context(), psql, b.String(), nil, gone, nil); err != nil { // without a stop that it comes to
		t.Errorf("psql has ended: %v", err)
	}
}

func TestLasting(t *testing.T) {
	statements := Split("CREATE TEMP TABLE t (a int);\ncreate  temporary\ntable u (create_temp int);\ncreate temp view v as select 1;\ncreate table w ();")
	lasting(statements)
	var got []string
	for i := range statements {
		got = append(got, statements[i].SQL)
	}
	if want := []string{"CREATE TABLE t (a int)", "create  table u (create_temp int)", "create temp view v as select 1", "create table w ()"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestChoose(t *testing.T) {
	schedule := &source.Schedule{Files: []string{"test_setup", "create_index", "select", "foreign_key"}}
	for _, c := range []struct{ files, plain, half string }{
		{"all", "test_setup,create_index,select,foreign_key", "foreign_key+prepared,truncate+prepared"},
		{"select", "test_setup,create_index,select", ""},
		{"foreign_key+prepared", "", "foreign_key+prepared"},
		{"select+prepared,select", "test_setup,create_index,select", "select+prepared"},
	} {
		o := options{files: strings.Split(c.files, ",")}
		plain, half, err := o.choose(schedule)
		if err != nil || strings.Join(plain, ",") != c.plain || strings.Join(half, ",") != c.half {
			t.Errorf("%s: %q and %q, %v", c.files, plain, half, err)
		}
	}
	for _, name := range []string{"nothing", "nothing+prepared"} {
		o := options{files: []string{name}}
		if _, _, err := o.choose(schedule); err == nil {
			t.Errorf("there is no script %s", name)
		}
	}
}

// What prepare adds is told from what differs.
func TestPreparedCauses(t *testing.T) {
	const (
		violated = "ERROR:  update or delete on table \"t\" violates foreign key constraint \"u_fkey\" on table \"u\"\nDETAIL:  Key (a)=(1) is still referenced from table \"u\".\n"
		context  = "CONTEXT:  PL/pgSQL function tombstone.\"public.t.follow\"() line 6 at RAISE\nSQL statement \"UPDATE s\"\nPL/pgSQL function tombstone.\"public.s.follow\"() line 3 at SQL statement\n"
		columns  = " Column | Type \n a      | int  \n"
		index    = "    \"t_pkey\" PRIMARY KEY, btree (a)\n"
		ours     = "    \"t_tombstones\" btree (deleted_at) WHERE deleted_at IS NOT NULL\n    \"u_a_idx\" btree (a)\n"
		triggers = "Triggers:\n    tombstone_guard BEFORE DELETE ON t\n    \"tombstone.update_u_fkey\" AFTER UPDATE OF a\n"
	)
	for _, c := range []struct {
		about, sql, hard, soft string
		known                  bool
	}{
		{"the CONTEXT of a key's error", "delete from t", violated, violated + context, true},
		{"another key's error", "delete from t", violated, strings.ReplaceAll(violated, "u_fkey", "v_fkey") + context, false},
		{"no error at all", "delete from t", "DELETE 1\n", violated + context, false},
		{"what \\d shows besides", `\d t`, columns + "Indexes:\n" + index, columns + "Indexes:\n" + index + ours + triggers, true},
		{"where there was nothing to show", `\d t`, columns, columns + "Indexes:\n" + ours + triggers, true},
		{"a column that is missing", `\d t`, columns + " b | int\nIndexes:\n" + index, columns + "Indexes:\n" + index + ours + triggers, false},
		{"an index that is missing", `\d t`, columns + "Indexes:\n" + index, columns + "Indexes:\n" + ours + triggers, false},
		{"a key to what is no constraint any more", "create table u (a int references t (a));", "CREATE TABLE\n", "ERROR:  there is no unique constraint matching given keys for referenced table \"t\"\n", true},
		{"a foreign key that does not act", "select * from u", "0\n", "1\n", false},
	} {
		for _, prepared := range []bool{true, false} {
			s := NewStory()
			s.prepared = prepared
			r := &Result{Statement: &Statement{SQL: c.sql}, Hard: said(c.hard), Soft: said(c.soft)}
			if cause := explain("own", c.sql, r, s); (cause != nil) != c.known && prepared || cause != nil && !prepared && slices.Contains(preparedCauses, cause) {
				t.Errorf("%s, prepared %t: %+v", c.about, prepared, cause)
			}
		}
	}
	s := NewStory()
	s.prepared = true
	r := &Result{Statement: &Statement{SQL: "delete from t"}, Hard: said(violated), Soft: said("DELETE 1\n")}
	if cause := explain("own", "delete from t", r, s); cause != nil {
		t.Errorf("where it is installed, that the database's half is not is no cause: %+v", cause)
	}
}
