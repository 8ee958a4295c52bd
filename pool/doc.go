// Package pool puts many workers of one kind behind one [child.Caller].
//
// A [Pool] starts [Config.Size] worker processes, gives each call to the least
// loaded one, lets a bounded number of calls wait when all are busy, and
// replaces workers that die. A call is made on a pool as on a single worker:
//
//	resizers := pool.New(pool.Config{Size: 8, Worker: child.Config{Name: "resizer"}})
//	thumb, err := Resize.Call(ctx, resizers, job)
//
// When a worker dies, only the calls that were running in it fail. A call that
// a worker had not started yet goes to another one by itself, because that is
// safe; everything else about retrying is the caller's to decide.
//
// # What stops a pool, and what does not
//
// A pool is a supervisor: it is a suture.Service and a tree.Starter, and its
// workers are the children of a dynamic tree.Supervisor. Bad input must not be
// able to stop a service. So the death of a worker while it runs a call, and a
// death that we ordered (a passed deadline), only delay that worker's restart
// by [Config.Backoff]. Workers that cannot even start, or die while they are
// idle, show that something is wrong with the workers themselves: those count
// against [Config.Intensity], and a pool with too many of them gives up, so that
// its own supervisor acts.
//
// A worker counts as started when its process is spawned, so that one which
// hangs in its start cannot hold up the replacement of the others. The pool is
// ready when [Config.MinReady] workers are.
//
// # Concurrency
//
// All methods may be called from any goroutine. One mutex guards the load of
// the workers and the queue; nothing waits while it is held.
//
// Read next: pool.go for the life of a pool, queue.go for how calls meet
// workers, slot.go for the place of one worker.
package pool
