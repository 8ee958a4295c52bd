// Package landlock takes rights to files, TCP ports and outsiders away from
// threads, and so from worker processes, without any privilege.
//
// It does one thing: a [Policy], a plain description of what is denied and what of
// it is allowed nevertheless, becomes a [Plan] for the kernel at hand, and a
// [Ruleset] of it restricts threads. What a worker may do is the business of
// others.
//
// # What can be relied on
//
//   - Compiling is a pure function of the policy and the ABI. What the ABI cannot
//     do is a [Gap] of the plan, by name; nothing is left out in silence. Whether a
//     gap is acceptable, the caller decides.
//   - A path that cannot be opened is an error, and so is a symbolic link that a
//     rule does not say to follow: there is no ruleset then.
//   - A restricted thread never becomes that of another goroutine.
//
// # When to restrict
//
// The kernel restricts one thread; those that it has started before stay free, and
// a Go program has several before its first package variable is initialised. So a
// program cannot restrict itself as a whole after it has begun. There are two
// ways, both through an exec, after which all threads are restricted:
//
//   - The thread that starts workers restricts itself. Each worker is restricted
//     from its first instruction, before package variables and C constructors; the
//     rest of the program is not. It costs one Restrict for all workers alike. That
//     thread cannot open what is denied either: everything that a start needs must
//     be open, and the policy must allow the worker's program and its loader
//     (Execute, ReadFile).
//   - The worker restricts the thread of its main goroutine and takes its own place
//     (syscall.Exec). It costs one more start of the program. It comes after mounts
//     and a change of the root, which are denied to a restricted thread.
//
// # What is denied beside the rights
//
// A restricted thread cannot mount, nor change the tree of mounts; it cannot trace
// processes outside of its domain, nor read what the same check protects in their
// /proc. When anything about files is denied, so is moving them between
// directories ([Refer]).
//
// # What is not
//
// Descriptors that are open already keep all their rights. The gaps that no ABI
// closes are in each plan: [Metadata], [BeyondTCP], [MemoryPrograms].
//
// # Concurrency
//
// Everything may be called from any goroutine. [Ruleset.Restrict] is about the
// thread of the calling one.
//
// # Systems
//
// On systems other than Linux the package builds, compiles policies, and restricts
// nothing: [ErrUnsupported].
//
// # Sources
//
// landlock(7), landlock_create_ruleset(2), landlock_add_rule(2),
// landlock_restrict_self(2), Documentation/userspace-api/landlock.rst of Linux.
//
// Read next: landlock.go for the vocabulary, policy.go for the translation, gaps.go
// for what cannot be had, load_linux.go for restricting.
package landlock
