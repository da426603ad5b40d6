package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

func TestFiles(t *testing.T) {
	dir := certificateFiles(t)
	t.Setenv("DIR", dir)
	c := mustParse(t, `listen: 127.0.0.1:6432
upstream: postgres://db?sslmode=verify-full&sslrootcert=${DIR}/ca.crt&sslcert=${DIR}/both.pem&sslkey=${DIR}/both.pem
tls:
  mode: require
  certificate: ${DIR}/server.crt
  key: ${DIR}/server.key
  sni: [{certificate: "${DIR}/other.crt", key: "${DIR}/other.key"}]
  client_ca: ${DIR}/ca.crt
  client_certificates: require
auth: {mode: terminate, users_file: "${DIR}/users.txt", query_as: "postgres://admin@/shop"}
`)
	want := []string{"test.yaml"}
	for _, name := range []string{"server.crt", "server.key", "other.crt", "other.key", "ca.crt", "users.txt", "both.pem"} {
		want = append(want, filepath.Join(dir, name))
	}
	if got := c.Files(); !slices.Equal(got, want) {
		t.Errorf("%q; want %q", got, want)
	}
	c = mustParse(t, "listen: :6432\nupstream: postgres://db?sslrootcert=system\n")
	if got := c.Files(); !slices.Equal(got, []string{"test.yaml"}) {
		t.Errorf("%q", got)
	}
}

func TestReadNamed(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(
		os.WriteFile(at("full"), make([]byte, 1<<20), 0o600),
		os.WriteFile(at("large"), make([]byte, 1<<20+1), 0o600),
		os.Symlink(at("full"), at("link")), // how Kubernetes mounts secrets
		os.Symlink(at("gone"), at("dangling")),
		syscall.Mkfifo(at("pipe"), 0o600), // to open it would wait for ever
	); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		at("full"):     "",
		at("link"):     "",
		at("large"):    "is larger than 1 MiB; check the path",
		at("gone"):     "does not exist; check the path",
		at("dangling"): "does not exist; check the path",
		at("full/x"):   "cannot be read (not a directory); check the path",
		at("pipe"):     "is not a file; check the path",
		dir:            "is not a file; check the path",
		"full":         "is not an absolute path; write e.g. /etc/tombstone/file",
		at("a\x00b"):   "cannot be read (invalid argument); check the path",
		"/dev/zero":    "is not a file; check the path",
	} {
		text, err := readNamed(name, 1<<20)
		if want == "" && (err != nil || len(text) != 1<<20) || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %d bytes, %v; want %s", name, len(text), err, want)
		}
	}
	denied := unreadable(&fs.PathError{Op: "open", Path: "/secret", Err: syscall.EACCES})
	if want := "is not readable; make it readable for the user that runs tombstone"; denied.Error() != want {
		t.Errorf("%v", denied)
	}
}
