// Package statuspage is one page of memory that a worker writes and its parent
// reads, also after the worker's death: which calls have been started, which answers
// were still to be sent, and what the worker's runtime printed when it crashed.
//
// # Layout
//
// A page is a memfd (memfd_create(2)) of [Size] bytes, sealed so that nobody
// can change its size.
//
//	0..8         the highest call id whose handler was started in this run
//	8..16        how many bytes are kept
//	16..24       the latest ping that was answered here
//	24..32       the recall: not zero when the parent wants no further one started
//	32..40       the signal that the worker is dying of, if it has come to say so
//	40..64       zero, reserved
//	64..4096     what is kept: frames that the worker is going to write to its
//	             parent together
//	4096..65536  the crash text: no terminator, the unused rest is zero
//
// The crash text is written by the Go runtime itself, into a descriptor that
// no handler can mistake for standard error (runtime/debug.SetCrashOutput). The
// runtime's writes beyond the end of the page fail, so it keeps the beginning
// of a longer text. A panic is there from its first line on. Of a fatal error
// (stack overflow, a fault outside Go, deadlock) the runtime copies the
// signal and the stacks only: the line "fatal error: ..." and what precedes it
// go to standard error alone, as of Go 1.26. A report of a crash should
// therefore show both.
//
// The numbers are little-endian and stored with one 8-byte store each. The
// recall is the parent's, the others are the worker's.
//
// # Recall
//
// Which calls a worker will never start can be known before it is dead. The parent
// stores the recall and then loads the id; the worker stores the id and then loads
// the recall, and starts nothing if it finds one. All of these are sequentially
// consistent, so of two that meet at least one sees the other: a call above the id
// that the parent has loaded after the recall is not started. At worst one counts
// as started that is not.
//
// # Trust
//
// The parent believes nothing: the worker may write any bytes anywhere on the
// page at any time. What the seals guarantee is that the parent's reading
// cannot fault (no SIGBUS from a truncated mapping) and that the page cannot
// grow. A caller must bring the number it reads into the range of the ids that
// it has sent.
//
// # One page for one run
//
// A page is never used for a second run. A descendant of the dead worker may
// have inherited the mapping and could write into its successor's page, and a
// new page costs some microseconds only.
//
// # Concurrency
//
// All methods may be called from any goroutine; Keep, Keeps and Flush by one at a time.
//
// # Systems
//
// Pages need Linux. On other systems [New] and [Open] return [ErrUnsupported].
package statuspage
