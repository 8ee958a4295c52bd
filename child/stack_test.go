package child

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// What real reports say: where it was, and how it got there.
func TestStackOfReports(t *testing.T) {
	const gopher = "child_test.init.func47 (workers_test.go:49)"
	for name, want := range map[string]struct{ site, chain string }{
		"c-abort": {
			"in C.abort called by ccrash.Abort (ccrash_cgo.go:46)",
			"C.abort < ccrash.Abort (ccrash_cgo.go:46) < " + gopher,
		},
		"c-segfault": {
			"in C.writeTo called by ccrash.Segfault (ccrash_cgo.go:43)",
			"C.writeTo < ccrash.Segfault (ccrash_cgo.go:43) < " + gopher,
		},
		"map-writes": {
			"in maps.fatal called by child_test.mapWrites.func1 (workers_test.go:147)",
			"maps.fatal (panic.go:1181) < child_test.mapWrites.func1 (workers_test.go:147)",
		},
		"unlock": {
			"in sync.(*Mutex).Unlock called by child_test.init.func44 (workers_test.go:110)",
			"sync.fatal (panic.go:1191) < sync.(*Mutex).unlockSlow (mutex.go:204) < sync.(*Mutex).Unlock (mutex.go:198) < sync.(*Mutex).Unlock (mutex.go:65) < child_test.init.func44 (workers_test.go:110) < " + gopher,
		},
		"unsafe-fault":         {"in child_test.unsafeFault (workers_test.go:132)", "child_test.unsafeFault (workers_test.go:132) < " + gopher},
		"panic":                {"in child_test.init.func31 (workers_test.go:96)", "child_test.init.func31 (workers_test.go:96) < " + gopher},
		"panic-elsewhere":      {"in child_test.init.func35.1 (workers_test.go:100)", "child_test.init.func35.1 (workers_test.go:100)"},
		"panic-elsewhere-none": {"", ""},
		"stack-overflow":       {"in child_test.recurse (workers_test.go:135)", "child_test.recurse (workers_test.go:135)"},
		"out-of-memory":        {"in child_test.init.func51 (hang_test.go:24)", "child_test.init.func51 (hang_test.go:24)"},
		"dump-spinning":        {"in child_test.init.func51 (hang_test.go:1)", "child_test.init.func51 (hang_test.go:1)"},
		"dump-sleeping": {
			"in time.Sleep called by child_test.init.func51 (hang_test.go:36)",
			"time.Sleep (time.go:363) < child_test.init.func51 (hang_test.go:36)",
		},
	} {
		report, err := os.ReadFile(filepath.Join("testdata", "reports", name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		stack := stackOf(string(report))
		if got := site(stack); got != want.site {
			t.Errorf("%s: %q\nwant %q", name, got, want.site)
		}
		if got := chain(stack); got != want.chain {
			t.Errorf("%s: %q\nwant %q", name, got, want.chain)
		}
	}
}

// Around a call of C with pointers cgo puts a closure, which nobody has written.
func TestStackThroughCgoClosure(t *testing.T) {
	const report = "goroutine 1 [syscall]:\nruntime.cgocall(0x1)\n\t/go/cgocall.go:1 +0x1\na/img._Cfunc_f(0x1)\n\t_cgo_gotypes.go:2 +0x1\n" +
		"a/img.decode.func1(...)\n\t/img.go:7\na/img.decode({0x1})\n\t/img.go:7 +0x1\na/img.Do.func1()\n\t/img.go:9 +0x1\na/img.Do()\n\t/img.go:9 +0x1\n"
	if got, want := chain(stackOf(report)), "C.f < img.decode (img.go:7) < img.Do.func1 (img.go:9) < img.Do (img.go:9)"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// Whose function it is.
func TestUserFrames(t *testing.T) {
	for name, want := range map[string]bool{
		"main.main":                          true,
		"main.(*T).do.func1":                 true,
		"example.com/img.(*Decoder).Decode":  true,
		"gopkg.in/yaml%2ev3.Unmarshal":       true,
		"C.decode":                           false,
		"time.Sleep":                         false,
		"sync.(*Mutex).Lock":                 false,
		"internal/poll.(*FD).Read":           false,
		"encoding/json.(*decodeState).value": false,
		"":                                   false,
	} {
		if got := (Frame{Func: name}).user(); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// Whatever the report says, what is made of it is bounded, tame and out of the report.
func FuzzStack(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "reports", "*.txt"))
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		report, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(report), "last\nwords")
	}
	f.Add("goroutine 1 [x]:\n"+strings.Repeat("a.f(\n\t/a.go:1\n", 100), "")
	f.Add("goroutine 1 [x]:\n._Cfunc_(\n\t:0", "fatal error: newosproc")
	f.Fuzz(func(t *testing.T, report, stderr string) {
		stack := stackOf(report)
		if len(stack) > maxFrames {
			t.Errorf("%d frames", len(stack))
		}
		for _, f := range stack {
			if len(f.Func) > maxName || len(f.File) > maxName || f.Line < 0 || f.Line > 0 && !strings.Contains(report, f.Func) {
				t.Errorf("%+v", f)
			}
		}
		e := &CrashError{Worker: "w", Exit: evidence{reported: Reported{Trace: report, Stderr: stderr}}.exit()}
		e.Cause, e.Detail = reportCause(report, stderr)
		for _, line := range []string{e.Error(), site(stack), chain(stack)} {
			if len(line) > 4<<10 || strings.ContainsFunc(line, unicode.IsControl) {
				t.Errorf("%d bytes: %q", len(line), line)
			}
		}
	})
}
