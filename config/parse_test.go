package config

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const smallest = `listen: 127.0.0.1:6432
upstream: postgres://127.0.0.1:5432
`

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSmallestFileHasAllDefaults(t *testing.T) {
	want := &Config{
		File:      "test.yaml",
		Listen:    Address{"tcp", "127.0.0.1:6432"},
		Upstream:  upstream(local, tcp("127.0.0.1", "127.0.0.1:5432")),
		TLS:       TLS{Mode: "allow", ClientCertificates: "none", MinVersion: tls.VersionTLS12},
		Auth:      Auth{Mode: "pass", Client: "scram"},
		Purge:     Purge{Schedule: "17 3 * * *", Batch: 1000, Rate: 2000, StatementTimeout: 30 * time.Second, LockTimeout: time.Second},
		Bodies:    "pass",
		Log:       Log{Level: slog.LevelInfo, Format: "text"},
		Limits:    Limits{StatementBytes: 16 << 20, MessageBytes: 1 << 30, StartupTime: time.Minute},
		Catalog:   Catalog{MaxAge: 30 * time.Second},
		Keepalive: time.Minute,
		Drain:     30 * time.Second,
		IOUring:   "auto",
	}
	for _, more := range []string{
		"", "tables: []\n", "tables:\n", "log:\nlimits: {}\ncatalog: ~\n", "admin: \"\"\n", "tls:\nauth: {}\n", "---\n", "...\n", "# the end",
	} {
		text := smallest + more
		if more == "---\n" {
			text = more + smallest
		}
		if got := mustParse(t, text); !reflect.DeepEqual(got, want) {
			t.Errorf("with %q: %+v\nwant %+v", more, got, want)
		}
	}
	for _, text := range []string{"\ufeff" + smallest, strings.ReplaceAll(smallest, "\n", "\r\n")} {
		if got := mustParse(t, text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v\nwant %+v", text, got, want)
		}
	}
}

