package rewrite

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// statement plans a top-level statement, or one inside EXPLAIN, PREPARE and
// the like, and says what it may change for those after it.
func (r *rewriter) statement(m any) Changes {
	changes := r.plain(m)
	if r.setsConfig {
		changes |= ChangesNames | MovesPath | ChangesLexing | ChangesAsks
	}
	return changes
}

func (r *rewriter) plain(m any) Changes {
	switch x := m.(type) {
	case *pg.SelectStmt:
		r.stmt.Kind = "select"
		if into(x) != nil {
			r.query(x, nil)
			return ChangesCatalog
		}
		r.query(x, nil)
	case *pg.InsertStmt, *pg.UpdateStmt, *pg.DeleteStmt, *pg.MergeStmt:
		r.modify(x, nil, true)
	case *pg.TruncateStmt:
		r.stmt.Kind = "truncate"
		r.truncate(x)
	case *pg.CopyStmt:
		r.stmt.Kind = "copy"
		r.copy(x)
	case *pg.ExplainStmt:
		changes := r.statement(unwrap(x.Query))
		r.stmt.Kind, r.stmt.Tag, r.stmt.Buries = "explain", TagAsSent, ""
		return changes
	case *pg.PrepareStmt:
		changes := r.statement(unwrap(x.Query))
		r.stmt.Kind = "prepare"
		r.reserved(x.Name)
		r.stmt.Prepare, r.stmt.PrepareTag, r.stmt.Tag = x.Name, r.stmt.Tag, TagAsSent
		return changes
	case *pg.DeclareCursorStmt:
		changes := r.statement(unwrap(x.Query))
		r.stmt.Kind = "declare"
		r.reserved(x.Portalname)
		switch {
		case len(r.stmt.Touched) == 0:
		case x.Options&cursorHold != 0:
			r.stmt.Cursor, r.stmt.Cursors = x.Portalname, Keeps
		default:
			r.stmt.Cursor, r.stmt.Cursors = x.Portalname, Declares
		}
		return changes
	case *pg.ExecuteStmt:
		r.stmt.Kind = "execute"
		r.reserved(x.Name)
		r.expr(x, nil)
		r.stmt.Execute = x.Name
	default:
		return r.utility(m)
	}
	return 0
}

// OwnName is the prepared statement and portal that the session uses for its
// own questions.
const OwnName = "_tombstone"

func (r *rewriter) reserved(name string) {
	if name == OwnName {
		r.refuse("reserved-name", int32(r.stmt.start), name)
	}
}

// into returns the INTO clause of a SELECT, which hangs on the leftmost
// branch of a set operation.
func into(s *pg.SelectStmt) *pg.IntoClause {
	for s.Larg != nil {
		s = s.Larg
	}
	return s.IntoClause
}

// modify plans a statement that changes rows, at top level or in a CTE. Only
// at top level does the command tag follow it.
func (r *rewriter) modify(m any, sc *scope, top bool) {
	kind := ""
	switch x := m.(type) {
	case *pg.InsertStmt:
		kind = "insert"
		r.insertInto(x, sc)
	case *pg.UpdateStmt:
		kind = "update"
		r.update(x, sc)
	case *pg.DeleteStmt:
		kind = "delete"
		if table := r.bury(x, sc); table != nil && top {
			r.stmt.Tag, r.stmt.Buries, r.stmt.Deletes = TagDelete, table.String(), true
		}
	case *pg.MergeStmt:
		kind = "merge"
		r.merge(x, sc)
	}
	if top {
		r.stmt.Kind = kind
	}
}

