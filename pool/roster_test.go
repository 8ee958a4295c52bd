package pool

import (
	"cmp"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// game plays the roster's surroundings: it makes calls, ends them, and does at
// some later time what the roster has ordered.
type game struct {
	*rapid.T
	r       *roster
	now     time.Time
	waiting []*waiter // no verdict seen yet
	running []running
	given   map[place]int
}

type running struct {
	place
	keyed bool
	hash  uint64
}

func newGame(t *rapid.T) *game {
	g := &game{T: t, now: time.Unix(1e9, 0), given: map[place]int{}}
	g.r = newRoster(rules{
		choose:      Choose(rapid.IntRange(0, 2).Draw(t, "choose")),
		concurrency: rapid.IntRange(1, 3).Draw(t, "concurrency"),
		ahead:       rapid.IntRange(0, 2).Draw(t, "ahead"),
		max:         rapid.IntRange(1, 6).Draw(t, "max"),
		idle:        time.Second,
		spares:      rapid.IntRange(0, 2).Draw(t, "spares"),
		surge:       rapid.IntRange(quarter, 2).Draw(t, "surge"),
		once:        rapid.IntRange(0, 3).Draw(t, "once") == 0,
		limits: func() limits {
			if g.r != nil && g.r.once {
				return limits{calls: 1}
			}
			return limits{calls: rapid.SampledFrom([]int{1, 2, 5, unlimited}).Draw(t, "calls"), age: rapid.SampledFrom([]time.Duration{0, 3 * time.Second}).Draw(t, "age")}
		},
	}, rapid.IntRange(1, 4).Draw(t, "size"))
	g.r.max = max(g.r.max, g.r.size)
	return g
}

func (g *game) call(*rapid.T) {
	c := claim{}
	if g.r.choose == ByKey && rapid.Bool().Draw(g.T, "keyed") {
		c.hash, c.keyed = uint64(rapid.IntRange(0, 9).Draw(g.T, "key")), true
	}
	if rapid.IntRange(0, 3).Draw(g.T, "deadline") == 0 {
		c.deadline = g.now.Add(time.Duration(rapid.IntRange(1, 5).Draw(g.T, "in")) * 100 * time.Millisecond)
	}
	c.patient = rapid.IntRange(0, 3).Draw(g.T, "patient") == 0
	if at, ok := g.r.take(&c); ok {
		g.begin(at, &c)
		return
	}
	w := newWaiter(c)
	g.waiting = append(g.waiting, w)
	g.r.enqueue(w, false, g.now)
}

// begin is what a call does that has got a place.
func (g *game) begin(at place, c *claim) {
	if at.slot.stage != ready && at.slot.stage != leaving {
		g.Fatalf("a call was given to a worker that is %v", at.slot.stage)
	}
	g.running = append(g.running, running{at, c.keyed, c.hash})
	g.given[at]++
	if g.r.once && g.given[at] > 1 {
		g.Fatalf("a worker that may have one call got %d", g.given[at])
	}
}

func (g *game) some(what string, of func(*slot) bool) *slot {
	var those []*slot
	for _, s := range g.r.slots {
		if of(s) {
			those = append(those, s)
		}
	}
	if len(those) == 0 {
		g.Skip(what)
	}
	return rapid.SampledFrom(those).Draw(g.T, what)
}

func (g *game) ends(*rapid.T) {
	if len(g.running) == 0 {
		g.Skip()
	}
	i := rapid.IntRange(0, len(g.running)-1).Draw(g.T, "which")
	c := g.running[i]
	g.running = slices.Delete(g.running, i, i+1)
	g.r.released(c.slot, g.now)
}

func (g *game) leaves(*rapid.T) {
	if len(g.waiting) == 0 {
		g.Skip()
	}
	i := rapid.IntRange(0, len(g.waiting)-1).Draw(g.T, "which")
	if !g.r.withdraw(g.waiting[i]) {
		g.Fatal("a waiter has a verdict that was not seen")
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
}

func (g *game) comesUp(*rapid.T)  { g.r.cameUp(g.some("up", isStarting), g.now) }
func (g *game) goesDown(*rapid.T) { g.r.wentDown(g.some("down", isReady), g.now) }
func (g *game) wears(*rapid.T)    { g.r.wear(g.some("worn", isReady), ReasonAge, g.now) }
func (g *game) renews(*rapid.T) {
	if rapid.Bool().Draw(g.T, "reverts") {
		g.r.revert(rapid.IntRange(0, g.r.gens).Draw(g.T, "generation"), g.now)
		return
	}
	g.r.renew(g.now)
}

func (g *game) resizes(*rapid.T) {
	n := rapid.IntRange(1, 5).Draw(g.T, "size")
	g.r.resize(n, max(n, g.r.max), g.now)
}
func (g *game) pauses(*rapid.T) { g.r.pause(rapid.Bool().Draw(g.T, "paused"), g.now) }
func (g *game) resets(*rapid.T) { g.r.reset() }

func (g *game) stops(*rapid.T) {
	g.r.left(g.some("stopped", func(s *slot) bool { return s.stop }), g.now)
}

func (g *game) time(*rapid.T) {
	g.now = g.now.Add(time.Duration(rapid.IntRange(1, 20).Draw(g.T, "passes")) * 100 * time.Millisecond)
	g.r.tick(g.now)
}

// verdicts lets those go on who have been told something since, and checks
// that they were told in the order in which they came.
func (g *game) verdicts() {
	var told []*waiter
	left := g.waiting[:0]
	for _, w := range g.waiting {
		select {
		case v := <-w.got:
			switch v.end {
			case placed:
				if w.dead(g.now) {
					g.Fatal("a call whose deadline has passed got a place")
				}
				told = append(told, w)
				g.begin(v.place, &w.claim)
			case expired:
				if !w.dead(g.now) {
					g.Fatal("a call was said to be too late before its deadline")
				}
			default:
				g.Fatal("a call was sent away")
			}
		default:
			left = append(left, w)
		}
	}
	g.waiting = left
	for _, w := range told {
		for _, still := range left {
			if still.turn < w.turn && !still.keyed && !w.keyed {
				g.Fatalf("call %d overtook call %d", w.turn, still.turn)
			}
		}
	}
}

func (g *game) check(*rapid.T) {
	g.verdicts()
	r := g.r
	g.checkProcesses()
	g.checkSeats()
	lines, loads := 0, 0
	for _, l := range r.lines() {
		lines += l.Len()
		if !slices.IsSortedFunc(l.all(), func(a, b *waiter) int { return cmp.Compare(a.turn, b.turn) }) {
			g.Fatal("a line is out of order")
		}
	}
	if lines != r.waiting || lines != len(g.waiting) {
		g.Fatalf("%d wait, %d are in lines, the roster counts %d", len(g.waiting), lines, r.waiting)
	}
	per := map[*slot]int{}
	for _, c := range g.running {
		per[c.slot]++
	}
	for s, n := range per {
		loads += n
		if n != s.load || n > r.concurrency+r.ahead {
			g.Fatalf("slot %d has %d calls, counts %d, may have %d", s.n, n, s.load, r.concurrency+r.ahead)
		}
	}
	if loads != r.busy {
		g.Fatalf("%d calls run, the roster counts %d", loads, r.busy)
	}
	g.checkNobodyWaitsForNothing()
}

func (g *game) checkProcesses() {
	r := g.r
	if most := len(r.seats) + r.spares + r.extra(); len(r.orders.start) > 0 && len(r.slots) > most {
		g.Fatalf("%d processes and more to be started, %d allowed", len(r.slots), most)
	}
	r.orders.start = nil // they start by themselves; stops are found by their mark
	r.orders.stop = nil
	for i, s := range r.slots {
		if i > 0 && r.slots[i-1].n > s.n {
			g.Fatal("the slots are not in order")
		}
		if slices.ContainsFunc(r.slots[:i], func(o *slot) bool { return o.n == s.n }) {
			g.Fatalf("two slots have the number %d", s.n)
		}
		if s.stop && s.load > 0 {
			g.Fatalf("slot %d is stopped with %d calls", s.n, s.load)
		}
	}
}

func (g *game) checkSeats() {
	seated := 0
	for _, st := range g.r.seats {
		if st.slot != nil {
			seated++
			if st.slot.seat != st || st.slot.stage != ready {
				g.Fatalf("seat %d and slot %d disagree (%v)", st.n, st.slot.n, st.slot.stage)
			}
		} else if g.r.find(isSpare) != nil {
			g.Fatalf("seat %d is vacant beside a spare", st.n)
		}
	}
	if seated != g.r.seated || seated != g.r.count(isSeated) {
		g.Fatalf("%d seats have a worker, the roster counts %d", seated, g.r.seated)
	}
}

func (g *game) checkNobodyWaitsForNothing() {
	if g.r.paused {
		return
	}
	for _, w := range g.waiting {
		if st := g.r.pick(&w.claim); st != nil {
			g.Fatalf("call %d waits (keyed %v) although seat %d has room", w.turn, w.keyed, st.n)
		}
		if home := g.r.home(w.hash); w.keyed && home != nil && w.line != &home.line {
			g.Fatalf("call %d waits at another seat than its key's", w.turn)
		}
	}
}

// quieten ends everything that goes on. In the end there are exactly the
// workers that there should be, and nobody waits.
func (g *game) quieten() {
	g.r.pause(false, g.now)
	for range 10_000 {
		g.check(g.T)
		switch {
		case g.r.find(isStarting) != nil:
			g.r.cameUp(g.r.find(isStarting), g.now)
		case len(g.running) > 0:
			g.ends(g.T)
		case g.r.find(func(s *slot) bool { return s.stop }) != nil:
			g.stops(g.T)
		default:
			r := g.r
			if len(g.waiting) > 0 || !r.complete() || r.count(isLiving) != len(r.slots) || len(r.slots) != len(r.seats)+r.spares {
				g.Fatalf("at rest: %d wait, %d of %d seats taken, %d slots, %d spares wanted", len(g.waiting), r.seated, len(r.seats), len(r.slots), r.spares)
			}
			return
		}
	}
	g.Fatal("it does not come to rest")
}

// No slot over its concurrency, no waiter lost, the order of arrival kept, no
// more processes than allowed, no call to a dead worker or after its deadline,
// nobody waits beside a free worker; whatever happens in whatever order.
func TestRosterProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := newGame(t)
		t.Repeat(map[string]func(*rapid.T){
			"call": g.call, "call again": g.call, "ends": g.ends, "leaves": g.leaves, "comes up": g.comesUp,
			"goes down": g.goesDown, "wears": g.wears, "renews": g.renews, "resizes": g.resizes, "pauses": g.pauses,
			"resets": g.resets, "stops": g.stops, "time": g.time, "": g.check,
		})
		g.quieten()
	})
}

