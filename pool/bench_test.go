package pool

import (
	"context"
	"fmt"
	"hash/maphash"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

// A call that finds room: choosing a worker of so many, and giving it back.
func BenchmarkChoose(b *testing.B) {
	for _, choose := range []Choose{LeastLoaded, RoundRobin, ByKey} {
		for _, size := range []int{1, 8, 64, 1024} {
			b.Run(fmt.Sprintf("%v/%d", choose, size), func(b *testing.B) {
				r := staff(size, func(r *rules) { r.choose = choose })
				c, now := claim{hash: 12345, keyed: choose == ByKey}, time.Now()
				for b.Loop() {
					at, _ := r.take(&c)
					r.released(at.slot, now)
				}
			})
		}
	}
}

// A call that has to wait for the one before it, behind a thousand others.
func BenchmarkQueue(b *testing.B) {
	r := staff(8, nil)
	now := time.Now()
	var waiting []*waiter
	wait := func() {
		w := newWaiter(claim{})
		r.enqueue(w, false, now)
		waiting = append(waiting, w)
	}
	picks(r, 8)
	for range 1000 {
		wait()
	}
	last := r.seats[0].slot
	for b.Loop() {
		wait()
		r.released(last, now)
		last = (<-waiting[0].got).slot
		waiting = waiting[1:]
	}
}

// What a call costs in the pool itself, without its worker: its place, its times, and
// its end in the statistics.
func BenchmarkPlace(b *testing.B) {
	p := New(Config{Size: 1, Events: func(Event) {}})
	p.change(func(r *roster, now time.Time) { p.served = true; r.cameUp(r.slots[0], now) })
	c, ctx := claim{}, b.Context()
	for b.Loop() {
		at, err := p.place(ctx, nil, &c, false)
		if err != nil {
			b.Fatal(err)
		}
		p.release(at, true)
		p.tally.count(nil)
	}
}

// What a call costs more while an input is suspect, by the size of its own input: it is
// encoded once more, hashed, and looked up, twice.
func BenchmarkQuarantine(b *testing.B) {
	cfg := Config{Quarantine: Quarantine{Deaths: 2}.withDefaults()}
	for _, size := range []int{16, 64 << 10, 1 << 20} {
		for _, suspects := range []int{0, 1} {
			b.Run(fmt.Sprintf("%d bytes/%d suspects", size, suspects), func(b *testing.B) {
				w := newWarden(&cfg, maphash.MakeSeed(), nil)
				for id := range suspects {
					w.died(identity(id), &child.CrashError{Calls: []child.CallInfo{{Func: "bench"}}})
				}
				ask := callerFunc(func(ctx context.Context, req *child.Request) error {
					for b.Loop() {
						e := newErrand(req)
						for range 2 {
							if err := w.check(ctx, e); err != nil {
								b.Fatal(err)
							}
						}
					}
					return nil
				})
				_, _ = weigh.Call(b.Context(), ask, make([]byte, size))
			})
		}
	}
}

var weigh = child.Define("bench.weigh", func(_ context.Context, in []byte) (int, error) { return len(in), nil })

type callerFunc func(context.Context, *child.Request) error

func (f callerFunc) Do(ctx context.Context, req *child.Request) error { return f(ctx, req) }
