// Package cgroup gives worker processes control groups of their own: to bound
// their memory and their number, to kill all of them at once, and to learn
// that the kernel's OOM killer was there.
//
// It does one thing for a program: [Find] says what can be had on this
// machine, by the rules of whoever manages its control groups, and why not
// where it cannot; [Host.New] makes a [Group], [Group.Close] kills all that is
// in it and removes it.
//
// # The rules it keeps
//
//   - Groups are made only where the program may make them: below the root of
//     the tree that is mounted, below a group that systemd has delegated
//     (Delegate=yes), below a group that belongs to the program's user, or, when
//     no systemd manages the machine, below the program's own group.
//   - No process that was there before is ever moved, so the kernel's rule
//     against inner processes (cgroups(7)) decides: limits by cgroup v2 need
//     the root of the machine's tree, or a delegated parent group that holds
//     no process itself (systemd's DelegateSubgroup=).
//   - Controllers are switched on for groups below ours only when a limit asks
//     for them, and none is ever switched off.
//
// On a hybrid machine, whose limits are in the trees of cgroup v1 and whose v2
// tree has no controllers for them, a group has a directory in each: it is
// limited through v1 and killed through v2.
//
// # What stands in the file system
//
// Each tree in use has a directory verdigris.PID.STARTTIME of this program, in
// it one directory per group. Both are made when needed and removed with the
// last group. A program that is killed cannot remove its own: at its first
// group, the next program that uses the same place kills what lives in such
// leftovers and removes them. A directory is a leftover when its process is
// gone, by number and start time, and nobody holds the lock (flock(2)) that
// its program keeps: numbers alone would mean other processes in other PID
// namespaces.
//
// # Concurrency
//
// Everything may be called from any goroutine.
//
// # Systems
//
// On systems other than Linux the package builds, nothing can be had, and the
// reason says so.
//
// Read next: cgroup.go for the vocabulary, find_linux.go for how the place is
// found, group_linux.go for the life of a group, kill_linux.go for its end.
package cgroup
