package cluster

import (
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

// account is who PostgreSQL's programs run as: ourselves, or under root somebody who is not.
type account struct {
	name       string
	credential *syscall.Credential // nil: ourselves
}

// unprivileged picks the account. PostgreSQL refuses to run as root.
func unprivileged() (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr != nil || gidErr != nil || uid == 0 {
			continue
		}
		return account{name, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return account{}, errors.New("postgresql refuses to run as root, and there is no user postgres or nobody to run it as; start as another user")
}

// command prepares a program that runs as the account, in dir.
func (a account) command(cmd *exec.Cmd, dir string) *exec.Cmd {
	cmd.Dir = dir // ours may be closed to the account
	cmd.Env = environment()
	// Its own process group: the terminal's Ctrl-C is for us, and we end the server when its clients are done.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: a.credential}
	return cmd
}

// environment is ours without PGDATA, PGPORT, PGOPTIONS and their like, which are about somebody's real server.
func environment() []string {
	var kept []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "PG") {
			kept = append(kept, entry)
		}
	}
	return kept
}

// makeDir makes a folder that the account owns and anybody may enter, below parent, "" for the temporary folder.
func (a account) makeDir(parent string) (string, error) {
	if parent == "" {
		parent = os.TempDir()
		if a.mayReach(parent) != nil {
			parent = "/tmp" // TMPDIR is root's own
		}
	}
	parent, err := filepath.Abs(parent)
	if err != nil {
		return "", err
	}
	if err := a.mayReach(parent); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(parent, "tombstone-pg-")
	if err != nil {
		return "", err
	}
	err = os.Chmod(dir, 0o755)
	if err == nil && a.credential != nil {
		err = os.Chown(dir, int(a.credential.Uid), int(a.credential.Gid))
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(dir))
	}
	return dir, nil
}

// mayReach says which folder on the way to dir the account may not enter. Ourselves: the system will say so.
func (a account) mayReach(dir string) error {
	if a.credential == nil {
		return nil
	}
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		owner, known := info.Sys().(*syscall.Stat_t)
		bits := info.Mode().Perm()
		switch {
		case known && owner.Uid == a.credential.Uid:
			bits >>= 6
		case known && owner.Gid == a.credential.Gid:
			bits >>= 3
		}
		if bits&1 == 0 {
			return fmt.Errorf("user %s, whom PostgreSQL runs as under root, may not enter %s; name a folder open to everybody", a.name, at)
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}
