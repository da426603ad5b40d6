package source

import (
	"archive/tar"
	"compress/bzip2"
	"errors"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// unpack writes the parts of a source archive into dir. os.Root keeps every name inside.
func unpack(archive, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	for files := tar.NewReader(bzip2.NewReader(file)); ; {
		header, err := files.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		_, name, _ := strings.Cut(path.Clean(header.Name), "/") // without the folder postgresql-15.18
		if header.Typeflag != tar.TypeReg || !slices.ContainsFunc(parts, func(part string) bool { return strings.HasPrefix(name, part+"/") }) {
			continue
		}
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		to, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(to, files)
		if err := errors.Join(err, to.Close()); err != nil {
			return err
		}
	}
}
