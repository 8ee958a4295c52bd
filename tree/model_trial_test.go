package tree

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/thejerf/suture/v4"
	"pgregory.net/rapid"

	"github.com/verdigris-go/verdigris/strategy"
)

// trial is one case of the model check as plain data: a supervisor, what its children are going to do, and what is
// done to it from outside. The real tree plays it in fake time, the model works out what must come of it.
type trial struct {
	strategy  strategy.Strategy
	intensity strategy.Intensity
	auto      strategy.AutoShutdown
	dynamic   bool
	most      int     // MaxChildren
	static    int     // so many of the cast are in the Spec
	cast      []*part // all services that there are
	steps     []move  // in order of time; the last one cancels
}

// part is one service, and how it is run.
type part struct {
	name         string
	restart      strategy.Restart
	significant  bool
	backoff      strategy.Backoff
	shutdown     Shutdown
	startTimeout time.Duration
	starter      bool
	killer       bool
	perRun       bool
	runs         []course // the last one is for all further runs
}

// course is what happens in one run if nobody interferes, and how it reacts if somebody does. Every
// duration is different from all others, so that no two things happen at the same time.
type course struct {
	up    time.Duration // of a starter: how long the start takes
	start ending        // of a starter: how the start ends
	life  time.Duration // from being ready to the end; 0: for ever
	end   ending
	deaf  bool          // it does not listen to the cancelling of its context
	wind  time.Duration // how long it takes to end when it is cancelled
	bye   ending        // what it answers then
	dies  time.Duration // how long it takes to end when it is killed
}

// ending is a way to end.
type ending string

const (
	isUp          ending = "up"
	endsNil       ending = "nil"
	fails         ending = "failure"
	failsExcused  ending = "excused failure"
	panics        ending = "panic"
	panicsWithDNR ending = "panic with ErrDoNotRestart"
	goexits       ending = "goexit"
	isCanceled    ending = "context.Canceled"
	shutsDown     ending = "ErrShutdown"
	ignores       ending = "ErrIgnore"
	doNotRestart  ending = "ErrDoNotRestart"
	wrappedDNR    ending = "wrapped ErrDoNotRestart"
	terminates    ending = "ErrTerminateSupervisorTree"
	wrappedTerm   ending = "wrapped ErrTerminateSupervisorTree"
	dies          ending = "died" // because it was killed
	released      ending = "released"
)

var (
	errFailure = errors.New("failure")
	endings    = map[ending]error{
		fails: errFailure, failsExcused: fmt.Errorf("wrapped: %w", Excuse(errFailure)), shutsDown: ErrShutdown,
		isCanceled: errors.New("context canceled"), ignores: fmt.Errorf("not now: %w", ErrIgnore),
		doNotRestart: suture.ErrDoNotRestart, wrappedDNR: fmt.Errorf("enough: %w", suture.ErrDoNotRestart),
		terminates: suture.ErrTerminateSupervisorTree, wrappedTerm: fmt.Errorf("enough: %w", suture.ErrTerminateSupervisorTree),
		panics: &PanicError{Value: "oh"}, panicsWithDNR: &PanicError{Value: suture.ErrDoNotRestart}, goexits: ErrGoexit,
		dies: errors.New("died"), released: errors.New("released"),
	}
)

// do ends in this way.
func (e ending) do() error {
	switch e {
	case panics:
		panic("oh")
	case panicsWithDNR:
		panic(suture.ErrDoNotRestart)
	case goexits:
		runtime.Goexit()
	}
	return endings[e]
}

// meaning reduces an ending to one of those that make a difference.
func (e ending) meaning() ending {
	switch e {
	case wrappedDNR:
		return doNotRestart
	case wrappedTerm:
		return terminates
	case panics, panicsWithDNR, goexits, isCanceled:
		return fails
	}
	return e
}

// move is something done from outside.
type move struct {
	at   time.Duration
	verb verb
	who  int // index in the cast
}

type verb string

