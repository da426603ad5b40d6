package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Files lists every file that the configuration was read from: itself, certificates, keys, and the users. When one of
// them changes, Load may give another outcome. None is listed twice.
func (c *Config) Files() []string {
	all := []string{c.File}
	for _, pair := range c.TLS.Certificates {
		all = append(all, pair.Certificate, pair.Key)
	}
	all = append(all, c.TLS.ClientCA, c.Auth.UsersFile, c.Upstream.TLS.Cert, c.Upstream.TLS.Key)
	if c.Upstream.TLS.RootCert != systemRoots {
		all = append(all, c.Upstream.TLS.RootCert)
	}
	var files []string
	for _, file := range all {
		if file != "" && !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	return files
}

// namedFile is a file that a field names.
type namedFile struct {
	path    string // empty if the field says nothing
	written string // for messages
	text    []byte // what is in it
}

// content reads the file that a field names. An empty value names none. When something is wrong it is reported and ok is false.
func (d *decoder) content(m mapping, name string, most int64) (f namedFile, ok bool) {
	if m.fields[name] == nil {
		return f, true
	}
	ok = set(d, m, name, &f, func(v value) (namedFile, error) {
		if v.text == "" {
			return namedFile{}, nil
		}
		text, err := readNamed(v.text, most)
		if err != nil {
			return namedFile{}, fmt.Errorf("%s %w", v.quoted(), err)
		}
		return namedFile{path: v.text, written: v.quoted(), text: text}, nil
	})
	return f, ok
}

// readNamed reads a file of at most that many bytes. Its errors leave out the file's name, which may come from a variable;
// they go on after it.
func readNamed(file string, most int64) ([]byte, error) {
	if !filepath.IsAbs(file) {
		// Relative to what? The folder that a service was started in is nobody's guess.
		return nil, errors.New("is not an absolute path; write e.g. /etc/tombstone/file")
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, unreadable(err)
	}
	if !info.Mode().IsRegular() { // to open a pipe would wait for its writer
		return nil, errors.New("is not a file; check the path")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, unreadable(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return nil, unreadable(err)
	case int64(len(text)) > most:
		return nil, fmt.Errorf("is larger than %d MiB; check the path", most>>20)
	}
	return text, nil
}

// unreadable says what to do about a file that cannot be read.
func unreadable(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("does not exist; check the path")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("is not readable; make it readable for the user that runs tombstone")
	}
	var detail *fs.PathError
	if errors.As(err, &detail) {
		err = detail.Err
	}
	return fmt.Errorf("cannot be read (%w); check the path", err)
}