// staff is a roster whose workers are all up.
func staff(size int, change func(*rules)) *roster {
	r := rules{concurrency: 1, max: size, surge: 1, limits: func() limits { return limits{calls: unlimited} }}
	if change != nil {
		change(&r)
	}
	t := newRoster(r, size)
	allUp(t)
	return t
}

// allUp does what the roster wants until it is content.
func allUp(r *roster) {
	for i := 0; i < len(r.slots); i++ {
		r.takeOrders()
		switch s := r.slots[i]; {
		case s.stage == starting:
			r.cameUp(s, time.Unix(0, 0))
		case s.stop:
			r.left(s, time.Unix(0, 0))
		default:
			continue
		}
		i = -1
	}
}

// picks are the seats that so many calls get, one after the other.
func picks(r *roster, n int) (seats []uint64) {
	for range n {
		if at, ok := r.take(&claim{}); ok {
			seats = append(seats, at.slot.seat.n)
		}
	}
	return seats
}

func TestChoose(t *testing.T) {
	for _, test := range []struct {
		name  string
		rules func(*rules)
		want  []uint64
	}{
		{"least loaded", nil, []uint64{1, 2, 3}},
		{"least loaded, two at once", func(r *rules) { r.concurrency = 2 }, []uint64{1, 2, 3, 1, 2, 3}},
		{"least loaded, one ahead", func(r *rules) { r.ahead = 1 }, []uint64{1, 2, 3, 1, 2, 3}},
		{"round robin", func(r *rules) { r.choose = RoundRobin }, []uint64{1, 2, 3}},
		{"round robin, one ahead", func(r *rules) { r.choose, r.ahead = RoundRobin, 1 }, []uint64{1, 2, 3, 1, 2, 3}},
		{"without a key", func(r *rules) { r.choose = ByKey }, []uint64{1, 2, 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := picks(staff(3, test.rules), 10); !slices.Equal(got, test.want) {
				t.Errorf("calls went to %v, not %v", got, test.want)
			}
		})
	}
}