const (
	looks     verb = "Snapshot"
	starts    verb = "StartChild"
	startsOne verb = "StartService"
	restarts  verb = "RestartChild"
	stops     verb = "TerminateChild"
	stopsOne  verb = "TerminateRun"
	deletes   verb = "DeleteChild"
	cancels   verb = "cancel"
	asksStop  verb = "Stop"
	asksKill  verb = "Kill"
)

func (t trial) String() string {
	var b strings.Builder
	restarts, period := t.intensity.Limits()
	fmt.Fprintf(&b, "%v, %d restarts in %v, auto-shutdown %v, dynamic %v (most %d)\n", t.strategy, restarts, period, t.auto, t.dynamic, t.most)
	for i, p := range t.cast {
		where := "in the spec"
		if i >= t.static {
			where = "later"
		}
		fmt.Fprintf(&b, "  %s (%s): %v significant=%v backoff=%v shutdown=%v start-timeout=%v starter=%v killer=%v per-run=%v\n",
			p.name, where, p.restart, p.significant, p.backoff, p.shutdown, p.startTimeout, p.starter, p.killer, p.perRun)
		for _, c := range p.runs {
			fmt.Fprintf(&b, "    up %v %q, life %v %q, deaf %v, wind %v %q, dies %v\n", c.up, c.start, c.life, c.end, c.deaf, c.wind, c.bye, c.dies)
		}
	}
	for _, s := range t.steps {
		fmt.Fprintf(&b, "  at %v %s %s\n", s.at, s.verb, t.cast[s.who].name)
	}
	return b.String()
}

func (t trial) spec() Spec {
	s := Spec{Name: "root", Strategy: t.strategy, Intensity: t.intensity, AutoShutdown: t.auto}
	if t.dynamic {
		s.Dynamic = &Dynamic{Template: t.cast[0].child(nil), MaxChildren: t.most}
	}
	return s
}

func (p *part) child(s suture.Service) Child {
	return Child{
		ID: p.name, Service: s, Restart: p.restart, Significant: p.significant, Backoff: p.backoff,
		Shutdown: p.shutdown, StartTimeout: p.startTimeout,
	}
}

// dice draws the values of a trial.
type dice struct {
	*rapid.T
	drawn int
}

// chance is true in n of 10 cases, and false in the simplest.
func (d *dice) chance(n int, label string) bool { return rapid.IntRange(0, 9).Draw(d.T, label) > 9-n }

func (d *dice) number(lo, hi int, label string) int { return rapid.IntRange(lo, hi).Draw(d.T, label) }

// time draws a duration of some milliseconds and makes it unique.
func (d *dice) time(lo, hi int, label string) time.Duration {
	d.drawn++
	ms := time.Duration(d.number(lo, hi, label)) * time.Millisecond
	return ms + time.Duration(d.drawn*d.drawn*7919+d.drawn*104729)%time.Millisecond
}

func oneOf[E any](d *dice, label string, from ...E) E {
	return rapid.SampledFrom(from).Draw(d.T, label)
}

func drawTrial(t *rapid.T) trial {
	d := &dice{T: t}
	tr := trial{dynamic: d.chance(2, "dynamic")}
	tr.intensity = strategy.Intensity{Restarts: oneOf(d, "restarts", 1, strategy.NoRestarts, 2, 4, 10, 60), Period: time.Duration(d.number(1, 60, "period")) * time.Second}
	n := d.number(1, 5, "cast")
	if tr.static = d.number(0, n, "static"); tr.dynamic {
		tr.static, tr.most = 0, d.number(0, 3, "most")
	} else {
		tr.strategy = oneOf(d, "strategy", strategy.OneForOne, strategy.RestForOne, strategy.OneForAll)
		tr.auto = oneOf(d, "auto", strategy.Never, strategy.Never, strategy.AnySignificant, strategy.AllSignificant)
	}
	for i := range n {
		p := drawPart(d, string(rune('a'+i)), tr.auto)
		if tr.dynamic && i > 0 {
			p.follow(tr.cast[0])
		}
		tr.cast = append(tr.cast, p)
	}
	for at := time.Duration(0); ; {
		at += d.time(1, 4000, "pause")
		if len(tr.steps) > 11 || !d.chance(9, "more") && len(tr.steps) > 0 {
			tr.steps = append(tr.steps, move{at: at, verb: oneOf(d, "last", cancels, asksStop, asksKill)})
			if last := tr.steps[len(tr.steps)-1].verb; last != asksKill && d.chance(3, "kill at last") {
				tr.steps = append(tr.steps, move{at: at + d.time(1, 4000, "patience"), verb: asksKill})
			}
			return tr
		}
		v := oneOf(d, "verb", looks, starts, restarts, stops, deletes, starts, restarts)
		if tr.dynamic {
			v = oneOf(d, "verb", looks, startsOne, startsOne, stopsOne)
		}
		tr.steps = append(tr.steps, move{at: at, verb: v, who: d.number(0, n-1, "who")})
	}
}

