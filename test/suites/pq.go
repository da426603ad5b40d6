package main

import (
	"context"
	"fmt"
)

const (
	pqModule  = "github.com/lib/pq"
	pqVersion = "v1.12.3"
)

var pq = &Suite{
	Name: "pq", About: "the tests of lib/pq " + pqVersion + ", a driver that uses the simple and the extended protocol",
	Database: "pqgo",
	// From its testdata/postgres.
	SetUp: `CREATE ROLE pqgo SUPERUSER LOGIN;
CREATE ROLE pqgopassword LOGIN PASSWORD 'wordpass';
CREATE ROLE pqgoscram LOGIN PASSWORD 'wordpass';
SET password_encryption = md5;
CREATE ROLE pqgomd5 LOGIN PASSWORD 'wordpass';
`,
	HBA: `local all all          trust
host  all pqgomd5      127.0.0.1/32 md5
host  all pqgopassword 127.0.0.1/32 password
host  all pqgoscram    127.0.0.1/32 scram-sha-256
host  all all          127.0.0.1/32 trust
`,
	Tests: func(b *Bench) ([]string, error) {
		dir, err := module(b.ctx, b, pqModule, pqVersion)
		if err != nil {
			return nil, err
		}
		return packagesOf(dir)
	},
	Run: func(ctx context.Context, b *Bench, p *Place, packages []string) (Results, error) {
		dir, err := module(ctx, b, pqModule, pqVersion)
		if err != nil {
			return Results{}, err
		}
		return goTests(ctx, dir, pqModule, packages, []string{
			"PGHOST=127.0.0.1", fmt.Sprintf("PGPORT=%d", p.Port), "PGDATABASE=pqgo", "PGUSER=pqgo", "PGSSLMODE=disable", "PGCONNECT_TIMEOUT=20",
		})
	},
}
