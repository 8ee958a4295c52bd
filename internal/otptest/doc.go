// Package otptest plays recorded scenarios of OTP's supervisor against package tree, through its public API alone, and
// compares every event, every answer and every state with the recording.
//
// A scenario is a tree of supervisors and scripted children, and a list of steps; each file of a corpus is a JSON list of
// scenarios, with the recorded trace under "expect". The real supervisor records them by oracle.escript, and gen makes
// new ones at random.
//
// The children are played in two ways. In the fake time of testing/synctest they are goroutines, scripted so that they
// can be killed as only a process can: that is what [Play] does, and TestOTP in package tree. In real time they are
// worker processes of package child that die for real: that is TestOTPProcesses, in this package's tests.
//
// Everything here belongs to one test: the goroutine of the test makes the steps, and the goroutines of supervisors and
// children record what they see under the lock of the world.
//
// Read next: scenario.go for the files, world.go for what is recorded, worker.go and supervisor.go for who records
// it, steps.go for what is done.
package otptest
