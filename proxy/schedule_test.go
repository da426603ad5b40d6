package proxy

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgproto3/v2"

	"tombstone/config"
	"tombstone/policy"
	"tombstone/proxy/wire"
	"tombstone/rewrite"
)

var (
	schedules    = flag.Int("schedules", 10000, "how many random schedules TestSchedules runs")
	scheduleSeed = flag.Uint64("schedule-seed", 0, "the first seed of TestSchedules; 0 to choose one")
)

const modelPolicy = `
listen: 127.0.0.1:6432
upstream: postgres://127.0.0.1
tables: [{name: public.users}, {name: "public.t*"}]
`

// TestSchedules runs a client's messages against a model of the server twice:
// directly, in order; and through a session, cut anywhere, both sides in any
// interleaving, with messages that nobody asked for in between. The client
// must get the same, and the server nothing that it should not.
func TestSchedules(t *testing.T) {
	first := *scheduleSeed
	if first == 0 {
		first = rand.Uint64()
	}
	t.Logf("the first seed is %d", first)
	for i := range uint64(*schedules) {
		seed := first + i
		v, s := write(seed)
		why := try(t, v, s, seed)
		if why == "" {
			continue
		}
		s, why = shrink(t, v, s, seed, why)
		t.Fatalf("-schedule-seed %d -schedules 1, %+v: %s\n\nwith these messages (> are sent when all before is answered):\n%s", seed, v, why, s)
	}
}

func write(seed uint64) (variant, script) {
	a := &author{Rand: rand.New(rand.NewPCG(seed, 1))}
	a.eager = []float64{0, 0.3, 0.9, 1}[a.IntN(4)]
	v := variant{reports: a.IntN(2) == 0, answers: a.IntN(3)}
	return v, a.write(v)
}

// try runs a script both ways and says what is wrong, "" for nothing.
func try(t testing.TB, v variant, s script, seed uint64) (why string) {
	t.Helper()
	want, after, ok := direct(t, v, s)
	if !ok {
		return "" // no client does that
	}
	r := rand.New(rand.NewPCG(seed, 2))
	x := newRelay(v, r, slices.Concat(s...), after)
	limits := rand.New(rand.NewPCG(seed, 3))
	x.most, x.much = []int{mostRequests, mostRequests, 1, 2, 5}[limits.IntN(5)], []int{0, 0, 1, 40, 200}[limits.IntN(5)]
	defer func() {
		if p := recover(); p != nil {
			why = fmt.Sprintf("panic: %v", p)
		}
	}()
	return x.run(t, want)
}

// direct returns what the client gets from the server itself, and how much of
// it the server has sent before it reads each step.
func direct(t testing.TB, v variant, s script) (want []string, after []int, ok bool) {
	m := newModel(true, v)
	for _, one := range slices.Concat(s...) {
		after = append(after, m.flushed)
		if m.take(one.bytes) != nil {
			return nil, nil, false
		}
	}
	return normal(traceAll(t, m.out)), after, m.lie == "" && m.copy == nil && !m.beyond
}

func traceAll(t testing.TB, messages []pgproto3.BackendMessage) (list []string) {
	for _, m := range messages {
		list = append(list, trace(t, encode(nil, m))...)
	}
	return list
}

// normal leaves of a refusal no more than its code: its words are rewrite's.
func normal(list []string) []string {
	for i, m := range list {
		if strings.HasPrefix(m, "E ") && strings.Contains(m, "|C0A000|") {
			list[i] = "E 0A000"
		}
	}
	return list
}

// relay is all that is between a client and a model: a session, and bytes on
// their way.
type relay struct {
	*Session
	*rand.Rand
	model  *model
	steps  []step
	after  []int
	chunk  int
	clock  time.Time
	rules  atomic.Pointer[Rules]
	others int // what other sessions and time will still do
	dies   int // moves until the server does, 0 for never

	toSession, toModel []byte // from the client, from the session
	fromModel          []byte // on its way to the session
	taken              int    // messages of the model that are on their way
	stray, strays      int    // messages nobody asked for: sent, received
	strayWrong         string

	sent   int // steps
	got    []string
	parser wire.Splitter
}

