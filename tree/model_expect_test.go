package tree

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/verdigris-go/verdigris/strategy"
)

const never time.Duration = -1

// model works out what must come of a trial. It is a plain sequential program: it has no goroutine, lock or
// channel, its time is a number, and to wait is to let the next things due happen until a condition holds. It
// shares no code with packages tree and strategy beyond the names of states and events. Only the random delays
// of restarts are taken from the real record, after looking whether they are within their bounds.
type model struct {
	*record
	trial  trial
	real   *record
	now    time.Duration
	agenda []*due
	queue  []func() // what the supervisor has to handle, in order of arrival
	kids   []*kid   // in the order of starting
	lost   []*kid   // in the end
	cast   map[string]*player
	serial int           // of dynamic children
	given  map[int]*stay // what StartService has returned, by step

	restarts []time.Duration // that were counted
	causes   []string        // the last ends and failed starts
	ready    bool
	stopping bool // somebody has asked the supervisor to stop
	reason   string
	killing  bool
	killBy   time.Duration
	ending   bool
	over     bool
	why      string // what those who are told are told
	tied     bool   // two things happened at the same time: who knows which was first
}

// due is something that happens at a certain time.
type due struct {
	at   time.Duration
	what func()
}

// player is one service.
type player struct {
	*part
	name   string
	served int
	made   bool  // it has made a service, if it makes one per run
	stay   *stay // the latest
}

// kid is one known child.
type kid struct {
	*player
	id      string
	static  bool // in the Spec
	state   State
	since   time.Duration
	n       int
	stay    *stay // nil: nothing runs
	lastUp  *stay // the last that was up
	attempt int
	owes    bool // its next restart is to be counted
	planned bool // it is to be started in the plan that is being done
	waits   bool // it is down because of its group, which will come back
	told    bool // that it will not be served again
	retry   *due
	exits   []string
}

// stay is one run.
type stay struct {
	kid       *kid
	n         int
	course    course
	begun     time.Duration
	upAt      time.Duration
	endedAt   time.Duration
	up        bool
	cancelled bool
	killed    bool
	returned  bool
	abandoned bool
	how       ending
	err       string
	next      *due
}

// expect returns what must be seen of a trial, and whether that can be said at all.
func expect(t trial, real *record) (want *record, certain bool) {
	m := &model{record: newRecord(), trial: t, real: real, cast: map[string]*player{}, given: map[int]*stay{}, why: ErrEnded.Error()}
	for i, p := range t.cast {
		m.cast[p.name] = &player{part: p, name: p.name}
		if i < t.static {
			m.add(p.name, m.cast[p.name]).static = true
		}
	}
	for i, s := range t.steps {
		m.at(s.at, func() { m.step(i, s) })
	}
	m.live()
	for len(m.agenda) > 0 {
		m.pass()
	}
	return m.record, !m.tied
}

// Time.

func (m *model) at(t time.Duration, what func()) *due {
	d := &due{t, what}
	m.agenda = append(m.agenda, d)
	return d
}

func (m *model) cancel(d *due) {
	m.agenda = slices.DeleteFunc(m.agenda, func(other *due) bool { return other == d })
}

// pass lets the next thing happen.
func (m *model) pass() {
	next := slices.MinFunc(m.agenda, func(a, b *due) int { return int(a.at - b.at) })
	m.cancel(next)
	m.tied = m.tied || slices.ContainsFunc(m.agenda, func(d *due) bool { return d.at == next.at })
	m.now = next.at
	next.what()
}

// wait lets time pass until the condition holds, or for no longer than the limit.
func (m *model) wait(limit time.Duration, until func() bool) bool {
	timeUp := limit == 0
	var alarm *due
	if limit > 0 {
		alarm = m.at(m.now+limit, func() { timeUp = true })
	}
	for !until() && !timeUp {
		m.pass()
	}
	m.cancel(alarm)
	return until()
}

// The services.

// serve begins a run.
func (m *model) serve(k *kid) *stay {
	s := &stay{kid: k, n: k.n, course: k.runs[min(k.served, len(k.runs)-1)], begun: m.now}
	k.served, k.made = k.served+1, true
	k.player.stay = s
	if k.starter {
		s.next = m.at(m.now+s.course.up, func() { m.settle(s) })
	} else {
		m.comeUp(s)
	}
	return s
}

