package spawn

import "testing"

// From the clone until the group is gone and the status taken, with the
// smallest program.
func BenchmarkStartToDone(b *testing.B) {
	c := Command{Exe: open(b, "/bin/true"), Argv: []string{"true"}}
	for b.Loop() {
		p, err := Start(c)
		must(b, err)
		<-p.Done()
	}
}
