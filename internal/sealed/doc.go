// Package sealed makes and checks files in memory that nobody can change any
// more, neither their content nor their size: memfd_create(2) with all of the
// seals of fcntl(2).
//
// # Trust
//
// [Check] believes nothing of a descriptor that has come from another process.
// What it accepts is a file of shared memory with the seals WRITE, SHRINK, GROW
// and SEAL. The kernel gives the first of them only when there is no writable
// mapping, and no page that a device may still write to; with all of them a
// reader can neither see a change nor meet the end of the file early (SIGBUS).
// Files on huge pages are refused: a read of theirs can fail for want of one.
//
// The first question that Check asks is which seals there are, which no file
// system is asked for: any other call about a file that a hostile process has
// made may wait for that process. To close such a file may, too.
//
// # Systems
//
// Sealed files need Linux 3.17. On other systems everything returns
// [ErrUnsupported].
package sealed
