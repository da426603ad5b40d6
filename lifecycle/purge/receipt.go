package purge

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Purged is what a purge did, or what it would do.
type Purged struct {
	Outcome   string         `json:"outcome"`           // done; stopped, between two batches; busy, another purge is at work; failed, at least in part
	Receipt   int64          `json:"receipt,omitempty"` // tombstone.receipts.id; 0 if nothing went or nothing could be written down
	DryRun    bool           `json:"dry_run"`
	Started   time.Time      `json:"started"`
	Finished  time.Time      `json:"finished"`
	Role      string         `json:"role"`
	Who       string         `json:"who"`
	Tables    []*PurgedTable `json:"tables"`
	Deletions int64          `json:"deletions"` // records of deletions of which nothing is left
	Warnings  []string       `json:"warnings,omitempty"`
	Problems  []string       `json:"problems,omitempty"` // why some of it could not be done
}

// PurgedTable is what went of one table, and what stays though its time is over.
type PurgedTable struct {
	Name      string     `json:"name"`
	Retention float64    `json:"retention_seconds,omitempty"` // 0 if the table has none of its own
	Before    time.Time  `json:"before"`                      // rows that were deleted before then go
	Purged    int64      `json:"purged"`
	Archived  int64      `json:"archived"` // purged rows that were in tombstone.archive
	FirstKey  string     `json:"first_key,omitempty"`
	LastKey   string     `json:"last_key,omitempty"`
	Oldest    *time.Time `json:"oldest,omitempty"` // when the row that was deleted first was deleted
	Newest    *time.Time `json:"newest,omitempty"`

	Kept       []Kept     `json:"kept,omitempty"`
	KeptOldest *time.Time `json:"kept_oldest,omitempty"` // when the oldest of them was deleted

	leaf bool // a partition has a retention of its own
}

// Kept is how many rows stay, and why.
type Kept struct {
	Reason string `json:"reason"`       // held, undecided, referred, kept, undated, locked
	By     string `json:"by,omitempty"` // the table whose rows refer to them
	Count  int64  `json:"count"`
}

// Why says it in words.
func (k Kept) Why() string {
	switch k.Reason {
	case "held":
		return "held"
	case "undecided":
		return "the hold is NULL, which does not say that they may go; write e.g. COALESCE(legal_hold, false)"
	case "referred":
		return "still referred to by " + k.By
	case "kept":
		return "still referred to by deleted rows of " + k.By + " that stay"
	case "undated":
		return "when they were deleted is not known: a boolean marker does not tell, and nothing was written down"
	}
	return "in use at the moment, or in a long circle of references"
}

// Stay is how many rows stay though their time is over.
func (t *PurgedTable) Stay() (n int64) {
	for _, k := range t.Kept {
		n += k.Count
	}
	return n
}

func (t *PurgedTable) keep(more Kept, oldest *time.Time) {
	if oldest != nil && (t.KeptOldest == nil || oldest.Before(*t.KeptOldest)) {
		at := oldest.UTC()
		t.KeptOldest = &at
	}
	for i := range t.Kept {
		if k := &t.Kept[i]; k.Reason == more.Reason && k.By == more.By {
			k.Count += more.Count
			return
		}
	}
	t.Kept = append(t.Kept, more)
}

// gone is a row that went.
type gone struct {
	place
	key []string
	at  *time.Time
}

func (t *PurgedTable) count(g gone) {
	t.Purged++
	key := keyText(g.key)
	if t.FirstKey == "" || keyLess(key, t.FirstKey) {
		t.FirstKey = key
	}
	if t.LastKey == "" || keyLess(t.LastKey, key) {
		t.LastKey = key
	}
	if g.at != nil {
		at := g.at.UTC()
		if t.Oldest == nil || at.Before(*t.Oldest) {
			t.Oldest = &at
		}
		if t.Newest == nil || at.After(*t.Newest) {
			t.Newest = &at
		}
	}
}

// keyText writes a key for a person to read.
func keyText(key []string) string { return strings.Join(key, ", ") }

// keyLess compares numbers as such, and all else by its bytes.
func keyLess(a, b string) bool {
	x, errX := strconv.ParseInt(a, 10, 64)
	y, errY := strconv.ParseInt(b, 10, 64)
	if errX == nil && errY == nil {
		return x < y
	}
	return a < b
}

// seal completes the receipt in a transaction that is waited for. Those before it, which were not, are on disk with it: what is told to have gone is gone.
func (p *purger) seal(ctx context.Context) error {
	if p.out.Receipt == 0 || p.conn.IsClosed() {
		return nil
	}
	if _, err := p.conn.Exec(ctx, "RESET synchronous_commit"); err != nil {
		return err
	}
	_, err := p.conn.Exec(ctx, "UPDATE tombstone.receipts SET finished = pg_catalog.clock_timestamp() WHERE id = $1", p.out.Receipt)
	return err
}

// write puts the receipt into the database, in the transaction that takes the rows.
func (p *Purged) write(ctx context.Context, tx pgx.Tx, command string) error {
	var went []*PurgedTable
	for _, t := range p.Tables {
		if t.Purged > 0 {
			one := *t
			one.Kept, one.KeptOldest = nil, nil // that is known at the end only
			went = append(went, &one)
		}
	}
	tables, err := json.Marshal(went)
	if err != nil {
		return err
	}
	if p.Receipt == 0 {
		return tx.QueryRow(ctx, "INSERT INTO tombstone.receipts (command, started, finished, who, tables) VALUES ($1, $2, pg_catalog.clock_timestamp(), $3, $4::jsonb) RETURNING id",
			command, p.Started, p.Who, string(tables)).Scan(&p.Receipt)
	}
	_, err = tx.Exec(ctx, "UPDATE tombstone.receipts SET finished = pg_catalog.clock_timestamp(), tables = $2::jsonb WHERE id = $1", p.Receipt, string(tables))
	return err
}
