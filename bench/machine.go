//go:build linux

package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/internal/ccrash"
)

// machine is where and when the figures were taken.
type machine struct {
	Date       string `json:"date"`
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	Cgo        bool   `json:"cgo"`
	Rounds     int    `json:"rounds"`
	LoadBefore string `json:"load_before"`
	LoadAfter  string `json:"load_after"`
}

func look(e effort) machine {
	return machine{
		Date: time.Now().Format("2006-01-02 15:04 MST"), CPU: cpuModel(), Cores: allowed.Count(), Kernel: kernel(),
		Go: runtime.Version() + " " + runtime.GOARCH, Cgo: ccrash.HasC, Rounds: e.rounds, LoadBefore: load(),
	}
}

func (m machine) String() string {
	c := "without cgo"
	if m.Cgo {
		c = "with cgo"
	}
	return fmt.Sprintf("%s: %s, %d cores, Linux %s, %s %s, %d rounds, load average before %s, after %s\n",
		m.Date, m.CPU, m.Cores, m.Kernel, m.Go, c, m.Rounds, m.LoadBefore, m.LoadAfter)
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for l := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(l, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "?"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// load is the load average of the last minute.
func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(text), " ")
	return one
}
