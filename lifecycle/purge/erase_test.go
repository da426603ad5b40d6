package purge

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const forgotten = `
CREATE TABLE users (id int PRIMARY KEY, email text, hold boolean NOT NULL DEFAULT false, deleted_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, deleted_at timestamptz);
CREATE TABLE items (order_id int REFERENCES orders ON DELETE CASCADE, n int, deleted_at boolean NOT NULL DEFAULT false, PRIMARY KEY (order_id, n));
CREATE TABLE profiles (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, street text);
CREATE TABLE notes (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE SET NULL, deleted_at timestamptz);
INSERT INTO users SELECT i, 'user' || i || '@example.org' FROM generate_series(1, 9) i;
INSERT INTO orders SELECT 10 * u + i, u FROM generate_series(1, 9) u, generate_series(1, 2) i;
INSERT INTO items SELECT o.id, i FROM orders o, generate_series(1, 2) i;
INSERT INTO profiles SELECT i, i, 'street ' || i FROM generate_series(1, 9) i; INSERT INTO notes SELECT i, i FROM generate_series(1, 9) i;
`

func (y *yard) erase(t testing.TB, o EraseOptions) (*Erased, error) {
	t.Helper()
	conn := connect(t, y.name)
	o.StatementTimeout, o.LockTimeout, o.Who = 30*time.Second, 300*time.Millisecond, "a test"
	return Erase(within(t), conn, y.policy, o)
}

// everything is all that the database still knows, as text.
func (y *yard) everything(t testing.TB) string {
	t.Helper()
	var b strings.Builder
	for _, table := range []string{"users", "orders", "items", "profiles", "notes", "tombstone.archive", "tombstone.keyed", "tombstone.severed"} {
		fmt.Fprintf(&b, "%s: %s\n", table, y.one(t, "SELECT string_agg(x::text, '; ' ORDER BY x::text) FROM "+table+" x"))
	}
	return b.String()
}

