package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tombstone/cluster"
	"tombstone/cluster/clustertest"
)

// What docs/operations.md says to type is typed, in one shell, and answers what stands there.
func TestOperations(t *testing.T) {
	for _, program := range []string{"psql", "pg_dump", "bash", "go"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("there is no " + program + " on the PATH")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := needPostgres(t)
	server := clustertest.Start(t, cluster.Options{Programs: programs, Settings: map[string]string{"wal_level": "logical"}})
	dir := t.TempDir()
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, "tombstone"), ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := l.Addr().String()
	_ = l.Close()

	if _, err := server.Psql(ctx, "postgres", "CREATE DATABASE subscriber"); err != nil {
		t.Fatal(err)
	}
	const mark = "-- block --"
	script := "set -uo pipefail; set -m\n"
	var want []string
	for _, block := range regexp.MustCompile("(?s)```(\\w+)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		switch block[1] {
		case "sql":
			for db, sql := range map[string]string{"postgres": block[2], "subscriber": regexp.MustCompile("(?m)^INSERT.*$").ReplaceAllString(block[2], "")} {
				if _, err := server.Psql(ctx, db, sql); err != nil {
					t.Fatal(err)
				}
			}
		case "sh":
			script += "echo '" + mark + "'\n" + block[2]
			want = append(want, "")
		case "text":
			want[len(want)-1] = block[2]
		}
	}
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir = dir
	direct := fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres", server.Port)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+programs.Bin+":"+os.Getenv("PATH"), "DIRECT="+direct, "PROXY=postgres://postgres@"+listen+"/postgres",
		"SUBSCRIBER="+strings.TrimSuffix(direct, "postgres")+"subscriber", "LISTEN="+listen, "UPSTREAM="+direct)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	got := strings.Split(string(out), mark+"\n")[1:]
	if len(got) != len(want) {
		t.Fatalf("%d blocks of %d: %v\n%s\n%s", len(got), len(want), err, out, &stderr)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("block %d says\n%s\nwant\n%s", i+1, got[i], want[i])
		}
	}
	if t.Failed() {
		t.Log(&stderr)
	}
}