// settle ends the start of a starter.
func (m *model) settle(s *stay) {
	if s.course.start == isUp {
		m.comeUp(s)
	} else {
		m.depart(s, s.course.start)
	}
}

func (m *model) comeUp(s *stay) {
	s.up, s.upAt = true, m.now
	if s.next = nil; s.cancelled && !s.course.deaf {
		s.next = m.at(m.now+s.course.wind, func() { m.depart(s, s.course.bye) })
	} else if s.course.life > 0 {
		s.next = m.at(m.now+s.course.life, func() { m.depart(s, s.course.end) })
	}
}

// depart is the end of a run. The supervisor hears of it if it does not wait for this start.
func (m *model) depart(s *stay, how ending) {
	s.returned, s.endedAt, s.how, s.err = true, m.now, how, text(endings[how])
	if s.up || s.abandoned {
		m.queue = append(m.queue, func() { m.handleEnd(s) })
	}
}

func (m *model) ask(s *stay) {
	if s.cancelled || s.returned {
		return
	}
	if s.cancelled = true; !s.course.deaf && !s.killed {
		m.cancel(s.next)
		s.next = m.at(m.now+s.course.wind, func() { m.depart(s, s.course.bye) })
	}
}

func (m *model) kill(s *stay) {
	if s.killed || s.returned {
		return
	}
	if s.kid.killer {
		s.killed = true
		m.cancel(s.next)
		s.next = m.at(m.now+s.course.dies, func() { m.depart(s, dies) })
	}
	m.ask(s)
}

// The supervisor.

func (m *model) live() {
	m.begin()
	m.tell()
	for !m.over {
		m.wait(never, func() bool { return len(m.queue) > 0 })
		next := m.queue[0]
		m.queue = m.queue[1:]
		m.why = ErrEnded.Error()
		next()
		m.tell()
	}
	for _, k := range append(m.kids, m.lost...) {
		m.tellHim(k, m.why)
	}
	m.note(EventEnded, m.result)
	for i := range m.trial.steps {
		if a, asked := m.answers[i]; asked && a == "" {
			m.answer(i, ErrNotRunning.Error())
		}
	}
}

func (m *model) begin() {
	for _, k := range m.kids {
		how := m.start(k)
		switch {
		case how == isUp || how == ignores:
			continue
		case m.stopping:
			m.end(EventEnding, m.reason)
		default:
			m.end(EventEnding, m.startError(k))
		}
		return
	}
	m.ready = true
	m.note(EventUp, "")
}

func (m *model) startError(k *kid) string {
	_, err, _ := strings.Cut(m.causes[len(m.causes)-1], " ")
	return text(&StartError{Path: "root", ID: k.id, Err: errors.New(err)})
}

// start runs a child and waits until it is up. It returns how that has ended: isUp, ignores, or a failure.
func (m *model) start(k *kid) ending {
	k.n++
	k.planned, k.waits, k.told = false, false, false
	k.enter(Starting, m.now)
	m.log(k, entry{kind: EventStarting, run: k.n})
	begun := m.now
	s, how, err := m.attempt(k)
	switch how {
	case isUp:
		k.stay, k.lastUp = s, s
		k.enter(Running, m.now)
		m.log(k, entry{kind: EventStarted, run: k.n, took: m.now - begun})
	case ignores:
		k.enter(Down, m.now)
		m.log(k, entry{kind: EventIgnored, run: k.n})
		m.tellHim(k, ErrIgnore.Error())
		m.loseIfSo(k, false)
	default:
		m.left(k, k.n, m.now, m.now-begun, err, false, false)
		m.blame(k, err)
		m.log(k, entry{kind: EventStartFailed, run: k.n, took: m.now - begun, err: err})
	}
	return how
}

// attempt lets a service start, and sees to it that it does so in time.
func (m *model) attempt(k *kid) (s *stay, how ending, err string) {
	if last := k.player.stay; last != nil && !last.returned && !k.perRun {
		return nil, fails, ErrStillRunning.Error()
	}
	if m.killing {
		return nil, fails, ErrKilled.Error()
	}
	s = m.serve(k)
	if m.stopping {
		m.ask(s)
	}
	settled := func() bool { return s.up || s.returned }
	limit := k.startTimeout
	if limit == 0 {
		limit = never
	}
	if !m.wait(limit, func() bool { return settled() || m.stopping }) {
		m.forceStart(s, false)
		return s, fails, ErrStartTimeout.Error()
	}
	if !settled() && !m.killing {
		m.ask(s)
		m.wait(patience(k.part), func() bool { return settled() || m.killing })
	}
	if !settled() {
		m.forceStart(s, true)
	}
	switch {
	case s.abandoned:
		return s, fails, ErrKilled.Error()
	case s.up:
		return s, isUp, ""
	case s.err != "":
		return s, s.how.meaning(), s.err
	case m.killing:
		return s, fails, ErrKilled.Error()
	case m.stopping:
		return s, fails, ErrShutdown.Error()
	}
	return s, fails, ErrNotReady.Error()
}

