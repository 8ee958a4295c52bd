package child_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lmittmann/tint"

	"github.com/verdigris-go/verdigris/child"
)

// someErrors are errors with all that they may carry, and with the least.
func someErrors() map[string]error {
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	inC := []child.Frame{{Func: "C.decode"}, {Func: "example.com/img.(*Decoder).Decode", File: "/src/img/decode.go", Line: 42}, {Func: "main.thumbnail", File: "/src/main.go", Line: 7}}
	full := &child.CrashError{
		Worker: "decoder", PID: 4711, Run: 3, Uptime: 3217 * time.Millisecond, Served: 17,
		Calls: []child.CallInfo{{Func: "decode", Key: "cat.png", Trace: trace}, {Func: "scale"}},
		Exit: child.Exit{
			Cause: child.Segfault, Detail: "address 0xdead000",
			Observed: child.Observed{Code: 2, User: 70 * time.Millisecond, System: 10 * time.Millisecond, PeakMemory: 48 << 20},
			Reported: child.Reported{Trace: "SIGSEGV: segmentation violation\nPC=0x1", Stack: inC, Stderr: "loading\nSIGSEGV: segmentation violation\nPC=0x1\n"},
		},
	}
	exited := &child.CrashError{Worker: "decoder", PID: 4711, Run: 1, Exit: child.Exit{Cause: child.Exited, Observed: child.Observed{Code: 3}, Reported: child.Reported{Stderr: "loading\nno licence\n"}}}
	killed := &child.CrashError{Worker: "decoder", PID: 4711, Run: 1, Exit: child.Exit{Cause: child.Killed, Observed: child.Observed{Code: -1, Signal: syscall.SIGKILL}}}
	late := &child.CrashError{
		Worker: "decoder", PID: 4711, Run: 1, Calls: []child.CallInfo{{Func: "decode", Key: "cat.png"}},
		Exit: child.Exit{Cause: child.Deadline, Detail: "decode [cat.png]", Observed: child.Observed{Code: -1, Signal: syscall.SIGKILL}},
	}
	return map[string]error{
		"full": full, "exited": exited, "killed": killed, "late": late,
		"start":       &child.StartError{Worker: "decoder", Step: "open", Err: exited, Stderr: "loading\nno licence\n"},
		"plain start": &child.StartError{Worker: "decoder", Step: "spawn", Err: errors.New("no more processes"), Stderr: "hm\n"},
		"unavailable": &child.UnavailableError{Worker: "decoder", Reason: "no worker came up in time", Waited: time.Second, LastExit: killed},
		"nobody":      &child.UnavailableError{Worker: "decoder", Reason: "nobody serves it"},
	}
}

