package pool

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/verdigris-go/verdigris/child"
)

func TestCondition(t *testing.T) {
	segfault := &child.CrashError{Exit: child.Exit{Cause: child.Segfault}}
	unable := &child.StartError{Err: segfault}
	full := &OverloadedError{Queued: 64, Busy: 4, Oldest: 2100 * time.Millisecond}
	up := facts{serving: true, begun: true, seats: 4, up: 4, flapLimit: 8}
	with := func(change func(*facts)) facts { f := up; change(&f); return f }
	for _, c := range []struct {
		name  string
		facts facts
		was   Condition
		want  string
		again time.Duration
	}{
		{"never served", facts{}, Stopped, "stopped: nobody has served it", 0},
		{"given up", facts{ended: errors.New("gave up")}, Ready, "stopped: gave up", 0},
		{"begins", facts{serving: true, ended: errors.New("gave up"), seats: 4, up: 1, flapLimit: 8}, Stopped, "starting: 1 of 4 workers up", 0},
		{"all up", up, Starting, "ready", 0},
		{"one down, just now", with(func(f *facts) { f.up, f.short = 3, 400*time.Millisecond }), Ready, "ready: 3 of 4 workers up", 600 * time.Millisecond},
		{"two down", with(func(f *facts) { f.up, f.short = 2, time.Second }), Ready, "degraded: 2 of 4 workers up", 0},
		{"another one down", with(func(f *facts) { f.up, f.short = 2, time.Millisecond }), Degraded, "degraded: 2 of 4 workers up", 0},
		{"up again", up, Degraded, "ready", 0},
		{"some deaths", with(func(f *facts) { f.deaths, f.lastDeath = 7, segfault }), Ready, "ready", 0},
		{"many deaths", with(func(f *facts) { f.deaths, f.lastDeath = 8, segfault }), Ready, "flapping: 8 deaths in 30s, last segmentation fault", time.Second},
		{"fewer deaths", with(func(f *facts) { f.deaths, f.lastDeath = 4, segfault }), Flapping, "flapping: 4 deaths in 30s, last segmentation fault", time.Second},
		{"few deaths", with(func(f *facts) { f.deaths, f.lastDeath = 3, segfault }), Flapping, "ready", 0},
		{"cannot start", facts{serving: true, seats: 1, flapLimit: 5, deaths: 6, lastDeath: unable}, Starting, "flapping: 6 deaths in 30s, last a failed start", time.Second},
		{"full", with(func(f *facts) { f.refusal, f.calm = full, time.Second }), Ready, "rejecting: the queue is full (64 calls, the oldest for 2.1s)", 4 * time.Second},
		{"full, and flapping", with(func(f *facts) { f.refusal, f.deaths = full, 99 }), Flapping, "rejecting: the queue is full (64 calls, the oldest for 2.1s)", 5 * time.Second},
		{"full some time ago", with(func(f *facts) { f.refusal, f.calm = full, 5*time.Second }), Rejecting, "ready", 0},
		{"no queue", with(func(f *facts) { f.refusal = &OverloadedError{Busy: 4} }), Ready, "rejecting: all workers are busy (4 calls) and none may wait", 5 * time.Second},
		{"slow", with(func(f *facts) { f.refusal = &QueueTimeoutError{Limit: time.Second, Queued: 3} }), Ready, "rejecting: calls wait longer than 1s (3 in the queue)", 5 * time.Second},
		{"none up", with(func(f *facts) { f.refusal = &child.UnavailableError{Reason: "no worker came up in time"} }), Degraded, "rejecting: no worker came up in time", 5 * time.Second},
		{"paused", with(func(f *facts) { f.paused, f.queued, f.refusal = true, 2, full }), Ready, "paused: 2 calls wait until Resume", 0},
		{"draining", with(func(f *facts) { f.draining, f.running, f.queued = true, 1, 2 }), Ready, "draining: 1 calls running, 2 queued", 0},
		{"drained", with(func(f *facts) { f.draining = true }), Draining, "drained: until Resume, no calls are let in", 0},
		{"stopped while draining", with(func(f *facts) { f.draining, f.serving, f.ended = true, false, errStopped }), Draining, "stopped: it was stopped", 0},
	} {
		is, because, again := judge(c.facts, c.was)
		if got := (Stats{Condition: is, Because: because}).condition(); got != c.want || again != c.again {
			t.Errorf("%s: %q, again after %v; not %q, %v", c.name, got, again, c.want, c.again)
		}
	}
}

func TestDeathsOfTheLastSeconds(t *testing.T) {
	var w window
	for _, c := range []struct {
		second int64
		deaths int
		want   int
	}{{0, 2, 2}, {1, 1, 3}, {29, 4, 7}, {30, 0, 5}, {31, 0, 4}, {58, 1, 5}, {59, 0, 1}, {88, 0, 0}, {100, 1, 1}, {129, 0, 1}, {130, 0, 0}, {500, 2, 2}} {
		for range c.deaths {
			w.add(c.second)
		}
		if got := w.sum(c.second); got != c.want {
			t.Errorf("in second %d: %d, not %d", c.second, got, c.want)
		}
	}
}

// A condition is told when it comes and when it goes, and not in between.
func TestConditionIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Name: "p", Size: 1, Queue: NoQueue})
		lines := heard(p.events, nil)
		change := func(what func()) {
			p.change(func(*roster, time.Time) { what() })
			p.events.wait(time.Hour)
		}
		keep := func() { // what the keeper does
			for p.again > 0 {
				time.Sleep(p.again)
				change(func() { p.review(time.Now()) })
			}
		}
		change(func() { p.serving, p.served, p.ready = true, true, func() {}; p.review(time.Now()) })
		s := p.roster.slots[0]
		change(func() { p.roster.cameUp(s, time.Now()) })
		for range 20 {
			change(func() { _ = p.reject(p.overloaded()) })
			time.Sleep(time.Second)
		}
		keep()
		for range 3 { // a death now and then is nobody's condition
			change(func() { p.book.bad(errStopped, time.Now()); p.roster.wentDown(s, time.Now()); p.review(time.Now()) })
			time.Sleep(500 * time.Millisecond)
			change(func() { p.roster.cameUp(s, time.Now()) })
		}
		for range 40 {
			change(func() { p.book.bad(errStopped, time.Now()); p.review(time.Now()) })
			time.Sleep(500 * time.Millisecond)
		}
		keep()
		change(func() { p.roster.wentDown(s, time.Now()) })
		keep()
		change(func() { p.roster.cameUp(s, time.Now()) })
		p.Pause()
		p.Resume()
		p.events.wait(time.Hour)
		want := []string{
			"starting, was stopped: 0 of 1 workers up",
			"ready, was starting",
			"rejecting, was ready: all workers are busy (0 calls) and none may wait",
			"ready, was rejecting",
			"flapping, was ready: 5 deaths in 30s, last it was stopped",
			"ready, was flapping",
			"degraded, was ready: 0 of 1 workers up",
			"ready, was degraded",
			"paused, was ready: 0 calls wait until Resume",
			"ready, was paused",
		}
		if got := *lines; !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
}

// What a pool was short of before anybody served it says nothing about it.
func TestYoungPoolIsNotDegraded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Size: 4})
		time.Sleep(time.Hour)
		p.begin(func() {})
		p.begun = true // MinReady workers are up
		if is, because, _ := judge(p.facts(time.Now()), Starting); is != Ready {
			t.Errorf("%v: %s", is, because)
		}
		p.events.wait(time.Second)
	})
}
