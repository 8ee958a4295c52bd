// Package peer is what the programs have in common that are measured from
// outside: those of the peers, and a small one that uses verdigris.
//
// Each is a program of its own with both ends in it, a parent and its workers, so
// that none is charged with what another one imports. The parent's end gets tasks
// on its standard input, one line of JSON each, does them with its workers, and
// writes what they have yielded to its standard output. It ends with its input.
//
// Everything in one program happens one after the other, crowds of callers
// aside. It works on Linux alone.
//
// Read next: worker.go for what a peer has to be able to do, tasks.go for what it
// is asked, main.go for the program's end of it, program.go for the other one.
package peer
