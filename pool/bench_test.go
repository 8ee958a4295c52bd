package pool

import (
	"fmt"
	"testing"
	"time"
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
