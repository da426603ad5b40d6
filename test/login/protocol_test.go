package login

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tombstone/cluster"
	"tombstone/test/majors"
)

// greeting is what a client of that version is told up to its first ReadyForQuery: the negotiation, and the length of its
// key. The order of the negotiation and the login is left out: when the proxy authenticates, the server is asked after that.
func greeting(t *testing.T, address string, version uint32, params ...string) string {
	t.Helper()
	k := converse(t, dial(t, address))
	defer k.Close()
	k.say(startup(version, append([]string{"user", "scram_user", "database", "postgres"}, params...)...))
	all, last := k.scram("scram_user", thePassword)
	var said []string
	for _, m := range all {
		switch m.typ {
		case 'v':
			said = append(said, fmt.Sprintf("negotiate %q", m.body))
		case 'K':
			said = append(said, fmt.Sprintf("key of %d bytes", len(m.body)-4))
		case 'E':
			said = append(said, m.fields())
		}
	}
	return strings.Join(append(said, string(last.typ)), ", ")
}

// Every version of the protocol is negotiated as the server does it.
func negotiates(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	direct := fmt.Sprintf("127.0.0.1:%d", c.Port)
	relays := map[string]*relay{
		"pass": start(t, url(c, "sslmode=disable"), protect), "terminate": start(t, url(c, "sslmode=disable"), protect, ask),
		"several": start(t, several("", "sslmode=disable&target_session_attrs=any", nobody(t), c.Port)),
		"primary": start(t, several("asker:fragen@", "sslmode=disable&target_session_attrs=primary", nobody(t), c.Port), ask),
	}
	for _, version := range []uint32{version30, version32, 3<<16 | 1, 3<<16 | 9999} {
		for _, params := range [][]string{nil, {"_pq_.unheard", "of"}, {"_pq_.a", "", "_pq_.b", "1", "application_name", "x"}, {"options", "-c geqo=off -c nosuch=1"}} {
			want := greeting(t, direct, version, params...)
			t.Logf("%d.%d %q: %s", version>>16, version&0xffff, params, want)
			for name, r := range relays {
				if got := greeting(t, r.addr.String(), version, params...); got != want {
					t.Errorf("%s, %d.%d %q: %s, want %s", name, version>>16, version&0xffff, params, got, want)
				}
			}
		}
	}
	for name, r := range relays {
		s := r.sleeper(t, false, version32)
		eventually(t, "the statement runs", func() bool { return asleep(t, c) == "1" })
		r.cancel(t, s.key, false)
		t.Logf("%s: a key of %d bytes", name, len(s.key)-4)
		s.cancelled()
	}
}

func TestNegotiation(t *testing.T) { negotiates(t, server) }

// PostgreSQL 18 speaks 3.2, whose keys are long.
func TestNegotiation18(t *testing.T) {
	t.Parallel()
	programs := majors.Programs(t, 18)
	c := major(t, 18)
	admin(t, c, roles)
	negotiates(t, c)

	// The system's psql, with the libpq of 18.
	library := filepath.Join(filepath.Dir(programs.Bin), "lib")
	if _, err := os.Stat(filepath.Join(library, "libpq.so.5")); err != nil {
		t.Skipf("no libpq of 18: %v", err)
	}
	for _, auth := range []string{"", ask} {
		r := start(t, url(c, "sslmode=disable"), offer(), protect, auth)
		for _, dsn := range []string{"max_protocol_version=3.2 sslmode=disable", "min_protocol_version=3.2 max_protocol_version=latest sslmode=require",
			"sslnegotiation=direct sslmode=require", "sslnegotiation=direct sslmode=require max_protocol_version=3.2 channel_binding=" + map[string]string{"": "prefer", ask: "require"}[auth]} {
			cmd := exec.CommandContext(within(t), psqlProgram(t), "-X", "-w", "-At", "-d", r.to("user=scram_user "+dsn), "-c", "SELECT count(*) FROM users")
			cmd.Env = environ("PGPASSWORD="+thePassword, "LD_LIBRARY_PATH="+library)
			if out, err := cmd.CombinedOutput(); strings.TrimSpace(string(out)) != "30" {
				t.Errorf("%s, %s: %s %v", auth, dsn, out, err)
			}
		}
	}
	// To a server that does not speak it, the same client goes down.
	for _, auth := range []string{"", ask} {
		r := start(t, url(server, "sslmode=disable"), protect, auth)
		for dsn, want := range map[string]string{"max_protocol_version=3.2": "30", "min_protocol_version=3.2 max_protocol_version=3.2": "only supports protocol version 3.0"} {
			cmd := exec.CommandContext(within(t), psqlProgram(t), "-X", "-w", "-At", "-d", r.to("user=scram_user "+dsn), "-c", "SELECT count(*) FROM users")
			cmd.Env = environ("PGPASSWORD="+thePassword, "LD_LIBRARY_PATH="+library)
			if out, err := cmd.CombinedOutput(); !strings.Contains(string(out), want) {
				t.Errorf("%s, %s: %s %v", auth, dsn, out, err)
			}
		}
	}
}

