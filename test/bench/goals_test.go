package main

import (
	"slices"
	"testing"
)

func TestJudge(t *testing.T) {
	bench, bulk := &Cell{Name: "select-only/simple/8", Kind: pgbenchKind}, &Cell{Name: "copy-out", Kind: bulkKind}
	idle := &Cell{Name: "idle", Kind: idleKind}
	r := &Results{Cells: []*Cell{bench, bulk, idle}, Figures: map[string]map[string][]Figures{
		bench.Name: {
			pgbouncer: {{Rate: 1000, CPU: 10}, {Rate: 500, CPU: 20}},
			tombstone: {{Rate: 800, CPU: 10}, {Rate: 450, CPU: 22}},
		},
		bulk.Name: {direct: {{Rate: 1000}}, tombstone: {{Rate: 900, CPU: 1}}},
		idle.Name: {tombstone: {{Memory: 12.5}}},
	}}
	v := judge(r)
	want := []string{
		"select-only/simple/8: throughput is 0.85 of PgBouncer's (0.80 to 0.90 in 2 rounds); the goal is at least 1",
		"idle: 12.5 KiB per idle connection; the goal is at most 12",
	}
	if !slices.Equal(v.Missed, want) || v.Reached != 2 || v.Unknown != 2 {
		t.Errorf("%+v", v)
	}
}
