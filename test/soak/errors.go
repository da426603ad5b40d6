package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"
)

// expected are the classes of errors that the trouble here causes, each with what does.
var expected = map[string]string{
	"57P01":  "an administrator ended the backend",
	"57014":  "canceled, or a statement timeout",
	"08006":  "the server closed the connection",
	"closed": "the connection was closed, after one of the above",
	"25P02":  "the transaction had failed",
}

// tally counts what happens. It is safe for concurrent use.
type tally struct {
	requests, logins, reloads atomic.Int64

	mu     sync.Mutex
	errors map[string]int
	wrong  []string
}

func newTally() *tally { return &tally{errors: map[string]int{}} }

// failed counts an error, and notes one of a class that nothing here causes.
func (t *tally) failed(what string, err error) {
	class := classOf(err)
	t.mu.Lock()
	t.errors[class]++
	t.mu.Unlock()
	if expected[class] == "" {
		t.bad("%s: %v", what, err)
	}
}

func (t *tally) bad(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch len(t.wrong) {
	case 50: // enough to see what it is
	case 49:
		t.wrong = append(t.wrong, "and more")
	default:
		t.wrong = append(t.wrong, fmt.Sprintf(format, args...))
	}
}

func (t *tally) check(err error) {
	if err != nil {
		t.bad("%v", err)
	}
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []string
	for _, class := range slices.Sorted(maps.Keys(t.errors)) {
		list = append(list, fmt.Sprintf("%s %d", class, t.errors[class]))
	}
	return fmt.Sprintf("%d requests, %d logins, %d reloads, errors: %s", t.requests.Load(), t.logins.Load(), t.reloads.Load(), strings.Join(list, ", "))
}

func classOf(err error) string {
	var e *pgconn.PgError
	switch {
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, errHung):
		return "hung"
	case strings.Contains(err.Error(), "conn closed"), strings.Contains(err.Error(), "EOF"),
		strings.Contains(err.Error(), "connection reset"), strings.Contains(err.Error(), "broken pipe"), strings.Contains(err.Error(), "closed network"):
		return "closed"
	}
	return "other"
}