// psqlProgram is psql itself: Debian's is a script in Perl, which would load the library, too.
func psqlProgram(t testing.TB) string {
	t.Helper()
	if path := filepath.Join(installed.Bin, "psql"); exec.Command(path, "--version").Run() == nil {
		return path
	}
	return "psql"
}

// What is no version of the protocol that anybody speaks. The server answers versions before 3 in their own form; nobody reads it.
func TestUnknownVersions(t *testing.T) {
	r := start(t, url(server, "sslmode=disable"))
	for _, version := range []uint32{1, 2 << 16, 4 << 16, 1234<<16 | 9999} {
		said := func(address string) string {
			k := converse(t, dial(t, address))
			k.say(startup(version, "user", "trust_user", "database", "postgres"))
			said, _, _ := strings.Cut(k.hear().fields(), ": server supports")
			_ = k.over()
			return said
		}
		want := fmt.Sprintf("SFATAL; VFATAL; C0A000; Munsupported frontend protocol %d.%d", version>>16, version&0xffff)
		if version >= 3<<16 {
			want = said(fmt.Sprintf("127.0.0.1:%d", server.Port))
		}
		if got := said(r.addr.String()); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Startup parameters arrive, whoever authenticates.
func TestStartupParameters(t *testing.T) {
	for _, auth := range []string{"", ask} {
		r := start(t, url(server, "sslmode=disable"), protect, auth)
		out, said := psql(t, r.to("user=scram_user application_name=shop options='-c geqo=off -c search_path=pg_catalog -c work_mem=1MB'"),
			"SELECT current_setting('geqo'), current_setting('search_path'), current_setting('work_mem'), current_setting('application_name')", "PGPASSWORD="+thePassword)
		if out != "off|pg_catalog|1MB|shop" {
			t.Errorf("%s: %s %s", auth, out, said)
		}
	}
}

// A server that speaks first, or instead: what it says arrives.
func TestServerSpeaksFirst(t *testing.T) {
	c := plainServer(t)
	for _, auth := range []string{"", terminate(usersFile(t, c, "scram_user"))} {
		r := start(t, url(c, "sslmode=disable"), auth)
		held := open(t, c.DSN("postgres"))
		one(t, held, "ALTER ROLE scram_user CONNECTION LIMIT 0")
		if got := where(t, r.to("user=scram_user")); !strings.Contains(got, "FATAL 53300: too many connections for role") {
			t.Errorf("too many: %s", got)
		}
		one(t, held, "ALTER ROLE scram_user CONNECTION LIMIT -1")
		shutDown(t, c)
		if got := where(t, r.to("user=scram_user")); !strings.Contains(got, "FATAL 57P03: the database system is shutting down") {
			t.Errorf("shutting down: %s", got)
		}
		_ = held.Close(within(t))
		restart(t, c)
		if got := where(t, r.to("user=scram_user")); got != fmt.Sprint(c.Port) {
			t.Errorf("afterwards: %s", got)
		}
	}
}
