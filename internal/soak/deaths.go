//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log" //nolint:depguard // a worker that calls log.Fatal is one of the faults
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/verdigris-go/verdigris/child"
)

// dies makes a kind of a way to die.
func dies(name string, of child.Cause, way func()) *kind {
	return &kind{name: name, cause: of, stream: sometimes, act: func(*execution) { way() }}
}

// deaths are the ways in which a worker ends while it runs a call.
func deaths() []*kind {
	return []*kind{
		dies("panic", child.Panicked, func() { panic("no such colour") }),
		dies("panic-of-goroutine", child.Panicked, func() { elsewhere(func() { panic("from another goroutine\nand more") }) }),
		dies("panic-nil-pointer", child.Panicked, func() { *nilPointer() = 1 }),
		dies("fatal-nil-elsewhere", child.Panicked, func() { elsewhere(func() { *nilPointer() = 1 }) }),
		dies("fatal-map-writes", child.Fatal, mapWrites),
		dies("fatal-unlock", child.Fatal, func() { new(sync.Mutex).Unlock() }),
		dies("fatal-stack-overflow", child.Fatal, func() { debug.SetMaxStack(1 << 20); deeper(0) }),
		dies("fatal-wild-pointer", child.Segfault, wildPointer),
		dies("fatal-out-of-memory", child.OutOfMemory, outOfMemory),
		dies("goexit", child.Panicked, runtime.Goexit),
		dies("exit-0", child.Exited, func() { os.Exit(0) }),
		dies("exit-3", child.Exited, func() { os.Exit(3) }),
		dies("log-fatal", child.Exited, func() { log.Fatal("cannot go on") }),
		{name: "exec-another", cause: child.Exited, stream: sometimes, act: func(x *execution) { x.spoils(); become("/bin/sh", "-c", "exit 2") }},
		dies("signal-kill-self", child.Killed, func() { raise(syscall.SIGKILL) }),
		dies("signal-abort-self", child.Aborted, func() { raise(syscall.SIGABRT) }),
		dies("signal-quit-self", child.Signaled, func() { raise(syscall.SIGQUIT) }),
		{name: "memory-limit", rare: true, cause: child.OutOfMemory, lanes: func(l *lane) bool { return l.memory }, act: func(*execution) { eat() }},
		{name: "tasks-limit", rare: true, cause: child.Exited, act: func(*execution) { breed() }},
		{name: "die-before-answer", cause: child.Killed, act: func(x *execution) { x.answers(); raise(syscall.SIGKILL) }},
		{name: "die-encoding", cause: child.Killed, act: func(x *execution) { x.result.dies = func() { raise(syscall.SIGKILL) } }},
		{name: "panic-encoding", cause: child.Panicked, act: func(x *execution) { x.result.dies = func() { panic("cannot be encoded") } }},
		{name: "stream-dies", cause: child.Killed, stream: always, act: func(*execution) { raise(syscall.SIGKILL) }},
		{name: "stream-refuses", stream: always, act: func(x *execution) { x.err = errors.New("no more") }},
		{
			name: "dies-each-time", cause: child.Panicked, again: true, lanes: func(l *lane) bool { return l.attempts > 1 && l.deaths == 0 },
			act: func(*execution) { panic("every time") },
		},
		{name: "exit-mid-answer", cause: child.Exited, act: exitMidAnswer},
	}
}

// exitMidAnswer ends the process while a large answer is being written.
func exitMidAnswer(x *execution) {
	x.result.load = make([]byte, 6<<20)
	x.result.token.Fill(x.result.load)
	go func() {
		time.Sleep(time.Duration(x.job.Random % uint64(25*time.Millisecond)))
		_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
	}()
}

// Calls that do not end by themselves get a deadline, and their workers time
// enough to be innocent on a slow machine.
const patience = 60 * time.Millisecond

// hangs are the ways not to answer.
func hangs() []*kind {
	hang := func(name string, of child.Cause, way func(x *execution)) *kind {
		return &kind{name: name, rare: true, within: patience, cause: of, stream: sometimes, act: way}
	}
	return []*kind{
		hang("hang-until-deadline", child.Unknown, func(x *execution) {
			<-x.ctx.Done()
			x.err = errors.New("out of time")
		}),
		hang("hang-deaf", child.Deadline, func(*execution) { select {} }),
		hang("hang-busy", child.Deadline, func(*execution) {
			for spin := 0; ; spin++ {
			}
		}),
		hang("hang-stopped", child.Deadline, func(*execution) { raise(syscall.SIGSTOP) }),
		hang("exec-lives-on", child.Deadline, func(x *execution) { x.spoils(); become("/bin/sleep", "7200") }),
	}
}

