// Package tree supervises services as Erlang/OTP's supervisor does: children are started in order and
// stopped in reverse order, each with its own time limit; what ends is restarted by the rules of package
// strategy; and a supervisor whose children end too often gives up and leaves the decision to its parent.
//
//	pipeline, err := tree.New(tree.Spec{
//		Name:     "pipeline",
//		Strategy: strategy.RestForOne,
//		Children: []tree.Child{
//			{ID: "decoder", Service: decoder},
//			{ID: "server", Service: server, Shutdown: tree.After(30 * time.Second)},
//		},
//	})
//	err = pipeline.Serve(ctx)
//
// A child is any [suture.Service]. It may have more methods: [Starter] when it is not up the moment it is
// called, [Killer] when it can be ended by force, [Retirer] when somebody waits for its next run. A
// [Supervisor] has all of them, so trees nest, also through a suture.Supervisor or a wrapper of your own, which may
// be a [Wrapper] if it only looks on.
//
// # Runs
//
// A run is one life of a child. Each run has a context of its own, which only the supervisor cancels: it does
// not inherit the cancellation of the context that the supervisor itself is served with, so that cancelling the
// root of a tree stops everything in strict reverse order. A Service value is served again for each run, never
// twice at once; what can live only once is wrapped in [PerRun].
//
// How a run ended decides about its restart:
//
//	nil                                   normal
//	IntensityError, AutoShutdownError,    shutdown: like normal, a transient child stays down
//	  ErrShutdown
//	suture.ErrDoNotRestart                the child is forgotten
//	suture.ErrTerminateSupervisorTree     the supervisor stops, and returns it
//	any other error, a panic              failure
//	any error before the run was ready    a failed start; ErrIgnore: an ignored one
//
// # Stopping
//
// A child is asked by cancelling its context, with [ErrShutdown] as the cause. When it has not returned
// within its [Shutdown] limit, it is killed if it is a Killer; and when it does not return a second later,
// it is abandoned: the tree goes on as if it were gone, reports it, and ignores whatever it still does. A
// goroutine cannot be killed, so a service should watch its context.
//
// Stopping a supervisor while a child is starting cancels that start at once, and waits for it no longer than the
// child's Shutdown limit. What else was to be started together with it is started with a context that is cancelled
// already, so it need not get far, and is stopped when its turn comes.
//
// # Concurrency
//
// A supervisor is one goroutine with one queue. Requests, exits and retries are handled in the order of their
// arrival, and while a child is being started or stopped, everything else waits. (While it sleeps, a start that waits for
// nothing is done by whoever asks for it.) All methods of a Supervisor may
// be called from any goroutine; [Supervisor.Snapshot], [Supervisor.Ready], [Supervisor.Kill] and
// [Supervisor.StopLimit] never wait for that goroutine. A child must not call a method of its own supervisor that
// waits (such as StartChild) before it is ready: the supervisor is waiting for that very child.
//
// Read next: package strategy for the decisions; the files loop.go, run.go and stop.go for the work.
package tree
