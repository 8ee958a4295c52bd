package tree_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/thejerf/suture/v4"

	"github.com/verdigris-go/verdigris/tree"
)

// news is an event that suture might have one day.
type news struct{}

func (news) String() string         { return "news" }
func (news) Type() suture.EventType { return 99 }
func (news) Map() map[string]any    { return map[string]any{"b": 2, "a": "x"} }

func TestEventHook(t *testing.T) {
	for _, c := range []struct {
		name  string
		event suture.Event
		want  string
	}{
		{
			"panic",
			suture.EventServicePanic{
				SupervisorName: "host", ServiceName: "a", CurrentFailures: 1.5, FailureThreshold: 5,
				Restarting: true, PanicMsg: "torn", Stacktrace: "goroutine 1",
			},
			`WARN msg="service panicked" supervisor=host service=a restarting=true failures=1.5 threshold=5 cause.error="panic: torn" cause.stack="goroutine 1"`,
		},
		{
			"failed",
			suture.EventServiceTerminate{SupervisorName: "host", ServiceName: "a", CurrentFailures: 6, FailureThreshold: 5, Err: crash{7}},
			`WARN msg="service failed" supervisor=host service=a restarting=false failures=6 threshold=5 cause.error="killed by SIGSEGV" cause.pid=7`,
		},
		{
			"failed with what is no error",
			suture.EventServiceTerminate{SupervisorName: "host", ServiceName: "a", Err: 5},
			`WARN msg="service failed" supervisor=host service=a restarting=false failures=0 threshold=0 cause=5`,
		},
		{
			"ended",
			suture.EventServiceTerminate{SupervisorName: "host", ServiceName: "a", Restarting: true},
			`WARN msg="service ended" supervisor=host service=a restarting=true failures=0 threshold=0`,
		},
		{
			"backoff",
			suture.EventBackoff{SupervisorName: "host"},
			`ERROR msg="supervisor backs off: its services failed too often" supervisor=host`,
		},
		{
			"resume",
			suture.EventResume{SupervisorName: "host"},
			`INFO msg="supervisor resumes after its backoff" supervisor=host`,
		},
		{
			"stop timeout",
			suture.EventStopTimeout{SupervisorName: "host", ServiceName: "a"},
			`ERROR msg="service abandoned: it has not stopped within suture.Spec.Timeout" supervisor=host service=a`,
		},
		{
			"unknown",
			news{},
			`INFO msg="event of a suture.Supervisor" type=99 a=x b=2`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := newLines(slog.LevelDebug)
			tree.EventHook(log.Logger)(c.event)
			log.expect(t, "level="+c.want+"\n")
		})
	}
}

// What a real host sends: a tree gives up until the host pauses, a service panics, another does not stop.
func TestEventHookOfAHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLines(slog.LevelInfo)
		host := suture.New("host", suture.Spec{EventHook: tree.EventHook(log.Logger), FailureThreshold: 1, Timeout: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		host.Add(service{"stubborn", func(context.Context) error { <-release; return nil }})
		host.Add(service{"brittle", func(ctx context.Context) error {
			if time.Sleep(time.Second); ctx.Err() == nil {
				panic("torn")
			}
			return nil
		}})
		ended := host.ServeBackground(ctx)
		time.Sleep(2500 * time.Millisecond)
		got := log.take()
		for _, want := range []string{
			`level=WARN msg="service panicked" supervisor=host service=brittle restarting=true failures=1 threshold=1 cause.error="panic: torn" cause.stack="goroutine `,
			"TestEventHookOfAHost",
			`level=ERROR msg="supervisor backs off: its services failed too often" supervisor=host` + "\n",
			`restarting=false`,
		} {
			if !strings.Contains(got, want) {
				t.Errorf("no %s in\n%s", want, got)
			}
		}
		time.Sleep(25 * time.Second)
		if got := log.take(); !strings.HasPrefix(got, `level=INFO msg="supervisor resumes after its backoff" supervisor=host`+"\n") {
			t.Errorf("no resume: %s", got)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if got := log.take(); !strings.Contains(got, `level=ERROR msg="service abandoned: it has not stopped within suture.Spec.Timeout" supervisor=host service=stubborn`) {
			t.Errorf("no stop timeout: %s", got)
		}
		close(release)
	})
}

type service struct {
	name  string
	serve func(context.Context) error
}

func (s service) Serve(ctx context.Context) error { return s.serve(ctx) }
func (s service) String() string                  { return s.name }