func newRelay(v variant, r *rand.Rand, steps []step, after []int) *relay {
	x := &relay{Rand: r, model: newModel(false, v), steps: steps, after: after, clock: time.Unix(1, 0), others: r.IntN(6)}
	if r.IntN(8) == 0 {
		x.dies = 1 + r.IntN(200)
	}
	x.chunk = []int{1, 20, 20, 200, 200, 200, 5000, 5000}[r.IntN(8)]
	x.parser.Head = func(_ byte, size int) (int, error) { return size, nil }
	x.rules.Store(&Rules{Policy: modelled, Snapshots: NewSnapshots(time.Hour), StatementBytes: 1 << 20, MessageBytes: 1 << 30})
	x.Session = NewSession(&Settings{
		Current: &x.rules, Plans: modelPlans,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Observer: silent{}, Now: func() time.Time { return x.clock },
	})
	return x
}

var (
	modelled   = policyOf(modelPolicy)
	modelPlans = rewrite.NewCache(8 << 20)
)

func policyOf(text string) *policy.Policy {
	c, err := config.Parse("policy.yaml", []byte(text))
	if err != nil {
		panic(err) // of a test's own constant
	}
	return policy.New(c.Tables, c.Bodies)
}

// run moves bytes until none are left, in an order that chance decides.
func (x *relay) run(t testing.TB, want []string) string {
	for {
		var moves []func() error
		if x.sent < len(x.steps) && (!x.steps[x.sent].await || len(x.got) >= x.after[x.sent]) {
			moves = append(moves, x.send)
		}
		if len(x.toSession) > 0 && !x.Held() {
			moves = append(moves, x.client)
		}
		if len(x.toModel) > 0 {
			moves = append(moves, func() error { return x.model.take(x.cut(&x.toModel)) })
		}
		if x.taken < x.model.flushed {
			moves = append(moves, x.take)
		}
		if len(x.fromModel) > 0 {
			moves = append(moves, x.server)
		}
		if len(moves) == 0 {
			break
		}
		x.disturb()
		if x.dies > 0 {
			if x.dies--; x.dies == 0 && x.phase != starting && x.phase != dialing {
				return x.die(want)
			}
		}
		if err := moves[x.IntN(len(moves))](); err != nil {
			return fmt.Sprintf("%v after\n%s", err, strings.Join(x.got, "\n"))
		}
		if x.model.lie != "" {
			return x.model.lie
		}
	}
	got := normal(slices.Clone(x.got))
	switch {
	case !slices.Equal(got, want):
		return "the client gets other replies:\n" + difference(got, want) + "\nas it came: " + fmt.Sprintf("%q", x.got)
	case x.sent < len(x.steps):
		return fmt.Sprintf("it hangs: step %d of %d is not sent", x.sent, len(x.steps))
	case x.Held() || !x.queue.empty():
		return fmt.Sprintf("at the end the session still waits: held %t, %d requests", x.Held(), len(x.queue.items)-x.queue.head)
	case x.stray != x.strays || x.strayWrong != "":
		return fmt.Sprintf("of %d messages that nobody asked for %d arrived; %s", x.stray, x.strays, x.strayWrong)
	case x.Session.client.Partial() || x.Session.server.Partial():
		return "at the end the session is in the middle of a message"
	}
	return ""
}

// die is the end of the server, anywhere in what it says. The client must have
// got the beginning of what it was to get, and be told if it can be.
func (x *relay) die(want []string) string {
	x.ServerGone()
	_ = x.collect(nil, nil)
	got := normal(x.got)
	told := 0
	if n := len(got); n > 0 && strings.Contains(got[n-1], "|C08006|") {
		got, told = got[:n-1], 1
	}
	switch {
	case len(got) > len(want) || !slices.Equal(got, want[:len(got)]):
		return "before the server's end the client gets other replies:\n" + difference(got, want)
	case told == 0 && !x.parser.Partial():
		return "the client is not told of the server's end"
	case told == 1 && x.parser.Partial():
		return "the client is told of the server's end in the middle of a message"
	case !errors.Is(x.FromClient([]byte("x")), ErrEnded):
		return "the session goes on without a server"
	}
	return ""
}

// cut takes some bytes that are on their way.
func (x *relay) cut(from *[]byte) []byte {
	n := 1 + x.IntN(min(x.chunk, len(*from)))
	p := append([]byte(nil), (*from)[:n]...)
	*from = (*from)[n:]
	return p
}

