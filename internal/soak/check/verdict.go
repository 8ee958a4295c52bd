package check

import (
	"fmt"
	"math"
	"slices"

	"github.com/verdigris-go/verdigris/internal/soak/ledger"
)

// Verdict is what the ledgers show.
type Verdict struct {
	Calls      int // there should be
	Answered   int // with exactly one end
	Mismatched int // what was reported is not what has happened, or an answer is another call's
	Lost       int // without an end or an outcome
	Duplicated int // executed, answered or ended more than once
	Planned    int // faults
	Faults     int // faults that have happened
	Faulty     []string
	Missing    []string // kinds of faults of which less than nine tenths of those planned have happened
	Rows       []Row    // the table of faults
}

// Good reports whether nothing is wrong; leaks are not part of it.
func (v *Verdict) Good() bool {
	return v.Answered == v.Calls && v.Mismatched == 0 && v.Lost == 0 && v.Duplicated == 0 && len(v.Missing) == 0
}

// judge applies the rules to every call, every death and every promise of a pool.
func (b *books) judge() *Verdict {
	answered := 0
	for n := range b.calls {
		if b.callIsGood(n, &b.calls[n]) {
			answered++
		}
	}
	for run, d := range b.deaths {
		if d.told > d.width && !b.spoilt(d.pid) { // else finished answers, kept together, may be among what was not believed
			b.faults.mismatch("the death of %s, which runs %d calls at once, was reported to %d", run, d.width, d.told)
		}
	}
	b.judgeBudgets()
	b.judgeProcesses()
	b.judgePoisons()
	b.judgeSteady()
	b.judgeEditions()
	v := &Verdict{
		Calls: len(b.calls), Answered: answered, Planned: len(b.plan),
		Mismatched: b.faults.mismatched, Lost: b.faults.lost, Duplicated: b.faults.duplicated, Faulty: b.faults.texts,
	}
	b.tabulate(v)
	return v
}

// spoilt reports whether a worker has sent what no worker may send.
func (b *books) spoilt(pid int) bool {
	return slices.ContainsFunc(b.lives, func(l life) bool { return l.pid == pid && l.spoilt })
}

// callIsGood judges one call and reports whether it has exactly one end.
func (b *books) callIsGood(n int, c *call) bool {
	for i := range c.tries {
		b.judgeTry(ledger.Attempt{Call: n, Nth: i + 1}, &c.tries[i])
	}
	switch {
	case c.ends == 0:
		b.faults.lose("call %d has no end", n)
	case c.ends > 1:
		b.faults.duplicate("call %d has %d ends", n, c.ends)
	case len(c.tries) == 0 || c.end != c.tries[len(c.tries)-1].outcome:
		b.faults.mismatch("call %d ended %q, which is not what its last attempt has come to", n, c.end)
	}
	return c.ends == 1
}

func (b *books) judgeTry(a ledger.Attempt, t *try) {
	switch {
	case t.sent == 0:
		b.faults.mismatch("%v was never made, and has %d outcomes and began %d times", a, t.got, len(t.begins))
		return
	case t.sent > 1:
		b.faults.duplicate("%v was made %d times", a, t.sent)
	case t.got == 0:
		b.faults.lose("%v has no outcome", a)
	case t.got > 1:
		b.faults.duplicate("%v has %d outcomes", a, t.got)
	}
	switch {
	case t.settles > 1:
		b.faults.duplicate("%v was settled %d times", a, t.settles)
	case t.settles == 0 && t.as.Settles == ledger.Once:
		b.faults.lose("%v was never settled", a)
	}
	b.judgeExecutions(a, t)
	b.judgeOutcome(a, t)
	b.judgeSettled(a, t)
	if t.as.Shape == ledger.Stream {
		b.judgeStream(a, t)
	} else if t.items+t.passed > 0 {
		b.faults.mismatch("%v, which is no stream, has had results (%d, %d)", a, t.passed, t.items)
	}
}

func (b *books) judgeExecutions(a ledger.Attempt, t *try) {
	if len(t.begins) > t.as.Most {
		b.faults.duplicate("%v was executed %d times, and may be %d times", a, len(t.begins), t.as.Most)
	}
	for _, x := range t.begins {
		if x.with != t.as.Token {
			b.faults.mismatch("%v was sent with token %v and has begun with %v", a, t.as.Token, x.with)
		}
	}
	for _, run := range t.ends {
		if !slices.ContainsFunc(t.begins, func(x begin) bool { return x.run == run }) {
			b.faults.mismatch("%v has finished in pid %d, where it has not begun", a, b.lives[run].pid)
		}
	}
	if len(t.ends) > len(t.begins) {
		b.faults.mismatch("%v has finished %d times and begun %d times", a, len(t.ends), len(t.begins))
	}
}