// patience is how long a child may take to stop after it has been asked. A start that is to be killed brutally
// is asked all the same.
func patience(p *part) time.Duration {
	switch p.shutdown {
	case Infinity:
		return never
	case BrutalKill:
		return time.Second
	case 0:
		return 5 * time.Second
	}
	d, _ := p.shutdown.Limit()
	return d
}

// stop makes sure that none of these children runs.
func (m *model) stop(kids ...*kid) {
	var running []*stay
	for _, k := range kids {
		s := k.stay
		m.cancel(k.retry)
		k.stay, k.retry = nil, nil
		switch {
		case s == nil:
			k.enter(Down, m.now)
		case s.returned:
			m.gone(s, EventExited, false, false)
		default:
			running = append(running, s)
		}
	}
	if len(running) == 0 {
		return
	}
	asked := running[0].kid.shutdown != BrutalKill && !m.killing
	if asked {
		for _, s := range running {
			s.kid.enter(Stopping, m.now)
			m.log(s.kid, entry{kind: EventStopping, run: s.n})
			m.ask(s)
		}
		m.wait(patience(running[0].kid.part), func() bool { return m.killing || allReturned(running) })
	}
	var late []*stay
	for _, s := range running {
		if s.returned {
			m.gone(s, EventStopped, true, false)
		} else {
			late = append(late, s)
		}
	}
	m.force(asked, late...)
	for _, s := range late {
		if s.abandoned {
			m.gone(s, EventAbandoned, true, true)
		} else {
			m.gone(s, EventStopped, true, true)
		}
	}
}

func allReturned(list []*stay) bool {
	return !slices.ContainsFunc(list, func(s *stay) bool { return !s.returned })
}

// force kills runs, and gives up what has not returned a second later. Those who have been asked before and cannot be
// killed have had their time, unless the whole supervisor is being killed.
func (m *model) force(asked bool, list ...*stay) {
	wait, limit := !asked || m.killing, time.Second
	for _, s := range list {
		s.kid.enter(Stopping, m.now)
		m.log(s.kid, entry{kind: EventKilling, run: s.n})
		m.kill(s)
		wait = wait || s.kid.killer || s.kid.perRun
	}
	if m.killing {
		limit = max(0, m.killBy-m.now)
	}
	if wait && len(list) > 0 {
		m.wait(limit, func() bool { return allReturned(list) })
	}
	for _, s := range list {
		s.abandoned = !s.returned
	}
}

func (m *model) forceStart(s *stay, asked bool) {
	if m.force(asked, s); s.abandoned {
		m.log(s.kid, entry{kind: EventAbandoned, run: s.n, took: m.now - s.begun, err: ErrKilled.Error()})
	}
}

// gone is the end of a run that the supervisor has caused, or comes across while it stops the child.
func (m *model) gone(s *stay, kind EventKind, asked, killed bool) {
	at, err := s.endedAt, s.err
	if s.abandoned {
		at, err = m.now, ErrKilled.Error()
	}
	m.left(s.kid, s.n, at, at-s.begun, err, asked, killed)
	m.log(s.kid, entry{kind: kind, run: s.n, took: at - s.begun, err: err})
}

// left remembers the end of a run.
func (m *model) left(k *kid, n int, at, ran time.Duration, err string, asked, killed bool) {
	k.enter(Down, at)
	k.exits = lastOf(append(k.exits, exitWords(n, at, ran, err, asked, killed)))
}

// recover counts from the beginning again after a run that was healthy.
func (k *kid) recover(s *stay, at time.Duration) {
	healthy := k.backoff.Reset
	if healthy == 0 {
		healthy = k.longest()
	}
	if s.up && at-s.upAt >= healthy {
		k.attempt = 0
	}
}