// A record says each thing once, nothing that is not there, and fits on a screen.
func TestErrorsInLogs(t *testing.T) {
	want := map[string]struct{ text, json string }{
		"full": {
			`ERR call failed err.error="crashed with a segmentation fault: address 0xdead000, in C.decode called by img.(*Decoder).Decode (decode.go:42)" err.cause="segmentation fault" err.code=2 err.cpu=80ms err.peak_memory=50331648 err.stack="C.decode < img.(*Decoder).Decode (decode.go:42) < main.thumbnail (main.go:7)" err.stderr=loading err.worker=decoder err.pid=4711 err.run=3 err.uptime=3.217s err.served=17 err.call.func=decode err.call.key=cat.png err.call.trace=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 err.call2.func=scale`,
			`"err":{"error":"crashed with a segmentation fault: address 0xdead000, in C.decode called by img.(*Decoder).Decode (decode.go:42)","cause":"segmentation fault","code":2,"cpu":80000000,"peak_memory":50331648,"stack":"C.decode < img.(*Decoder).Decode (decode.go:42) < main.thumbnail (main.go:7)","stderr":"loading","worker":"decoder","pid":4711,"run":3,"uptime":3217000000,"served":17,"call":{"func":"decode","key":"cat.png","trace":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},"call2":{"func":"scale"}}`,
		},
		"exited": {
			`ERR call failed err.error="exited with status 3" err.cause=exit err.stderr="loading\nno licence" err.worker=decoder err.pid=4711 err.run=1`,
			`"err":{"error":"exited with status 3","cause":"exit","stderr":"loading\nno licence","worker":"decoder","pid":4711,"run":1}`,
		},
		"killed": {
			`ERR call failed err.error="was killed from outside by SIGKILL (the kernel's log tells if that was the OOM killer)" err.cause="killed from outside" err.worker=decoder err.pid=4711 err.run=1`,
			`"err":{"error":"was killed from outside by SIGKILL (the kernel's log tells if that was the OOM killer)","cause":"killed from outside","worker":"decoder","pid":4711,"run":1}`,
		},
		"late": {
			`ERR call failed err.error="was killed because the deadline of a call had passed: decode [cat.png]" err.cause=deadline err.signal=killed err.worker=decoder err.pid=4711 err.run=1 err.call.func=decode err.call.key=cat.png`,
			`"err":{"error":"was killed because the deadline of a call had passed: decode [cat.png]","cause":"deadline","signal":"killed","worker":"decoder","pid":4711,"run":1,"call":{"func":"decode","key":"cat.png"}}`,
		},
		"start": {
			`ERR call failed err.error="did not start (open)" err.worker=decoder err.cause.error="exited with status 3" err.cause.cause=exit err.cause.stderr="loading\nno licence" err.cause.worker=decoder err.cause.pid=4711 err.cause.run=1`,
			`"err":{"error":"did not start (open)","worker":"decoder","cause":{"error":"exited with status 3","cause":"exit","stderr":"loading\nno licence","worker":"decoder","pid":4711,"run":1}}`,
		},
		"plain start": {
			`ERR call failed err.error="did not start (spawn)" err.worker=decoder err.cause="no more processes" err.stderr=hm`,
			`"err":{"error":"did not start (spawn)","worker":"decoder","cause":"no more processes","stderr":"hm"}`,
		},
		"unavailable": {
			`ERR call failed err.error="is not available: no worker came up in time" err.worker=decoder err.waited=1s err.last_exit.error="was killed from outside by SIGKILL (the kernel's log tells if that was the OOM killer)" err.last_exit.cause="killed from outside" err.last_exit.worker=decoder err.last_exit.pid=4711 err.last_exit.run=1`,
			`"err":{"error":"is not available: no worker came up in time","worker":"decoder","waited":1000000000,"last_exit":{"error":"was killed from outside by SIGKILL (the kernel's log tells if that was the OOM killer)","cause":"killed from outside","worker":"decoder","pid":4711,"run":1}}`,
		},
		"nobody": {
			`ERR call failed err.error="is not available: nobody serves it" err.worker=decoder`,
			`"err":{"error":"is not available: nobody serves it","worker":"decoder"}`,
		},
	}
	for name, err := range someErrors() {
		var text, json bytes.Buffer
		noTime := func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
		slog.New(tint.NewTextHandler(&text, &tint.Options{NoColor: true, ReplaceAttr: noTime})).Error("call failed", "err", err)
		slog.New(slog.NewJSONHandler(&json, &slog.HandlerOptions{ReplaceAttr: noTime})).Error("call failed", "err", err)
		if got := strings.TrimSuffix(text.String(), "\n"); got != want[name].text {
			t.Errorf("%s: tint\n%s\nwant\n%s", name, got, want[name].text)
		}
		if got := strings.TrimSuffix(json.String(), "\n"); got != `{"level":"ERROR","msg":"call failed",`+want[name].json+`}` {
			t.Errorf("%s: JSON\n%s\nwant\n%s", name, got, want[name].json)
		}
	}
}

// What errors.Is and errors.AsType find.
func TestCausesAreErrors(t *testing.T) {
	all := someErrors()
	for name, want := range map[string]child.Cause{"full": child.Segfault, "exited": child.Exited, "start": child.Exited, "late": child.Deadline} {
		err := all[name]
		cause, found := errors.AsType[child.Cause](err)
		if !found || cause != want || !errors.Is(err, want) || errors.Is(err, child.Aborted) {
			t.Errorf("%s: cause %v (%v)", name, cause, found)
		}
		if crash, found := errors.AsType[*child.CrashError](err); !found || crash.Cause != want {
			t.Errorf("%s: no crash", name)
		}
	}
	for _, name := range []string{"unavailable", "nobody", "plain start"} {
		if cause, found := errors.AsType[child.Cause](all[name]); found {
			t.Errorf("%s: it is this call's cause that the worker ended by %v", name, cause)
		}
	}
	not := &child.NotStartedError{Worker: "w", Func: "f", Reason: all["full"]}
	if errors.Is(not, child.Segfault) || !errors.Is(not, child.ErrNotStarted) {
		t.Error("a call that was not started matches the crash of another")
	}
}