// When each call ends before the next one comes, least loaded always takes the
// first worker, and round robin goes on to the next.
func TestRoundRobinGoesOn(t *testing.T) {
	for _, test := range []struct {
		choose Choose
		want   []uint64
	}{{LeastLoaded, []uint64{1, 1, 1, 1}}, {RoundRobin, []uint64{1, 2, 3, 1}}} {
		r := staff(3, func(r *rules) { r.choose = test.choose })
		var got []uint64
		for range 4 {
			at, _ := r.take(&claim{})
			got = append(got, at.slot.seat.n)
			r.released(at.slot, time.Time{})
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%v: %v, not %v", test.choose, got, test.want)
		}
	}
}

// homes are the seats of the keys 0 to n-1.
func homes(r *roster, n uint64) (seats []uint64) {
	for key := range n {
		seats = append(seats, r.home(key*0x9e3779b97f4a7c15).n)
	}
	return seats
}

func TestKeysMoveAsLittleAsPossible(t *testing.T) {
	const keys = 10_000
	r := staff(8, func(r *rules) { r.choose = ByKey })
	before := homes(r, keys)
	share := map[uint64]int{}
	for _, home := range before {
		share[home]++
	}
	for seat, n := range share {
		if n < keys/8*7/10 || n > keys/8*13/10 {
			t.Errorf("seat %d has %d of %d keys", seat, n, keys)
		}
	}
	r.resize(9, 9, time.Time{})
	allUp(r)
	grown := homes(r, keys)
	moved := 0
	for key, home := range grown {
		if home == before[key] {
			continue
		}
		if moved++; home != 9 {
			t.Fatalf("key %d moved from %d to %d, which was there before", key, before[key], home)
		}
	}
	if share := float64(moved) / keys; math.Abs(share-1.0/9) > 0.03 {
		t.Errorf("%.3f of the keys moved to one of 9", share)
	}
	r.wentDown(r.seats[3].slot, time.Time{})
	for key, home := range homes(r, keys) {
		if grown[key] != 4 && home != grown[key] {
			t.Fatalf("key %d moved although its worker lives", key)
		}
	}
	allUp(r)
	if !slices.Equal(homes(r, keys), grown) {
		t.Error("the keys of a restarted worker have not come back")
	}
	r.resize(8, 8, time.Time{})
	if !slices.Equal(homes(r, keys), before) {
		t.Error("back at the old size, the keys are elsewhere")
	}
}

