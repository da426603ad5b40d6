package rewrite

// Rule is one reason to edit a statement. Plans name the rules that fired.
type Rule struct {
	Name string
	Why  string // the reason, in a line, as `tombstone rewrite` prints it
	Warn bool   // an operator should hear of it: the promise may not hold here
}

// The rules, each with the row that would come out wrong without it in the
// doc comment of the function that applies it.
var (
	HideWhere    = &Rule{Name: "hide-where", Why: "a read sees live rows only: the marker is tested in WHERE"}
	HideJoin     = &Rule{Name: "hide-join", Why: "a condition in WHERE would change the join: the marker is tested at the reference"}
	HideSubquery = &Rule{Name: "hide-subquery", Why: "column aliases hide the marker: it is tested in a query of its own"}
	HideTable    = &Rule{Name: "hide-table", Why: "TABLE has no WHERE: it becomes the SELECT that it stands for"}
	HideCopy     = &Rule{Name: "hide-copy", Why: "COPY sends live rows only, so it copies a query"}
	UpdateLive   = &Rule{Name: "update-live", Why: "an UPDATE changes live rows only"}
	BuryDelete   = &Rule{Name: "bury-delete", Why: "a DELETE marks live rows with the time of their deletion"}
	BuryCurrent  = &Rule{Name: "bury-current", Why: "a DELETE at a cursor marks the cursor's row"}
	BuryAll      = &Rule{Name: "bury-truncate", Why: "TRUNCATE marks every live row"}
	MergeLive    = &Rule{Name: "merge-live", Why: "a tombstone in the target of a MERGE matches nothing"}
	BuryMerge    = &Rule{Name: "bury-merge", Why: "DELETE in a MERGE marks the row with the time of its deletion"}
	UpsertLive   = &Rule{Name: "upsert-live", Why: "no tombstone is in the unique index that decides about a conflict"}
	UpsertGuard  = &Rule{Name: "upsert-guard", Why: "a tombstone may hold the key: that is an error, not a row that nobody sees"}
	ReturnOld    = &Rule{Name: "return-old", Why: "RETURNING of a DELETE shows the row as it was, its marker still NULL"}
	AllowPurge   = &Rule{Name: "allow-truncate", Why: "the policy lets TRUNCATE of this table through"}
	PurgeRows    = &Rule{Name: "purge", Why: "the session asked to delete for good: tombstone.delete is purge"}
	ShowAll      = &Rule{Name: "show-all", Why: "the session asked for deleted rows too: tombstone.visibility is all"}
	ShowDeleted  = &Rule{Name: "show-deleted", Why: "the session asked for deleted rows only: tombstone.visibility is deleted"}
	ShowAsOf     = &Rule{Name: "show-as-of", Why: "the session asked for the rows that there were at another time: tombstone.as_of"}
	ViewOpen     = &Rule{Name: "view-open", Why: "the view does not show the marker, so what its own query lets through is seen", Warn: true}
	BodyUnseen   = &Rule{Name: "body-unseen", Why: "the server runs the body unseen: a DELETE in it really deletes, and it sees tombstones", Warn: true}
	Unmarked     = &Rule{Name: "unmarked", Why: "the table has no marker column, so none of its rows is a tombstone"}
)
