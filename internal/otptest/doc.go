// Package otptest plays recorded scenarios of OTP's supervisor against package tree, through its public API alone, and
// compares every event, every answer and every state with the recording.
//
// A scenario is a tree of supervisors and scripted children, and a list of steps; each file of a corpus is a JSON list of
// scenarios, with the recorded trace under "expect". The real supervisor records them by oracle.escript, and gen makes
// new ones at random.
//
// # Scenarios
//
// A path is the IDs from the root, root/m/x. The attempts to start a path are numbered from 1 over the whole scenario,
// whoever causes them, and root/m/x#3 is also the run that the third one made. What a worker does is its behaviour:
// lists of outcomes, one for each attempt. At a gate it waits until a step releases it. Each step is done when all
// is quiet, and is over when it is quiet again; one with a name for its answer ("async") only sends its request.
//
// What has been recorded of a step is its answer, its events in order, and the supervisors whose state has
// changed by it: for each its children and counts, "busy" if it does not answer, null if it is gone. Events are
//
//	started P#n                     a start has succeeded; of a supervisor, after all its children
//	start_failed P#n REASON         it has failed; of a supervisor, after what was up has been stopped
//	start_ignored P#n               it said that it need not run
//	start_blocked P#n               it waits at a gate
//	stop_asked P#n shutdown|kill    its supervisor asks it to stop, or kills it without asking
//	stopped P#n HOW REASON          it has ended: exit (by itself), asked, timeout_kill, brutal_kill
//	gave_up P#n, auto_shutdown P#n  a supervisor begins to end itself
//
// What the children of a dynamic supervisor do while it stops them all has no order between different children.
// A few wrong values stand in scenarios on purpose; [Scenario.Inexpressible] says which of them Go's types exclude.
//
// # Children
//
// The children are played in two ways. In the fake time of testing/synctest they are goroutines, scripted so that they
// can be killed as only a process can: that is what [Play] does, and TestOTP in package tree. In real time they are
// worker processes of package child that die for real: that is TestOTPProcesses, in this package's tests.
//
// # Concurrency
//
// Everything here belongs to one test: the goroutine of the test makes the steps, and the goroutines of supervisors and
// children record what they see under the lock of the world.
//
// Read next: scenario.go for the files, world.go for what is recorded, worker.go and supervisor.go for who records
// it, steps.go for what is done.
package otptest
