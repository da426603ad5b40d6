package rewrite

import (
	"testing"

	"tombstone/policy/catalog"
)

// What is kept of one text serves another of its shape, or the same under other settings, only if it is right there.
func TestKeptPlansFollowSettings(t *testing.T) {
	set := shopSet(t, "")
	nobody, support := Rights{Known: true}, Rights{Known: true, See: true, Restore: true, Purge: true}
	env := func(said catalog.Asked, rights Rights) *Env {
		asks := Ask(said, rights)
		return &Env{Set: set, Path: []string{"pg_catalog", "public"}, Key: "k" + asks.Key(), Asks: asks, Rights: rights}
	}
	c, s := NewCache(1<<20), new(Scratch)
	plain := env(catalog.Asked{}, nobody)
	for range 3 {
		if p := c.Rewrite("SELECT set_config('tombstone.visibility', 'all', false)", plain, s); p.Stmts[0].Refusal == nil {
			t.Fatal("set_config of what the role may not set is let through")
		}
		if p := c.Rewrite("SELECT set_config('work_mem', '1MB', false)", plain, s); p.Stmts[0].Refusal != nil {
			t.Fatal("set_config of anything else is refused")
		}
	}
	const sql = "SELECT id FROM users"
	for _, one := range []struct {
		env  *Env
		want string // "" for a refusal
	}{
		{plain, sql + " WHERE users.deleted_at IS NULL"},
		{env(catalog.Asked{catalog.Visibility: "all"}, support), sql},
		{env(catalog.Asked{catalog.Visibility: "all"}, nobody), ""},
		{env(catalog.Asked{catalog.Visibility: "deleted"}, support), sql + " WHERE users.deleted_at IS NOT NULL"},
		{env(catalog.Asked{catalog.AsOf: "2026-01-31"}, support), sql + " WHERE (users.deleted_at IS NULL OR users.deleted_at > '2026-01-31'::timestamp with time zone)"},
		{env(catalog.Asked{catalog.AsOf: "2026-02-01"}, support), sql + " WHERE (users.deleted_at IS NULL OR users.deleted_at > '2026-02-01'::timestamp with time zone)"},
		{env(catalog.Asked{catalog.Delete: "purge"}, nobody), sql + " WHERE users.deleted_at IS NULL"},
	} {
		for range 3 {
			p := c.Rewrite(sql, one.env, s)
			got := p.Apply(sql)
			if p.Stmts[0].Refusal != nil {
				got = ""
			}
			if got != one.want {
				t.Errorf("%q: %s, want %s", one.env.Key, got, one.want)
			}
		}
	}
	// What only rights differ in.
	const restore = "UPDATE users SET deleted_at = NULL"
	for range 2 {
		if p := c.Rewrite(restore, env(catalog.Asked{catalog.Visibility: "all"}, support), s); p.Stmts[0].Refusal != nil {
			t.Error(p.Stmts[0].Refusal)
		}
		if p := c.Rewrite(restore, env(catalog.Asked{catalog.Visibility: "all"}, Rights{Known: true, See: true}), s); p.Stmts[0].Refusal == nil {
			t.Error("who may only see restores")
		}
	}
}

// Moments are written so that they mean the same whenever they are read, whatever DateStyle, and hold nothing but a moment.
func TestMoment(t *testing.T) {
	for _, value := range []string{
		"2026-01-31", " 2026-01-31 ", "2026-01-31 12:00", "2026-01-31 12:00:00", "2026-01-31 12:00:00.123456", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5-03:30",
		"2026-01-31 12:00:00+00", "2026-01-31 12:00:00 +0530", "2026-01-31 12:00 UTC", "2026-01-31 12:00 America/Argentina/Buenos_Aires", "2024-02-29",
	} {
		if words, ok := moment(value); !ok || words == "" {
			t.Errorf("%q is refused", value)
		}
	}
	for _, value := range []string{
		"now", "yesterday", "infinity", "epoch", "2026", "2026-01", "26-01-31", "31.01.2026", "01/31/2026", "2026-02-29", "2026-13-01", "2026-01-31 25:00", "2026-01-31 12:60",
		"2026-01-31 12", "2026-01-31 12:00:00+16", "2026-01-31'", "2026-01-31 12:00'||x", "2026-01-31; DROP TABLE users", "2026-01-31 12:00 \n", "2026-01-31 12:00 -- ", "0000-01-01", "\x00",
	} {
		if words, ok := moment(value); ok && words == value {
			t.Errorf("%q is taken", value)
		}
	}
	if words, ok := moment(""); !ok || words != "" {
		t.Error("nothing is no moment, and no mistake")
	}
}

// What is logged of a change.
func TestSettingsTold(t *testing.T) {
	got := Settings(catalog.Asked{"", "bury", "2026-01-31"}, catalog.Asked{"all", "", ""}, Rights{Known: true})
	if len(got) != 2 || got[0] != (Setting{"tombstone.visibility", "all", false}) || got[1] != (Setting{"tombstone.as_of", "", true}) {
		t.Errorf("%+v", got)
	}
}