// crowds are calls that make a noise, or a mess, and are answered.
func crowds() []*kind {
	return []*kind{
		{name: "flood-stdout", act: func(*execution) { flood(os.Stdout) }},
		{name: "flood-stderr", act: func(*execution) { flood(os.Stderr) }},
		{name: "flood-log", act: func(*execution) {
			for i := range 20_000 {
				slog.Info("a record that nobody needs", "number", i)
			}
		}},
		{name: "no-descriptors-worker", act: func(x *execution) { x.err = useUpDescriptors() }},
		{name: "grandchild", act: func(x *execution) { x.err = leaveBehind("exec sleep 7200", false) }},
		{name: "grandchild-setsid", act: func(x *execution) { x.err = leaveBehind("exec sleep 7200", true) }},
		{name: "grandchild-daemons", act: func(x *execution) { x.err = leaveBehind(daemons, false) }},
		{name: "grandchild-daemons-setsid", act: func(x *execution) { x.err = leaveBehind(daemons, true) }},
		{name: "grandchild-and-exit", act: func(x *execution) { x.err = leaveBehind("exec sleep 7200", true); os.Exit(1) }},
		{name: "grandchild-and-kill", act: func(x *execution) { x.err = leaveBehind(daemons, true); raise(syscall.SIGKILL) }},
		{name: "grandchild-many", rare: true, act: func(x *execution) { x.err = leaveBehind(many, true) }},
	}
}

// startFaults are what can go wrong before a worker is ready.
var startFaults = map[string]func(context.Context) error{
	"error":  func(context.Context) error { return errors.New("no luck today") },
	"panic":  func(context.Context) error { panic("no luck at all") },
	"exit":   func(context.Context) error { os.Exit(4); return nil },
	"kill":   func(context.Context) error { raise(syscall.SIGKILL); return nil },
	"hang":   func(context.Context) error { select {} },
	"linger": func(context.Context) error { time.Sleep(100 * time.Millisecond); return nil },
}

// raise ends this process by a signal. Process 1 of a namespace cannot kill
// itself (pid_namespaces(7)); it exits instead.
func raise(sig syscall.Signal) {
	if os.Getpid() == 1 && sig == syscall.SIGKILL {
		_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 137, 0, 0)
	}
	_ = syscall.Kill(os.Getpid(), sig)
	select {}
}

func elsewhere(f func()) {
	go f()
	select {}
}

//go:noinline
func nilPointer() *int { return nil }

func wildPointer() {
	address := uintptr(0xdead000)
	**(**int)(unsafe.Pointer(&address)) = 1
}

//nolint:staticcheck // it has no end on purpose
func deeper(n int) int {
	var room [1024]byte
	room[n%len(room)] = byte(n)
	return deeper(n+1) + int(room[0])
}

// mapWrites goes on until the runtime notices.
func mapWrites() {
	m := map[int]int{}
	for range 4 {
		go func() {
			for i := 0; ; i++ {
				m[i%8]++
			}
		}()
	}
	select {}
}

// outOfMemory asks for more than it allows itself.
func outOfMemory() {
	_ = unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: 48 << 20, Max: 48 << 20})
	eat()
}

// eat asks for memory, and uses it, until there is no more.
func eat() {
	var all [][]byte
	for {
		all = append(all, bytes.Repeat([]byte{1}, 8<<20))
		if len(all) > 1<<9 { // 4 GiB
			os.Exit(5) // there is no limit
		}
	}
}

// breed starts more programs than a worker with a limit may have, and ends.
func breed() {
	for range 80 {
		if leaveBehind("exec sleep 7200", true) != nil {
			break
		}
	}
	os.Exit(8)
}

// become replaces the worker by another program.
func become(argv ...string) {
	err := syscall.Exec(argv[0], argv, os.Environ())
	fmt.Fprintln(os.Stderr, "soak: exec:", err)
	os.Exit(6)
}

func flood(f *os.File) {
	line := append(bytes.Repeat([]byte("noise "), 20), '\n')
	block := bytes.Repeat(line, 500)
	for range 40 { // 2.4 MiB
		if _, err := f.Write(block); err != nil {
			return
		}
	}
}

// useUpDescriptors opens files until it gets no more, and closes them again.
func useUpDescriptors() error {
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: old.Max}); err != nil {
		return err
	}
	var open []int
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			break
		}
		open = append(open, fd)
	}
	time.Sleep(time.Millisecond)
	for _, fd := range open {
		unix.Close(fd)
	}
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
}

// What grandchildren do, for longer than a soak takes. Those of daemons lose
// their parent at once.
const (
	daemons = "sleep 7200 & (sleep 7200 &) & exit 0"
	many    = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 7200 & done; exit 0"
)

// leaveBehind starts a program that keeps stdout and stderr, and forgets it; in
// a session of its own, if it is to leave the worker's process group.
func leaveBehind(script string, leaves bool) error {
	cmd := exec.Command("/bin/sh", "-c", script)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: leaves}
	return cmd.Start()
}
