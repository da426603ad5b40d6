package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxFile bounds a configuration file. A thousand tables fit many times.
const maxFile = 1 << 20

// Load reads and validates a configuration file. Its error is an *Error.
func Load(file string) (*Config, error) {
	r := report{file: file}
	text, err := read(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.add(0, "", "no such file; check the path")
	case errors.Is(err, fs.ErrPermission):
		r.add(0, "", "no permission to read it; make it readable for the user that runs tombstone")
	case err != nil:
		r.add(0, "", "cannot be read (%v); check the path", errors.Unwrap(err))
	default:
		return Parse(file, text)
	}
	return nil, r.err()
}

// read returns at most one byte more than a file may have, so that a device or a huge file costs nothing.
func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// Parse validates the text of a configuration file. The file's name is used in messages only. Its error is an *Error.
func Parse(file string, text []byte) (*Config, error) {
	d := decoder{report: report{file: file}, lookup: os.LookupEnv}
	root := d.document(text)
	if root == nil {
		return nil, d.err()
	}
	c := d.config(root)
	if err := d.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// document parses the text as one YAML document and returns its top-level value, or nil when there is none.
func (d *decoder) document(text []byte) *yaml.Node {
	if len(text) > maxFile {
		d.add(0, "", "larger than 1 MiB; a configuration file is a few kilobytes, check the path")
		return nil
	}
	if line := unreadableLine(text); line > 0 {
		d.add(line, "", "not a text file in UTF-8; check the path, or save it as UTF-8")
		return nil
	}
	documents := yaml.NewDecoder(bytes.NewReader(text))
	var first, second yaml.Node
	err := decodeNode(documents, &first)
	if errors.Is(err, io.EOF) || err == nil && isNull(first.Content[0]) {
		d.add(1, "", `empty; write at least "listen: 127.0.0.1:6432" and "upstream: postgres://127.0.0.1:5432"`)
		return nil
	}
	if err != nil {
		d.notYAML(err)
		return nil
	}
	switch err := decodeNode(documents, &second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		d.notYAML(err)
		return nil
	default:
		d.add(second.Line, "", "a second YAML document starts here; keep one, and remove the --- between them")
		return nil
	}
	return first.Content[0]
}

// decodeNode decodes the next document. The YAML library reports some malformed input by panicking; that is an error too.
func decodeNode(documents *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: %v", p)
		}
	}()
	return documents.Decode(into)
}

// notYAML reports a syntax error with the line that the YAML library gives. It leaves the line out for the first one.
func (d *decoder) notYAML(err error) {
	line, message := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		if number, tail, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				line, message = n, tail
			}
		}
	}
	advice := "check the indentation, colons and quotes near this line"
	switch {
	case strings.Contains(message, "alphabetic or numeric"): // an alias or an anchor without a name
		advice = `put a value that starts with * or & in quotes, e.g. "*.users"`
	case strings.Contains(message, "cannot start any token"):
		advice = "indent with spaces, not tabs, and put a value that starts with @, % or ` in quotes"
	}
	d.add(line, "", "not valid YAML: %s; %s", message, advice)
}

// unreadableLine returns the first line with bytes that YAML does not allow, or 0. The YAML library reports these
// without a line.
func unreadableLine(text []byte) int {
	line := 1
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size == 1, r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			return line
		case r == '\n':
			line++
		}
		i += size
	}
	return 0
}
