package main

import (
	"context"
	"fmt"
)

const (
	pgxModule  = "github.com/jackc/pgx/v5"
	pgxVersion = "v5.12.0"
)

var pgx = &Suite{
	Name: "pgx", About: "the tests of pgx " + pgxVersion + ", a driver that uses the extended protocol",
	Database: "pgx_test",
	// From its testsetup/postgresql_setup.sql. Tests with TLS are skipped, because their variables are not set.
	SetUp: `CREATE EXTENSION hstore;
CREATE EXTENSION ltree;
CREATE DOMAIN uint64 AS numeric(20,0);
SET password_encryption = md5;
CREATE USER pgx_md5 WITH SUPERUSER PASSWORD 'secret';
SET password_encryption = 'scram-sha-256';
CREATE USER pgx_pw WITH SUPERUSER PASSWORD 'secret';
CREATE USER pgx_scram WITH SUPERUSER PASSWORD 'secret';
CREATE USER " tricky, ' } "" \ test user " SUPERUSER PASSWORD 'secret';
`,
	HBA: `local all all       trust
host  all pgx_md5   127.0.0.1/32 md5
host  all pgx_scram 127.0.0.1/32 scram-sha-256
host  all pgx_pw    127.0.0.1/32 password
host  all all       127.0.0.1/32 trust
`,
	Tests: func(b *Bench) ([]string, error) {
		dir, err := module(b.ctx, b, pgxModule, pgxVersion)
		if err != nil {
			return nil, err
		}
		return packagesOf(dir)
	},
	Run: func(ctx context.Context, b *Bench, p *Place, packages []string) (Results, error) {
		dir, err := module(ctx, b, pgxModule, pgxVersion)
		if err != nil {
			return Results{}, err
		}
		at := func(user string) string {
			return fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=secret dbname=pgx_test sslmode=disable", p.Port, user)
		}
		return goTests(ctx, dir, pgxModule, packages, []string{
			"PGX_TEST_DATABASE=" + at("postgres"),
			"PGX_TEST_TCP_CONN_STRING=" + at("postgres"),
			"PGX_TEST_MD5_PASSWORD_CONN_STRING=" + at("pgx_md5"),
			"PGX_TEST_SCRAM_PASSWORD_CONN_STRING=" + at("pgx_scram"),
			"PGX_TEST_PLAIN_PASSWORD_CONN_STRING=" + at("pgx_pw"),
		})
	},
}