// Somebody is forgotten: the rows, what went with them, their copies and what was noted down of them; and nothing of anybody else.
func TestErase(t *testing.T) {
	y := newYard(t, "erase", forgotten, "{name: public.users, hold: hold}, {name: public.orders}, {name: public.items}, {name: public.notes}", true)
	erase := func(o EraseOptions) string {
		t.Helper()
		o.Table = "users"
		out, err := y.erase(t, o)
		var refused *Refused
		switch {
		case errors.As(err, &refused):
			return strings.Join(refused.Reasons, "\n")
		case err != nil:
			return err.Error()
		}
		var list []string
		for _, e := range out.Tables {
			list = append(list, fmt.Sprintf("%s %d/%d", e.Name, e.Erased, e.Archived))
		}
		slices.Sort(list)
		return strings.Join(list, " ")
	}
	y.run(t, "UPDATE users SET deleted_at = now() WHERE id = 2")
	y.run(t, "INSERT INTO users VALUES (2, 'user2@example.org')") // user 2 moves to the archive with all that went
	y.run(t, "INSERT INTO orders VALUES (23, 2); UPDATE users SET deleted_at = now() WHERE id = 2; UPDATE users SET deleted_at = now() WHERE id IN (3, 4)")
	y.run(t, "UPDATE users SET hold = true WHERE id = 3")
	before := y.everything(t)
	for _, c := range []struct {
		o    EraseOptions
		want string
	}{
		{EraseOptions{Keys: [][]string{{"1"}}}, "1 live row of public.users: delete them first, or add --live"},
		{EraseOptions{Keys: [][]string{{"1"}}, Live: true, Cascade: true}, "live rows of public.orders still refer to public.users"},
		{EraseOptions{Keys: [][]string{{"3"}}, Cascade: true}, "1 row of public.users held: add --despite-hold if that is lawful"},
		{EraseOptions{Keys: [][]string{{"4"}}}, "2 deleted rows of public.orders still refer to public.users (orders_user_id_fkey): add --cascade"},
		{EraseOptions{Keys: [][]string{{"4"}}}, "1 archived row of public.profiles referred to public.users (profiles_user_id_fkey): add --cascade"},
		{EraseOptions{Keys: [][]string{{"77"}}}, "no row is meant"},
		{EraseOptions{Where: "false"}, "no row is meant"},
		{EraseOptions{Keys: [][]string{{"4", "5"}}}, "1 columns in its key (id), and there are 2 values"},
		{EraseOptions{Keys: [][]string{{"x"}}}, "22P02"},
		{EraseOptions{Where: "id = 4; DROP TABLE users"}, "without semicolon"},
		{EraseOptions{Where: "users.email LIKE 'user2@%'", Cascade: true, Dry: true}, "public.items 4/4 public.orders 3/2 public.profiles 1/1 public.users 2/1"},
	} {
		if got := erase(c.o); !strings.Contains(got, c.want) {
			t.Errorf("%+v:\n got %s\nwant %s", c.o, got, c.want)
		}
		if now := y.everything(t); now != before {
			t.Fatalf("%+v changed something:\n%s\n%s", c.o, before, now)
		}
	}
	if got := erase(EraseOptions{Where: "users.email LIKE 'user2@%'", Cascade: true}); got != "public.items 4/4 public.orders 3/2 public.profiles 1/1 public.users 2/1" {
		t.Error(got)
	}
	if got := erase(EraseOptions{Keys: [][]string{{"3"}, {"4"}}, Cascade: true, DespiteHold: true}); got != "public.items 8/0 public.orders 4/0 public.profiles 2/2 public.users 2/0" {
		t.Error(got)
	}
	for _, id := range []string{"2", "3", "4"} {
		for _, trace := range []string{"user" + id + "@", "street " + id, "{" + id + "}", "(" + id + "1", "{" + id + "1,"} {
			if trace == "{2}" || trace == "{3}" || trace == "{4}" {
				continue // a note's key: it is nobody's who was erased
			}
			if now := y.everything(t); strings.Contains(now, trace) {
				t.Errorf("%q is left:\n%s", trace, now)
			}
		}
	}
	if got := y.one(t, "SELECT (SELECT count(*) FROM users) || ' ' || (SELECT count(*) FROM orders) || ' ' || (SELECT count(*) FROM items) || ' ' || (SELECT count(*) FROM tombstone.severed) || ' ' || (SELECT count(*) FROM tombstone.archive)"); got != "6 12 24 0 0" {
		t.Error(got)
	}
	// The receipt shows no key, and whoever knows one finds it.
	if got := y.one(t, "SELECT count(*) FILTER (WHERE tables::text LIKE '%"+KeyHash("public.users", []string{"2"})+"%') || ' ' || count(*) FILTER (WHERE tables::text LIKE '%"+KeyHash("public.items", []string{"31", "1"})+"%') || ' ' || count(*) FROM tombstone.receipts WHERE command = 'erase' AND tables::text NOT LIKE '%user%@%'"); got != "1 1 2" {
		t.Error(got, y.one(t, "SELECT string_agg(tables::text, ' ') FROM tombstone.receipts"))
	}
	// A live row goes with --live when nothing refers to it.
	y.run(t, "UPDATE orders SET deleted_at = now() WHERE user_id = 5; DELETE FROM profiles WHERE id = 5; UPDATE notes SET user_id = NULL WHERE id = 5")
	if got := erase(EraseOptions{Keys: [][]string{{"5"}}, Cascade: true, Live: true}); got != "public.items 4/0 public.orders 2/0 public.users 1/0" {
		t.Error(got)
	}
}

// A version of a row that is in the archive goes alone when only it is meant: what is known of the one in the table stays.
func TestEraseOneVersion(t *testing.T) {
	y := newYard(t, "erase_version", `CREATE TABLE rooms (id int PRIMARY KEY, name text, deleted_at boolean NOT NULL DEFAULT false);
CREATE TABLE keys (id int PRIMARY KEY, room int REFERENCES rooms ON DELETE SET NULL, deleted_at timestamptz); INSERT INTO rooms VALUES (1, 'old'); INSERT INTO keys VALUES (1, 1)`, "{name: public.rooms}, {name: public.keys}", true)
	y.run(t, "UPDATE rooms SET deleted_at = true")
	y.run(t, "INSERT INTO rooms VALUES (1, 'new')")
	y.run(t, "UPDATE keys SET room = 1")
	y.run(t, "UPDATE rooms SET deleted_at = true")
	if _, err := y.erase(t, EraseOptions{Table: "rooms", Where: "name = 'old'"}); err != nil {
		t.Fatal(err)
	}
	if got := y.one(t, "SELECT (SELECT string_agg(name, ',') FROM rooms) || ' ' || (SELECT count(*) FROM tombstone.keyed) || ' ' || (SELECT count(*) FROM tombstone.severed) || ' ' || (SELECT count(*) FROM tombstone.archive)"); got != "new 1 1 0" {
		t.Error(got)
	}
	y.run(t, "UPDATE rooms SET deleted_at = false")
	if got := y.one(t, "SELECT room FROM keys"); got != "1" {
		t.Errorf("the reference that the second deletion cut is not mended: %q", got)
	}
}
