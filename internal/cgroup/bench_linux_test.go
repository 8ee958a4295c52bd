package cgroup

import (
	"os/exec"
	"testing"
)

func BenchmarkGroup(b *testing.B) {
	h := host(b, kill)
	for name, l := range map[string]Limits{"kill": {}, "every limit": every(h)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				g, err := h.New(l)
				must(b, err)
				must(b, g.Close())
			}
		})
	}
}

func BenchmarkStart(b *testing.B) {
	h := host(b, kill)
	g := newGroup(b, h, every(h))
	start := func(b *testing.B, start func(*exec.Cmd) error) {
		for b.Loop() {
			cmd := exec.Command("/bin/true")
			must(b, start(cmd))
			must(b, cmd.Wait())
		}
	}
	b.Run("outside", func(b *testing.B) { start(b, (*exec.Cmd).Start) })
	b.Run("inside", func(b *testing.B) { start(b, func(cmd *exec.Cmd) error { return startIn(g, cmd) }) })
	b.Run("joined", func(b *testing.B) {
		start(b, func(cmd *exec.Cmd) error {
			if err := cmd.Start(); err != nil {
				return err
			}
			_ = g.Join(cmd.Process.Pid) // it may be dead by now
			return nil
		})
	})
}
