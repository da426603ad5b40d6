package main

import (
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		about, script string
		want          []string // SQL + Tail, without the space around
	}{
		{"two on a line", "select 1; select 2; -- two\nselect 3;", []string{"select 1;", "select 2; -- two", "select 3;"}},
		{"semicolons that end nothing", "select ';', \"a;b\", E'\\';', $$;$$, $a$ ; $$ $a$ /* ; /* ; */ ; */ -- ;\n;", []string{"select ';', \"a;b\", E'\\';', $$;$$, $a$ ; $$ $a$ /* ; /* ; */ ; */ -- ;\n;"}},
		{"a rule's parentheses", "create rule r as on insert to t do (select 1; select 2);\nselect 3;", []string{"create rule r as on insert to t do (select 1; select 2);", "select 3;"}},
		{"a function's body", "create function f() returns int begin atomic select case when true then 1 end; select 2; end;\nselect 3;",
			[]string{"create function f() returns int begin atomic select case when true then 1 end; select 2; end;", "select 3;"}},
		{"BEGIN is no body elsewhere", "begin; end;", []string{"begin;", "end;"}},
		{"several in one message", `select 1\; select 2;`, []string{`select 1\; select 2;`}},
		{"a parameter is no dollar quote", "select $1; select $2;", []string{"select $1;", "select $2;"}},
		{"backslash commands", "\\set x 'a;b'\nselect 1 \\gset\nselect\n\\echo ;\n2;", []string{`\set x 'a;b'`, `select 1 \gset`, "select\n\\echo ;\n2;"}},
		{"comments alone", "-- a;\n\nselect 1; -- b", []string{"select 1; -- b"}},
		{"standard_conforming_strings", "set standard_conforming_strings = off;\nselect '\\';';\nset standard_conforming_strings to on;\nselect '\\';", []string{
			"set standard_conforming_strings = off;", "select '\\';';", "set standard_conforming_strings to on;", "select '\\';"}},
	} {
		statements := Split(c.script)
		var got []string
		whole := ""
		for i := range statements {
			s := &statements[i]
			whole += s.Lead + s.SQL + s.Tail + s.Data
			if s.Text() != "" {
				got = append(got, s.Text())
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.about, got, c.want)
		}
		if whole != c.script {
			t.Errorf("%s: the parts are %q, not the script", c.about, whole)
		}
	}
}

func TestSplitCopy(t *testing.T) {
	statements := Split("copy t from stdin;\n1;\n'\n\\.\ncopy t (x) from stdin; -- fails, reads nothing\ncopy t from stdin csv;\n2\n\\.\nselect 1;\n")
	var data []string
	for _, s := range statements {
		data = append(data, s.Data)
	}
	if want := []string{"1;\n'\n\\.\n", "", "2\n\\.\n", ""}; !slices.Equal(data, want) {
		t.Errorf("%q, want %q", data, want)
	}
	if statements[3].Line != 9 {
		t.Errorf("line %d, want 9", statements[3].Line)
	}
}

func TestAssemble(t *testing.T) {
	statements := Split("select 1; select 2;\ncopy t from stdin;\n1\n\\.\nselect 3 \\gset\n")
	got := Assemble(statements, map[int]bool{0: true, 3: true}, Never)
	for _, want := range []string{
		instead + ";\n\\echo " + mark + " 0 :SQLSTATE\n",
		"select 2;\n\\echo " + mark + " 1 :SQLSTATE\n",
		"attrelid = to_regclass('t')", // where the list of columns is asked for
		"copy t :tombstone_columns from stdin;\n1\n\\.\n\\echo " + mark + " 2 :SQLSTATE\n",
		instead + "\\gset\n\\echo " + mark + " 3 :SQLSTATE\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if column := copyAll.FindString("copy t (a) from stdin"); column != "" {
		t.Error("a COPY with a column list is left alone")
	}
}

func TestCut(t *testing.T) {
	got := Cut("a\n"+mark+" 0 00000\n"+mark+" 1 42601\nb"+mark+" 2 00000\nthe end\n", 4)
	want := []Answer{{"a\n", "00000", true}, {"", "42601", true}, {"b", "00000", true}, {"the end\n", "", false}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
