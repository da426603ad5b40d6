package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Machine is what the figures depend on besides the programs' code.
type Machine struct {
	CPU      string            `json:"cpu"`
	CPUs     int               `json:"cpus"`
	System   string            `json:"system"`
	Huge     bool              `json:"huge_pages"` // of the server's shared memory
	Versions map[string]string `json:"versions"`
}

func describe(ctx context.Context, s *Stage) Machine {
	m := Machine{CPU: runtime.GOARCH, CPUs: runtime.NumCPU(), System: runtime.GOOS, Huge: s.huge, Versions: map[string]string{
		"PostgreSQL": s.programs.Version, "Go": strings.TrimPrefix(runtime.Version(), "go"),
	}}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if model := field(string(info), "model name"); model != "" {
			m.CPU = model
		}
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel, _, _ := strings.Cut(string(release), "-")
		m.System = "Linux " + strings.TrimSpace(kernel)
	}
	for _, t := range s.Targets {
		if t.child == nil || t.Name == relayed {
			continue
		}
		argument := "version"
		if t.Name == pgbouncer {
			argument = "--version"
		}
		out, err := exec.CommandContext(ctx, t.child.cmd.Path, argument).Output()
		if words := strings.Fields(string(out)); err == nil && len(words) > 1 {
			m.Versions[t.Name] = words[1]
		}
	}
	return m
}

// busy is a note if others use this machine at the moment, "" if not.
func busy() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	var load float64
	if _, err := fmt.Sscan(string(text), &load); err != nil || load < 0.5 {
		return ""
	}
	return fmt.Sprintf("The machine was busy with other work before the start (load average %.1f), so these figures wobble.", load)
}

// field is the value of the first line "name : value".
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, is := strings.Cut(line, ":"); is && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// String is a sentence for the head of the report.
func (m Machine) String() string {
	var versions []string
	for _, name := range []string{"PostgreSQL", pgbouncer, tombstone, "Go"} {
		if v := m.Versions[name]; v != "" {
			versions = append(versions, name+" "+v)
		}
	}
	if m.Huge {
		versions = append(versions, "huge pages")
	}
	return fmt.Sprintf("%d x %s, %s. %s.", m.CPUs, m.CPU, m.System, strings.Join(versions, ", "))
}
