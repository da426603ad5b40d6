package purge

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/time/rate"

	"tombstone/config"
)

const (
	brief = 5 * time.Millisecond // how long a batch is to take: less than the slowest of a hundred transactions of others take anyway
	share = 4                    // one part of the time is for the purge, the others are for those who work beside it
	first = 100                  // rows in the first batch, when it is not known yet how long one takes
	few   = 20                   // rows in a batch, at least: fewer hardly make it shorter
	trips = 5                    // how often a batch waits for an answer
)

// pace is how fast a purge goes: no faster than its rate, in batches that take no longer than a moment, and with pauses by how long they took.
//
// Without the pauses, a server that is slow at the moment would be kept busy all the time, since the rate is not reached. Without the short batches,
// each commit would have megabytes of log flushed at once, as after a checkpoint, when each page is logged whole; others wait for that to commit.
type pace struct {
	most   int           // rows in a batch, at most
	size   int           // rows in the next batch
	limit  *rate.Limiter // rows a second; without a limit, it goes as fast as it can
	trip   time.Duration // what the network takes for an answer, which is not the server's work
	worked time.Duration // since the last pause
}

func newPace(c config.Purge, dry bool) *pace {
	p := &pace{most: max(c.Batch, 1), limit: rate.NewLimiter(rate.Inf, 0)}
	p.size = p.most
	if c.Rate > 0 && !dry { // which changes nothing, and somebody waits for it
		p.size = min(first, p.most)
		p.limit = rate.NewLimiter(rate.Limit(c.Rate), p.most)
		p.limit.AllowN(time.Now(), p.most) // the first batch is paid for afterwards, like all others
	}
	return p
}

func (p *pace) gentle() bool { return p.limit.Limit() != rate.Inf }

// ping finds out how far away the server is. Without it, a purge from another continent would take few rows at a time, since no batch is ever brief.
func (p *pace) ping(ctx context.Context, conn *pgx.Conn) error {
	for try := range 3 {
		begun := time.Now()
		if err := conn.Ping(ctx); err != nil {
			return err
		}
		if took := time.Since(begun); try == 0 || took < p.trip {
			p.trip = took
		}
	}
	return nil
}

// work notes that the server has been at work for the purge, with n rows of a batch, or with something else.
func (p *pace) work(n int, took time.Duration) {
	if n > 0 {
		took -= trips * p.trip
	}
	took = max(took, 0)
	p.worked += took
	if n == 0 || !p.gentle() {
		return
	}
	// No more than twice as many, or half: one that waited for a lock tells little of the next.
	fit := int(float64(n) * float64(brief) / float64(max(took, time.Microsecond)))
	switch {
	case fit < p.size:
		p.size = max(fit, p.size/2, min(few, p.size))
	case n >= p.size: // a smaller one tells nothing of a larger one
		p.size = min(fit, 2*p.size, p.most)
	}
}

// halve is for a batch of n rows that took longer than a statement may.
func (p *pace) halve(n int) { p.size = max(n/2, 1) }

// pause is how long others have their turn, now that n rows went.
func (p *pace) pause(n int) time.Duration {
	if !p.gentle() {
		return 0
	}
	d := (share - 1) * p.worked
	p.worked = 0
	for n > 0 {
		part := min(n, p.limit.Burst())
		n -= part
		d = max(d, p.limit.ReserveN(time.Now(), part).Delay())
	}
	return d
}

// rest is between two batches: it lets others have their turn after n rows went, and ends the purge if it shall end.
func (p *purger) rest(ctx context.Context, n int) error { return p.sleep(ctx, p.pace.pause(n)) }

func (p *purger) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	if d <= 0 {
		select {
		case <-p.o.Stop:
			return errStopped
		default:
			return ctx.Err()
		}
	}
	select {
	case <-p.o.Stop:
		return errStopped
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
