// Package early is what a worker process does before anything else in the
// program.
//
// A worker runs the initialisation of all packages of its program before main
// gives it to child.Init. That may take a while, and the world goes on meanwhile:
// so a process that was started as a worker
//
//   - catches SIGINT, SIGTERM and SIGHUP, which are often sent to a whole process
//     group or control group and mean the parent, who then stops its workers in
//     order. (Caught, not ignored: a program that the worker starts gets the
//     usual behaviour. Until Init, signal.Ignored may say otherwise, see Catch.) A signal that the parent itself ignores stays ignored;
//   - ends when its parent has gone already: the kernel's signal for that is set
//     a moment after the process is there;
//   - closes the descriptors that have come along by accident: those that the
//     parent has inherited itself, or that C code in it has opened without
//     close-on-exec. Whatever Go opens is closed by the exec;
//   - stays on the process's first thread, until Init knows better.
//
// The package imports next to nothing, so that its turn comes early: Go
// initialises packages when those that they import are done. What comes before
// it, up to the first instruction of the program, no program can do anything
// about; a signal in that time kills, and the parent starts the worker again.
//
// In a process that is no worker the package does nothing.
package early
