package child_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/verdigris-go/verdigris/child"
)

var (
	errTeapot = child.RegisterError("test.ErrTeapot", errors.New("I am a teapot"))
	errSecret = errors.New("known to the worker alone")

	// deny returns an error of the given kind.
	deny = child.Define("deny", func(_ context.Context, kind string) (int, error) { return 1, denials[kind] })
)

var denials = map[string]error{
	"plain":      errors.New("no"),
	"registered": errTeapot,
	"wrapped":    fmt.Errorf("brewing: %w", fmt.Errorf("pouring: %w", errTeapot)),
	"two":        errors.Join(errTeapot, io.ErrUnexpectedEOF),
	"path":       &fs.PathError{Op: "open", Path: "/x", Err: fs.ErrNotExist},
	"canceled":   context.Canceled,
	"unknown":    errSecret,
	"long":       errors.New(strings.Repeat("long ", 100_000)),
	"not UTF-8":  errors.New("bad \xff byte"),
}

// callers are all that can take a call on this system.
func callers(t *testing.T) map[string]child.Caller {
	return map[string]child.Caller{"inline": child.NewInline(child.Config{Name: "w"}), "process": processFor(t)}
}

func TestRemoteErrors(t *testing.T) {
	for name, c := range callers(t) {
		for kind, want := range denials {
			v, err := deny.Call(t.Context(), c, kind)
			remote, ok := errors.AsType[*child.RemoteError](err)
			if !ok || v != 0 || remote.Func != "deny" || remote.Worker != "w" {
				t.Errorf("%s: %s: %v, %T %v", name, kind, v, err, err)
				continue
			}
			if kind != "long" && kind != "not UTF-8" && err.Error() != want.Error() {
				t.Errorf("%s: %s: text %q", name, kind, err)
			}
			for _, sentinel := range []error{errTeapot, io.EOF, io.ErrUnexpectedEOF, fs.ErrNotExist, os.ErrNotExist, fs.ErrExist, context.Canceled, context.DeadlineExceeded} {
				if errors.Is(err, sentinel) != errors.Is(want, sentinel) {
					t.Errorf("%s: %s: errors.Is(%v) is %v", name, kind, sentinel, errors.Is(err, sentinel))
				}
			}
			if errors.Is(err, errSecret) || errors.Is(err, child.ErrNotStarted) {
				t.Errorf("%s: %s: it matches too much", name, kind)
			}
		}
		if _, err := deny.Call(t.Context(), c, "plain"); err.(slog.LogValuer).LogValue().Kind() != slog.KindGroup {
			t.Error("no log value")
		}
		if v, err := deny.Call(t.Context(), c, "nothing"); v != 1 || err != nil {
			t.Errorf("%s: %v %v", name, v, err)
		}
	}
}

func TestTextOfErrors(t *testing.T) {
	call := child.CallInfo{Func: "resize", Key: "cat\n.png"}
	crash := &child.CrashError{Worker: "w", PID: 7, Run: 2, Calls: []child.CallInfo{call}}
	crash.Exit = child.Exit{Cause: child.Exited, Observed: child.Observed{Code: 3}, Reported: child.Reported{Stderr: "one\ntwo\n\n"}}
	for _, test := range []struct {
		err  error
		want string
	}{
		{crash, "worker w (pid 7, run 2) exited with status 3, while running resize [cat\uFFFD.png]; its last words: two"},
		{&child.CrashError{Worker: "w", PID: 7, Run: 2}, "worker w (pid 7, run 2) ended in an unknown way: other code in this program has waited for it"},
		{&child.NotStartedError{Worker: "w", Func: "f", Reason: errors.New("it was stopped")}, "call f was not started, it may be sent again: it was stopped"},
		{&child.StartError{Worker: "w", Step: "open", Err: errors.New("no"), Stderr: "a\nb\n"}, "worker w did not start (open): no; its last words: b"},
		{&child.InterruptedError{Worker: "w", Func: "f", Started: true, Err: context.Canceled}, "call f on worker w was given up while it was running: context canceled"},
		{&child.InterruptedError{Worker: "w", Func: "f", Err: context.Canceled}, "call f on worker w was given up before it was started: context canceled"},
		{&child.UnavailableError{Worker: "p", Pool: true, Reason: "r"}, "pool p is not available: r"},
		{&child.UnavailableError{Worker: "w", Reason: "r", LastExit: crash}, "worker w is not available: r; last: " + crash.Error()},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("%q\nwant %q", got, test.want)
		}
	}
	for c := child.Unknown; c <= child.Abandoned; c++ {
		if strings.HasPrefix(c.String(), "Cause(") {
			t.Errorf("cause %d has no words", c)
		}
		if ours := c >= child.Deadline; c.Ordered() != ours {
			t.Errorf("%v: ordered %v", c, c.Ordered())
		}
	}
	if none := child.Abandoned + 1; none.String() != "Cause(16)" || (child.Exit{Cause: none}).String() != "ended: Cause(16)" {
		t.Error(none)
	}
}