func (k *kid) longest() time.Duration {
	if k.backoff.Max == 0 {
		return 100 * k.backoff.Initial
	}
	return k.backoff.Max
}

func (m *model) blame(k *kid, err string) {
	m.causes = lastOf(append(m.causes, k.id+" "+err))
}

func lastOf(list []string) []string { return list[max(0, len(list)-16):] }

// handleEnd is about a run that has ended by itself.
func (m *model) handleEnd(s *stay) {
	k := s.kid
	if s.abandoned {
		m.log(k, entry{kind: EventReturned, run: s.n, err: s.err})
	}
	if k.stay != s {
		return
	}
	k.stay, k.waits = nil, true
	m.gone(s, EventExited, false, false)
	k.recover(s, s.endedAt)
	m.blame(k, s.err)
	how := s.how.meaning()
	normal := how == endsNil || how == shutsDown
	switch {
	case how == terminates:
		m.terminated(k, s.err)
	case how == doNotRestart:
		m.loseIfSo(k, true)
		m.mourn(k, s.err)
	case k.restart == strategy.Permanent, k.restart == strategy.Transient && !normal:
		k.attempt++
		k.owes = how != failsExcused
		m.restart(k, false)
	default:
		m.loseIfSo(k, false)
		m.mourn(k, s.err)
	}
}

func (m *model) terminated(k *kid, err string) {
	m.end(EventEnding, fmt.Sprintf("tree: root was terminated by its child %s: %s", k.id, err))
}

// loseIfSo forgets a child that is not kept when it is down.
func (m *model) loseIfSo(k *kid, surely bool) {
	if surely || m.trial.dynamic || k.restart == strategy.Temporary {
		m.lose(k)
	}
}

func (m *model) lose(k *kid) {
	m.kids = slices.DeleteFunc(slices.Clone(m.kids), func(other *kid) bool { return other == k })
	m.log(k, entry{kind: EventForgotten, run: k.n})
	if m.over && k.static {
		m.lost = append(m.lost, k) // a parent might start it again with the supervisor
	} else {
		m.tellHim(k, m.why)
	}
}

// mourn ends the supervisor if it depends on its significant children.
func (m *model) mourn(k *kid, err string) {
	vital := func(k *kid) bool { return k.significant && (k.stay != nil || k.retry != nil || k.planned) }
	if k.significant && (m.trial.auto == strategy.AnySignificant || !slices.ContainsFunc(m.kids, vital)) {
		m.end(EventAutoShutdown, fmt.Sprintf("tree: root ended itself, because its significant child %s has ended", k.id))
	}
}

// restart brings a child back, or those that belong to it, or ends the supervisor.
func (m *model) restart(k *kid, waited bool) {
	limit, _ := m.trial.intensity.Limits()
	k.retry = nil
	k.enter(Down, m.now)
	if k.owes {
		k.owes = false
		m.restarts = append(m.restarts, m.now)
		if used := m.used(); used > limit {
			m.end(EventGaveUp, gaveUp(k.id, used, limit, m.causes))
			return
		}
	}
	group := []*kid{k}
	switch m.trial.strategy {
	case strategy.OneForAll:
		group = m.kids
	case strategy.RestForOne:
		group = m.kids[slices.Index(m.kids, k):]
	}
	for _, other := range group {
		if other.stay != nil {
			other.recover(other.stay, m.now)
		}
	}
	for _, other := range slices.Backward(group) {
		if other != k && other.busy() {
			m.stop(other)
			m.loseIfSo(other, false)
		}
		other.waits = true
	}
	if k.backoff.Initial > 0 && !waited {
		m.postpone(k)
		return
	}
	group = slices.DeleteFunc(slices.Clone(group), func(k *kid) bool { return !slices.Contains(m.kids, k) })
	m.startGroup(group)
}

// busy reports whether the child has to be stopped before it can be started.
func (k *kid) busy() bool { return k.stay != nil || k.retry != nil }

// startGroup starts children one after the other; the first failure ends it until the next attempt.
func (m *model) startGroup(group []*kid) {
	for _, k := range group {
		k.planned = true
	}
	defer func() {
		for _, k := range group {
			k.planned = false
		}
	}()
	for _, k := range group {
		how := m.start(k)
		_, err, _ := strings.Cut(m.lastCause(), " ")
		switch how {
		case isUp, ignores:
		case terminates:
			m.terminated(k, err)
			return
		case doNotRestart: // it goes, and the others come
			m.lose(k)
			if m.mourn(k, err); m.over {
				return
			}
		default:
			k.attempt++
			k.owes = how != failsExcused
			m.postpone(k)
			return
		}
	}
}

