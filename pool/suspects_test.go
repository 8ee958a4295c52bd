package pool

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// court is a table of suspects and a clock.
type court struct {
	suspects
	now time.Time
}

func newCourt(rule Quarantine) *court {
	return &court{newSuspects(rule.withDefaults()), time.Unix(1e9, 0)}
}

// die lets some time pass, and then an input kill a worker.
func (c *court) die(after time.Duration, id identity, shared bool) (caught bool) {
	c.now = c.now.Add(after)
	c.served(id, c.now)
	s, _ := c.died(id, death{charge: charge{c.now, shared}})
	return s != nil
}

// refuses asks about a call.
func (c *court) refuses(after time.Duration, id identity) bool {
	c.now = c.now.Add(after)
	c.served(id, c.now)
	return c.asks(id, c.now) != nil
}

// F63: which deaths, and how many in which time, put an input into quarantine.
func TestSuspects(t *testing.T) {
	const alone, shared = false, true
	rule := Quarantine{Deaths: 3, Window: time.Minute, Hold: time.Hour}
	type step struct {
		after  time.Duration
		do     string // die, die beside others, answer, tick
		id     identity
		caught bool
	}
	for name, test := range map[string]struct {
		steps   []step
		refused []identity
	}{
		"too few":       {[]step{{0, "die", 1, false}, {0, "die", 1, false}}, nil},
		"enough":        {[]step{{0, "die", 1, false}, {0, "die", 1, false}, {0, "die", 1, true}}, []identity{1}},
		"of two inputs": {[]step{{0, "die", 1, false}, {0, "die", 2, false}, {0, "die", 1, false}, {0, "die", 2, false}}, nil},
		"just in time":  {[]step{{0, "die", 1, false}, {30 * time.Second, "die", 1, false}, {30*time.Second - 1, "die", 1, true}}, []identity{1}},
		"a long time":   {[]step{{0, "die", 1, false}, {30 * time.Second, "die", 1, false}, {30 * time.Second, "die", 1, false}}, nil},
		"sliding":       {[]step{{0, "die", 1, false}, {50 * time.Second, "die", 1, false}, {20 * time.Second, "die", 1, false}, {20 * time.Second, "die", 1, true}}, []identity{1}},
		"answers in between do not clear it": {
			[]step{{0, "die", 1, false}, {0, "answer", 1, false}, {0, "die", 1, false}, {0, "answer", 1, false}, {0, "die", 1, true}},
			[]identity{1},
		},
		"answers clear it of what others may have done": {
			[]step{{0, "die beside others", 1, false}, {0, "die beside others", 1, false}, {0, "answer", 1, false}, {0, "die", 1, false}, {0, "die", 1, false}}, nil,
		},
		"beside others, and no answer": {
			[]step{{0, "die beside others", 1, false}, {0, "die beside others", 1, false}, {0, "die beside others", 1, true}},
			[]identity{1},
		},
		"answers do not release": {
			[]step{{0, "die", 1, false}, {0, "die", 1, false}, {0, "die", 1, true}, {0, "answer", 1, false}},
			[]identity{1},
		},
		"copies that were running": {
			[]step{{0, "die", 1, false}, {0, "die", 1, false}, {0, "die", 1, true}, {0, "die", 1, false}, {0, "die", 1, false}},
			[]identity{1},
		},
		"held until its time is over": {
			[]step{{0, "die", 1, false}, {0, "die", 1, false}, {0, "die", 1, true}, {time.Hour - 1, "tick", 0, false}},
			[]identity{1},
		},
		"its time is over":             {[]step{{0, "die", 1, false}, {0, "die", 1, false}, {0, "die", 1, true}, {time.Hour, "tick", 0, false}}, nil},
		"its time is over, of itself":  {[]step{{0, "die", 1, false}, {0, "die", 1, false}, {0, "die", 1, true}, {time.Hour, "", 0, false}}, nil},
		"another time":                 {[]step{{0, "die", 1, false}, {0, "die", 1, false}, {0, "die", 1, true}, {time.Hour, "die", 1, false}, {0, "die", 1, false}}, nil},
		"another time, caught":         {[]step{{0, "die", 1, false}, {0, "die", 1, false}, {0, "die", 1, true}, {time.Hour, "die", 1, false}, {0, "die", 1, false}, {0, "die", 1, true}}, []identity{1}},
		"released":                     {[]step{{0, "die", 1, false}, {0, "die", 1, false}, {0, "die", 1, true}, {0, "release", 1, false}}, nil},
		"a tick forgets no new deaths": {[]step{{0, "die", 1, false}, {0, "die", 1, false}, {59 * time.Second, "tick", 0, false}, {0, "die", 1, true}}, []identity{1}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCourt(rule)
			for i, s := range test.steps {
				caught := false
				switch s.do {
				case "die":
					caught = c.die(s.after, s.id, alone)
				case "die beside others":
					caught = c.die(s.after, s.id, shared)
				case "answer":
					c.answered(s.id)
				case "release":
					c.release(s.id)
				default:
					c.now = c.now.Add(s.after)
					if s.do == "tick" {
						c.tick(c.now)
					}
				}
				if caught != s.caught {
					t.Errorf("step %d: caught is %v", i+1, caught)
				}
			}
			want := map[identity]bool{}
			for _, id := range test.refused {
				want[id] = true
			}
			for id := range identity(5) {
				if c.refuses(0, id) != want[id] {
					t.Errorf("input %d: refused is %v", id, !want[id])
				}
			}
		})
	}
}

