package child

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

// readers is a testbench whose callers read for themselves. Each waits for the answer
// of its number.
type readers struct {
	*testbench
	reading atomic.Int32 // how many read now
	lonely  atomic.Int64

	mu   sync.Mutex
	open map[uint64]*waiter
	gone map[uint64]bool // those of open who have left
}

func newReaders(t *testing.T, way Transport) *readers {
	r := &readers{testbench: &testbench{t: t, over: make(chan struct{})}, open: map[uint64]*waiter{}, gone: map[uint64]bool{}}
	ch := &channels{}
	r.testbench.open(ch, way)
	out, in, err := ch.ends(way)
	must(t, err)
	r.transport = newTransport(out, lone{in, t, &r.reading}, 64<<20, 10*time.Second, receiver{r.deliver, r.end, r.traffic})
	t.Cleanup(func() {
		r.transport.Close()
		r.calls.Close()
		r.answers.Close()
	})
	return r
}

// lone is a source that one goroutine at a time may read.
type lone struct {
	source
	t       *testing.T
	reading *atomic.Int32
}

func (l lone) enter() {
	if l.reading.Add(1) != 1 {
		l.t.Error("two read at the same time")
	}
}

func (l lone) Read(p []byte) (int, error) {
	l.enter()
	defer l.reading.Add(-1)
	return l.source.Read(p)
}

func (l lone) Poll(p []byte, moment time.Duration) (int, error) {
	l.enter()
	defer l.reading.Add(-1)
	return l.source.Poll(p, moment)
}

func (r *readers) traffic() (open, lonely int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int64(len(r.open)), r.lonely.Load()
}

func (r *readers) deliver(f wire.Frame) error {
	r.mu.Lock()
	w := r.open[f.ID]
	delete(r.open, f.ID)
	if r.gone[f.ID] {
		delete(r.gone, f.ID)
		r.lonely.Add(-1)
	}
	r.mu.Unlock()
	if w != nil {
		w.end()
	}
	return r.testbench.deliver(f)
}

// wait waits for an answer and reports whether it has come.
func (r *readers) wait(ctx context.Context, id uint64) bool {
	w := newWaiter()
	r.mu.Lock()
	r.open[id] = &w
	r.mu.Unlock()
	return r.transport.Await(&stay{ctx: ctx}, &w)
}

// waiting is wait on a goroutine.
func (r *readers) waiting(ctx context.Context, id uint64) <-chan bool {
	ch := make(chan bool, 1)
	go func() { ch <- r.wait(ctx, id) }()
	return ch
}

// leading waits until somebody reads.
func (r *readers) leading() {
	r.t.Helper()
	until(r.t, "somebody to read", func() bool { return r.reading.Load() == 1 })
}

// line waits until so many stand in line.
func (r *readers) line(n int) {
	r.t.Helper()
	until(r.t, "a line", func() bool {
		r.transport.lead.mu.Lock()
		defer r.transport.lead.mu.Unlock()
		got := 0
		for w := r.transport.lead.latest; w != nil; w = w.older {
			got++
		}
		return got == n
	})
}