// judgeOutcome compares what the caller was told with what the workers did.
func (b *books) judgeOutcome(a ledger.Attempt, t *try) {
	wrong := func(format string, args ...any) {
		b.faults.mismatch("%v, %s: "+format, append([]any{a, t.outcome}, args...)...)
	}
	switch t.outcome {
	case ledger.OK:
		if t.as.Shape == ledger.Call && t.answer != t.as.Token.Answer() {
			wrong("the answer's token is %v, not %v", t.answer, t.as.Token.Answer())
		}
		if t.shown != t.as.Reports && t.as.Most == 1 {
			wrong("the last report that was shown is %d, and %d were made", t.shown, t.as.Reports)
		}
		fallthrough
	case ledger.Refused:
		if len(t.begins) == 0 || len(t.ends) == 0 {
			wrong("no worker has begun and finished it (%d, %d)", len(t.begins), len(t.ends))
		}
	case ledger.BadAnswer:
		if len(t.begins) == 0 {
			wrong("no worker has begun it")
		}
	case ledger.NotStarted:
		for _, x := range t.begins {
			wrong("pid %d has begun it", b.lives[x.run].pid)
		}
	case ledger.Crash:
		// One that may be executed again can die with a worker before it says that it has begun there.
		if len(t.begins) >= t.as.Most && !slices.ContainsFunc(t.begins, func(x begin) bool { return b.lives[x.run].pid == t.crashPID }) {
			wrong("of pid %d, and pid %d has begun it", t.crashPID, b.lives[t.begins[0].run].pid)
		}
		if t.cause == violation && !b.spoilt(t.crashPID) {
			wrong("pid %d is said to have broken the protocol, and has not", t.crashPID)
		}
	case ledger.Interrupted, ledger.Broken, "": // it may have begun or not; no outcome is counted elsewhere
	default:
		wrong("an error that no call may get")
	}
}

// violation is the cause of a death that the parent brings on a worker which breaks the protocol.
const violation = "protocol-violation"

// judgeSettled compares how an attempt is said to have left its worker, if it is,
// with what the caller was told and with what the worker did. A worker also
// answers that it does not begin with a call whose caller has left.
func (b *books) judgeSettled(a ledger.Attempt, t *try) {
	if t.settles == 0 {
		return
	}
	as := map[ledger.Outcome]ledger.Outcome{
		ledger.OK: ledger.OK, ledger.Refused: ledger.OK, ledger.Crash: ledger.Crash, ledger.NotStarted: ledger.NotStarted,
	}
	if want, ok := as[t.outcome]; ok && t.settled != want {
		b.faults.mismatch("%v has come to %s and was settled as %s", a, t.outcome, t.settled)
	}
	switch {
	case t.settled == ledger.OK && len(t.begins) > 0 && len(t.ends) == 0:
		b.faults.mismatch("%v was settled as answered, and no worker has finished it", a)
	case t.settled == ledger.NotStarted && len(t.begins) > 0:
		b.faults.mismatch("%v was settled as not started, and pid %d has begun it", a, b.lives[t.begins[0].run].pid)
	}
}

// judgeStream compares what came to the caller with what was sent. Between the
// two a worker may have died before it could note that it had sent a result.
func (b *books) judgeStream(a ledger.Attempt, t *try) {
	least, most := 0, t.passed+1
	switch t.outcome {
	case ledger.OK:
		least, most = t.as.Items, t.as.Items
	case ledger.Refused:
		least, most = t.passed, t.passed
	case ledger.Crash:
		least = t.passed
	case ledger.NotStarted:
		most = 0
	}
	if t.outcome != ledger.OK && slices.ContainsFunc(t.begins, func(x begin) bool { return b.lives[x.run].spoilt }) {
		least, most = 0, math.MaxInt // what it has sent then is not in its ledger
	}
	if t.items < least || t.items > most {
		b.faults.mismatch("%v, %s: %d results were sent, and %d have come", a, t.outcome, t.passed, t.items)
	}
}

// Line is the last line of a soak.
func (v *Verdict) Line(leaked int) string {
	return fmt.Sprintf("soak: calls=%d answered=%d mismatched=%d lost=%d duplicated=%d faults=%d leaked=%d",
		v.Calls, v.Answered, v.Mismatched, v.Lost, v.Duplicated, v.Faults, leaked)
}
