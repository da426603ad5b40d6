package docker

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// ignoreRule is one line of .dockerignore.
type ignoreRule struct {
	pattern *regexp.Regexp
	keep    bool // the line started with !
}

// Context returns the files under root that Docker would send to a build, as paths relative to root. The last line of
// .dockerignore that matches a file or a folder above it decides (Docker's manual, ".dockerignore files").
func Context(root string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		return nil, fmt.Errorf("read the ignore file: %w", err)
	}
	rules := ignoreRules(string(text))
	var files []string
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if entry.IsDir() {
			// Nothing below an ignored folder at the top is kept by the lines we have; .git and node_modules are large.
			if !strings.Contains(name, "/") && ignored(rules, name) {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.Type().IsRegular() && !ignored(rules, name) {
			files = append(files, name)
		}
		return nil
	})
	return files, err
}

func ignoreRules(text string) []ignoreRule {
	var rules []ignoreRule
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		line, keep := strings.CutPrefix(line, "!")
		p := regexp.QuoteMeta(strings.Trim(line, "/"))
		p = strings.NewReplacer(`\*\*/`, `(?:.*/)?`, `\*\*`, `.*`, `\*`, `[^/]*`, `\?`, `[^/]`).Replace(p)
		rules = append(rules, ignoreRule{regexp.MustCompile(`^` + p + `(?:/.*)?$`), keep})
	}
	return rules
}

func ignored(rules []ignoreRule, name string) bool {
	out := false
	for _, r := range rules {
		if r.pattern.MatchString(name) {
			out = !r.keep
		}
	}
	return out
}
