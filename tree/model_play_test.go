package tree

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/thejerf/suture/v4"
)

// entry is an event with its times counted from the beginning, and its error as text.
type entry struct {
	at      time.Duration
	kind    EventKind
	id      string // of the child; "": the supervisor
	run     int
	took    time.Duration
	err     string
	attempt int
	delay   time.Duration
}

func (e entry) String() string {
	s := fmt.Sprintf("%v %v %s#%d", e.at, e.kind, e.id, e.run)
	switch e.kind {
	case EventStarted, EventExited, EventStartFailed, EventStopped, EventAbandoned:
		s += fmt.Sprintf(" took %v", e.took)
	case EventRestarting:
		s += fmt.Sprintf(" attempt %d delay %v", e.attempt, e.delay)
	}
	if e.err != "" {
		s += fmt.Sprintf(" (%s)", e.err)
	}
	return s
}

// record is all that can be seen of a trial.
type record struct {
	events  []entry
	retired map[string][]string // by name: when and why
	answers map[int]string      // by step: when and what was answered, or what a snapshot showed
	result  string              // what Serve returned
	wrong   []string            // what is wrong whatever the model says
	spread  [4]int              // how many delays were in each quarter of what they may be
}

func newRecord() *record {
	return &record{retired: map[string][]string{}, answers: map[int]string{}}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := err.(*IntensityError); ok {
		var causes []string
		for _, c := range e.Causes {
			causes = append(causes, fmt.Sprintf("%s %s", c.ID, text(c.Err)))
		}
		return gaveUp(e.ID, e.Restarts, e.Limit, causes)
	}
	return err.Error()
}

func gaveUp(id string, restarts, limit int, causes []string) string {
	return fmt.Sprintf("gave up because of %s: %d of %d: %s", id, restarts, limit, strings.Join(causes, ", "))
}

// play is a trial being played by the real tree.
type play struct {
	trial   trial
	sup     *Supervisor
	begun   time.Time
	release chan struct{} // ends what has been abandoned
	actors  []*actor

	mu      sync.Mutex
	rec     *record
	handles map[int]Run    // what the last StartService of somebody has returned
	last    map[string]int // run numbers of children seen so far
}

// playTrial must be called in a bubble.
func playTrial(t trial) *record {
	p := &play{trial: t, begun: time.Now(), release: make(chan struct{}), rec: newRecord(), handles: map[int]Run{}, last: map[string]int{}}
	spec := t.spec()
	for i, part := range t.cast {
		a := p.engage(part, part.name)
		if i < t.static {
			spec.Children = append(spec.Children, part.child(a.service()))
		}
	}
	spec.OnEvent = p.onEvent
	var err error
	if p.sup, err = New(spec); err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan struct{})
	go func() {
		err := p.sup.Serve(ctx)
		p.locked(func() { p.rec.result = text(err) })
		close(ended)
	}()
	for i, s := range t.steps {
		time.Sleep(s.at - p.now())
		p.do(i, s, cancel)
	}
	<-ended
	close(p.release)
	time.Sleep(time.Minute) // what has been cancelled or killed takes its time
	synctest.Wait()
	for _, a := range p.actors {
		p.expect(a.running == 0, "%s still runs", a.name)
	}
	return p.rec
}

// engage makes the service of a part.
func (p *play) engage(part *part, name string) *actor {
	a := &actor{play: p, part: part, name: name}
	p.actors = append(p.actors, a)
	return a
}

func (p *play) now() time.Duration { return time.Since(p.begun) }

func (p *play) locked(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *play) expect(ok bool, format string, args ...any) {
	if !ok {
		p.locked(func() { p.rec.wrong = append(p.rec.wrong, fmt.Sprintf("%v: ", p.now())+fmt.Sprintf(format, args...)) })
	}
}

func (p *play) onEvent(e Event) {
	id := strings.TrimPrefix(strings.TrimPrefix(e.Path, "root"), "/")
	p.locked(func() {
		p.rec.events = append(p.rec.events, entry{
			at: e.Time.Sub(p.begun), kind: e.Kind, id: id, run: e.Run, took: e.Took,
			err: text(e.Err), attempt: e.Attempt, delay: e.Delay,
		})
	})
	p.checkSnapshot(p.sup.Snapshot(), id, e)
}

