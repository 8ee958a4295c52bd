package otptest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// script is what a child has been told to do.
type script struct {
	w         *world
	path      string
	behaviour Behaviour
	limited   bool // its Shutdown is finite
}

// pick returns the entry for attempt n: the last one is for all further attempts.
func pick(list []json.RawMessage, n int, def string) string {
	if len(list) == 0 {
		return def
	}
	return string(list[min(n, len(list))-1])
}

// outcome plays the start function of an attempt: "ok", "error", "crash" or "ignore".
func (s *script) outcome(l life) string {
	text := pick(s.behaviour.Start, l.n, `"ok"`)
	for {
		var delay struct {
			MS   int             `json:"delay_ms"`
			Then json.RawMessage `json:"then"`
		}
		switch {
		case text == `"gate"`:
			text = fmt.Sprintf("%q", s.gate(func() { s.w.note("start_blocked %v", l) }))
		case json.Unmarshal([]byte(text), &delay) == nil:
			done := s.w.move()
			time.Sleep(milliseconds(delay.MS))
			done()
			text = first(string(delay.Then), `"ok"`)
		default:
			return strings.Trim(text, `"`)
		}
	}
}

// gate waits for a release and returns its result. before is called under the lock.
func (s *script) gate(before func()) string {
	c := make(chan string)
	defer s.w.block(s.path)()
	s.w.locked(func() {
		s.w.gates[s.path] = c
		before()
	})
	select {
	case result := <-c:
		s.w.locked(func() { delete(s.w.gates, s.path) })
		return result
	case <-s.w.over:
		return "error"
	}
}

// body is one running scripted worker. The channels are closed once.
type body struct {
	exit  chan string   // a reason: it is to exit by itself
	asked chan struct{} // its supervisor asks it to stop
	told  chan struct{} // it has noticed that
	kill  chan struct{} // it is to be killed
	died  chan struct{} // it has ended, whatever the script says; never closed for a goroutine
	gone  chan struct{} // its service has returned
}

func newBody() *body {
	return &body{
		exit: make(chan string), asked: make(chan struct{}), told: make(chan struct{}),
		kill: make(chan struct{}), died: make(chan struct{}), gone: make(chan struct{}),
	}
}

// comeUp records that a worker has been started.
func (s *script) comeUp(l life, b *body) {
	s.w.locked(func() {
		s.w.bodies[s.path], s.w.up[s.path] = b, l.n
		s.w.note("started %v", l)
	})
}

// goDown records that a worker has ended.
func (s *script) goDown(l life, how, reason string) {
	s.w.locked(func() {
		s.w.note("stopped %v %s %s", l, how, reason)
		delete(s.w.bodies, s.path)
	})
}

// live is the time from ready to the end; it returns how and with what reason it is to end.
func (s *script) live(l life, b *body) (how, reason string) {
	var timed struct {
		MS     int    `json:"exit_after_ms"`
		Reason string `json:"reason"`
	}
	var after <-chan time.Time
	moved := func() {}
	if text := pick(s.behaviour.Run, l.n, "null"); text != "null" {
		mustUnmarshal([]byte(text), &timed)
		after = time.After(milliseconds(timed.MS))
		moved = s.w.move()
	}
	how, reason = s.untilAsked(b, after, timed.Reason)
	moved()
	if how == "" {
		return s.stop(l, b)
	}
	return how, reason
}

// untilAsked waits for the end, or until the supervisor asks for it, which is no end yet.
func (s *script) untilAsked(b *body, after <-chan time.Time, then string) (how, reason string) {
	select {
	case <-after:
		return "exit", then
	case reason = <-b.exit:
		return "exit", reason
	case <-b.kill:
		return "brutal_kill", "killed"
	case <-b.died:
		return "exit", "died"
	case <-s.w.over:
		return "exit", "killed"
	case <-b.asked:
		return "", ""
	}
}

// stop is what it does when it is asked to stop.
func (s *script) stop(l life, b *body) (how, reason string) {
	if reason = s.hear(b); reason == "" {
		var after time.Duration
		if after, reason = s.stopScript(l.n); after != 0 {
			reason = s.resist(b, after, reason)
		}
	}
	if reason == "killed" {
		return "timeout_kill", reason
	}
	return "asked", reason
}

// hear is the time from being asked to noticing it; it returns a reason if something else ends it before.
func (s *script) hear(b *body) (reason string) {
	defer s.w.move()()
	select {
	case <-b.told:
		return ""
	case <-b.kill:
		return "killed"
	case <-b.died:
		return "died"
	case <-s.w.over:
		return "killed"
	}
}

// How long a worker may go on after it has been asked to stop, if that is no duration.
const (
	untilReleased = -1
	untilKilled   = -2
)

// resist goes on for some time after having been asked to stop, and returns the reason of the end.
func (s *script) resist(b *body, howLong time.Duration, reason string) string {
	var after <-chan time.Time
	var gate chan string
	switch {
	case howLong == untilReleased:
		gate = make(chan string)
		s.w.locked(func() { s.w.gates[s.path] = gate })
		defer s.w.block(s.path)()
	case howLong == untilKilled && !s.limited:
		defer s.w.block(s.path)()
	case howLong == untilKilled:
		defer s.w.move()()
	default:
		after = time.After(howLong + time.Nanosecond) // it has been asked after its supervisor began to wait
		defer s.w.move()()
	}
	select {
	case <-after:
	case <-gate:
	case reason = <-b.exit:
	case <-b.kill:
		reason = "killed"
	case <-b.died:
		reason = "died"
	case <-s.w.over:
		reason = "killed"
	}
	if gate != nil && reason != "killed" { // the gate of one that was killed stays, with nobody behind it
		s.w.locked(func() { delete(s.w.gates, s.path) })
	}
	return reason
}

// stopScript returns how long it goes on after having been asked to stop, and the reason with which it ends then.
func (s *script) stopScript(n int) (howLong time.Duration, reason string) {
	text := s.behaviour.Stop
	var list []json.RawMessage
	if json.Unmarshal(text, &list) == nil && len(list) > 0 {
		text = json.RawMessage(pick(list, n, ""))
	}
	switch string(text) {
	case "", `"comply"`:
		return 0, "shutdown"
	case `"gate"`:
		return untilReleased, "shutdown"
	case `"ignore"`:
		return untilKilled, "shutdown"
	}
	timed := struct {
		MS     int    `json:"delay_ms"`
		Reason string `json:"reason"`
	}{Reason: "shutdown"}
	mustUnmarshal(text, &timed)
	return milliseconds(timed.MS), timed.Reason
}

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }
