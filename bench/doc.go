// Command bench measures how fast verdigris is, row by row, each against what the
// machine itself needs for the same work, and prints a table:
//
//	go run .                        all rows, some minutes
//	go run . -row A1,B -rounds 7    some of them
//	go run . -json                  for programs
//	go run . -against PROGRAM       beside another build of this program, turn by turn
//	go run . -profile DIR -row B    processor profiles of both ends instead
//
// A microsecond of today is not one of tomorrow, least of all on a machine that
// others use too. So nothing is judged by itself: in each round every side has
// two turns, first in one order and then in the other (A B B A), and what
// counts is the ratio within the round. A target that is missed is printed as
// missed; it is not an error.
//
// docs/performance.md says what each row means and how to read it.
//
// Read next: rows.go for the list of the rows, turns.go for how sides take turns,
// stats.go and report.go for what is made of the figures, then the file of the
// row: calls.go, payload.go, crowd.go, starts.go, deaths.go, idle.go,
// children.go, thousand.go; baselines are in pipes.go, copies.go and notice.go,
// peers in peers.go and the folder of that name, two builds in against.go.
package main
