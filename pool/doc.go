// Package pool puts many workers of one kind behind one [child.Caller].
//
// A [Pool] starts [Config.Size] worker processes, gives each call to one of them,
// lets a bounded number of calls wait when all are busy, and replaces workers that
// die. A call is made on a pool as on a single worker:
//
//	resizers := pool.New(pool.Config{Size: 8, Worker: child.Config{Name: "resizer"}})
//	thumb, err := Resize.Call(ctx, resizers, job)
//
// [Map] makes many calls, for each of a sequence of inputs.
//
// When a worker dies, only the calls that were running in it fail. A call that
// a worker had not started yet goes to another one by itself, because that is
// safe. Everything else about retrying is the caller's to decide: [Retry] says how
// often, and [child.Func.Idempotent] which calls. An input that kills one worker after
// the other can be refused, see [Quarantine].
//
// # Seats, spares, replacements
//
// There are Size seats. A worker that is ready sits in one and gets calls, or is a
// spare and takes the next seat that falls vacant. A worker is replaced when it
// dies; when it has had [Config.MaxCalls], is as old as [Config.MaxAge] or as large
// as [Config.MaxMemory]; and by [Pool.Replace]. It leaves when the pool is made
// smaller ([Pool.Resize]) or was larger than it needed ([Config.Max]). Only a death
// costs anybody anything: all else is done between two calls, with the replacement
// ready first, within [Config.Surge] processes more.
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
// # What an operator sees
//
// [Pool.Stats] is a snapshot of workers, calls and their times, with the pool's
// [Condition] in words. [Config.Events] is told what happens, as values; by default it
// is logged.
//
// # Concurrency
//
// All methods may be called from any goroutine. One mutex guards the roster, which
// decides everything; nothing waits while it is held. What the roster orders, one
// goroutine carries out for as long as the pool is served. Events are told by another
// one, which exists only while there are some. The suspects of the quarantine and the
// budget of retries have locks of their own.
//
// A function that calls back into the pool that runs it gets an error
// ([ReentryError]) rather than a place in the queue, where it could wait for itself.
//
// Read next: pool.go for the life of a pool, roster.go for the decisions, with
// choose.go (which worker takes a call) and arrange.go (which workers there are);
// do.go for the way of a call, with errand.go (when it is over), retry.go and, for
// inputs that kill, suspects.go (the decisions) and warden.go; map.go and mapping.go
// for that of many; worker.go for what runs in a slot, keep.go for what carries the
// decisions out; size.go and replace.go for what is changed at run time; book.go for
// what is counted, condition.go for what it amounts to; docs/pools.md for which option
// is for what.
package pool