// do takes one step. Requests wait for their answers in goroutines of their own.
func (p *play) do(i int, s move, cancel func()) {
	ctx, name := context.Background(), p.trial.cast[s.who].name
	answer := func(run Run, err error) {
		text := "ok"
		if run.N > 0 {
			text = fmt.Sprintf("ok %s#%d", run.ID, run.N)
		}
		if e, ok := err.(*RequestError); ok {
			err = e.Err
		}
		if err != nil {
			text = err.Error()
		}
		p.locked(func() {
			p.rec.answers[i] = fmt.Sprintf("%v %s", p.now(), text)
			if s.verb == startsOne && run.N > 0 {
				p.handles[i] = run
			}
		})
	}
	switch s.verb {
	case looks:
		shown := p.describe(p.sup.Snapshot())
		p.locked(func() { p.rec.answers[i] = shown })
	case starts:
		go func() {
			answer(p.sup.StartChild(ctx, p.trial.cast[s.who].child(p.actors[s.who].service())))
		}()
	case startsOne:
		one := p.engage(p.trial.cast[s.who], fmt.Sprintf("%s@%d", name, i)).service()
		go func() { answer(p.sup.StartService(ctx, one)) }()
	case restarts:
		go func() { answer(p.sup.RestartChild(ctx, name)) }()
	case stops:
		go func() {
			answer(Run{}, p.sup.TerminateChild(ctx, name))
		}()
	case stopsOne:
		var run Run
		p.locked(func() { run = lastGiven(p.trial, i, p.handles) })
		go func() { answer(Run{}, p.sup.TerminateRun(ctx, run)) }()
	case deletes:
		go func() { answer(Run{}, p.sup.DeleteChild(ctx, name)) }()
	case cancels:
		cancel()
	case asksStop:
		go p.sup.Stop(ctx)
	case asksKill:
		p.sup.Kill()
	}
}

// describe puts a snapshot into words, for the comparison with the model.
func (p *play) describe(n Snapshot) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v, %d of %d in %v used", n.State, n.Supervisor.Used, n.Supervisor.Limit, n.Supervisor.Period)
	for _, c := range n.Children {
		fmt.Fprintf(&b, "\n    %s#%d %v since %v", c.ID, c.Run, c.State, max(0, c.Since.Sub(p.begun)))
		if c.State == Restarting {
			fmt.Fprintf(&b, " attempt %d at %v", c.Attempt, c.NextRetry.Sub(p.begun))
		}
		for _, e := range c.Exits {
			fmt.Fprintf(&b, " [%s]", exitWords(e.Run, e.Time.Sub(p.begun), e.Ran, text(e.Err), e.Asked, e.Killed))
		}
	}
	return b.String()
}

func exitWords(run int, at, ran time.Duration, err string, asked, killed bool) string {
	return fmt.Sprintf("#%d at %v after %v %q asked %v killed %v", run, at, ran, err, asked, killed)
}

// shown is the state in which a child is when the hook hears of an event.
var shown = map[EventKind]State{
	EventStarting: Starting, EventStarted: Running, EventStartFailed: Down, EventIgnored: Down, EventExited: Down,
	EventRestarting: Restarting, EventStopping: Stopping, EventKilling: Stopping, EventStopped: Down,
}

// checkSnapshot compares a snapshot with the event that has just been told, and with those before.
func (p *play) checkSnapshot(n Snapshot, id string, e Event) {
	sup := n.Supervisor
	p.expect(sup.Used >= 0 && sup.Used <= sup.Limit+1, "%d of %d restarts used", sup.Used, sup.Limit)
	if e.Kind == EventForgotten {
		delete(p.last, id)
	}
	found := false
	for _, c := range n.Children {
		p.expect(c.Run >= p.last[c.ID], "run %d of %s follows %d", c.Run, c.ID, p.last[c.ID])
		p.expect(len(c.Exits) <= 16, "%d exits of %s", len(c.Exits), c.ID)
		for i := 1; i < len(c.Exits); i++ {
			p.expect(c.Exits[i-1].Run < c.Exits[i].Run && !c.Exits[i].Time.Before(c.Exits[i-1].Time), "the exits of %s are out of order: %+v", c.ID, c.Exits)
		}
		p.last[c.ID] = c.Run
		if c.ID != id || e.Kind == EventReturned {
			continue
		}
		found = true
		p.expect(e.Kind != EventForgotten, "%s is not forgotten", id)
		p.expect(c.Run == e.Run, "run %d of %s, the event is about %d", c.Run, id, e.Run)
		want, known := shown[e.Kind]
		p.expect(!known || c.State == want, "%v after %v %s", c.State, e.Kind, id)
		if e.Kind == EventRestarting {
			p.expect(c.Attempt == e.Attempt && c.NextRetry.Equal(e.Time.Add(e.Delay)), "%+v after %+v", c, e)
		}
	}
	p.expect(found || id == "" || e.Kind == EventForgotten || e.Kind == EventReturned, "%v %s, which is not in the snapshot", e.Kind, id)
}

