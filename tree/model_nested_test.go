package tree

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/verdigris-go/verdigris/strategy"
)

// grove is a drawn tree of several levels, in which services come and go until somebody ends it.
type grove struct {
	strategy  strategy.Strategy
	intensity strategy.Intensity
	branches  []branch
	end       verb
	at        time.Duration
}

// branch is a service or a grove.
type branch struct {
	part *part
	sub  *grove
}

func (g grove) String() string { return g.text("  ") }

func (g grove) text(indent string) string {
	restarts, period := g.intensity.Limits()
	s := fmt.Sprintf("%v, %d restarts in %v, %s at %v\n", g.strategy, restarts, period, g.end, g.at)
	for i, b := range g.branches {
		if b.sub != nil {
			s += fmt.Sprintf("%s%d: %s", indent, i, b.sub.text(indent+"  "))
		} else {
			s += fmt.Sprintf("%s%d: %+v\n", indent, i, *b.part)
		}
	}
	return s
}

var groves = rapid.Custom(func(t *rapid.T) grove { return *drawGrove(&dice{T: t}, 2) })

func drawGrove(d *dice, depth int) *grove {
	g := &grove{
		strategy:  oneOf(d, "strategy", strategy.OneForOne, strategy.RestForOne, strategy.OneForAll),
		intensity: strategy.Intensity{Restarts: oneOf(d, "restarts", 1, strategy.NoRestarts, 3, 10), Period: time.Duration(d.number(1, 20, "period")) * time.Second},
		end:       oneOf(d, "end", cancels, asksStop, asksKill),
		at:        d.time(1, 15000, "at"),
	}
	for range d.number(1, 3, "branches") {
		if depth > 0 && d.chance(4, "sub") {
			g.branches = append(g.branches, branch{sub: drawGrove(d, depth-1)})
			continue
		}
		p := drawPart(d, "", strategy.Never)
		if p.shutdown == Infinity {
			p.shutdown = After(time.Second)
		}
		g.branches = append(g.branches, branch{part: p})
	}
	return g
}

// walk is a grove being played.
type walk struct {
	*play
	mu     sync.Mutex
	events []Event
	leaves []string // paths, in the order of starting
}

// plant builds the supervisor of a grove.
func (w *walk) plant(g *grove, path string) *Supervisor {
	spec := Spec{Strategy: g.strategy, Intensity: g.intensity}
	for i, b := range g.branches {
		id := fmt.Sprint(i)
		if b.sub != nil {
			spec.Children = append(spec.Children, Child{ID: id, Service: w.plant(b.sub, path+"/"+id)})
			continue
		}
		p := *b.part
		p.name = id
		w.leaves = append(w.leaves, path+"/"+id)
		spec.Children = append(spec.Children, p.child(w.engage(&p, path+"/"+id).service()))
	}
	if path == "root" {
		spec.OnEvent = w.hear
	}
	s, err := New(spec)
	if err != nil {
		panic(err)
	}
	return s
}

func (w *walk) hear(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// TestModelOfDeepTrees ends random trees of several levels at a random moment, also in the middle of starts, stops and
// delays: everything must stop in strict reverse order and in bounded time, nothing may be left, and
// every service must have been told in the end, but none that was to come back.
func TestModelOfDeepTrees(t *testing.T) {
	checkAtLeast(t, 500)
	report := ""
	defer func() {
		if report != "" {
			t.Log(report)
		}
	}()
	rapid.Check(t, func(t *rapid.T) {
		g := groves.Draw(t, "grove")
		rapid.SyncTest(t, func(t *rapid.T) {
			w := &walk{play: &play{begun: time.Now(), release: make(chan struct{}), rec: newRecord()}}
			w.run(&g)
			w.check(&g)
			if len(w.rec.wrong) > 0 {
				report = w.report(&g)
				t.Fatalf("a deep tree went wrong")
			}
		})
	})
}

func (w *walk) run(g *grove) {
	w.sup = w.plant(g, "root")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan struct{})
	go func() {
		w.sup.Serve(ctx)
		close(ended)
	}()
	time.Sleep(g.at)
	switch g.end {
	case cancels:
		cancel()
	case asksStop:
		go w.sup.Stop(context.Background())
	case asksKill:
		w.sup.Kill()
	}
	<-ended
	// A restart of everything may have been under way: its stops, its starts, which are cancelled, and then the stops.
	limit := 3 * (w.sup.StopLimit() + time.Second)
	if g.end == asksKill {
		limit = 3 * time.Second
	}
	w.expect(w.now()-g.at <= limit, "it took %v to stop, the limit is %v", w.now()-g.at, limit)
	close(w.release)
	time.Sleep(time.Minute)
	synctest.Wait()
	for _, a := range w.actors {
		w.expect(a.running == 0, "%s still runs", a.name)
	}
}

// check goes through the events once more.
func (w *walk) check(g *grove) {
	alive, runs := map[int]bool{}, map[string]int{}
	for _, e := range w.events {
		leaf := slices.Index(w.leaves, e.Path)
		switch e.Kind {
		case EventStarting:
			w.expect(e.Run > runs[e.Path] || strings.Count(e.Path, "/") > 1, "run %d of %s follows %d", e.Run, e.Path, runs[e.Path])
			runs[e.Path] = e.Run
			w.expect(!alive[leaf] || leaf < 0, "%s starts while it is up", e.Path)
		case EventStarted:
			if leaf >= 0 {
				alive[leaf] = true
			}
		case EventStopped, EventAbandoned, EventExited:
			delete(alive, leaf)
		case EventStopping:
			for other := range maps.Keys(alive) {
				w.expect(g.end == asksKill || !follows(w.leaves[other], e.Path), "%s is asked to stop before %s", e.Path, w.leaves[other])
			}
		}
	}
	w.expect(len(alive) == 0 || g.end == asksKill, "up in the end: %v", alive)
	for _, a := range w.actors {
		told := w.rec.retired[a.name]
		w.expect(len(told) > 0 || a.part.perRun && a.served == 0, "%s has not been told", a.name)
		w.expect(a.late == "", "%s is served again, but was told %q", a.name, a.late)
	}
}

// follows reports whether a service has been started after a child by the same supervisor, or below one that was.
func follows(path, child string) bool {
	parent := child[:strings.LastIndex(child, "/")+1]
	rest, inside := strings.CutPrefix(path, parent)
	id, _, _ := strings.Cut(rest, "/")
	return inside && id > child[len(parent):]
}

func (w *walk) report(g *grove) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n", g)
	for _, e := range w.events {
		fmt.Fprintf(&b, "%v %v %s#%d %v\n", e.Time.Sub(w.begun), e.Kind, e.Path, e.Run, e.Err)
	}
	fmt.Fprintf(&b, "%v\n%s", w.rec.retired, strings.Join(w.rec.wrong, "\n"))
	return b.String()
}
