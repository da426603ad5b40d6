package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// untilFull is a test that writes until the sockets' buffers are full. How many messages that takes is chance, and
// two direct runs differ; its own verdict is compared, which is its last line.
const untilFull = "uniqviol"

// apart puts what was sent before what was received. A test that does both at the same time, for which PostgreSQL has no
// trace to compare with, weaves them as the sockets happen to be ready; each way for itself is always the same.
func apart(trace []byte) []byte {
	var sent, received []byte
	for line := range bytes.Lines(trace) {
		if bytes.HasPrefix(line, []byte("F")) {
			sent = append(sent, line...)
		} else {
			received = append(received, line...)
		}
	}
	return append(sent, received...)
}

var pipeline = &Suite{
	Name: "pipeline", About: "PostgreSQL's libpq_pipeline: libpq's pipeline mode, with a trace of each message",
	Database: "pipeline",
	Tests: func(b *Bench) ([]string, error) {
		out, err := exec.Command(b.source.PipelineProgram(), "tests").Output()
		if err != nil {
			return nil, fmt.Errorf("libpq_pipeline, which needs gcc to be built (remove %s to try again): %w", b.source.Dir, err)
		}
		return strings.Fields(string(out)), nil
	},
	Run: func(ctx context.Context, b *Bench, p *Place, tests []string) (Results, error) {
		r := Results{Outputs: map[string]string{}, Expected: map[string]bool{}}
		for _, name := range tests {
			file := filepath.Join(p.Folder, name+".trace")
			// The number of rows is that of PostgreSQL's own run.
			cmd := exec.CommandContext(ctx, b.source.PipelineProgram(), "-r", "700", "-t", file, name,
				fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=pipeline", p.Port))
			cmd.Env = environment()
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return r, fmt.Errorf("run libpq_pipeline %s: %w", name, err)
			}
			trace, err := os.ReadFile(file)
			if err != nil {
				return r, fmt.Errorf("libpq_pipeline %s left no trace: %w\n%s", name, err, out)
			}
			if name == untilFull {
				trace, out = nil, out[bytes.LastIndexByte(bytes.TrimSpace(out), '\n')+1:]
			}
			r.Parts += strings.Count(string(trace), "\n")
			r.Expected[name] = exit == nil
			if expected, err := os.ReadFile(filepath.Join(b.source.Pipeline(), "traces", name+".trace")); err == nil {
				r.Expected[name] = exit == nil && string(expected) == string(trace)
			} else {
				trace = apart(trace)
			}
			r.Outputs[name] = fmt.Sprintf("%s%s\n%s", out, cmd.ProcessState, trace)
		}
		return r, ctx.Err()
	},
}
