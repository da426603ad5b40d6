package lifecycle

import (
	"strings"
	"testing"
)

// What a database or a role may have set, and what others have made that runs while a database is prepared.
func TestPrepareUnderSettings(t *testing.T) {
	for name, setting := range map[string]string{
		"strings": "standard_conforming_strings = off", "quotes": "quote_all_identifiers = on", "timeout": "statement_timeout = '60ms'", "path": "search_path = app, public", "empty": "search_path = ''",
	} {
		t.Run(name, func(t *testing.T) {
			conn := database(t, "settings_"+name)
			if _, err := conn.Exec(within(t), `
CREATE SCHEMA app;
CREATE FUNCTION app.plain(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
CREATE FUNCTION app.normal(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN plain($1); END';
CREATE TABLE app.ddl (what text);
CREATE FUNCTION app.ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO ddl VALUES (tg_tag); END';
CREATE TABLE public.users (id int PRIMARY KEY, email text, deleted_at timestamptz);
CREATE TABLE public.orders (id int PRIMARY KEY, user_id int REFERENCES public.users ON DELETE CASCADE, deleted_at boolean NOT NULL DEFAULT false);
INSERT INTO public.users SELECT g, md5(g::text) FROM generate_series(1, 20000) g; INSERT INTO public.orders VALUES (1, 1)`); err != nil {
				t.Fatal(err)
			}
			if name == "path" {
				if _, err := conn.Exec(within(t), `SET search_path = app, public; CREATE UNIQUE INDEX ON users (app.normal(email)); CREATE EVENT TRIGGER ddl ON ddl_command_end EXECUTE FUNCTION app.ddl()`); err != nil {
					t.Fatal(err)
				}
			} else if _, err := conn.Exec(within(t), `CREATE UNIQUE INDEX ON public.users (pg_catalog.lower(email))`); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Exec(within(t), "ALTER DATABASE settings_"+name+" SET "+setting); err != nil {
				t.Fatal(err)
			}
			soft := &twin{Conn: connect(t, "settings_"+name)}
			var said strings.Builder
			if err := Prepare(soft.database(t)).Apply(within(t), soft.Conn, &said); err != nil {
				t.Fatalf("%v\n%s", err, &said)
			}
			if name == "timeout" { // which holds for a restoration as for any other query
				soft.raw(t, "ALTER DATABASE settings_timeout RESET statement_timeout")
			}
			again := &twin{Conn: connect(t, "settings_"+name)}
			if missing := Prepare(again.database(t)).Missing(); len(missing) > 0 {
				t.Errorf("missing: %+v", missing)
			}
			if got := again.raw(t, "UPDATE public.users SET deleted_at = now() WHERE id = 1"); got != "" {
				t.Fatal(got)
			}
			list, err := History(within(t), again.Conn, Filter{})
			if err != nil || len(list) != 1 || len(list[0].Tables) != 2 {
				t.Fatalf("%+v, %v", list, err)
			}
			if r, err := Undo(within(t), again.Conn, again.database(t), list[0].ID, false); err != nil || len(r.Restored) != 2 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}
