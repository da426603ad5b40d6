package main

import "testing"

// said is an answer, an error if it begins so.
func said(output string) Answer {
	state := "00000"
	if failed(Answer{Output: output}) {
		state = "42000"
	}
	return Answer{Output: output, SQLSTATE: state, Given: true}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		sql, hard, soft string
		want            Verdict
	}{
		{"select a from t", "1\n2\n", "1\n2\n", Same},
		{"select a from t", "1\n2\n", "2\n1\n", Reordered},
		{"select a from t order by a", "1\n2\n", "2\n1\n", Differs},
		{"select a, (select b from u order by b limit 1), ' order by ' from t", "1\n2\n", "2\n1\n", Reordered},
		{"explain select a from t", "1\n2\n", "2\n1\n", Differs},
		{"delete from t", "DELETE 1\n", "DELETE 0\n", Differs},
		{"", "", "", Silent},
	} {
		if got := judge(&Statement{SQL: c.sql}, said(c.hard), said(c.soft)); got != c.want {
			t.Errorf("%s: %d, want %d", c.sql, got, c.want)
		}
	}
	if judge(&Statement{SQL: "select 1"}, Answer{"", "42601", true}, Answer{"", "42501", true}) != Differs {
		t.Error("the SQLSTATE is part of the answer")
	}
}

// A story is told statement by statement: what it says of the last one is compared.
func TestStory(t *testing.T) {
	const (
		unique  = "ERROR:  duplicate key value violates unique constraint \"t_pkey\"\n"
		aborted = "ERROR:  current transaction is aborted, commands ignored until end of transaction block\n"
	)
	type told struct{ sql, hard, soft string }
	var (
		make_   = told{"create table t (a int primary key);", "CREATE TABLE\n", "CREATE TABLE\n"}
		insert  = told{"insert into t values (1);", "INSERT 0 1\n", unique}
		differs = told{"select * from t;", "1\n", "0\n"}
	)
	for _, c := range []struct {
		about     string
		story     []told
		explained bool
		line      int // where the last difference began
	}{
		{"nothing explains a lost row", []told{make_, differs}, false, 2},
		{"it follows from the insert that failed", []told{make_, insert, differs}, true, 2},
		{"another table is another matter", []told{make_, insert, {"create table u (t int);", "CREATE TABLE\n", "CREATE TABLE\n"}, {"select t from u;", "1\n", "0\n"}}, false, 4},
		{"a view shows the table", []told{make_, {"create view v as select * from t;", "CREATE VIEW\n", "CREATE VIEW\n"}, insert, {"select * from v;", "1\n", "0\n"}}, true, 3},
		{"the table is made anew", []told{make_, insert, {"drop table t;", "DROP TABLE\n", "DROP TABLE\n"}, make_, differs}, false, 5},
		{"a child of a row that is gone", []told{make_, {"create table c (b int references t on delete cascade);", "CREATE TABLE\n", "CREATE TABLE\n"},
			{"delete from t;", "DELETE 1\n", "DELETE 1\n"}, {"select * from c;", "0\n", "1\n"}}, true, 3},
		{"a transaction that one twin has given up", []told{make_, {"begin;", "BEGIN\n", "BEGIN\n"}, insert, {"select now();", "today\n", aborted}}, true, 3},
		{"the next transaction", []told{make_, {"begin;", "BEGIN\n", "BEGIN\n"}, insert, {"rollback;", "ROLLBACK\n", "ROLLBACK\n"}, {"select now();", "today\n", aborted}}, false, 5},
		{"an unknown cause is inherited too", []told{make_, differs, {"insert into t values (2);", "INSERT 0 1\n", "INSERT 0 2\n"}, {"select count(*) from t;", "2\n", "3\n"}}, false, 3},
	} {
		story := NewStory()
		var last Result
		for i, s := range c.story {
			last = Result{Statement: &Statement{Line: i + 1, SQL: s.sql}, Hard: said(s.hard), Soft: said(s.soft)}
			last.Verdict = judge(last.Statement, last.Hard, last.Soft)
			story.Next("file", &last)
		}
		if last.Root == nil || (last.Cause != nil) != c.explained || last.Root.Line != c.line {
			t.Errorf("%s: %+v, root %+v", c.about, last.Cause, last.Root)
		}
	}
}

func TestCausesCompile(t *testing.T) {
	for _, c := range causes {
		for _, pattern := range []string{c.SQL, c.Hard, c.Soft} {
			found(pattern, "")
		}
	}
}

func TestPlainPlan(t *testing.T) {
	hard := " QUERY PLAN \n----\n Seq Scan on t\n   Filter: (a = 1)\n(2 rows)\n"
	soft := "          QUERY PLAN \n-----------\n Seq Scan on t\n   Filter: ((deleted_at IS NULL) AND (a = 1))\n(2 rows)\n"
	if plainPlan(hard) != plainPlan(soft) {
		t.Errorf("%q\n%q", plainPlan(hard), plainPlan(soft))
	}
	if plainPlan(hard) == plainPlan(" QUERY PLAN \n----\n Seq Scan on u\n   Filter: (a = 1)\n(2 rows)\n") {
		t.Error("another table is another plan")
	}
	if a, b := plainDefinition(" SELECT t.a\n   FROM t\n  WHERE t.a > 0;"), plainDefinition(" SELECT t.a\n   FROM t\n  WHERE t.a > 0 AND t.deleted_at IS NULL;"); a != b {
		t.Errorf("%q\n%q", a, b)
	}
}

func TestRefusedBy(t *testing.T) {
	refusals := []Refusal{{Rule: "merge", SQLState: "0A000", Reason: "not yet", SQL: "BEGIN ; MERGE INTO t"}}
	for _, c := range []struct {
		about string
		sql   string
		soft  Answer
		want  string
	}{
		{"its message", "x", said("ERROR:  not yet\nLINE 1\n"), "merge"},
		{"verbose", "x", said("ERROR:  0A000: not yet\n"), "merge"},
		{"another's message", "x", said("ERROR:  not\n"), ""},
		{"nothing to see, but the statement", "BEGIN \\; -- now\nMERGE  INTO t;", Answer{"", "0A000", true}, "merge"},
		{"nothing to see, another statement", "SELECT 1", Answer{"", "0A000", true}, ""},
	} {
		if got := refusedBy(&Statement{SQL: c.sql}, c.soft, refusals); got != c.want {
			t.Errorf("%s: %q, want %q", c.about, got, c.want)
		}
	}
}