// A call waits for the worker of its key, also when others are idle, and moves
// on when that dies, without losing its turn.
func TestCallsWaitAtTheirHome(t *testing.T) {
	r := staff(2, func(r *rules) { r.choose = ByKey })
	key := claim{hash: 1, keyed: true}
	first, ok := r.take(&key)
	if !ok {
		t.Fatal("no place")
	}
	var ws []*waiter
	for range 3 {
		if _, ok := r.take(&key); ok {
			t.Fatal("the second call with this key got a place")
		}
		w := newWaiter(key)
		r.enqueue(w, false, time.Time{})
		ws = append(ws, w)
	}
	if _, ok := r.take(&claim{}); !ok {
		t.Error("the other worker is not used")
	}
	other := r.seats[0].slot
	if other == first.slot {
		other = r.seats[1].slot
	}
	r.wentDown(first.slot, time.Time{})
	for i, w := range ws {
		r.released(other, time.Time{})
		if v := <-w.got; v.slot != other {
			t.Errorf("call %d went elsewhere", i)
		}
	}
}

// The deadline of a call passes while it is queued: whoever has a place to give
// sees that by the clock, and does not wait for the caller to leave.
func TestDeadCallsGetNoPlace(t *testing.T) {
	r := staff(1, nil)
	at, _ := r.take(&claim{})
	now := time.Unix(100, 0)
	dead, alive := newWaiter(claim{deadline: now}), newWaiter(claim{deadline: now.Add(1)})
	r.enqueue(dead, false, now.Add(-time.Second))
	r.enqueue(alive, false, now.Add(-time.Second))
	r.released(at.slot, now)
	if v := <-dead.got; v.end != expired {
		t.Error("a call was sent after its deadline")
	}
	if v := <-alive.got; v.end != placed {
		t.Error("a call in time was not sent")
	}
}

