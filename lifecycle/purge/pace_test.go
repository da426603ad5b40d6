package purge

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tombstone/cluster"
	"tombstone/cluster/clustertest"
	"tombstone/config"
)

// A batch is as large as fits into a moment, and no larger than it may be; after each, others have three times as long as it took.
func TestPace(t *testing.T) {
	p := newPace(config.Purge{Batch: 1000, Rate: 1_000_000}, false)
	for _, c := range []struct {
		n    int
		took time.Duration
		size int // of the next batch
	}{
		{100, brief / 10, 200},      // 1000 would fit; one step at a time
		{200, brief / 2, 400},       // 400 would fit
		{400, brief * 5 / 4, 320},   // that was too long
		{320, time.Second, 160},     // it waited for a lock
		{10, time.Microsecond, 160}, // the last rows of a table
		{10, brief / 2, 80},         // and these were slow
		{80, brief / 20, 160}, {160, brief / 20, 320}, {320, brief / 20, 640}, {640, brief / 20, 1000}, {1000, brief / 20, 1000},
		{0, time.Minute, 1000}, // it has looked for rows
	} {
		before := p.pause(0)
		p.work(c.n, c.took)
		if p.size != c.size {
			t.Errorf("after %d rows in %v: %d, want %d", c.n, c.took, p.size, c.size)
		}
		if got := p.pause(1); before != 0 || got != 3*c.took && got > time.Millisecond {
			t.Errorf("after %v others have %v", c.took, got)
		}
	}
	for range 20 {
		p.work(p.size, time.Second)
	}
	if p.size != few {
		t.Errorf("%d rows take a second, and a batch still has %d", few, p.size)
	}
	p.halve(few) // that was longer than a statement may take
	if p.work(few/2, time.Second); p.size != few/2 {
		t.Errorf("a batch of %d was too long, and the next has %d", few, p.size)
	}
	p.pause(0)
	far := newPace(config.Purge{Batch: 1000, Rate: 1_000_000}, false)
	far.trip = 100 * time.Millisecond
	if far.work(100, trips*far.trip+brief/10); far.size != 200 || far.pause(0) != 3*brief/10 {
		t.Errorf("from far away, the next batch has %d", far.size)
	}
	slow := newPace(config.Purge{Batch: 1000, Rate: 2000}, false)
	slow.work(100, 2*time.Millisecond)
	if got := slow.pause(100); got < 45*time.Millisecond || got > 50*time.Millisecond {
		t.Errorf("100 rows at 2000 a second: a pause of %v", got)
	}
	if got := slow.pause(4000); got < 1900*time.Millisecond || got > 2050*time.Millisecond {
		t.Errorf("4000 rows at 2000 a second: a pause of %v", got)
	}
	for _, fast := range []*pace{newPace(config.Purge{Batch: 1000}, false), newPace(config.Purge{Batch: 1000, Rate: 1}, true)} {
		fast.work(1000, time.Second)
		if got := fast.pause(1000); got != 0 || fast.size != 1000 {
			t.Errorf("without a limit: a pause of %v, batches of %d", got, fast.size)
		}
	}
}

// Rows that take long go in short transactions.
func TestPurgeInShortBatches(t *testing.T) {
	y := newYard(t, "purge_short", `CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz); CREATE TABLE log (tx xid8);
INSERT INTO users SELECT i, now() - interval '40 days' FROM generate_series(1, 300) i;
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.002); INSERT INTO log VALUES (pg_current_xact_id()); RETURN OLD; END $$;
CREATE TRIGGER slow BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION slow()`, "{name: public.users, retention: 30d}", false)
	o := Options{}
	o.Batch, o.Rate = 1000, 1_000_000
	if got := y.purge(t, o).told(); got != "users 300" {
		t.Error(got)
	}
	if got := y.one(t, "SELECT string_agg(CASE WHEN n > 50 THEN 'long' ELSE 'short' END, ' ' ORDER BY tx) FROM (SELECT tx, count(*) AS n FROM log GROUP BY tx) l"); !strings.HasPrefix(got, "long short") && !strings.HasPrefix(got, "long long short") || strings.HasSuffix(got, "long") {
		t.Error(got)
	}
}

// A crash of the server undoes the last batches, with what the receipt tells of them; of a purge that has ended it undoes nothing.
func TestPurgeAndCrash(t *testing.T) {
	ctx := within(t)
	// What nobody waits for stays in memory.
	server := clustertest.Start(t, cluster.Options{Settings: map[string]string{"autovacuum": "off", "wal_writer_delay": "10s", "wal_writer_flush_after": "0", "wal_buffers": "16MB"}})
	open := func() *pgx.Conn { return clustertest.Connect(t, server.DSN("postgres")) }
	rules := policyOf(t, "tables: [{name: public.users, retention: 30d}]\n")
	conn := open()
	if _, err := conn.Exec(ctx, "CREATE TABLE users (id int PRIMARY KEY, deleted_at timestamptz); INSERT INTO users SELECT i, now() - interval '40 days' FROM generate_series(1, 2000) i"); err != nil {
		t.Fatal(err)
	}
	prepared(ctx, t, conn, rules)
	state := func() (left, told int) {
		t.Helper()
		if err := open().QueryRow(ctx, "SELECT (SELECT count(*) FROM users), (SELECT COALESCE(sum((tables->0->>'purged')::int), 0) FROM tombstone.receipts)").Scan(&left, &told); err != nil {
			t.Fatal(err)
		}
		return left, told
	}
	var wait sync.WaitGroup
	half := make(chan struct{})
	wait.Go(func() {
		o := quick(Options{})
		o.Batch, o.Rate = 20, 2000
		out, err := Run(ctx, open(), rules, o)
		if err == nil && out.Outcome != "failed" {
			t.Errorf("the server was killed, and the purge has %s", out.Outcome)
		}
		if err != nil {
			t.Error(err)
		}
	})
	wait.Go(func() {
		for left := 2000; left > 1500 && ctx.Err() == nil; {
			_ = conn.QueryRow(ctx, "SELECT count(*) FROM users").Scan(&left)
		}
		close(half)
	})
	<-half
	server.Kill()
	wait.Wait()
	if err := server.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	left, told := state()
	if left+told != 2000 {
		t.Errorf("after the crash %d rows are left, and receipts tell of %d", left, told)
	}
	o := quick(Options{})
	o.Batch = 100
	out, err := Run(ctx, open(), rules, o)
	if err != nil || out.told() != fmt.Sprintf("users %d", left) {
		t.Fatal(out, err)
	}
	server.Kill()
	if err := server.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if left, told = state(); left != 0 || told != 2000 {
		t.Errorf("the purge had ended, and after a crash %d rows are there, and receipts tell of %d", left, told)
	}
}
