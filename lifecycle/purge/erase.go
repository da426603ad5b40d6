package purge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tombstone/config"
	"tombstone/lifecycle"
	"tombstone/policy"
)

// EraseOptions say what to erase. Either Keys or Where is given.
type EraseOptions struct {
	config.Purge            // its timeouts
	Table        string     // as in SQL
	Keys         [][]string // of each row, the values of its key's columns as text
	Where        string     // a condition on a row, in SQL
	Live         bool       // live rows, too
	Cascade      bool       // and tombstones that refer to them
	DespiteHold  bool
	Dry          bool   // change nothing
	Who          string // who asked for it, for the receipt
}

// Erased is what was erased, or what would be, without a word of what was in it.
type Erased struct {
	Receipt  int64          `json:"receipt,omitempty"` // tombstone.receipts.id; 0 if it could not be written down
	DryRun   bool           `json:"dry_run"`
	Started  time.Time      `json:"started"`
	Finished time.Time      `json:"finished"`
	Role     string         `json:"role"`
	Who      string         `json:"who"`
	Tables   []*ErasedTable `json:"tables"`
}

// ErasedTable is what was erased of one table.
type ErasedTable struct {
	Name     string   `json:"name"`
	Erased   int64    `json:"erased"`   // rows, the archived ones included
	Archived int64    `json:"archived"` // those of them that were in tombstone.archive
	Keys     []string `json:"keys"`     // KeyHash of each
}

// KeyHash is what a receipt has of a key: the SHA-256 of the table's name, a colon, and the values with commas between, as hex digits. Who knows the key
// can find the receipt; nobody can read the key in it.
func KeyHash(table string, key []string) string {
	sum := sha256.Sum256([]byte(table + ":" + strings.Join(key, ",")))
	return hex.EncodeToString(sum[:])
}

// Refused says why nothing was erased.
type Refused struct{ Reasons []string }

func (r *Refused) Error() string {
	return "nothing is erased:\n  " + strings.Join(r.Reasons, "\n  ")
}

// ErrNothing is a condition that no row meets.
var ErrNothing = errors.New("no row is meant, neither in the table nor in the archive")

// Erase deletes rows for good whatever their retention, with their copies in the archive and all that the house knows of them, in one transaction.
// It does nothing and returns *Refused if a row is live or held and that is not allowed for, or if anything stays that refers to one of them.
//
// The connection is this call's own: it has other settings afterwards.
func Erase(ctx context.Context, conn *pgx.Conn, rules *policy.Policy, o EraseOptions) (*Erased, error) {
	if strings.ContainsRune(o.Where, ';') || strings.Contains(o.Where, "--") || strings.Contains(o.Where, "/*") {
		return nil, errors.New("the condition is more than that; write e.g. email = 'a@example.org', without semicolon or comment")
	}
	if err := settle(ctx, conn, o.Purge); err != nil {
		return nil, err
	}
	out := &Erased{DryRun: o.Dry, Who: o.Who, Tables: []*ErasedTable{}}
	if err := conn.QueryRow(ctx, "SELECT pg_catalog.clock_timestamp(), session_user").Scan(&out.Started, &out.Role); err != nil {
		return nil, err
	}
	out.Started = out.Started.UTC()
	d, err := lifecycle.Read(ctx, conn, rules)
	if err != nil {
		return nil, err
	}
	g, err := readGraph(ctx, conn, d, out.Started)
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	t, err := g.find(ctx, conn, o.Table)
	if err != nil {
		return nil, err
	}
	if t.Protected.Unmarked || t.Protected.Unreadable {
		return nil, errors.New(t.Protected.Problem + ". " + t.Protected.Fix)
	}
	e := &eraser{graph: g, d: d, o: o, out: out, rows: map[place]bool{}, archived: map[int64]bool{}}
	if e.where, err = o.condition(t); err != nil {
		return nil, err
	}
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}, func(tx pgx.Tx) error {
		e.tx = tx
		if err := e.collect(ctx, t); err != nil {
			return err
		}
		if err := e.all(ctx); err != nil || o.Dry || !g.has["receipts"] {
			return err
		}
		tables, err := json.Marshal(out.Tables)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, "INSERT INTO tombstone.receipts (command, started, finished, who, tables) VALUES ('erase', $1, pg_catalog.clock_timestamp(), $2, $3::jsonb) RETURNING id",
			out.Started, o.Who, string(tables)).Scan(&out.Receipt)
	})
	var locked *pgconn.PgError
	if errors.As(err, &locked) && locked.Code == "55P03" {
		err = fmt.Errorf("somebody holds a lock on one of the rows or on the table; run it again: %w", err)
	}
	if err != nil {
		return nil, err
	}
	out.Finished = time.Now().UTC()
	return out, nil
}

// condition writes which rows of a table are meant.
func (o *EraseOptions) condition(t *grave) (string, error) {
	if len(o.Keys) == 0 {
		return "(" + o.Where + ")", nil
	}
	var list []string
	for _, key := range o.Keys {
		if len(key) != len(t.identity) {
			return "", fmt.Errorf("%s has %d columns in its key (%s), and there are %d values; a value with a comma in it goes in double quotes, and for several rows --key is written several times",
				t.Name, len(t.identity), strings.Join(t.identity, ", "), len(key))
		}
		one := make([]string, len(key))
		for i, name := range t.identity {
			one[i] = ident(t.Relation) + "." + ident(name) + " = " + literal(key[i])
		}
		list = append(list, strings.Join(one, " AND "))
	}
	return "(" + strings.Join(list, " OR ") + ")", nil
}

// table is the account of a table by its name.
func (e *Erased) table(name string) *ErasedTable {
	if i := slices.IndexFunc(e.Tables, func(t *ErasedTable) bool { return t.Name == name }); i >= 0 {
		return e.Tables[i]
	}
	t := &ErasedTable{Name: name, Keys: []string{}}
	e.Tables = append(e.Tables, t)
	return t
}

func (e *Erased) count(name string, key []string, archived bool) {
	t := e.table(name)
	t.Erased++
	if archived {
		t.Archived++
	}
	if hash := KeyHash(name, key); !slices.Contains(t.Keys, hash) {
		t.Keys = append(t.Keys, hash)
	}
}
