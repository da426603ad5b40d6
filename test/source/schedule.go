package source

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Schedule is the order in which PostgreSQL runs its scripts, and what they need of each other, as parallel_schedule says
// in its comments.
type Schedule struct {
	Files []string
	needs map[string][]string
}

// base is what, by parallel_schedule's own words, most scripts need.
var base = []string{"test_setup", "create_index"}

var dependsOn = regexp.MustCompile(`^# (\w+) depends on (.+)$`)

// ReadSchedule reads parallel_schedule of the regression scripts.
func ReadSchedule(source Source) (*Schedule, error) {
	text, err := os.ReadFile(filepath.Join(source.Regress(), "parallel_schedule"))
	if err != nil {
		return nil, fmt.Errorf("read the schedule of the regression scripts: %w", err)
	}
	s := &Schedule{needs: map[string][]string{}}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if names, ok := strings.CutPrefix(line, "test:"); ok {
			s.Files = append(s.Files, strings.Fields(names)...)
		}
		if m := dependsOn.FindStringSubmatch(line); m != nil {
			s.needs[m[1]] = append(s.needs[m[1]], strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' })...)
		}
	}
	return s, nil
}

// Select returns the files to run, in the schedule's order: those that are asked for and what they need.
func (s *Schedule) Select(asked []string) ([]string, error) {
	want := map[string]bool{}
	var add func(name string)
	add = func(name string) {
		if want[name] {
			return
		}
		want[name] = true
		for _, need := range s.needs[name] {
			add(need)
		}
	}
	for _, name := range asked {
		if !slices.Contains(s.Files, name) {
			return nil, fmt.Errorf("PostgreSQL's schedule has no regression script %q", name)
		}
		add(name)
	}
	for _, name := range base {
		add(name)
	}
	var files []string
	for _, name := range s.Files {
		if want[name] {
			files = append(files, name)
		}
	}
	return files, nil
}