// disturb is what other sessions and time do. If they did it all the time the
// session would do nothing but read names.
func (x *relay) disturb() {
	if x.others == 0 || x.IntN(30) > 0 {
		return
	}
	x.others--
	switch x.IntN(4) {
	case 0, 1:
		x.Snapshots.changed("shop")
	case 2:
		x.clock = x.clock.Add(2 * time.Hour)
	case 3: // a reload, of a policy that says the same
		x.rules.Store(&Rules{Policy: policyOf(modelPolicy), Snapshots: NewSnapshots(time.Hour), StatementBytes: 1 << 20, MessageBytes: 1 << 30})
	}
}

func (x *relay) send() error {
	x.toSession = append(x.toSession, x.steps[x.sent].bytes...)
	x.sent++
	return nil
}

// client has the session read what the client sent.
func (x *relay) client() error {
	p := x.cut(&x.toSession)
	err := x.FromClient(p)
	if err == nil && x.WantsServer() {
		x.ServerConnected()
		err = x.resume()
	}
	return x.collect(p, err)
}

// server has the session read what the server sent.
func (x *relay) server() error {
	p := x.cut(&x.fromModel)
	return x.collect(p, x.FromServer(p))
}

// collect takes what the session says, then spoils what it was given: it must
// not have kept any of it.
func (x *relay) collect(p []byte, err error) error {
	x.toModel = append(x.toModel, x.ToServer.Take()...)
	said := append([]byte(nil), x.ToClient.Take()...)
	for i := range p {
		p[i] = 0xee
	}
	for len(said) > 0 {
		part, n, err := x.parser.Next(said)
		if err != nil {
			return err
		}
		if part.Raw != nil {
			m := strings.TrimRight(string(part.Type)+" "+strings.ReplaceAll(string(part.Body()), "\x00", "|"), "|")
			if i := strings.Index(m, "stray-"); i >= 0 {
				if m[i:] != fmt.Sprintf("stray-%d", x.strays) {
					x.strayWrong = "out of order: " + m
				}
				x.strays++
			} else {
				x.got = append(x.got, m)
			}
		}
		said = said[n:]
	}
	return err
}

// take puts messages of the server on their way, and now and then one that
// nobody asked for.
func (x *relay) take() error {
	n := x.taken + 1 + x.IntN(len(x.model.out)-x.taken)
	for ; x.taken < n; x.taken++ {
		x.fromModel = encode(x.fromModel, x.model.out[x.taken])
		if x.taken < 4 || x.IntN(10) > 0 {
			continue
		}
		name := fmt.Sprintf("stray-%d", x.stray)
		x.stray++
		switch x.IntN(3) {
		case 0:
			x.fromModel = encode(x.fromModel, &pgproto3.NotificationResponse{Channel: "c", Payload: name})
		case 1:
			x.fromModel = encode(x.fromModel, &pgproto3.NoticeResponse{Severity: "NOTICE", Message: name})
		default:
			x.fromModel = encode(x.fromModel, &pgproto3.ParameterStatus{Name: "application_name", Value: name})
		}
	}
	return nil
}

func difference(got, want []string) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	return fmt.Sprintf("after %d that are the same (last %q)\ngot  %q\nwant %q", i, got[max(0, i-3):i], got[i:], want[i:])
}

// shrink leaves out what a script fails without, turn by turn, then step by
// step. What happens when may change with it, so a few interleavings are
// tried.
func shrink(t testing.TB, v variant, s script, seed uint64, why string) (script, string) {
	fails := func(s script) bool {
		for i := range uint64(50) {
			if w := try(t, v, s, seed+i); w != "" {
				why = w
				return true
			}
		}
		return false
	}
	for again := true; again; {
		again = false
		for i := len(s) - 2; i > 0; i-- { // the first is the login, the last makes the server answer
			if less := slices.Delete(slices.Clone(s), i, i+1); fails(less) {
				s, again = less, true
				continue
			}
			for j := len(s[i]) - 1; j >= 0; j-- {
				if s[i][j].must {
					continue
				}
				less := slices.Clone(s)
				less[i] = slices.Delete(slices.Clone(s[i]), j, j+1)
				if fails(less) {
					s, again = less, true
				}
			}
		}
	}
	return s, why
}

func (s script) String() string {
	var b strings.Builder
	for _, one := range slices.Concat(s...) {
		mark := " "
		if one.await {
			mark = ">"
		}
		fmt.Fprintf(&b, "%s %s\n", mark, one.shown)
	}
	return b.String()
}
