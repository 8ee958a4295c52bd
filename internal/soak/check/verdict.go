package check

import (
	"fmt"

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

// judge applies the rules to every call and every death.
func (b *books) judge() *Verdict {
	answered := 0
	for n := range b.calls {
		if b.callIsGood(n, &b.calls[n]) {
			answered++
		}
	}
	for run, d := range b.deaths {
		if d.told > d.width {
			b.faults.mismatch("the death of %s, which runs %d calls at once, was reported to %d", run, d.width, d.told)
		}
	}
	v := &Verdict{
		Calls: len(b.calls), Answered: answered, Planned: len(b.plan),
		Mismatched: b.faults.mismatched, Lost: b.faults.lost, Duplicated: b.faults.duplicated, Faulty: b.faults.texts,
	}
	b.tabulate(v)
	return v
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
		b.faults.mismatch("%v was never made, and has %d outcomes and began %d times", a, t.got, t.begins)
		return
	case t.sent > 1:
		b.faults.duplicate("%v was made %d times", a, t.sent)
	case t.got == 0:
		b.faults.lose("%v has no outcome", a)
	case t.got > 1:
		b.faults.duplicate("%v has %d outcomes", a, t.got)
	}
	switch {
	case t.begins > 1:
		b.faults.duplicate("%v was executed %d times", a, t.begins)
	case t.finishes > t.begins:
		b.faults.mismatch("%v has finished %d times and begun %d times", a, t.finishes, t.begins)
	case t.finishes > 0 && t.began != t.finished:
		b.faults.mismatch("%v has begun in pid %d and finished in pid %d", a, b.pids[t.began], b.pids[t.finished])
	case t.begins > 0 && t.beganWith != t.token:
		b.faults.mismatch("%v was sent with token %v and has begun with %v", a, t.token, t.beganWith)
	}
	b.judgeOutcome(a, t)
}

// judgeOutcome compares what the caller was told with what the workers did.
func (b *books) judgeOutcome(a ledger.Attempt, t *try) {
	wrong := func(format string, args ...any) {
		b.faults.mismatch("%v, %s: "+format, append([]any{a, t.outcome}, args...)...)
	}
	switch t.outcome {
	case ledger.OK:
		if t.answer != t.token.Answer() {
			wrong("the answer's token is %v, not %v", t.answer, t.token.Answer())
		}
		fallthrough
	case ledger.Refused:
		if t.begins == 0 || t.finishes == 0 {
			wrong("no worker has begun and finished it (%d, %d)", t.begins, t.finishes)
		}
	case ledger.BadAnswer:
		if t.begins == 0 {
			wrong("no worker has begun it")
		}
	case ledger.NotStarted:
		if t.begins > 0 {
			wrong("pid %d has begun it", b.pids[t.began])
		}
	case ledger.Crash:
		if t.begins == 1 && b.pids[t.began] != t.crashPID {
			wrong("of pid %d, and pid %d has begun it", t.crashPID, b.pids[t.began])
		}
	case ledger.Interrupted, "": // it may have begun or not; no outcome is counted elsewhere
	default:
		wrong("an error that no call may get")
	}
}

// Line is the last line of a soak.
func (v *Verdict) Line(leaked int) string {
	return fmt.Sprintf("soak: calls=%d answered=%d mismatched=%d lost=%d duplicated=%d faults=%d leaked=%d",
		v.Calls, v.Answered, v.Mismatched, v.Lost, v.Duplicated, v.Faults, leaked)
}