// A call whose worker was gone before it began keeps its turn.
func TestAgainKeepsTheTurn(t *testing.T) {
	r := staff(1, nil)
	at, _ := r.take(&claim{})
	a, b := newWaiter(claim{}), newWaiter(claim{})
	r.enqueue(a, false, time.Unix(1, 0))
	r.enqueue(b, false, time.Unix(2, 0))
	r.released(at.slot, time.Unix(3, 0))
	at = (<-a.got).place
	r.wentDown(at.slot, time.Unix(4, 0)) // a finds it gone
	a = newWaiter(a.claim)
	r.enqueue(a, true, time.Unix(5, 0))
	first := newWaiter(claim{}) // and one that had its place without waiting
	r.enqueue(first, true, time.Unix(6, 0))
	r.released(at.slot, time.Unix(7, 0))
	if got := r.common.all(); !slices.Equal(got, []*waiter{first, a, b}) {
		t.Errorf("the line is out of order: %v", got)
	}
}

func TestSpareTakesOver(t *testing.T) {
	r := staff(1, func(r *rules) { r.spares = 1 })
	if len(r.slots) != 2 || r.count(isSpare) != 1 {
		t.Fatalf("%d slots, %d spares", len(r.slots), r.count(isSpare))
	}
	dies := r.seats[0].slot
	r.wentDown(dies, time.Time{})
	if s := r.seats[0].slot; s == nil || s == dies {
		t.Fatal("the spare has not taken the seat")
	}
	r.cameUp(dies, time.Time{})
	if !isSpare(dies) || len(r.slots) != 2 {
		t.Error("the one that died is not the new spare")
	}
}