func wantSettled(t *testing.T, ch <-chan bool, want bool) {
	t.Helper()
	select {
	case got := <-ch:
		if got != want {
			t.Errorf("settled: %v", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("it still waits\n%s", allStacks())
	}
}

// Who reads, and who reads next.
func TestLead(t *testing.T) {
	for _, way := range transports {
		t.Run(way.String(), func(t *testing.T) {
			for name, test := range map[string]func(t *testing.T, r *readers){
				"answers in any order":                answersInAnyOrder,
				"the leader's time is over":           leaderLeaves,
				"a follower's time is over":           followerLeaves,
				"all have left":                       allHaveLeft,
				"who leads is settled by another":     leaderIsNudged,
				"the worker dies under the leader":    deathUnderTheLeader,
				"drain takes the lead":                drainTakesTheLead,
				"close takes the lead":                closeTakesTheLead,
				"somebody attends to what is lonely":  lonelyOnes,
				"nobody reads when nobody waits":      nobodyReads,
				"a look at what came unasked":         unasked,
				"a part of a frame that came unasked": partUnasked,
			} {
				t.Run(name, func(t *testing.T) { test(t, newReaders(t, way)) })
			}
		})
	}
}

func answersInAnyOrder(t *testing.T, r *readers) {
	var all []<-chan bool
	for id := range uint64(10) {
		all = append(all, r.waiting(t.Context(), id+1))
		r.line(int(id))
	}
	for _, id := range []uint64{3, 1, 10, 2, 5, 4, 9, 6, 8, 7} {
		r.answers.Write(seven(id))
		wantSettled(t, all[id-1], true)
	}
}

func leaderLeaves(t *testing.T, r *readers) {
	for range 20 { // at once, in its first moment, and later
		ctx, leave := context.WithCancel(t.Context())
		first := r.waiting(ctx, 1)
		r.leading()
		second := r.waiting(t.Context(), 2)
		r.line(1)
		leave()
		wantSettled(t, first, false)
		r.answers.Write(seven(2))
		wantSettled(t, second, true)
	}
}

func followerLeaves(t *testing.T, r *readers) {
	first := r.waiting(t.Context(), 1)
	r.leading()
	ctx, leave := context.WithCancel(t.Context())
	second := r.waiting(ctx, 2)
	r.line(1)
	leave()
	wantSettled(t, second, false)
	r.line(0)
	r.answers.Write(append(seven(2), seven(1)...))
	wantSettled(t, first, true)
}

// Answers for those who have left are read all the same, by somebody.
func allHaveLeft(t *testing.T, r *readers) {
	ctx, leave := context.WithCancel(t.Context())
	first, second := r.waiting(ctx, 1), r.waiting(ctx, 2)
	r.line(1)
	leave()
	wantSettled(t, first, false)
	wantSettled(t, second, false)
	r.lonely.Store(2)
	r.transport.Attend()
	r.answers.Write(append(seven(1), seven(2)...))
	until(t, "both answers", func() bool { return len(r.delivered()) == 2 })
	r.lonely.Store(0)
	r.answers.Write(seven(3)) // lets who attends see that nobody is lonely
	until(t, "nobody reads", func() bool { return r.reading.Load() == 0 })
}

func leaderIsNudged(t *testing.T, r *readers) {
	w := newWaiter()
	done := make(chan bool, 1)
	go func() { done <- r.transport.Await(&stay{ctx: t.Context()}, &w) }()
	r.leading()
	time.Sleep(2 * moment) // it reads for longer now
	w.end()
	r.transport.Nudge()
	wantSettled(t, done, true)
}

func deathUnderTheLeader(t *testing.T, r *readers) {
	ctx, leave := context.WithCancel(t.Context())
	first, second := r.waiting(ctx, 1), r.waiting(ctx, 2)
	r.line(1)
	r.answers.Write(append(seven(1), seven(2)[:5]...))
	r.answers.Close()
	wantSettled(t, first, true)
	if err := r.firstEnd(); err != nil {
		t.Error(err)
	}
	leave() // who buries the worker settles it; here nobody does
	wantSettled(t, second, false)
}

func drainTakesTheLead(t *testing.T, r *readers) {
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	first, second := r.waiting(ctx, 1), r.waiting(ctx, 2)
	r.line(1)
	r.answers.Write(seven(3))
	until(t, "a frame", func() bool { return len(r.delivered()) == 1 })
	r.answers.Write(append(seven(1), seven(2)...))
	promptly(t, "the end of Drain", func() { r.transport.Drain(50 * time.Millisecond) })
	wantSettled(t, first, true)
	wantSettled(t, second, true)
}

func closeTakesTheLead(t *testing.T, r *readers) {
	ctx, leave := context.WithCancel(t.Context())
	first := r.waiting(ctx, 1)
	r.leading()
	promptly(t, "the end of Close", r.transport.Close)
	leave()
	wantSettled(t, first, false)
}

// A call whose caller does not read has somebody who does, beside others who would.
func lonelyOnes(t *testing.T, r *readers) {
	r.lonely.Store(1)
	r.transport.Attend()
	r.leading()
	other := r.waiting(t.Context(), 1)
	r.line(1)
	r.answers.Write(append(seven(7), seven(1)...))
	wantSettled(t, other, true)
	r.answers.Write(seven(8))
	until(t, "the answer of the lonely one", func() bool { return len(r.delivered()) == 3 })
}

func nobodyReads(t *testing.T, r *readers) {
	first := r.waiting(t.Context(), 1)
	r.answers.Write(seven(1))
	wantSettled(t, first, true)
	r.transport.Attend()
	until(t, "nobody reads", func() bool { return r.reading.Load() == 0 && !r.isTaken() })
}

func (r *readers) isTaken() bool {
	r.transport.lead.mu.Lock()
	defer r.transport.lead.mu.Unlock()
	return r.transport.lead.taken
}

func unasked(t *testing.T, r *readers) {
	promptly(t, "the end of a look at nothing", r.transport.Look)
	r.fail = errors.New("not that one")
	r.answers.Write(seven(1))
	until(t, "it is found", func() bool { r.transport.Look(); return isClosed(r.transport.gone) })
	if err := r.firstEnd(); !errors.Is(err, r.fail) {
		t.Error(err)
	}
}

// Then somebody reads on, who sees whether it goes on.
func partUnasked(t *testing.T, r *readers) {
	r.answers.Write(seven(1)[:9])
	until(t, "somebody to read on", func() bool { r.transport.Look(); return r.isTaken() && r.reading.Load() == 1 })
	r.answers.Write(seven(1)[9:])
	until(t, "the frame", func() bool { return len(r.delivered()) == 1 && !r.isTaken() })
}

// Many come, wait and go at random. Whoever stays gets its answer, one reads at a
// time, and in the end nobody does.
func TestLeadInACrowd(t *testing.T) {
	for _, way := range transports {
		t.Run(way.String(), func(t *testing.T) {
			r := newReaders(t, way)
			var next atomic.Uint64
			asked := make(chan uint64, 64)
			go func() { // the worker, in no order
				var some []uint64
				for id := range asked {
					if some = append(some, id); len(some) < 1+rand.IntN(5) && len(asked) > 0 {
						continue
					}
					var batch []byte
					for _, i := range rand.Perm(len(some)) {
						batch = append(batch, seven(some[i])...)
					}
					some = some[:0]
					if cut := rand.IntN(len(batch)); rand.IntN(4) == 0 {
						r.answers.Write(batch[:cut])
						batch = batch[cut:]
					}
					if rand.IntN(50) == 0 {
						time.Sleep(2 * moment)
					}
					r.answers.Write(batch)
				}
			}()
			var stayed, left atomic.Int64
			var all sync.WaitGroup
			for range 16 {
				all.Go(func() {
					for range 400 {
						ctx, leave := context.WithCancel(t.Context())
						if rand.IntN(4) == 0 {
							time.AfterFunc(time.Duration(rand.IntN(300))*time.Microsecond, leave)
						}
						w, id := newWaiter(), next.Add(1)
						r.mu.Lock()
						r.open[id] = &w
						r.mu.Unlock()
						asked <- id
						switch settled := r.transport.Await(&stay{ctx: ctx}, &w); {
						case settled:
							stayed.Add(1)
						case ctx.Err() == nil:
							t.Error("it has left by itself")
						default:
							left.Add(1)
							r.abandon(id)
						}
						leave()
					}
				})
			}
			promptly(t, "the end of the crowd", all.Wait)
			close(asked)
			until(t, "all answers are read, and nobody reads", func() bool {
				open, lonely := r.traffic()
				return open == 0 && lonely == 0 && r.reading.Load() == 0 && !r.isTaken()
			})
			t.Logf("%d have got their answers, %d have left", stayed.Load(), left.Load())
			if stayed.Load() == 0 || left.Load() == 0 {
				t.Error("that was no crowd")
			}
		})
	}
}

// abandon lets somebody else read the answer, if it has not come.
func (r *readers) abandon(id uint64) {
	r.mu.Lock()
	if r.open[id] != nil {
		r.gone[id] = true
		r.lonely.Add(1)
	}
	r.mu.Unlock()
	r.transport.Attend()
}