// Neither suspects nor those in quarantine are ever more than Max. What was seen least
// recently goes; never one in quarantine for a mere suspect.
func TestSuspectsAreBounded(t *testing.T) {
	c := newCourt(Quarantine{Deaths: 2, Max: 3})
	for id := range identity(3) {
		c.die(time.Second, id, false)
		if !c.die(time.Second, id, false) {
			t.Fatalf("input %d", id)
		}
	}
	for id := identity(100); id < 200; id++ { // suspects, each once
		c.die(time.Millisecond, id, false)
	}
	for id := range identity(3) {
		if !c.refuses(time.Second, id) {
			t.Errorf("input %d was let in again for mere suspects", id)
		}
	}
	if c.die(0, 150, false) || !c.die(0, 199, false) { // 150 had to go, 199 is there still
		t.Error("it is not the one seen least recently that goes")
	}
	if c.refuses(0, 0) || !c.refuses(0, 1) || !c.refuses(0, 2) || !c.refuses(0, 199) {
		t.Error("of those in quarantine it is not the one seen least recently that goes")
	}
}

// What the table holds is bounded whatever happens, and nobody is refused who has
// not killed as many as it takes since he was last let in.
func TestSuspectsRandomly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := Quarantine{
			Deaths: rapid.IntRange(1, 4).Draw(t, "deaths"), Window: time.Minute, Hold: 2 * time.Minute,
			Max: rapid.IntRange(1, 4).Draw(t, "max"),
		}
		c, killed := newCourt(rule), map[identity]int{}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			id := identity(rapid.IntRange(0, 8).Draw(t, "id"))
			after := time.Duration(rapid.IntRange(0, 30).Draw(t, "after")) * time.Second
			switch rapid.IntRange(0, 5).Draw(t, "what") {
			case 0, 1, 2:
				was := c.held[id] != nil && c.now.Add(after).Before(c.held[id].until)
				killed[id]++
				if c.die(after, id, rapid.Bool().Draw(t, "shared")) && (was || killed[id] < rule.Deaths) {
					t.Fatalf("input %d is caught after %d deaths", id, killed[id])
				}
			case 3:
				c.answered(id)
			case 4:
				for _, s := range c.tick(c.now) {
					killed[s.id] = 0
				}
			case 5:
				if s := c.release(id); s != nil {
					killed[id] = 0
				}
			}
			if len(c.free) > rule.Max || len(c.held) > rule.Max {
				t.Fatalf("%d suspects and %d in quarantine", len(c.free), len(c.held))
			}
			for id, s := range c.free {
				if n := len(s.charges); n == 0 || n >= rule.Deaths || c.held[id] != nil {
					t.Fatalf("input %d is free with %d deaths", id, n)
				}
			}
		}
	})
}
