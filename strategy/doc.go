// Package strategy decides what a supervisor does when something happens to one of its children.
//
// It is the policy of Erlang/OTP's supervisor and nothing else: a [State] knows the children, the
// restart strategy and the restart budget. [State.Step] takes one [Event] with the time at which it
// happened and returns a plan: actions to be done in exactly this order. There is no goroutine, no
// clock, no I/O and no log in this package, so every decision can be replayed in a test.
//
//	s := strategy.New(strategy.Spec{Strategy: strategy.RestForOne}, children)
//	plan := s.Step(now, strategy.Begin{})
//
// The caller does the actions one after the other and reports what became of them:
//
//	Start    run the child. Up: Step(Started), and go on. Answered "not needed": Step(Ignored), do what
//	         it returns, and go on. Failed: Step(StartFailed); what it returns replaces the rest of the plan.
//	Stop     stop the child if it runs; whatever it takes, in the end it is gone. Nothing is reported.
//	StopAll  the same for several children at the same time, with one common limit.
//	Retry    after the delay (at once, if it is zero) put Retried at the END of the queue of events.
//	Forget   the child is no longer known.
//	Refuse   the request just given is refused, and this is why.
//	End      from here on the supervisor ends itself, and this is why; its stops follow.
//	Quit     the last action of a supervisor: it has ended.
//
// [State.Decide] returns the same as a [Plan], which needs no memory for starts, however many they are.
//
// Events must be given one at a time, each only when the plan of the one before is done; what happens
// meanwhile waits in one queue in the order of arrival, as messages wait in the mailbox of an OTP
// supervisor. An exit of a run that the state does not know (any more) is ignored, so a late report
// never hits a successor.
//
// A State is not safe for concurrent use.
//
// The rules are those of the OTP manual ("Supervisor Behaviour") and of OTP's supervisor.erl (OTP 25),
// with three differences: the restart window is exact instead of counting whole seconds; a child may have
// a [Backoff]; and an exit may be excused from the restart budget.
//
// Read next: package tree, which does what the plans say.
package strategy