// A worker is recycled between two calls, and its replacement is ready first.
func TestReplacementIsReadyFirst(t *testing.T) {
	r := staff(1, func(r *rules) { r.limits = func() limits { return limits{calls: 2} } })
	old := r.seats[0].slot
	for range 5 {
		at, _ := r.take(&claim{})
		if at.slot != old {
			t.Fatal("it was replaced before there was another")
		}
		r.released(at.slot, time.Time{})
	}
	r.takeOrders()
	next := r.find(isStarting)
	if next == nil || len(r.slots) != 2 {
		t.Fatal("no replacement is started")
	}
	at, _ := r.take(&claim{})
	r.cameUp(next, time.Time{})
	if r.seats[0].slot != old {
		t.Error("it was replaced within a call")
	}
	r.released(at.slot, time.Time{})
	if r.seats[0].slot != next || !old.stop {
		t.Error("it was not replaced after the call")
	}
	r.left(old, time.Time{})
	if len(r.slots) != 1 {
		t.Error("a worker too many")
	}
}

// Without surge and spares a worker goes first, one after the other.
func TestNoSurge(t *testing.T) {
	r := staff(2, func(r *rules) { r.surge = 0 })
	r.renew(time.Time{})
	for range 2 {
		if r.seated != 1 || len(r.slots) != 2 {
			t.Fatalf("%d of 2 seats taken, %d processes", r.seated, len(r.slots))
		}
		r.left(r.find(func(s *slot) bool { return s.stop }), time.Time{})
		r.takeOrders()
		r.cameUp(r.find(isStarting), time.Time{})
	}
	if !r.settled() {
		t.Error("not all were replaced")
	}
}

func TestElastic(t *testing.T) {
	r := staff(1, func(r *rules) { r.max, r.idle = 3, time.Minute })
	now := time.Unix(0, 0)
	var running []place
	begin := func() {
		if at, ok := r.take(&claim{}); ok {
			running = append(running, at)
			return
		}
		w := newWaiter(claim{})
		r.enqueue(w, false, now)
		allUp(r)
		select {
		case v := <-w.got:
			running = append(running, v.place)
		default:
		}
	}
	for range 5 {
		begin()
	}
	if len(r.seats) != 3 || len(running) != 3 {
		t.Fatalf("5 calls: %d seats, %d running", len(r.seats), len(running))
	}
	for r.busy > 0 { // the queue has been served, too
		for _, s := range r.slots {
			for s.load > 0 {
				r.released(s, now)
			}
		}
	}
	sizes := []int{}
	for range 4 {
		now = now.Add(time.Minute)
		r.tick(now)
		allUp(r)
		sizes = append(sizes, len(r.slots))
	}
	if !slices.Equal(sizes, []int{3, 1, 1, 1}) {
		t.Errorf("idle for some minutes: %v workers", sizes)
	}
}

// Tenants must not meet: also when a call that was given to a worker is sent to
// its next life.
func TestOnceIsAPromise(t *testing.T) {
	r := staff(1, func(r *rules) { r.once, r.concurrency, r.limits = true, 2, func() limits { return limits{calls: 1} } })
	at, _ := r.take(&claim{})
	r.wentDown(at.slot, time.Time{})
	r.cameUp(at.slot, time.Time{})
	if _, ok := r.take(&claim{}); ok {
		t.Error("a second call was given to a worker that may still get the first")
	}
}

func TestAgeIsLookedAt(t *testing.T) {
	r := staff(1, func(r *rules) { r.limits = func() limits { return limits{calls: unlimited, age: time.Hour} } })
	old := r.seats[0].slot
	r.tick(time.Unix(3599, 0))
	if old.due() {
		t.Error("too early")
	}
	r.tick(time.Unix(3600, 0))
	allUp(r)
	if r.seats[0].slot == old {
		t.Error("it was not replaced")
	}
}

// A start that has been ordered and not carried out is taken back without a process.
func TestUnstartedIsForgotten(t *testing.T) {
	r := newRoster(rules{concurrency: 1, max: 3, limits: func() limits { return limits{calls: unlimited} }}, 3)
	r.resize(1, 1, time.Time{})
	if o := r.takeOrders(); len(o.start) != 1 || len(o.stop) != 0 || len(r.slots) != 1 {
		t.Errorf("%d starts, %d stops, %d slots", len(o.start), len(o.stop), len(r.slots))
	}
}
