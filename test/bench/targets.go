package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// The names of the targets that the report speaks of.
const (
	direct    = "direct"
	pgbouncer = "PgBouncer"
	tombstone = "tombstone"
	relayed   = "relay"
)

// benchClients is how many clients a proxy must take outside the idle cell.
const benchClients = 200

// Target is a column: an address to measure.
type Target struct {
	Name  string
	Port  int
	proxy *Proxy // nil: the server itself
	child *child // nil: the server itself
}

// Proxy is a program that stands before a server.
type Proxy struct {
	Name    string
	pools   bool // keeps its server connections when clients leave
	prepare func(folder string, port, upstream, clients int) (*exec.Cmd, error)
}

// start runs the proxy before the server on a port. name is the child's, for its log and its folder.
func (p *Proxy) start(ctx context.Context, s *Stage, name string, upstream, clients int) (*child, error) {
	folder := filepath.Join(s.folder, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	return startChild(ctx, s.dog, folder, name, func(port int) (*exec.Cmd, error) { return p.prepare(folder, port, upstream, clients) })
}

// refill returns the target with new server processes, as every other target has them for every run: those of the run before have all that
// a new one must look up and map first, so it would not be the proxies that differ. A pooler opens one server connection after the other;
// among clients at work that takes 20 seconds for 128, so all are there, and idle, before. The child is to be stopped afterwards.
func (t *Target) refill(ctx context.Context, s *Stage, clients int) (*Target, error) {
	child, err := t.proxy.start(ctx, s, t.Name+"-refilled", s.cluster.Port, benchClients)
	if err != nil {
		return nil, err
	}
	sessions, err := openIdle(ctx, child.Port, (clients+workers-1)/workers)
	closeAll(sessions)
	if err != nil {
		child.stop()
		return nil, explain(err, child)
	}
	return &Target{Name: t.Name, Port: child.Port, proxy: t.proxy, child: child}, nil
}

// proxies are the targets besides direct that the flags ask for and this host has.
func (s *Stage) proxies(ctx context.Context, say func(string)) ([]*Proxy, error) {
	var all []*Proxy
	wanted := func(name string) bool { return s.Options.Targets.MatchString(name) }
	if wanted(pgbouncer) {
		p, err := pgbouncerProxy()
		if err != nil {
			s.Notes = append(s.Notes, err.Error())
			say(err.Error())
		} else {
			all = append(all, p)
		}
	}
	if wanted(tombstone) {
		program := s.Options.Tombstone
		if program == "" {
			say("building tombstone")
			var err error
			if program, err = buildTombstone(ctx, s.folder); err != nil {
				return nil, err
			}
		}
		all = append(all, tombstoneProxy(tombstone, program))
	}
	for _, also := range s.Options.Also {
		name, program, _ := strings.Cut(also, "=")
		all = append(all, tombstoneProxy(name, program))
	}
	if wanted(relayed) {
		all = append(all, &Proxy{relayed, false, func(_ string, port, upstream, _ int) (*exec.Cmd, error) {
			return self("relay", strconv.Itoa(port), strconv.Itoa(upstream))
		}})
	}
	return all, nil
}

// bouncerConfig is Debian's where it is silent. Two sizes have to be told: how many clients, and as many servers for them.
const bouncerConfig = `[databases]
* = host=127.0.0.1 port=%d
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = session
max_client_conn = %d
default_pool_size = %[4]d
log_connections = 0
log_disconnections = 0
`

func pgbouncerProxy() (*Proxy, error) {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/pgbouncer") // not in everybody's PATH
	}
	if err != nil {
		return nil, errors.New("PgBouncer is not installed, so there is no column for it and no figure to hold tombstone against; " +
			"on Debian, as root: apt-get install pgbouncer")
	}
	return &Proxy{pgbouncer, true, func(folder string, port, upstream, clients int) (*exec.Cmd, error) {
		users, config := filepath.Join(folder, "users.txt"), filepath.Join(folder, "pgbouncer.ini")
		text := fmt.Appendf(nil, bouncerConfig, upstream, port, users, clients)
		if err := errors.Join(os.WriteFile(users, []byte(`"`+role+`" ""`+"\n"), 0o644), os.WriteFile(config, text, 0o644)); err != nil {
			return nil, err
		}
		cmd := exec.Command(program, config)
		cmd.Dir = folder
		credential, err := unprivileged()
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
		return cmd, err
	}}, nil
}

// unprivileged is somebody who is not root, nil for ourselves: PgBouncer refuses to run as root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("pgbouncer refuses to run as root, and there is no user postgres or nobody to run it as; start as another user")
}

const tombstoneConfig = `listen: 127.0.0.1:%d
upstream: postgres://127.0.0.1:%d
tables:
  - name: public.pgbench_accounts
`

func tombstoneProxy(name, program string) *Proxy {
	return &Proxy{name, false, func(folder string, port, upstream, _ int) (*exec.Cmd, error) {
		config := filepath.Join(folder, "tombstone.yaml")
		if err := os.WriteFile(config, fmt.Appendf(nil, tombstoneConfig, port, upstream), 0o644); err != nil {
			return nil, err
		}
		return exec.Command(program, "serve", "--config", config), nil
	}}
}

// buildTombstone builds the program as make build does.
func buildTombstone(ctx context.Context, folder string) (string, error) {
	program := filepath.Join(folder, "tombstone.bin")
	version := "dev"
	if out, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output(); err == nil {
		version = strings.TrimSpace(string(out))
	}
	out, err := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-X main.version="+version,
		"-o", program, "tombstone/cmd/tombstone").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build tombstone: %w\n%s", err, out)
	}
	return program, nil
}