func (m *model) lastCause() string {
	if len(m.causes) == 0 {
		return ""
	}
	return m.causes[len(m.causes)-1]
}

// postpone plans the next attempt, as late as the real tree has drawn it.
func (m *model) postpone(k *kid) {
	e := entry{kind: EventRestarting, run: k.n, attempt: k.attempt}
	if e.delay = m.drawn(); e.delay < 0 || e.delay > k.bound() {
		e.err = fmt.Sprintf("the delay must be between 0 and %v", k.bound())
	} else if b := k.bound(); b > 0 {
		m.spread[min(3, 4*e.delay/b)]++
	}
	k.enter(Restarting, m.now)
	again := func() {
		n := k.n
		m.queue = append(m.queue, func() {
			if k.retry != nil && (k.n == n || k.backoff.Initial == 0) {
				m.restart(k, true)
			}
		})
	}
	m.log(k, e)
	if k.retry = m.at(m.now+e.delay, again); k.backoff.Initial == 0 {
		m.cancel(k.retry)
		again()
	}
}

// bound is the longest delay: it doubles with each attempt.
func (k *kid) bound() time.Duration {
	b := k.backoff.Initial
	for range min(k.attempt-1, 20) {
		b *= 2
	}
	return min(b, k.longest())
}

// drawn returns the next delay that the real tree has drawn.
func (m *model) drawn() time.Duration {
	n := 0
	for _, e := range m.events {
		if e.kind == EventRestarting {
			n++
		}
	}
	for _, e := range m.real.events {
		if e.kind != EventRestarting {
			continue
		}
		if n == 0 {
			return e.delay
		}
		n--
	}
	return 0
}

// used is how many restarts count at present.
func (m *model) used() (n int) {
	_, period := m.trial.intensity.Limits()
	for _, t := range m.restarts {
		if m.now-t <= period {
			n++
		}
	}
	return n
}

// end stops everything, the last first, or all at the same time if the supervisor is dynamic.
func (m *model) end(kind EventKind, result string) {
	m.ending, m.over, m.result = true, true, result
	if m.why = result; result == "" {
		m.why = ErrShutdown.Error()
	}
	m.note(kind, result)
	var busy []*kid
	for _, k := range slices.Backward(m.kids) {
		if k.busy() {
			busy = append(busy, k)
		}
	}
	if m.trial.dynamic {
		slices.Reverse(busy)
		m.stop(busy...)
		return
	}
	for _, k := range busy {
		m.stop(k)
		m.loseIfSo(k, false)
	}
}

// tell tells those who are down that they stay so, unless they wait for their group.
func (m *model) tell() {
	for i, k := range m.kids {
		coming := slices.ContainsFunc(m.kids, func(other *kid) bool {
			j := slices.Index(m.kids, other)
			return other.retry != nil && (m.trial.strategy == strategy.OneForAll || m.trial.strategy == strategy.RestForOne && j < i)
		})
		if !m.over && k.state == Down && !(k.waits && coming) {
			m.tellHim(k, m.why)
		}
	}
}

func (m *model) tellHim(k *kid, why string) {
	if !k.told && (!k.perRun || k.made) { // before its first run there is nobody to tell
		k.told = true
		m.retired[k.name] = append(m.retired[k.name], fmt.Sprintf("%v %s", m.now, why))
	}
}

func (k *kid) enter(s State, now time.Duration) {
	if k.state != s {
		k.state, k.since = s, now
	}
}

func (m *model) log(k *kid, e entry) {
	e.at, e.id = m.now, k.id
	m.events = append(m.events, e)
}

func (m *model) note(kind EventKind, err string) {
	m.events = append(m.events, entry{at: m.now, kind: kind, run: 1, err: err})
}

// What comes from outside.

func (m *model) step(i int, s move) {
	switch s.verb {
	case looks:
		m.answers[i] = m.describe()
	case cancels:
		m.halt("")
	case asksStop:
		m.halt(ErrShutdown.Error())
	case asksKill:
		if !m.killing {
			m.killing, m.killBy, m.stopping, m.reason = true, m.now+time.Second, true, ErrKilled.Error()
		}
		m.halt("")
	default:
		if m.answers[i] = ""; m.over && m.done() {
			m.answer(i, ErrNotRunning.Error())
			return
		}
		given := lastGiven(m.trial, i, m.given)
		m.queue = append(m.queue, func() { m.request(i, s, given) })
	}
}

