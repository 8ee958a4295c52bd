package seccomp

import (
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// onThread does something on a thread of its own, which is under f unless that is nil,
// each time it is asked, and returns how long it took.
func onThread(b *testing.B, f *Filter, do func()) func() time.Duration {
	ask, took, ready := make(chan struct{}), make(chan time.Duration), make(chan error)
	go func() {
		runtime.LockOSThread()
		var err error
		if f != nil {
			_, err = load(*f, ThisThread)
		}
		ready <- err
		for range ask {
			start := time.Now()
			do()
			took <- time.Since(start)
		}
	}()
	if err := <-ready; err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { close(ask) })
	return func() time.Duration {
		ask <- struct{}{}
		return <-took
	}
}

// round makes system calls, and returns how long one took.
func round(b *testing.B, f *Filter, number uintptr) func() time.Duration {
	const n = 1000
	turn := onThread(b, f, func() {
		for range n {
			unix.RawSyscall(number, 0, 0, 0)
		}
	})
	return func() time.Duration { return turn() / n }
}

// A system call under the list against the same without, in turns. What is
// decided by the number alone, the kernel remembers (Linux 5.11).
func BenchmarkCall(b *testing.B) {
	native(b)
	list := Filter{Rules: Join(append(Runtime(os.Getpid()), CGo()...)...)}
	for name, c := range map[string]struct {
		number uintptr
		filter Filter
	}{
		"decided by number":    {unix.SYS_GETTID, list},
		"decided by arguments": {unix.SYS_GETPID, list},
	} {
		b.Run(name, func(b *testing.B) {
			free, under := round(b, nil, c.number), round(b, &c.filter, c.number)
			var without, with time.Duration
			for b.Loop() {
				without += free()
				with += under()
			}
			report(b, without, with)
		})
	}
}

func report(b *testing.B, without, with time.Duration) {
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(without.Nanoseconds())/float64(b.N), "ns/free")
	b.ReportMetric(float64(with.Nanoseconds())/float64(b.N), "ns/confined")
	b.ReportMetric(float64(with)/float64(without), "ratio")
}

// The life of a process that does nothing: free, confined by the thread that
// starts it, and confining itself by the list.
func BenchmarkStart(b *testing.B) {
	native(b)
	refusing := Filter{Default: Allow, Rules: Join(NoTracing(), NoIOUring(), NoMounts(), NoNamespaces(), OnlySockets(Sockets{}))}
	for name, how := range map[string]struct {
		filter *Filter
		role   string
	}{"by its starter": {&refusing, "nothing"}, "by itself": {nil, "confined"}} {
		b.Run(name, func(b *testing.B) {
			free, confined := starter(b, nil, "nothing"), starter(b, how.filter, how.role)
			var without, with time.Duration
			for b.Loop() {
				without += free()
				with += confined()
			}
			report(b, without, with)
		})
	}
}

// starter starts this program in a role and waits for its end.
func starter(b *testing.B, f *Filter, role string) func() time.Duration {
	return onThread(b, f, func() {
		if err := command(bg, "/proc/self/exe", role).Run(); err != nil {
			b.Error(err)
		}
	})
}

func playConfined([]string) error {
	_, err := load(Filter{Rules: Join(append(Runtime(os.Getpid()), CGo()...)...)}, AllThreads)
	return err
}

func BenchmarkCompile(b *testing.B) {
	f := Filter{Rules: Join(append(Runtime(1), CGo()...)...)}
	for b.Loop() {
		if _, err := f.Compile(AMD64); err != nil {
			b.Fatal(err)
		}
	}
}

// A call that is refused: by the kernel, and by somebody who was notified.
func BenchmarkRefused(b *testing.B) {
	a := native(b)
	b.Run("with an error", func(b *testing.B) {
		refused := round(b, &Filter{Default: Allow, Rules: []Rule{{SysSocket, nil, Fail(EPERM)}}}, unix.SYS_SOCKET)
		free := round(b, nil, unix.SYS_GETTID)
		var without, with time.Duration
		for b.Loop() {
			without += free()
			with += refused()
		}
		report(b, without, with)
	})
	b.Run("by notice", func(b *testing.B) {
		p := compile(b, Filter{Default: Allow, Rules: []Rule{{SysSocket, nil, Notify}}}, a)
		ask, done, ready := make(chan struct{}), make(chan struct{}), make(chan *Notifier)
		go func() {
			n, err := LoadNotify(p, ThisThread)
			if err != nil {
				b.Error(err)
			}
			ready <- n
			for range ask {
				unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
				done <- struct{}{}
			}
		}()
		n := <-ready
		if n == nil {
			return
		}
		defer n.Close()
		defer close(ask)
		for b.Loop() {
			ask <- struct{}{}
			notice, err := n.Receive()
			if err == nil {
				err = n.Fail(notice.ID, EPERM)
			}
			if err != nil {
				b.Fatal(err)
			}
			<-done
		}
	})
}
