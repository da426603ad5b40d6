package main

import (
	"strings"
)

// Everything that the oracle forgives, and why. Each entry has a row in the
// README's "Known differences" or waits for a part that is not built. The
// generator's own restraint (see doc.go) is about answers that PostgreSQL
// leaves open, and is not listed here.
//
//  1. EXPLAIN shows the plan of what really runs. Its rows are not compared
//     (NotCompared); its tag, columns and errors are.
//  2. RETURNING of a DELETE: the marker's column comes from no table, because it
//     is a constant, and neither does a whole row, which holds it. See
//     forgiveOrigin.
//  3. A primary key whose row is a tombstone is taken: the archive that frees it
//     is the database's half, which is not built. See keyHeld.
//  4. COPY t TO sends rows in any order. They are compared as a bag (AnyOrder).
//  5. Of several writes in one statement, and of the rows of one, PostgreSQL
//     leaves open which comes first. If more than one breaks a constraint, which
//     one is told depends on the plan. See eitherError.

// forgiveOrigin lets the marker and whole rows in RETURNING of a DELETE come
// from no table.
func forgiveOrigin(step *Step, hard, soft Answer, names *Names) {
	buries := false
	for _, s := range step.SQL() {
		s = strings.ToUpper(s)
		buries = buries || strings.Contains(s, "DELETE") || strings.HasPrefix(s, "EXECUTE")
	}
	if !buries {
		return
	}
	for i := range min(len(hard), len(soft)) {
		if hard[i].Type != 'T' || soft[i].Type != 'T' || len(hard[i].Fields) != len(soft[i].Fields) {
			continue
		}
		for k := range hard[i].Fields {
			h, s := &hard[i].Fields[k], &soft[i].Fields[k]
			if s.TableOID == 0 && h.TableOID != 0 && (h.TableAttributeNumber == 0 ||
				names.isMarker(h.TableOID, h.TableAttributeNumber) || names.relation(h.TableOID) == unseen && string(h.Name) == marker) {
				h.TableOID, h.TableAttributeNumber = 0, 0
			}
		}
	}
}

// eitherError reports that a statement broke a constraint in both, though not
// with the same row, or not the same one of several that it writes to. It ends
// the case: sequences may differ.
func eitherError(step *Step, hard, soft Answer) bool {
	h, s := hard.Failed(), soft.Failed()
	if h == nil || s == nil || len(step.Statements) != 1 || h.Code[:2] != "23" || s.Code[:2] != "23" {
		return false
	}
	if h.Message == s.Message && h.Detail != s.Detail {
		return true
	}
	sql := strings.ToUpper(step.SQL()[0])
	writes := 0
	for _, verb := range []string{"INSERT INTO ", "UPDATE ", "DELETE FROM ", "MERGE INTO "} {
		writes += strings.Count(sql, "("+verb)
	}
	return writes > 0 && strings.Contains(sql, "WITH ")
}

// keyHeld reports that soft says a primary key is taken where hard does not.
// It ends the case: the twins no longer have the same rows.
func keyHeld(hard, soft Answer) bool {
	e := soft.Failed()
	if e != nil && e.Code == "23505" && e.Message == "a deleted row holds the key of the new row" {
		return true // the same, met by an upsert
	}
	if e == nil || e.Code != "23505" || !strings.HasSuffix(e.ConstraintName, "_pkey") {
		return false
	}
	h := hard.Failed()
	return h == nil || h.Code != e.Code || h.ConstraintName != e.ConstraintName || h.Detail != e.Detail
}