func (m *model) done() bool { n := len(m.events); return n > 0 && m.events[n-1].kind == EventEnded }

// halt asks the supervisor to stop.
func (m *model) halt(reason string) {
	if !m.stopping {
		m.stopping, m.reason = true, reason
	}
	m.queue = append(m.queue, func() {
		if m.killing {
			for _, k := range m.kids {
				if k.stay != nil {
					m.kill(k.stay)
				}
			}
		}
		m.end(EventEnding, m.reason)
	})
}

func (m *model) answer(i int, text string) { m.answers[i] = fmt.Sprintf("%v %s", m.now, text) }

func (m *model) find(id string) *kid {
	for _, k := range m.kids {
		if k.id == id {
			return k
		}
	}
	return nil
}

func (m *model) request(i int, s move, given *stay) {
	part := m.trial.cast[s.who]
	k := m.find(part.name)
	switch s.verb {
	case startsOne:
		m.serial++
		if m.trial.most > 0 && len(m.kids) >= m.trial.most {
			m.answer(i, ErrMaxChildren.Error())
			return
		}
		name := fmt.Sprintf("%s@%d", part.name, i)
		k = m.add(fmt.Sprint(m.serial), &player{part: part, name: name})
		m.startOn(i, k, true)
		if k.stay != nil {
			m.given[i] = k.stay
		}
	case stopsOne:
		if given != nil && m.find(given.kid.id) == given.kid && given.kid.lastUp == given && given.kid.busy() {
			m.terminate(given.kid)
		}
		m.answer(i, "ok")
	case starts:
		switch {
		case k == nil:
			m.cast[part.name].made = false
			m.startOn(i, m.add(part.name, m.cast[part.name]), true)
		case k.stay != nil:
			m.answer(i, ErrAlreadyStarted.Error())
		default:
			m.answer(i, ErrAlreadyPresent.Error())
		}
	case restarts, deletes, stops:
		m.requestOfKnown(i, s.verb, k)
	}
}

// requestOfKnown is about a child that must be known.
func (m *model) requestOfKnown(i int, v verb, k *kid) {
	switch {
	case k == nil:
		m.answer(i, ErrNotFound.Error())
	case v == stops:
		m.terminate(k)
		m.answer(i, "ok")
	case k.retry != nil:
		m.answer(i, ErrRestarting.Error())
	case k.stay != nil:
		m.answer(i, ErrRunning.Error())
	case v == restarts:
		m.startOn(i, k, false)
	default:
		m.why = ErrTerminated.Error()
		m.lose(k)
		m.answer(i, "ok")
	}
}

func (m *model) add(id string, p *player) *kid {
	k := &kid{player: p, id: id}
	m.kids = append(m.kids, k)
	return k
}

// startOn starts a child because somebody has asked for it.
func (m *model) startOn(i int, k *kid, added bool) {
	switch m.start(k) {
	case isUp:
		m.answer(i, fmt.Sprintf("ok %s#%d", k.id, k.n))
	case ignores:
		m.answer(i, "ok")
	default:
		m.why = m.startError(k)
		m.answer(i, m.why)
		if added {
			m.lose(k)
		}
	}
}

func (m *model) terminate(k *kid) {
	m.why = ErrTerminated.Error()
	k.waits = false
	if k.busy() {
		k.attempt = 0
		m.stop(k)
		m.loseIfSo(k, false)
	}
}

// describe says what a snapshot must show.
func (m *model) describe() string {
	var b strings.Builder
	limit, period := m.trial.intensity.Limits()
	state := Starting
	switch {
	case m.done():
		state = Down
	case m.stopping || m.ending:
		state = Stopping
	case m.ready:
		state = Running
	}
	fmt.Fprintf(&b, "%v, %d of %d in %v used", state, m.used(), limit, period)
	for _, k := range m.kids {
		fmt.Fprintf(&b, "\n    %s#%d %v since %v", k.id, k.n, k.state, k.since)
		if k.state == Restarting {
			fmt.Fprintf(&b, " attempt %d at %v", k.attempt, k.retry.at)
		}
		for _, e := range k.exits {
			fmt.Fprintf(&b, " [%s]", e)
		}
	}
	return b.String()
}