func TestEveryField(t *testing.T) {
	got := mustParse(t, `
listen: unix:/run/tombstone/.s.PGSQL.6432
upstream: postgresql://app:pw@db.example/shop
admin: "[::1]:9464"
pprof: true
marker: Removed_At
tables:
  - name: Public.Users
  - name: 'Shop."Order Items"'
    marker: '"deletedAt"'
    retention: 30d
    mode: observe
    created: Made
    hold: legal_hold
    max_rows: 500
    index: true
    live: infinity
    deleted_by: Deleted_By
    deletion_id: '"deletionId"'
    truncate: deny
  - {name: "*.audit_*", retention: forever, truncate: allow}
roles: {see: [support, '"Help Desk"'], restore: [Support], purge: [dba]}
purge:
  schedule: "*/5 * * * 1-5"
  login: postgres://purger:secret@/shop
  batch: 500
  rate: 0
  statement_timeout: 1m
  lock_timeout: 0
bodies: refuse
log: {level: debug, format: json, literals: true}
limits:
  statement_bytes: 512KiB
  message_bytes: 64MiB
  connections: 200
  connections_per_user: 20
  connections_per_database: 100
  startup_time: 5s
  idle_time: 1d
keepalive: 0
drain: 0s
loops: 4
io_uring: off
catalog:
  max_age: 5m
`)
	purger := upstream(login("purger", "secret", "shop"), tcp("db.example", "db.example:5432"))
	want := &Config{
		File:     "test.yaml",
		Listen:   Address{"unix", "/run/tombstone/.s.PGSQL.6432"},
		Upstream: upstream(login("app", "pw", "shop"), tcp("db.example", "db.example:5432")),
		TLS:      TLS{Mode: "allow", ClientCertificates: "none", MinVersion: tls.VersionTLS12},
		Auth:     Auth{Mode: "pass", Client: "scram"},
		Admin:    "[::1]:9464",
		PProf:    true,
		Tables: []Table{
			{Name: "Public.Users", Schema: "public", Relation: "users", Marker: "removed_at", Mode: "enforce", Live: "auto", Truncate: "bury", Line: 8},
			{Name: `Shop."Order Items"`, Schema: "shop", Relation: "Order Items", Mode: "observe", Marker: "deletedAt", Live: "infinity", Created: "made", Hold: "legal_hold", MaxRows: 500, Indexed: true, DeletedBy: "deleted_by", DeletionID: "deletionId",
				Retention: 30 * 24 * time.Hour, Truncate: "deny", Line: 9, relationQuoted: true},
			{Name: "*.audit_*", Schema: "*", Relation: "audit_*", Marker: "removed_at", Mode: "enforce", Live: "auto", Truncate: "allow", Line: 21},
		},
		Roles:  Roles{See: []string{"support", "Help Desk"}, Restore: []string{"support"}, Purge: []string{"dba"}},
		Purge:  Purge{Schedule: "*/5 * * * 1-5", Login: &purger, Batch: 500, StatementTimeout: time.Minute},
		Bodies: "refuse",
		Log:    Log{Level: slog.LevelDebug, Format: "json", Literals: true},
		Limits: Limits{
			StatementBytes: 512 << 10, MessageBytes: 64 << 20, Connections: 200, ConnectionsPerUser: 20, ConnectionsPerDatabase: 100,
			StartupTime: 5 * time.Second, IdleTime: 24 * time.Hour,
		},
		Catalog: Catalog{MaxAge: 5 * time.Minute},
		Loops:   4,
		IOUring: "off",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "tombstone.yaml")
	if err := os.WriteFile(file, []byte(smallest), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(file); err != nil || c.File != file {
		t.Errorf("Load = %+v, %v", c, err)
	}
	huge := filepath.Join(dir, "huge.yaml")
	if err := os.WriteFile(huge, []byte(strings.Repeat("#", maxFile+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		filepath.Join(dir, "none.yaml"): "none.yaml: no such file; check the path",
		dir:                             ": cannot be read (is a directory); check the path",
		huge:                            "huge.yaml: larger than 1 MiB; a configuration file is a few kilobytes, check the path",
	} {
		c, err := Load(file)
		var list *Error
		if c != nil || !errors.As(err, &list) || !strings.HasSuffix(err.Error(), want) || !strings.HasPrefix(err.Error(), dir) {
			t.Errorf("Load(%s) = %v, %v; want %s", file, c, err, want)
		}
	}
}

// A file made to be expensive costs no more than its size: aliases are refused, nesting is bounded by the YAML library.
func TestBombs(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString(smallest + "tables: &a0 [x]\n")
	for i := range 40 {
		n := string(rune('a' + i%26))
		laughs.WriteString(n + strings.Repeat("x", i) + ": &a" + n + " [*a0, *a0, *a0]\n")
	}
	laughs.WriteString("log: *a0\n")
	for name, text := range map[string]string{
		"laughs":     laughs.String(),
		"self":       smallest + "tables: &a [*a, *a]\n",
		"merge":      smallest + "log: &l\n  <<: *l\n",
		"deep":       smallest + "tables: " + strings.Repeat("[", 200_000),
		"deep map":   smallest + "tables: " + strings.Repeat("{a: ", 100_000),
		"long key":   smallest + strings.Repeat("k", 500_000) + ": x\n",
		"long value": smallest + "admin: " + strings.Repeat("9", 500_000) + "\n",
		"long name":  smallest + "tables: [{name: " + strings.Repeat("a.", 250_000) + "}]\n",
		"long age":   smallest + "catalog: {max_age: " + strings.Repeat("1d", 250_000) + "}\n",
	} {
		c, err := Parse("bomb.yaml", []byte(text))
		if err == nil {
			t.Errorf("%s: accepted as %+v", name, c)
		} else if len(err.Error()) > 100_000 {
			t.Errorf("%s: message of %d bytes", name, len(err.Error()))
		}
	}
}

// FuzzParse looks for a text that panics, or whose outcome is neither a Config nor a list of problems.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/invalid/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "tombstone.example.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("fuzz.yaml", text)
		var list *Error
		switch {
		case err == nil && c == nil:
			t.Fatal("neither a Config nor an error")
		case err == nil && (c.Listen.Address == "" || len(c.Upstream.Hosts) == 0 || c.Upstream.Address != c.Upstream.Hosts[0].Address),
			err == nil && (c.Catalog.MaxAge <= 0 || c.Limits.StartupTime <= 0 || c.TLS.MinVersion == 0 || c.Upstream.TLS.Mode == ""):
			t.Fatalf("an incomplete Config: %+v", c)
		case err != nil && (c != nil || !errors.As(err, &list) || len(list.Problems) == 0):
			t.Fatalf("%v, %v", c, err)
		case err != nil && strings.Count(err.Error(), "\n") != len(list.Problems)-1:
			t.Fatalf("a problem is not one line: %q", err)
		}
	})
}
