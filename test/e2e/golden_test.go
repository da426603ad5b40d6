package e2e

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/config"
	"tombstone/policy"
	"tombstone/policy/catalog"
	"tombstone/rewrite"
)

// The cases of the rewriter's specification, on a real server: with the
// catalog that it tells, each is edited as the specification says; and the
// edited statement has the parameters, result columns and command tag of the
// one that was sent.
func TestGoldensOnAServer(t *testing.T) {
	const folder = "../../rewrite/testdata"
	schema, err := os.ReadFile(folder + "/schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	policyFile, err := config.Load(folder + "/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	db := databaseOf(t, "template1")
	ask(t, db, string(schema))
	conn := watch(t, server.DSN(db))
	p := policy.New(policyFile.Tables, policyFile.Bodies)
	relations, err := catalog.Decode([]byte(ask(t, db, catalog.Query(p.Markers()))))
	if err != nil {
		t.Fatal(err)
	}
	set := p.Resolve(relations)
	cases, edited := 0, 0
	datadriven.Walk(t, folder, func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".test") {
			return
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if len(d.CmdArgs) > 0 {
				return d.Expected // another search_path, another session
			}
			cases++
			plan := rewrite.Rewrite(d.Input, &rewrite.Env{Set: set, Path: []string{"pg_catalog", "public"}})
			sent := plan.Apply(d.Input)
			want, _, _ := strings.Cut(d.Expected, "\n"+firstKind(plan)+": ")
			if plan.Edited() && len(plan.Stmts) > 0 && sent != want {
				t.Errorf("%s\nis sent as  %s\nand not as  %s", d.Pos, sent, want)
			}
			if plan.Edited() && len(plan.Stmts) == 1 && plan.Stmts[0].Refusal == nil {
				edited++
				sameFace(t, conn, d.Pos, d.Input, sent, &plan.Stmts[0])
			}
			return d.Expected
		})
	})
	if cases < 250 || edited < 150 {
		t.Errorf("%d cases, %d of them edited: some were not run", cases, edited)
	}
}

func firstKind(p *rewrite.Plan) string {
	if len(p.Stmts) == 0 {
		return "unparsed"
	}
	return p.Stmts[0].Kind
}

// sameFace compares what a client can see of two statements without looking
// at rows.
func sameFace(t *testing.T, c *watched, pos, sql, sent string, st *rewrite.Stmt) {
	t.Helper()
	one, two := face(t, c, sql), face(t, c, sent)
	switch st.Tag {
	case rewrite.TagDelete:
		two = strings.Replace(two, "tag UPDATE", "tag DELETE", 1)
	case rewrite.TagTruncate:
		two = strings.Replace(two, "tag UPDATE 0", "tag TRUNCATE TABLE", 1)
	}
	if strings.Contains(one, "error 42P10") || strings.Contains(one, "error 42704") {
		return // the index that it would need is one of live rows, which only the edited statement finds
	}
	if one != two {
		t.Errorf("%s\n%s\n%s%s\n%s", pos, sql, one, sent, two)
	}
}

// face describes a statement: parameters, columns, and how it ends on tables
// without rows.
func face(t *testing.T, c *watched, sql string) string {
	t.Helper()
	var b strings.Builder
	must := func(sql string) {
		if _, err := c.Exec(within(t), sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	must("BEGIN")
	defer must("ROLLBACK; DEALLOCATE ALL")
	d, err := c.Prepare(within(t), "", sql, nil)
	if err != nil {
		return failure(err)
	}
	fmt.Fprintf(&b, "parameters %v\n", d.ParamOIDs)
	for _, f := range d.Fields {
		fmt.Fprintf(&b, "column %q type %d modifier %d\n", f.Name, f.DataTypeOID, f.TypeModifier)
	}
	if strings.HasPrefix(strings.ToUpper(sql), "COPY") {
		tag, err := c.CopyTo(within(t), &b, sql)
		fmt.Fprintf(&b, "tag %s\n%s", tag, failure(err))
		return b.String()
	}
	r := c.ExecPrepared(within(t), "", make([][]byte, len(d.ParamOIDs)), nil, nil).Read()
	fmt.Fprintf(&b, "tag %s\n%s", r.CommandTag, failure(r.Err))
	return b.String()
}

func failure(err error) string {
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
		return fmt.Sprintf("error %s %s\n", e.Code, e.Message)
	}
	return ""
}
