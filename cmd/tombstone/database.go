package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tombstone/config"
	"tombstone/lifecycle"
	"tombstone/policy"
)

// where says which configuration a command goes by and which database it works on.
type where struct {
	file, dsn *string
}

// whereFlags adds the options that every command has that talks to the database.
func whereFlags(f *flag.FlagSet) where {
	return where{
		file: f.String("config", "", "read the policy from `FILE`"),
		dsn:  f.String("dsn", "", "log in at `postgres://USER:PASSWORD@HOST/DATABASE`; default: upstream of the configuration, and libpq's variables such as PGUSER and PGPASSWORD"),
	}
}

// connect reads the configuration and logs in to the database.
func (w where) connect(ctx context.Context) (*pgx.Conn, *policy.Policy, error) {
	conn, c, err := w.open(ctx, upstream)
	if err != nil {
		return nil, nil, err
	}
	return conn, policy.New(c.Tables, c.Bodies), nil
}

// upstream logs in as the configuration says.
func upstream(c *config.Config) config.Upstream { return c.Upstream }

// on logs in to the database and runs a command there.
func (w where) on(ctx context.Context, s stdio, run func(conn *pgx.Conn, p *policy.Policy) error) error {
	conn, p, err := w.connect(ctx)
	if err != nil {
		return plainly(s, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return run(conn, p)
}

// read does the same, with what the policy concerns of the database.
func (w where) read(ctx context.Context, s stdio, run func(conn *pgx.Conn, d *lifecycle.Database) error) error {
	return w.on(ctx, s, func(conn *pgx.Conn, p *policy.Policy) error {
		d, err := lifecycle.Read(ctx, conn, p)
		if err != nil {
			return err
		}
		return run(conn, d)
	})
}

// parse reads the options of a command that has so many arguments behind them.
func (w where) parse(s stdio, f *flag.FlagSet, args []string, arguments int) error {
	if err := parse(s, f, args); err != nil {
		return err
	}
	if *w.file == "" || f.NArg() != arguments {
		f.Usage()
		return errUsage
	}
	return nil
}

// open does the same as who the configuration says, and returns all of that.
func (w where) open(ctx context.Context, who func(*config.Config) config.Upstream) (*pgx.Conn, *config.Config, error) {
	c, err := config.Load(*w.file)
	if err != nil {
		return nil, nil, err
	}
	var conn *pgx.Conn
	if *w.dsn == "" {
		conn, err = logIn(ctx, who(c))
	} else {
		var o *pgx.ConnConfig
		if o, err = pgx.ParseConfig(*w.dsn); err != nil {
			return nil, nil, fmt.Errorf("--dsn: %w", err)
		}
		conn, err = dial(ctx, o)
	}
	return conn, c, err
}

// logIn connects to the upstream as the user in it, or as libpq's variables say.
func logIn(ctx context.Context, u config.Upstream) (*pgx.Conn, error) {
	user, password := u.User, u.Password
	u.User, u.Password, u.RandomHosts = "", "", false
	o, err := pgx.ParseConfig(u.String())
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	if user != "" {
		o.User = user
	}
	if password != "" {
		o.Password = password
	}
	return dial(ctx, o)
}

func dial(ctx context.Context, o *pgx.ConnConfig) (*pgx.Conn, error) {
	if o.RuntimeParams["application_name"] == "" {
		o.RuntimeParams["application_name"] = "tombstone"
	}
	conn, err := pgx.ConnectConfig(ctx, o)
	if err != nil {
		return nil, err
	}
	// Through the proxy the deleted rows would be hidden from the very commands that are about them.
	var through string
	if err := conn.QueryRow(ctx, "SELECT COALESCE(pg_catalog.current_setting('tombstone.client', true), '')").Scan(&through); err != nil || through != "" {
		err = errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
		if through != "" {
			err = fmt.Errorf("%s:%d is tombstone itself, which hides deleted rows from this command, too; write the address of the database as --dsn", o.Host, o.Port)
		}
		return nil, err
	}
	return conn, nil
}
