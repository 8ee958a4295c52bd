//go:build linux

package child

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/verdigris-go/verdigris/wire"
)

// F37, the worker's side: what it says to parents that are older, newer, or not
// parents at all, before it ends.
func TestParentsOfOtherVersions(t *testing.T) {
	setup := func(s wire.Setup) []byte {
		body, err := s.Append(nil)
		must(t, err)
		return wire.AppendFrame(nil, wire.KindSetup, 0, body)
	}
	newer := setup(wire.Setup{Limit: 1 << 20, Concurrency: 1})
	newer[3] = 2
	for _, c := range []struct {
		name, says string
		bytes      []byte
	}{
		{"a newer protocol", "the parent asks for protocol version 2, this worker speaks 1; build both", setup(wire.Setup{Version: 2, Limit: 1 << 20, Concurrency: 1})},
		{"newer frames", "peer speaks protocol version 2, this side speaks 1; build both", newer},
		{"too much at once", "asks for 5000 functions at once, the limit is 4096", setup(wire.Setup{Limit: 1 << 20, Concurrency: 5000})},
		{"another frame", "a ping from the parent where a setup belongs", wire.AppendFrame(nil, wire.KindPing, 1, nil)},
		{"an unknown frame", "unknown frame kind 15; the peer may be newer", wire.AppendFrame(nil, 15, 0, nil)},
		{"no frame", "not a frame: first byte is 0x47", []byte("GET / HTTP/1.1\r\n\r\n")},
		{"nothing", "no setup from the parent: EOF", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, stderr := standAlone(t, c.bytes)
			if status != exitNoParent || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("status %d, %q", status, stderr)
			}
		})
	}
}

// standAlone runs this program as a worker that gets some bytes and no more.
func standAlone(t *testing.T, control []byte) (status int, stderr string) {
	ch, err := openChannels()
	must(t, err)
	defer ch.closeOurs()
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env, cmd.ExtraFiles, cmd.Stderr = []string{marker + "=1", "GORACE=atexit_sleep_ms=0"}, ch.theirs(), &said
	cmd.WaitDelay = inTime
	must(t, cmd.Start())
	ch.closeTheirs()
	kill := time.AfterFunc(inTime, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	go pour(halfway{ch.control[0]}, control, nil)
	_, _ = io.Copy(io.Discard, ch.control[0])
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), said.String()
}

// F25: a worker whose parent has gone before it could ask to be told does nothing.
func TestParentGoneBeforeTheStart(t *testing.T) {
	ch, err := openChannels()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env, cmd.ExtraFiles = []string{marker + "=1", "CHILD_TEST_INIT=exit"}, ch.theirs() // an init that would be seen
	ch.closeOurs()
	out, err := cmd.CombinedOutput()
	ch.closeTheirs()
	if cmd.ProcessState.ExitCode() != exitOrphan || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

// A worker whose parent goes without a word takes its process group along.
func TestOrphanEndsItsGroup(t *testing.T) {
	ch, err := openChannels()
	must(t, err)
	defer ch.closeOurs()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env, cmd.ExtraFiles = []string{marker + "=1", "CHILD_TEST_INIT=sleep", "PATH=" + os.Getenv("PATH")}, ch.theirs()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // and no signal at the parent's death
	must(t, cmd.Start())
	ch.closeTheirs()
	kill := time.AfterFunc(inTime, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	setup, err := controlFrame(wire.KindSetup, 0, wire.Setup{Version: wire.Version, Limit: 1 << 20, Concurrency: 1})
	must(t, err)
	_, err = ch.control[0].Write(setup)
	must(t, err)
	r := wire.NewReader(ch.control[0], wire.ControlLimit)
	for {
		f, err := r.Next()
		must(t, err)
		if f.Kind == wire.KindReady {
			break
		}
	}
	ch.control[0].Close()
	_ = cmd.Wait()
	for deadline := time.Now().Add(inTime); syscall.Kill(-cmd.Process.Pid, 0) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			t.Fatal("its group lives on")
		}
	}
}
