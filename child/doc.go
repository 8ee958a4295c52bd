// Package child runs Go functions in worker processes and calls them as if
// they were in this one.
//
// A worker is the program itself, executed again. Its functions are typed
// package variables made by [Define]; [Init], the first line of main, is where
// the worker takes over. What crosses the boundary is plain data. When a
// function crashes, by a segmentation fault in C code behind cgo or by a panic,
// only the worker dies, the call fails with a [*CrashError] that tells what
// happened, and whoever supervises the worker starts it again.
//
//   - [Once] runs one call in a process of its own, [OnceStream] one stream.
//   - [Process] is a worker that lives on. It is a suture.Service, to be put
//     under a supervisor, and a [Caller].
//   - [Inline] runs the same calls in this process, for a debugger.
//   - [DefineStream] is for functions with many results, one after the other, and
//     [Report] for those that tell how far they have come.
//   - [DefineState] and [DefineOn] give a worker something that lives as long
//     as it does: an engine, a connection, a model.
//
// # What a caller can rely on
//
// A call is run at most once: it is sent again only if it has surely not been
// started, or if its caller has allowed it ([Func.Idempotent]) and a pool retries. It never hangs for a reason the caller cannot see: it waits for a
// worker at most [Config.Wait], and for an answer until its context ends. Errors tell three things apart: the function said no
// ([*RemoteError]), the worker died while it ran ([*CrashError]), the function
// has surely not been started (every error that matches [ErrNotStarted]).
//
// # What a worker is not
//
// Nothing that main sets up exists in a worker: it has the program's package
// variables as their initialisers leave them, an environment that
// [Config.Env] lists, and no command line. It is not a sandbox by itself: it
// may open files and sockets as its user may.
//
// # Concurrency
//
// Everything exported may be used from any goroutine. In a worker, as many
// functions run at once as [Config.Concurrency] says, by default one, always on
// the same thread.
//
// # Systems
//
// Worker processes need Linux. Elsewhere the package builds, [Inline] works,
// and starting a worker returns an error that says so.
//
// Blobs ([wire.Blob]) are passed on by blobs.go where they meet a function or a
// caller, mail.go in a worker, returns.go in a parent, and socket.go between them.
//
// Read next: func.go and stream.go for what a user defines, process.go for the life of a
// worker seen from a supervisor, run.go for one life of it, do.go for the way
// of a call, feed.go for what comes before its answer, worker.go for the other side; docs/wire.md for what passes between.
package child
