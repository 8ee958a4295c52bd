// Package ring carries bytes between a parent and its worker through memory that
// both have mapped: one ring of bytes each way. Where both are busy no system
// call is made; where one has to wait, one wakes it.
//
// [New] makes both rings in the parent, whose ends are a [Sink] and a [Source].
// The worker inherits descriptors and makes its ends of them, [Open]: an [Inlet]
// and an [Outlet]. All four are streams: no boundaries, no loss, the order kept.
// To understand the rest begin with lane_linux.go, then listener_linux.go.
//
// # Layout
//
// The memory is a memfd (memfd_create(2)) whose size is sealed. Numbers are as
// this machine stores them.
//
//	0        magic number and version (4 bytes each), size of each ring (8),
//	         nanoseconds that the worker may spin (8)
//	1024     the words of the ring to the worker ("calls")
//	2048     the words of the ring to the parent ("answers")
//	4096     the bytes of the calls, Size of them
//	...      the bytes of the answers
//
// The words of a ring:
//
//	+0    head: how many bytes have ever been written; its producer stores it
//	+8    base: which of them stands at the first place of the ring; the producer's
//	+16   how the consumer waits for bytes: 0 not at all, 1 in futex(2) on this
//	      very word, 2 for its bell
//	+128  tail: how many bytes have ever been taken; its consumer stores it
//	+136  how the producer waits for room: likewise
//
// The byte of number n is at (n - base) % Size. A producer may set base to head
// when tail is equal to head: nothing is under way, and the consumer looks at base
// only after it has seen another head. So small traffic begins again and again at
// the first byte and needs a few pages (memory, cache), not the whole ring.
//
// # Waiting
//
// Who finds nothing to do announces how it waits, looks again, and only then
// sleeps:
//
//	word = 1 or 2;  nothing to do still?  sleep
//
// Who has published something (head, or tail) looks whether somebody waits:
//
//	head = ...;  if word != 0 and swap(word, 0) was 1: futex wake, 2: ring the bell
//
// No wake-up is lost. Go's atomic operations are sequentially consistent, so of
// the two stores one comes first. If it is the announcement, the publisher sees
// it and wakes; if it is the publication, who wants to sleep sees it and does not.
// Between the second look and the sleep nothing can happen either: futex(2)
// sleeps only while the word still has its value, and the poller keeps a bell
// that was rung after it has begun to listen.
//
// A producer that waits for room is woken when half of the ring is free, and
// announces itself only if less is: who copies much changes sides as seldom as
// possible. A consumer that goes on taking gets there, so that wake-up comes, too.
//
// A worker waits with its thread in futex(2), for as long as it takes. The parent
// does so for some hundred microseconds, which most answers need less than; that
// saves half a round trip, and the Go scheduler knows that the thread is in the
// kernel. Then it parks the goroutine and listens for the bell, an eventfd(2) in
// the runtime's poller, so that no number of waiting callers needs threads.
//
// With [Options].Spin, who reads looks again and again for a while before it
// sleeps, see spinner.
//
// # Trust
//
// The parent believes nothing. The seals guarantee that its access to the memory
// cannot fault. Its own indices are private, the other side's is read once per
// look and checked: what it says is at most a ring's size away, or it is a
// [BrokenError]. Places are taken modulo the size, so whatever base is, they are
// inside. Bytes are copied once, out of the ring, and only the copy is looked at.
// Announcements are hints: at worst they cause a system call in vain, or make a
// worker wait for its own calls. A worker that only rings, or says again and again
// that there is something when there is not, is found out after 64 times. What it
// can cause is garbage in its own answers, and that it is ended.
//
// A worker trusts its parent.
//
// # Memory
//
// What has been written once stays resident until the ring goes: of small traffic
// 16 KiB and some each way, of frames of a megabyte and more the whole ring.
//
// # Concurrency
//
// Each end of the parent may be used from any goroutine; who reads, or writes,
// excludes others. Each end of the worker is for one goroutine at a time.
//
// # Systems
//
// Linux, on processors that have 64-bit atomic operations. On other systems [New]
// and [Open] return [ErrUnsupported].
package ring
