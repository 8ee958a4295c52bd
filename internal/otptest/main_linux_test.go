package otptest

import (
	"flag"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/verdigris-go/verdigris/child"
)

var (
	corpus = flag.String("corpus", "", "directory of recorded OTP scenarios for TestOTPProcesses; all in it are played")
	all    = flag.Bool("all", false, "play all scenarios with processes, not only some")
)

const ownCorpus = "tree/testdata/otp"

func TestMain(m *testing.M) {
	child.Init()
	status := m.Run()
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
		fmt.Fprintln(os.Stderr, "a process or a zombie is left:", pid, err)
		status = 1
	}
	os.Exit(status)
}

// width is how many scenarios are played at the same time: they mostly wait for silence.
const width = 12

// TestOTPProcesses plays recorded scenarios with worker processes as children, in real time. What is killed, dies.
func TestOTPProcesses(t *testing.T) {
	dir := *corpus
	if dir == "" {
		dir = ownCorpus
	}
	list, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if *corpus == "" && !*all {
		list = some(list)
	}
	playAll(t, list, width, func(t *testing.T, sc *Scenario) {
		newWorld(t, realTime{newSwitchboard(t).process}).play(stretched(sc))
	})
}

// some returns a part of the scenarios that takes seconds.
func some(list []*Scenario) (part []*Scenario) {
	const oneOf = 8
	for i := 0; i < len(list); i += oneOf {
		part = append(part, list[i])
	}
	fmt.Printf("otp: %d of %d scenarios, all with -args -all\n", len(part), len(list))
	return part
}