// follow takes over what all children of a dynamic supervisor have in common.
func (p *part) follow(t *part) {
	p.restart, p.significant, p.backoff, p.shutdown, p.startTimeout = t.restart, t.significant, t.backoff, t.shutdown, t.startTimeout
	for i := range p.runs {
		p.runs[i].deaf = p.runs[i].deaf && p.shutdown != Infinity
	}
}

func drawPart(d *dice, name string, auto strategy.AutoShutdown) *part {
	p := &part{name: name, restart: oneOf(d, "restart", strategy.Permanent, strategy.Permanent, strategy.Transient, strategy.Temporary)}
	p.significant = auto != strategy.Never && p.restart != strategy.Permanent && d.chance(5, "significant")
	if d.chance(5, "backoff") {
		p.backoff.Initial = time.Duration(d.number(1, 4000, "initial")) * time.Millisecond
		p.backoff.Max = p.backoff.Initial * time.Duration(oneOf(d, "max", 0, 1, 3, 8))
		p.backoff.Reset = time.Duration(oneOf(d, "reset", 0, 1000, 5000)) * time.Millisecond
	}
	p.shutdown = oneOf(d, "shutdown", After(2*time.Second), After(5*time.Millisecond), BrutalKill, Infinity, Shutdown(0))
	if p.starter = d.chance(5, "starter"); p.starter {
		p.startTimeout = time.Duration(oneOf(d, "start timeout", 0, 0, 700, 3000)) * time.Millisecond
		p.perRun = d.chance(3, "per run")
	}
	p.killer = d.chance(3, "killer") && !(p.perRun && p.shutdown == BrutalKill) // a kill in no time finds nobody there
	for range d.number(1, 4, "runs") {
		p.runs = append(p.runs, drawCourse(d, p))
	}
	return p
}

func drawCourse(d *dice, p *part) course {
	c := course{up: d.time(1, 2000, "up"), start: isUp, life: d.time(1, 6000, "life"), wind: d.time(1, 3000, "wind"), dies: d.time(1, 1300, "dies")}
	if p.starter {
		c.start = oneOf(d, "start", isUp, isUp, isUp, isUp, fails, endsNil, failsExcused, panics, ignores, doNotRestart, doNotRestart, wrappedTerm, goexits, shutsDown)
	}
	c.end = oneOf(d, "end", fails, fails, fails, endsNil, failsExcused, failsExcused, shutsDown, panics, panicsWithDNR, goexits, isCanceled, doNotRestart, wrappedDNR, terminates, wrappedTerm)
	c.bye = oneOf(d, "bye", endsNil, isCanceled, fails, doNotRestart, terminates, panics, goexits)
	c.deaf = p.shutdown != Infinity && d.chance(2, "deaf")
	if c.end == failsExcused || c.start == failsExcused {
		c.up, c.life = c.up+200*time.Millisecond, c.life+200*time.Millisecond // nothing else limits how often it comes back
	}
	if d.chance(4, "lives on") {
		c.life = 0
	}
	return c
}

// GoString makes the failures that rapid reports readable.
func (t trial) GoString() string { return t.String() }
