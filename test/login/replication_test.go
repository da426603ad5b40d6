package login

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A replication connection logs in like any other, over every pair of legs.
func TestReplicationLogin(t *testing.T) {
	t.Parallel()
	want := admin(t, server, "SELECT system_identifier FROM pg_control_system()")
	for _, auth := range []string{"", ask} {
		for _, params := range []string{"sslmode=disable", verified()} {
			r := start(t, url(server, params), offer(), auth, protect)
			for _, mode := range []string{"disable", "require"} {
				for _, replication := range []string{"true", "database"} {
					dsn := r.to("user=scram_user replication=" + replication + " sslmode=" + mode)
					out, said := psql(t, dsn, "IDENTIFY_SYSTEM", "PGPASSWORD="+thePassword)
					if auth == "" && params != "sslmode=disable" && mode == "require" {
						if !strings.Contains(said, "auth.mode: terminate") {
							t.Errorf("TLS on both sides: %s %s", out, said)
						}
						out, said = psql(t, dsn+" channel_binding=disable", "IDENTIFY_SYSTEM", "PGPASSWORD="+thePassword)
					}
					if !strings.HasPrefix(out, want+"|") {
						t.Errorf("%s, %s, sslmode=%s, replication=%s: %s %s", auth, params, mode, replication, out, said)
					}
				}
			}
			if _, said := psql(t, r.to("user=scram_user replication=true"), "IDENTIFY_SYSTEM", "PGPASSWORD=falsch"); !strings.Contains(said, "password authentication failed") {
				t.Errorf("a wrong password: %s", said)
			}
			// An ordinary session, though the parameter is there.
			if out, said := psql(t, r.to("user=scram_user replication=off sslmode=disable"), "DELETE FROM users WHERE id = -1", "PGPASSWORD="+thePassword); out != "DELETE 0" {
				t.Errorf("replication=off: %s %s", out, said)
			}
		}
	}
}

// Backups and WAL stream through, with PostgreSQL's own programs.
func TestBackup(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ auth, params, mode string }{{"", "sslmode=disable", "disable"}, {ask, verified(), "require"}} {
		r := start(t, url(server, c.params), offer(), c.auth)
		run := func(program string, args ...string) {
			t.Helper()
			cmd := exec.CommandContext(within(t), filepath.Join(installed.Bin, program), append([]string{"-w", "-d", r.to("user=scram_user sslmode=" + c.mode)}, args...)...)
			cmd.Env = environ("PGPASSWORD=" + thePassword)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", program, err, out)
			}
		}
		if c.auth != "" { // two connections, of which one streams the WAL of that time
			dir := t.TempDir()
			run("pg_basebackup", "-D", dir, "-X", "stream", "-c", "fast", "--no-sync")
			if _, err := os.Stat(filepath.Join(dir, "backup_manifest")); err != nil {
				t.Error(err)
			}
		}
		wal := t.TempDir()
		admin(t, server, "SELECT pg_switch_wal(); DROP TABLE IF EXISTS noise; CREATE TABLE noise AS SELECT 1")
		run("pg_receivewal", "-D", wal, "--endpos="+admin(t, server, "SELECT pg_current_wal_lsn()"), "--no-loop", "--no-sync")
		if files, _ := filepath.Glob(filepath.Join(wal, "0*")); len(files) == 0 {
			t.Errorf("%s: no WAL was received", c.auth)
		}
	}
}