// utility plans everything else: statements that are not about rows, and the
// definitions that hold queries.
func (r *rewriter) utility(m any) Changes {
	r.stmt.Kind = "other"
	r.define(m)
	r.unprotects(m)
	r.taints = joins(m)
	switch x := m.(type) {
	case *pg.TransactionStmt:
		r.stmt.Kind = "transaction"
		switch x.Kind {
		case pg.TransactionStmtKind_TRANS_STMT_BEGIN, pg.TransactionStmtKind_TRANS_STMT_START,
			pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT, pg.TransactionStmtKind_TRANS_STMT_RELEASE:
			return 0
		case pg.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED:
			return ChangesCatalog | ChangesNames // what another session did is there now
		}
		return EndsWork
	case *pg.VariableSetStmt:
		r.stmt.Kind = "set"
		return r.set(x)
	case *pg.VariableShowStmt:
		r.stmt.Kind = "show"
		r.show(x)
		return 0
	case *pg.DeallocateStmt:
		r.stmt.Kind = "deallocate"
		r.stmt.Deallocate, r.stmt.ForgetAll = x.Name, x.Name == ""
		return 0
	case *pg.DiscardStmt:
		r.stmt.Kind = "discard"
		switch x.Target {
		case pg.DiscardMode_DISCARD_ALL:
			r.stmt.ForgetAll, r.stmt.Cursors = true, ClosesAll
			return ChangesNames | MovesPath | ChangesLexing | Reveals | ChangesAsks | ForgetsAll
		case pg.DiscardMode_DISCARD_TEMP:
			return ChangesNames | Reveals
		}
		return 0
	case *pg.FetchStmt:
		r.stmt.Kind = "cursor"
		r.stmt.Cursor, r.stmt.Cursors = x.Portalname, Uses
		return 0
	case *pg.ClosePortalStmt:
		r.stmt.Kind = "cursor"
		r.stmt.Cursor, r.stmt.Cursors = x.Portalname, Closes
		if x.Portalname == "" {
			r.stmt.Cursors = ClosesAll
		}
		return 0
	case *pg.ListenStmt, *pg.UnlistenStmt, *pg.NotifyStmt:
		r.stmt.Kind = "notify"
		return 0
	case *pg.LockStmt, *pg.VacuumStmt, *pg.CheckPointStmt, *pg.ConstraintsSetStmt, *pg.ClusterStmt,
		*pg.ReindexStmt, *pg.CommentStmt, *pg.LoadStmt:
		return 0
	case *pg.DoStmt:
		// The body is a string that the server runs; what it did is unknown.
		r.stmt.Kind = "do"
		r.unseen(x.Args)
		return ChangesNames | MovesPath | MovesSchemas | ChangesCatalog | ChangesLexing | ChangesAsks
	case *pg.CallStmt:
		r.stmt.Kind = "call"
		r.expr(x, nil)
		return ChangesNames | MovesPath | MovesSchemas | ChangesLexing | ChangesAsks
	case *pg.CreateTableAsStmt:
		r.stmt.Kind = "create"
		if e, ok := unwrap(x.Query).(*pg.ExecuteStmt); ok {
			r.reserved(e.Name)
			r.stmt.Execute = e.Name
		}
		r.expr(x, nil)
		if x.Into.GetRel().GetRelpersistence() == "t" {
			return ChangesNames
		}
		return ChangesCatalog | ChangesNames
	case *pg.CreateStmt:
		if x.Relation.GetRelpersistence() == "t" {
			r.stmt.Kind = "ddl"
			return ChangesNames // nobody else's concern
		}
	case *pg.DropStmt:
		if dropsNoTable(x) {
			r.stmt.Kind = "ddl"
			return 0
		}
		if r.dropsTemporary(x) {
			r.stmt.Kind = "ddl"
			if x.Behavior == pg.DropBehavior_DROP_CASCADE {
				return ChangesNames | Reveals
			}
			return ChangesNames
		}
	case *pg.CreateSchemaStmt:
		// Its names are looked up in the new schema first.
		r.forbid = "create-schema"
	case *pg.CreateFunctionStmt:
		r.stmt.Kind = "ddl"
		r.createFunction(x)
		return 0
	case *pg.IndexStmt:
		if x.Unique {
			r.stmt.Kind = "ddl"
			r.alters = x.Relation.GetRelname() // an upsert has to know
			return ChangesCatalog | ChangesNames
		}
		r.stmt.Kind = "ddl"
		return 0
	case *pg.AlterTableStmt:
		if r.changesNothing(x) {
			r.stmt.Kind = "ddl"
			r.expr(x, nil)
			return 0
		}
		if r.altersOnly(x) {
			r.stmt.Kind = "ddl"
			r.expr(x, nil)
			r.alters = x.Relation.GetRelname()
			return ChangesCatalog | ChangesNames
		}
	case *pg.CreateTrigStmt, *pg.CreateEnumStmt, *pg.CompositeTypeStmt, *pg.CreateDomainStmt, *pg.CreateRangeStmt:
		r.stmt.Kind = "ddl"
		r.expr(m, nil)
		return 0 // no table is another after it
	}
	r.stmt.Kind = "ddl"
	r.expr(m, nil)
	switch x := m.(type) {
	case *pg.CreateStmt, *pg.AlterTableStmt, *pg.ViewStmt, *pg.CreateSeqStmt, *pg.AlterSeqStmt:
		// They change what the names in them mean, and no other's.
		return ChangesCatalog | ChangesNames
	case *pg.DropStmt:
		// What hangs on the thing dropped goes too, whatever its name.
		return ChangesCatalog | ChangesNames | Reveals
	case *pg.RenameStmt:
		if x.RenameType != pg.ObjectType_OBJECT_SCHEMA {
			return ChangesCatalog | ChangesNames | Reveals
		}
	}
	return ChangesCatalog | ChangesNames | MovesPath | MovesSchemas
}

// cursorHold is what the server calls WITH HOLD (CURSOR_OPT_HOLD in parsenodes.h).
const cursorHold = 0x0020

// define notes that a statement defines something that is run later: then what is in it hides tombstones as always, whatever the
// session sees now. CREATE TABLE AS copies rows now, and CALL computes its arguments.
//
// Without it, a view that somebody created while looking for a deleted row shows deleted rows to everybody.
func (r *rewriter) define(m any) {
	switch x := m.(type) {
	case *pg.CallStmt:
		return
	case *pg.CreateTableAsStmt:
		if x.Objtype != pg.ObjectType_OBJECT_MATVIEW {
			return
		}
	}
	r.asks, r.defines = &everybody, true
}

// set plans SET and RESET.
func (r *rewriter) set(x *pg.VariableSetStmt) Changes {
	if x.Kind == pg.VariableSetKind_VAR_RESET_ALL {
		return ChangesNames | MovesPath | ChangesLexing | ChangesAsks | ForgetsAll
	}
	name := strings.ToLower(x.Name)
	if strings.HasPrefix(name, settingPrefix) {
		return r.setting(x, name)
	}
	switch name {
	case "search_path":
		r.setsPath(x)
		return ChangesNames | MovesPath
	case "role", "session_authorization":
		return ChangesNames | MovesPath
	case "standard_conforming_strings", "client_encoding", "names":
		return ChangesLexing
	}
	return 0
}

// dropsTemporary reports whether a DROP names temporary tables only.
func (r *rewriter) dropsTemporary(x *pg.DropStmt) bool {
	if x.RemoveType != pg.ObjectType_OBJECT_TABLE || r.env.Stale {
		return false
	}
	for _, n := range x.Objects {
		names := n.GetList().GetItems()
		if len(names) != 1 || !slices.Contains(r.env.Temp, names[0].GetString_().GetSval()) {
			return false
		}
	}
	return true
}