// actor is a service that plays its part.
type actor struct {
	play    *play
	part    *part
	name    string
	served  int
	running int
	kill    chan struct{} // of the present run
	told    string        // that it will not come back, and not because it has ended by itself
	late    string        // what it was told before it came back
	killed  bool          // the present run, or the next one if none has begun yet
}

type (
	starterActor       struct{ *actor }
	killerActor        struct{ *actor }
	killerStarterActor struct{ starterActor }
)

func (a killerActor) Kill()        { a.die() }
func (a killerStarterActor) Kill() { a.die() }

func (a starterActor) ServeReady(ctx context.Context, ready func()) error { return a.run(ctx, ready) }

func (a *actor) service() suture.Service {
	var s suture.Service = a
	switch {
	case a.part.starter && a.part.killer:
		s = killerStarterActor{starterActor{a}}
	case a.part.starter:
		s = starterActor{a}
	case a.part.killer:
		s = killerActor{a}
	}
	if a.part.perRun {
		return PerRun(func(context.Context) (suture.Service, error) { return s, nil })
	}
	return s
}

func (a *actor) Retire(cause error) {
	p := a.play
	p.locked(func() {
		if a.told = text(cause); a.told == ErrEnded.Error() || a.told == ErrIgnore.Error() {
			a.told = "" // a restart of its group may bring it back all the same
		}
		p.rec.retired[a.name] = append(p.rec.retired[a.name], fmt.Sprintf("%v %s", p.now(), text(cause)))
	})
}

// die is what Kill does.
func (a *actor) die() {
	a.play.locked(func() {
		if !a.killed && a.running > 0 {
			close(a.kill)
		}
		a.killed = true
	})
}

func (a *actor) Serve(ctx context.Context) error { return a.run(ctx, func() {}) }

func (a *actor) run(ctx context.Context, ready func()) error {
	var c course
	var kill chan struct{}
	var others int
	a.play.locked(func() {
		c = a.part.runs[min(a.served, len(a.part.runs)-1)]
		kill = make(chan struct{})
		others = a.running
		a.late += a.told
		a.killed = a.killed && others == 0
		if a.served, a.running, a.kill = a.served+1, a.running+1, kill; a.killed {
			close(kill)
		}
	})
	a.play.expect(others == 0 || a.part.perRun, "%s is served twice at once", a.name)
	defer a.play.locked(func() { a.running, a.killed = a.running-1, a.killed && a.kill != kill })
	if a.part.starter {
		if err, over := a.pause(ctx, c, kill, c.up); over {
			return err
		}
		if c.start != isUp {
			return c.start.do()
		}
		ready()
	}
	if err, over := a.pause(ctx, c, kill, c.life); over {
		return err
	}
	return c.end.do()
}

// pause lets time pass. It reports whether the run is over because somebody has interfered.
func (a *actor) pause(ctx context.Context, c course, kill chan struct{}, d time.Duration) (err error, over bool) {
	var after <-chan time.Time
	var asked <-chan struct{}
	if d > 0 {
		after = time.After(d)
	}
	if !c.deaf {
		asked = ctx.Done()
	}
	select {
	case <-after:
		return nil, false
	case <-a.play.release:
		return released.do(), true
	case <-kill:
	case <-asked:
		select {
		case <-kill: // comes before the cancelling
		case <-time.After(c.wind):
			return c.bye.do(), true
		}
	}
	time.Sleep(c.dies)
	return dies.do(), true
}

// lastGiven returns what the last step before this one has been given that started a child of the same part.
func lastGiven[V any](t trial, before int, given map[int]V) (v V) {
	for i, s := range t.steps[:before] {
		if g, ok := given[i]; ok && s.who == t.steps[before].who {
			v = g
		}
	}
	return v
}
