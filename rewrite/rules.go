package rewrite

// Rule is one reason to edit a statement. Plans name the rules that fired.
type Rule struct {
	Name string
	Why  string // the reason, in a line, as `tombstone rewrite` prints it
}

// The rules, each with the row that would come out wrong without it in the
// doc comment of the function that applies it.
var (
	HideWhere   = &Rule{"hide-where", "a read sees live rows only: the marker is tested in WHERE"}
	HideJoin    = &Rule{"hide-join", "a condition in WHERE would change the join: the marker is tested at the reference"}
	HideTable   = &Rule{"hide-table", "TABLE has no WHERE: it becomes the SELECT that it stands for"}
	HideCopy    = &Rule{"hide-copy", "COPY sends live rows only, so it copies a query"}
	UpdateLive  = &Rule{"update-live", "an UPDATE changes live rows only"}
	BuryDelete  = &Rule{"bury-delete", "a DELETE marks live rows with the time of their deletion"}
	BuryCurrent = &Rule{"bury-current", "a DELETE at a cursor marks the cursor's row"}
	BuryAll     = &Rule{"bury-truncate", "TRUNCATE marks every live row"}
	ReturnOld   = &Rule{"return-old", "RETURNING of a DELETE shows the row as it was, its marker still NULL"}
	AllowPurge  = &Rule{"allow-truncate", "the policy lets TRUNCATE of this table through"}
	Unmarked    = &Rule{"unmarked", "the table has no marker column, so none of its rows is a tombstone"}
)
