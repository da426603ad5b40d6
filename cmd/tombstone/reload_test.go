package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A file that is replaced while the configuration is being read differs from what was read. A pipe makes the reading wait.
func TestRenewedWhileItIsRead(t *testing.T) {
	const text = "listen: 127.0.0.1:6432\nupstream: postgres://127.0.0.1\n"
	file := filepath.Join(t.TempDir(), "tombstone.yaml")
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		done <- func() error {
			pipe, err := os.OpenFile(file, os.O_WRONLY, 0) // waits for the reader
			if err != nil {
				return err
			}
			defer pipe.Close()
			if err := os.WriteFile(file+".new", []byte(text+"drain: 1s\n"), 0o600); err != nil {
				return err
			}
			if err := os.Rename(file+".new", file); err != nil {
				return err
			}
			_, err = pipe.WriteString(text)
			return err
		}()
	}()
	c, loaded, err := load(file, []string{file})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if loaded[file] == look(c.Files())[file] {
		t.Error("the new file would never be read")
	}
}

// The files that a configuration names are looked at before they are read, too.
func TestNamedFilesAreLookedAt(t *testing.T) {
	folder := t.TempDir()
	file, users := filepath.Join(folder, "tombstone.yaml"), filepath.Join(folder, "users")
	text := "listen: 127.0.0.1:6432\nupstream: postgres://127.0.0.1\nauth: {mode: terminate, users_file: " + users + "}\n"
	for name, text := range map[string]string{file: text, users: ""} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, loaded, err := load(file, []string{file})
	if err != nil {
		t.Fatal(err)
	}
	for name, stamp := range look(c.Files()) {
		if loaded[name] != stamp {
			t.Errorf("%s: %v, want %v", name, loaded[name], stamp)
		}
	}
}
